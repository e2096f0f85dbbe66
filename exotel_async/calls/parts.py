"""The components that a session shares with its views, and with code that dials through it."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from exotel_async.calls.fetch import CallFetcher
from exotel_async.calls.get import Coalescer
from exotel_async.calls.list_pages import PageFetcher
from exotel_async.calls.seen import SeenCalls
from exotel_async.wire import responses

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from exotel_async.calls.reconcile import Reconciler
    from exotel_async.calls.wait import CallWatcher
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.models import Call
    from exotel_async.wire.responses import Response


class CallParts:
    """Components shared by a session, its views, and code that dials through it."""

    def __init__(self, pipeline: Pipeline, account_sid: str, time_zone: tzinfo) -> None:
        self.pipeline: Final = pipeline
        """Sends its requests."""
        self.account_sid: Final = account_sid
        """The account."""
        self.time_zone: Final = time_zone
        """The time zone of Exotel's times."""
        self.seen: Final = SeenCalls(pipeline.account)
        """The calls known from responses to the session."""
        self.pages: Final = PageFetcher(pipeline, time_zone)
        """Reads call records, and knows Exotel's clock."""
        self.fetcher: Final = CallFetcher(pipeline, self.pages, self.seen)
        """Reads calls by their SIDs."""
        self.coalescer: Final = Coalescer(pipeline, self.fetcher, self.seen)
        """Coalesces concurrent reads of single calls."""

    # Imported on first use: many sessions never wait for a call, or never dial.

    @cached_property
    def read_dialled(self) -> Callable[[Response], Call]:
        """A function that reads the response to a dial, and records its call as dialled here.

        Access it before sending a dial: lost dials are recorded from then on. This imports the
        modules they need, since an import could fail at the time when a dial is lost: no file
        descriptor is free, or another version is being installed.
        """
        dials = self.pipeline.dials
        dials.on_lost = self.reconciler.note_lost
        dials.on_late_answer = self.reconciler.answered_late
        # Made once: a new bound method for each waiting dial would cost memory.
        return partial(_read_dialled, self.seen, self.time_zone)

    @cached_property
    def watcher(self) -> CallWatcher:
        """Waits for calls to end, by polling and by callbacks."""
        from exotel_async.calls.wait import CallWatcher  # noqa: PLC0415

        return CallWatcher(self.pipeline, self.fetcher, self.coalescer, self.seen)

    @cached_property
    def reconciler(self) -> Reconciler:
        """Searches for the calls of dials whose outcome is unknown."""
        from exotel_async.calls.reconcile import Reconciler  # noqa: PLC0415

        return Reconciler(self.pipeline, self.pages, self.fetcher)


def _read_dialled(seen: SeenCalls, time_zone: tzinfo, answer: Response) -> Call:
    """Read the call from the response to a dial, and record it as dialled here."""
    call = responses.read_call(answer, time_zone=time_zone)
    seen.dialled(call)
    return call
