"""`GET Calls`: one page of a query's results, and the cursors to its neighbours (VOICE_V1 3)."""

from __future__ import annotations

import base64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar
from urllib.parse import urlencode

import attrs

from exotel_async.emulator.api_errors import bad
from exotel_async.emulator.call_store import CallBook, CallSlice, position
from exotel_async.emulator.calls import EmulatedCall
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.filters import (
    MAX_SIDS,
    Query,
    read_descending,
    read_filters,
    read_list,
    read_page_size,
    read_window,
)
from exotel_async.emulator.settings import Settings

T = TypeVar("T")
_Found = Sequence[EmulatedCall] | CallSlice


@attrs.frozen
class Page:
    """One page of calls and the cursors to the pages before and after it."""

    calls: Sequence[EmulatedCall]
    total: int
    size: int
    before: str | None
    after: str | None


def read_page(
    query: Query, book: CallBook, clock: Clock, settings: Settings, *, repeat: int = 0
) -> Page:
    """Return the page that a query asks for. Raises Refusal, 400, for a filter out of its limits.

    `repeat`: the cursor to the next page is that many rows further back, but still in this page.
    """
    found = _find(query, book, clock, settings, live=settings.bulk_live)
    size, count = read_page_size(query.get("PageSize"), settings), len(found)
    descending = read_descending(query.get("SortBy", "DateCreated:desc"))
    back = "Before" in query and "After" not in query
    cursor = query["Before"] if back else query.get("After")
    # They are sorted oldest first: the page lies after an edge (`later`), or before it.
    later = descending is back
    if cursor is None:
        edge = count if descending else 0
    elif settings.cursors == "offset":
        passed = min(_read_cursor(cursor, _offset), count)
        edge = count - passed if descending else passed
    else:
        bisect = bisect_right if later else bisect_left
        edge = bisect(found, _read_cursor(cursor, _position), key=position)
    first, last = (edge, min(edge + size, count)) if later else (max(0, edge - size), edge)
    rows = [found[index] for index in range(first, last)]
    before, after = first, count - last
    if descending:
        rows.reverse()
        before, after = after, before
    again = min(repeat, len(rows) - 1)
    counts_live = settings.total_counts_live
    return Page(
        calls=rows,
        total=len(_find(query, book, clock, settings, live=True)) if counts_live else count,
        size=size,
        before=_cursor(rows[0], before, settings) if rows and before else None,
        after=_cursor(rows[-1 - again], before + len(rows) - again, settings)
        if rows and after
        else None,
    )


def page_uris(
    page: Page, query: Query, path: str, end: Literal["", "missing"] | None
) -> dict[str, str | None]:
    """Return the URIs of `Metadata`: relative, with filters and a cursor in an encoded query."""
    filters = {name: value for name, value in query.items() if name not in {"Before", "After"}}

    def uri(**cursor: str) -> str:
        encoded = urlencode({**filters, "PageSize": str(page.size), **cursor})
        return f"{path}?{encoded}"

    uris: dict[str, str | None] = {
        "FirstPageUri": uri(),
        "PrevPageUri": uri(Before=page.before) if page.before else end,
        "NextPageUri": uri(After=page.after) if page.after else end,
    }
    return {name: text for name, text in uris.items() if text != "missing"}


def _find(query: Query, book: CallBook, clock: Clock, settings: Settings, *, live: bool) -> _Found:
    """Return all calls that match a query, oldest first, on all pages."""
    since, until = read_window(query.get("DateCreated"), clock, settings)
    keeps = read_filters(query, settings)
    sids = read_list(query, "Sid", MAX_SIDS)
    if sids is not None:
        known = (book.by_sid.get(sid) for sid in dict.fromkeys(sids))
        inside = (call for call in known if call is not None and since <= call.at < until)
        candidates: Sequence[EmulatedCall] = sorted(
            (call for call in inside if live or call.ended), key=position
        )
    elif keeps:
        candidates = book.between(since, until, live=live)
    else:
        # A window may hold a million calls: only those of the page are read.
        return book.slice_between(since, until, live=live)
    return [call for call in candidates if all(keep(call) for keep in keeps)]


def _cursor(call: EmulatedCall, passed: int, settings: Settings) -> str:
    """Return a cursor at a call that has `passed` rows before it."""
    text = f"{passed}" if settings.cursors == "offset" else f"{call.at!r} {call.sid}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str, read: Callable[[str], T]) -> T:
    try:
        return read(base64.urlsafe_b64decode(cursor).decode())
    except ValueError:
        raise bad("Before or After is not a cursor") from None


def _position(text: str) -> tuple[float, str]:
    at, sid = text.split(" ")
    return float(at), sid


def _offset(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)
