"""VOICE_V1.md: what code cites stands in it, and what users read does not cite it."""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import exotel_async
import exotel_async.emulator
import exotel_async.redis
import exotel_async.webhooks
from exotel_async import AsyncExotel

ROOT = Path(__file__).parents[2]
PACKAGE = Path(exotel_async.__file__).parent
NOTES = PACKAGE / "wire" / "VOICE_V1.md"
# Where the evidence is gathered, on the machines of those who do.
EVIDENCE = ROOT.parent / "shared" / "exotel-voice-v1.md"
FOLDERS = (PACKAGE, ROOT / "tests", ROOT / "benchmarks")
PUBLIC = (
    exotel_async,
    exotel_async.emulator,
    exotel_async.redis,
    exotel_async.webhooks,
)

SECTION = r"[0-9]{1,2}(?:\.[0-9]{1,2})?[a-c]?"
CITATION = rf"\bVOICE_V1 ({SECTION}(?:, {SECTION})*)(?![\w.]*\w)"
# A number that may be a section, in one of the forms that are not ours.
NUMBER = r"(?:1[01]|[0-9])(?:\.[0-9]{1,2})?(?: ?[a-c])?"
NO_CITATION = re.compile(
    "|".join(
        [
            rf"\bVOICE_V1(?!\.md\b| {SECTION}(?![\w.]*\w))",  # it names no section
            rf"{CITATION} (?:and|to|or) [0-9]",  # a list is written with commas
            r"\b(?:[Ww]ire|[Oo]ur|[Tt]he) notes?\b",  # the document goes by its name
            rf"\b(?:[Nn]otes?|[Ss]ections?) \(?{NUMBER}\b",
            rf"(?<![\w\])`'\".])\({NUMBER}(?:(?:, | and | to | or |-){NUMBER})*[):;]",  # a bare one
        ]
    )
)


def sections(text: str, levels: str = "2,4") -> list[str]:
    """The numbers of a document's sections, in order."""
    return re.findall(rf"^\#{{{levels}}} ({SECTION})\.? ", text, re.MULTILINE)


def said(source: str) -> Iterator[tuple[int, str]]:
    """Each comment and docstring of a program, on one line, with the number of its last."""
    comment: list[str] = []
    last = 0
    begins = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            if comment and (line > last + 1 or token.line[: token.start[1]].strip()):
                yield last, " ".join(comment)
                comment = []
            comment.append(token.string.lstrip("# "))
            last = line
        elif token.type == tokenize.STRING and begins:
            yield token.end[0], " ".join(ast.literal_eval(token.string).split())
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            begins = token.type in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    yield last, " ".join(comment)


def citations(source: str) -> tuple[set[str], list[str]]:
    """The sections that a program cites, and what is wrong with its citations."""
    cited: set[str] = set()
    wrong: list[str] = []
    flat = " ".join(source.replace("#", " ").split())
    if not re.search(f"{CITATION}|{NO_CITATION.pattern}", flat):
        return cited, wrong  # most have none, and to take them to pieces takes long
    for line, text in said(source):
        named = {s for match in re.finditer(CITATION, text) for s in match[1].split(", ")}
        cited |= named
        wrong += [f"line {line}: there is no section {s}" for s in named.difference(KNOWN)]
        wrong += [f"line {line}: {match[0]!r}" for match in NO_CITATION.finditer(text)]
    return cited, wrong


def cites(text: str) -> bool:
    """Whether a text cites VOICE_V1.md, in whatever form."""
    return "VOICE_V1" in text or NO_CITATION.search(text) is not None


