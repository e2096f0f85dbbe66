"""The pages of the documentation, the README among them, and the code in them.

`python` fences a whole program, `py` a file of several, whose name is in its first line, or a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@frozen
class Block:
    """A block of code.

    Attributes:
        page: its page, as `how-to/choose`.
        heading: the nearest heading above it.
        language: what it is fenced as.
        text: the code.
    """

    page: str
    heading: str
    language: str
    text: str

    @property
    def file(self) -> str:
        """The name of the file it is, or ""."""
        found = re.match(r"# (\S+\.\w+)\n", self.text)
        return found[1] if found else ""


def _blocks() -> Iterator[Block]:
    docs = ROOT / "docs"
    for path in (ROOT / "README.md", *sorted(docs.rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        page = str(path.relative_to(docs).with_suffix("")) if docs in path.parents else path.stem
        for found in FENCED.finditer(text):
            above = FENCED.sub("", text[: found.start()])
            heading = re.findall(r"^#+ (.*)$", above, re.MULTILINE)[-1]
            yield Block(page, heading, found[1], found[2])


BLOCKS = tuple(_blocks())


def blocks(page: str, language: str, heading: str | None = None) -> list[str]:
    """The code of a page in a language; under that heading if one is named."""
    return [
        block.text
        for block in BLOCKS
        if (block.page, block.language) == (page, language) and heading in {None, block.heading}
    ]


def files(page: str, heading: str | None = None) -> dict[str, str]:
    """The files that a page has in full, by their names."""
    return {
        block.file: block.text
        for block in BLOCKS
        if block.page == page and block.file and heading in {None, block.heading}
    }


def put_in(text: str, old: str, new: str) -> str:
    """Put something else into a text, which must have it."""
    assert old in text, f"there is no {old!r} in it any more"
    return text.replace(old, new)
