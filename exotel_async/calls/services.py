"""What all views of a session share about calls."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from exotel_async.calls.download_recording import Recordings
from exotel_async.calls.fetch import CallFetcher
from exotel_async.calls.get import Coalescer
from exotel_async.calls.list_pages import PageFetcher
from exotel_async.calls.reconcile import Reconciler
from exotel_async.calls.seen import SeenCalls
from exotel_async.calls.wait import CallWatcher
from exotel_async.http.pipeline import Pipeline
from exotel_async.models import Call
from exotel_async.wire import responses
from exotel_async.wire.responses import Response


class CallServices:
    """The parts that dial, read and watch calls, put together for one session."""

    def __init__(
        self, pipeline: Pipeline, account_sid: str, time_zone: tzinfo, *, coalesce: bool
    ) -> None:
        self.pipeline: Final = pipeline
        self.account_sid: Final = account_sid
        self.time_zone: Final = time_zone
        self.coalesce: Final = coalesce
        self.seen: Final = SeenCalls()
        self.pages: Final = PageFetcher(pipeline, time_zone)
        self.fetcher: Final = CallFetcher(pipeline, self.pages, self.seen)
        self.coalescer: Final = Coalescer(pipeline, self.fetcher, self.seen)
        self.recordings: Final = Recordings(pipeline)
        self.watcher: Final = CallWatcher(pipeline, self.fetcher, self.seen)
        self.reconciler: Final = Reconciler(
            pipeline, self.pages, self.fetcher, self.seen, account_sid
        )

    def read_dialled(self, answer: Response) -> Call:
        """Read the call out of the answer to a dial, and remember that it is ours.

        Raises:
            APIError: Exotel refused.
            DecodeError: there is no call in it.
        """
        call = responses.read_call(answer, time_zone=self.time_zone)
        self.seen.dialled(call)
        return call
