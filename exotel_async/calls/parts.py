"""What a session's calls are made of, for what dials on the session's behalf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from exotel_async.calls.list_pages import PageFetcher
    from exotel_async.calls.reconcile import Reconciler
    from exotel_async.calls.seen import SeenCalls
    from exotel_async.calls.wait import CallWatcher
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.models import Call
    from exotel_async.wire.responses import Response


@frozen(kw_only=True, eq=False)
class CallParts:
    """What a session's calls are made of: what dials with it shares them.

    Attributes:
        pipeline: sends its requests.
        read_dialled: reads the answer to a dial, and takes note that its call is the session's.
        watcher: waits for the ends of calls, by poll and by callback.
        reconciler: searches for the calls of dials whose outcome is not known.
        pages: reads call records, and knows Exotel's clock.
        seen: the calls the session was answered about.
        account_sid: the account.
        time_zone: the clock Exotel writes times by.
    """

    pipeline: Pipeline
    read_dialled: Callable[[Response], Call]
    watcher: CallWatcher
    reconciler: Reconciler
    pages: PageFetcher
    seen: SeenCalls
    account_sid: str
    time_zone: tzinfo
