"""What a session's calls have in common with its views and with what dials for the session."""

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
    """What a session, its views, and what dials for it have in common."""

    def __init__(self, pipeline: Pipeline, account_sid: str, time_zone: tzinfo) -> None:
        self.pipeline: Final = pipeline
        """Sends its requests."""
        self.account_sid: Final = account_sid
        """The account."""
        self.time_zone: Final = time_zone
        """The clock Exotel writes times by."""
        self.seen: Final = SeenCalls(pipeline.account)
        """The calls the session was answered about."""
        self.pages: Final = PageFetcher(pipeline, time_zone)
        """Reads call records, and knows Exotel's clock."""
        self.fetcher: Final = CallFetcher(pipeline, self.pages, self.seen)
        """Reads calls by their SIDs."""
        self.coalescer: Final = Coalescer(pipeline, self.fetcher, self.seen)
        """Reads single calls, several in one request."""

    # Many sessions do not wait for a call, or never dial: these do not import what that takes.

    @cached_property
    def read_dialled(self) -> Callable[[Response], Call]:
        """Reads the answer to a dial, and takes note that its call is the session's.

        It must be read before a dial is sent: lost dials are noted from then on. The modules for
        that are imported here and not when a dial is lost, for the import may fail then: no file
        descriptor is free, or another version is being installed.
        """
        dials = self.pipeline.dials
        dials.on_lost = self.reconciler.note_lost
        dials.on_late_answer = self.reconciler.answered_late
        # Made once: a method bound anew would wait with each dial.
        return partial(_read_dialled, self.seen, self.time_zone)

    @cached_property
    def watcher(self) -> CallWatcher:
        """Waits for the ends of calls, by poll and by callback."""
        from exotel_async.calls.wait import CallWatcher  # noqa: PLC0415

        return CallWatcher(self.pipeline, self.fetcher, self.coalescer, self.seen)

    @cached_property
    def reconciler(self) -> Reconciler:
        """Searches for the calls of dials whose outcome is not known."""
        from exotel_async.calls.reconcile import Reconciler  # noqa: PLC0415

        return Reconciler(self.pipeline, self.pages, self.fetcher)


def _read_dialled(seen: SeenCalls, time_zone: tzinfo, answer: Response) -> Call:
    """Read the call out of the answer to a dial, and remember that it is ours."""
    call = responses.read_call(answer, time_zone=time_zone)
    seen.dialled(call)
    return call