KNOWN = sections(NOTES.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_every_citation_names_a_section_that_is_there() -> None:
    cited: set[str] = set()
    wrong: list[str] = []
    for path in sorted(path for folder in FOLDERS for path in folder.rglob("*.py")):
        named, found = citations(path.read_text(encoding="utf-8"))
        cited |= named
        wrong += [f"{path}, {what}" for what in found]
    assert wrong == []
    assert len(cited) > 25, "it has found none"


@pytest.mark.parametrize(
    "text",
    [
        "Digits come in quotes (VOICE_V1 7.12).",
        "Digits come in quotes (VOICE_V1 7.1, 7.12).",
        "Digits come in quotes (VOICE_V1 12).",
        "Digits come in quotes (VOICE_V1 7.3d).",
        "Digits come in quotes (VOICE_V1 7.1.2).",
        "Digits come in quotes (VOICE_V1, 7.1).",
        "Digits come in quotes (VOICE_V1).",
        "Digits come in quotes (VOICE_V1 7.1 to 7.3).",
        "Digits come in quotes (wire notes 7.1).",
        "Digits come in quotes (notes 6, 7.3).",
        "Digits come in quotes (7.1).",
        "Digits come in quotes (7.3 c).",
        "Digits come in quotes (7.1, 7.5 to 7.7).",
        "Digits come in quotes (7): so users say.",
        "Digits come in quotes: section 7.1.",
        "Digits come in quotes, as the notes have it.",
    ],
)
def test_a_wrong_citation_is_found(text: str) -> None:
    first, second = text[:20], text[20:].strip()
    for source in (
        f'"""{text}"""',
        f'def f():\n    """Read digits.\n\n    {first}\n    {second}\n    """',
        f"# {text}",
        f"x = 1  # {text}",
        f"# {first}\n# {second}",
    ):
        assert len(citations(source)[1]) == 1, source


@pytest.mark.parametrize(
    "text",
    [
        "Digits come in quotes (VOICE_V1 7.1).",
        "Digits come in quotes (VOICE_V1 7.1, 7.3c), and leave without.",
        "Digits (VOICE_V1 7.1); that is `f(7.1)`, or f(2), at (3, 20) s.",
        "As VOICE_V1 9, point 8. It is RFC 9112, 2.2, take note of 3.",
        "Whatever VOICE_V1.md knows of.",
    ],
)
def test_a_right_one_is_none_of_them(text: str) -> None:
    assert citations(f'"""{text}"""\n# {text}')[1] == []


@cache
def classes(source: str) -> dict[str, ast.ClassDef]:
    """The classes of a program, by name."""
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def shown(kind: ast.ClassDef) -> Iterator[str]:
    """The docstrings of a class that users see: its own, of public attributes and methods."""
    name = ""
    for node in kind.body:
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))) if not name.startswith("_"):
                yield text
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if not re.match("_(?!_)", node.name):
                    yield ast.get_docstring(node) or ""
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                pass
            case _:
                name = ""


def docs_of(value: object) -> Iterator[str]:
    """What `help` says of a public object."""
    if not isinstance(value, type):
        if inspect.isfunction(value):
            yield inspect.getdoc(value) or ""
        return
    for kind in value.__mro__:
        if kind.__module__.startswith("exotel_async."):
            source = Path(inspect.getfile(kind)).read_text(encoding="utf-8")
            yield from shown(classes(source)[kind.__name__])


@pytest.mark.slow
def test_docstrings_that_users_see_cite_nothing() -> None:
    session = AsyncExotel(account_sid="acme1", api_key="key", api_token="token")
    public: dict[str, object] = {
        f"{package.__name__}.{name}": getattr(package, name)
        for package in PUBLIC
        for name in package.__all__
    }
    public |= {
        f"AsyncExotel.{name}": type(value)
        for name, value in inspect.getmembers_static(session)
        if not name.startswith("_") and type(value).__module__.startswith("exotel_async.")
    }
    assert "AsyncExotel.calls" in public
    texts = [(name, text) for name, value in public.items() for text in docs_of(value)]
    texts += [(package.__name__, inspect.getdoc(package) or "") for package in PUBLIC]
    # What these say is shown by `pytest --fixtures` and `exotel-async --help`.
    for path in [PACKAGE / "pytest_plugin.py", *(PACKAGE / "cli").glob("*.py")]:
        texts += [(path.name, text) for _, text in said(path.read_text(encoding="utf-8"))]
    assert [name for name, text in texts if cites(text)] == []
    assert len(texts) > 300, "it has read none"


PLANTED = '''
class Planted:
    """One (VOICE_V1 7.1)."""

    digits = ""
    """Two (7.2)."""
    _key = ""
    """Three (VOICE_V1 7.3)."""

    def read(self) -> None:
        """Four (7.4)."""

    def _read(self) -> None:
        """Five (VOICE_V1 7.5)."""
'''


def test_a_citation_in_a_public_docstring_is_found() -> None:
    found = [text for text in shown(classes(PLANTED)["Planted"]) if cites(text)]
    assert found == ["One (VOICE_V1 7.1).", "Two (7.2).", "Four (7.4)."]


def test_the_readme_cites_nothing() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert [paragraph for paragraph in prose.split("\n\n") if cites(paragraph)] == []


def test_sections_are_in_order_and_none_is_there_twice() -> None:
    def place(section: str) -> tuple[list[int], str]:
        number = section.rstrip("abc")
        return [int(part) for part in number.split(".")], section

    assert sorted(set(KNOWN), key=place) == KNOWN
    assert len(KNOWN) > 30


@pytest.mark.skipif(not EVIDENCE.exists(), reason="the evidence is not on this machine")
def test_the_notes_are_in_step_with_the_evidence() -> None:
    notes, evidence = (path.read_text(encoding="utf-8") for path in (NOTES, EVIDENCE))
    assert sections(notes, "2,3") == sections(evidence, "2,3")
    # And so are the names: of fields, parameters, headers, values.
    spans = " ".join(
        re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", evidence, flags=re.DOTALL))
    )
    names = {name for name in re.findall(r"[\w-]{4,}", spans) if not name.islower()}
    assert len(names) > 100
    assert sorted(name for name in names if name not in notes) == []
