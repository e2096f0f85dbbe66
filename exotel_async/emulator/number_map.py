"""Mappings by phone number, however it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TypeVar

from exotel_async.emulator.numbers import checked_number, national

V = TypeVar("V")


class ByNumber(MutableMapping[str, V]):
    """A mapping whose keys are phone numbers; it lists them in their national form."""

    def __init__(self, items: Mapping[str, V]) -> None:
        self._items = {checked_number(number): value for number, value in items.items()}

    def __getitem__(self, number: str) -> V:
        return self._items[national(number)]

    def __setitem__(self, number: str, value: V) -> None:
        self._items[checked_number(number)] = value

    def __delitem__(self, number: str) -> None:
        del self._items[national(number)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)
