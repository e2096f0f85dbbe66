"""Dials whose task ended before their result, and the listener that receives the results."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

from exotel_async.errors import CallOutcomeUnknown
from exotel_async.listeners import call_listener
from exotel_async.logs import log_fields
from exotel_async.models import Call, DialTarget

OnOrphanedCall = Callable[[Call | CallOutcomeUnknown, DialTarget], object]
"""Called with the outcome of a dial whose task was cancelled or timed out, and with the arguments
of the dial; may be a coroutine function."""

logger: Final = logging.getLogger("exotel_async")


class Orphans:
    """Reports the outcomes of dials whose tasks have ended: to the log and the user's listener."""

    def __init__(self, listener: OnOrphanedCall | None) -> None:
        self._listener = listener
        self.reports: Final[set[asyncio.Future[Any]]] = set()
        """Running coroutines of the listener."""

    def report(self, ended: Call | CallOutcomeUnknown, target: DialTarget) -> None:
        """Report the outcome of a dial, with the arguments of the dial."""
        if isinstance(ended, Call):
            logger.warning(
                "A call was placed, but the task that dialled it was cancelled or timed out: %s",
                ended.sid,
                extra=log_fields(sid=ended.sid),
            )
        else:
            logger.warning(
                "The task of a dial was cancelled or timed out, and %s",
                ended,
                extra=log_fields(sid=ended.sid, error=type(ended).__name__),
            )
        if self._listener is None:
            return
        result = call_listener(self._listener, ended, target)
        if inspect.isawaitable(result):
            report = asyncio.ensure_future(result)
            self.reports.add(report)
            report.add_done_callback(self._reported)

    def _reported(self, report: asyncio.Future[Any]) -> None:
        self.reports.discard(report)
        if report.cancelled():
            logger.error("on_orphaned_call was cancelled when the session was closed")
        elif report.exception() is not None:
            logger.error("on_orphaned_call has failed", exc_info=report.exception())
