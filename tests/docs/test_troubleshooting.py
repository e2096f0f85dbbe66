"""The page that is searched by the text of an error has all texts, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import error_texts
from tests.docs.error_texts import GAP, Text, plain

PAGE = Path(__file__).parents[2] / "docs/troubleshooting.md"


@pytest.fixture(scope="module")
def page() -> str:
    """The page."""
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows(page: str) -> list[str]:
    """The rows of its tables."""
    return [plain(line) for line in page.splitlines() if line.startswith("| ")]


@pytest.mark.slow(1)
def test_the_table_of_rules_is_that_of_the_code(page: str) -> None:
    command = "python -m tests.docs.error_texts docs/troubleshooting.md"
    assert error_texts.with_table(page) == page, f"write it again: {command}"


@pytest.mark.slow(1)
def test_each_text_has_a_row(rows: list[str]) -> None:
    missing = [
        (one.where, one.text)
        for one in error_texts.texts()
        if not any(one.pattern().search(row) for row in rows)
    ]
    assert missing == []


@pytest.mark.slow(3)
def test_each_row_has_a_text(page: str) -> None:
    texts = [(plain(one.text), one.pattern()) for one in error_texts.texts()]
    by_hand = page.partition(error_texts.BEGIN)[0]
    cells = "\n".join(re.findall(r"^\| (.*?) (?<!\\)\|", by_hand, re.MULTILINE))
    unknown = []
    for span in re.findall(r"``? ?(.*?) ?``?(?!`)", cells):
        shown = Text("", span).pattern()
        if len(error_texts.words(span)) >= 3 and not any(
            shown.search(text) or pattern.search(plain(span)) for text, pattern in texts
        ):
            unknown.append(span)
    assert unknown == []


def test_a_text_without_a_row_is_noticed(rows: list[str]) -> None:
    missing = Text("", f"no text of this package {GAP} says this")
    assert not any(missing.pattern().search(row) for row in rows)
