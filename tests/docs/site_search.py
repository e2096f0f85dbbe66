"""The search of the built pages, as a browser does it: Sphinx's `searchtools.js` in Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

if TYPE_CHECKING:
    from sphinx.search.en import SearchEnglish

_SPLIT: Final = r"\W+"  # what is no letter, digit or underscore, as `splitQuery` has it


@frozen(order=True)
class Result:
    """One line of the results.

    Attributes:
        page: the page it leads to, as `reference/calls`.
        kind: by what it was found: "title", "index", "object" or "text".
        name: the title or the full name of what was found.
        anchor: the place on the page; "" is its top.
    """

    page: str
    kind: str
    name: str
    anchor: str = ""


@frozen
class Search:
    """The index of a built site."""

    _index: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, site: Path) -> Search:
        """Read the index as it was built."""
        script = (site / "searchindex.js").read_text(encoding="utf-8")
        return cls(json.loads(script.removeprefix("Search.setIndex(").removesuffix(")")))

    def find(self, query: str) -> set[Result]:
        """All results of a query; in which order they are shown does not matter here."""
        asked = query.lower().strip()
        words = list(dict.fromkeys(filter(None, re.split(_SPLIT, asked))))
        terms = {_english().stem(word) for word in words if _is_term(word)}
        found = {*self._titles(asked), *self._entries(asked), *self._texts(terms)}
        for word in words:
            found.update(self._objects(word, {*words} - {word}))
        return found

    def pages(self, query: str) -> set[str]:
        """The pages among the results."""
        return {result.page for result in self.find(query)}

    def _page(self, number: int) -> str:
        page: str = self._index["docnames"][number]
        return page

    def _titles(self, asked: str) -> Iterator[Result]:
        for title, places in self._index["alltitles"].items():
            if asked in title.lower().strip() and len(asked) >= len(title) / 2:
                for page, anchor in places:
                    yield Result(self._page(page), "title", title, anchor or "")

    def _entries(self, asked: str) -> Iterator[Result]:
        for entry, places in self._index["indexentries"].items():
            if asked in entry and len(asked) >= len(entry) / 2:
                for page, anchor, _ in places:
                    yield Result(self._page(page), "index", entry, anchor or "")

    def _objects(self, word: str, others: set[str]) -> Iterator[Result]:
        for full, hay, result in self._all_objects:
            if word in full and all(other in hay for other in others):
                yield result

    @cached_property
    def _all_objects(self) -> list[tuple[str, str, Result]]:
        """Of each: its name and the text for further words, in lower case, and the result."""
        found = []
        for prefix, matches in self._index["objects"].items():
            for page, kind, _, anchor, name in matches:
                full = f"{prefix}.{name}" if prefix else name
                about = f"{prefix} {name} {self._index['objnames'][str(kind)][2]}"
                hay = f"{about} {self._index['titles'][page]}".lower()
                result = Result(self._page(page), "object", full, anchor)
                found.append((full.lower(), hay, result))
        return found

    def _texts(self, terms: set[str]) -> Iterator[Result]:
        has: dict[int, set[str]] = {}
        for term in terms:
            for index in (self._index["terms"], self._index["titleterms"]):
                for page in self._with(term, index):
                    has.setdefault(page, set()).add(term)
        long = sum(len(term) > 2 for term in terms)
        for page, there in has.items():
            if len(there) in {len(terms), long}:
                yield Result(self._page(page), "text", self._index["titles"][page])

    @staticmethod
    def _with(term: str, index: dict[str, Any]) -> set[int]:
        found: list[int | list[int]] = []
        if term in index:
            found = [index[term]]
        elif len(term) > 2:  # a part of a word does as well
            found = [pages for word, pages in index.items() if term in word]
        return {page for pages in found for page in _several(pages)}


@cache
def _english() -> SearchEnglish:
    # Not at the top: it takes a tenth of a second, and each worker imports this module.
    from sphinx.search.en import SearchEnglish  # noqa: PLC0415

    return SearchEnglish({})


def _is_term(word: str) -> bool:
    return word not in _english().stopwords and not re.fullmatch("[0-9]+", word)


def _several(pages: int | list[int]) -> Iterable[int]:
    return [pages] if isinstance(pages, int) else pages
