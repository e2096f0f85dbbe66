"""`get`: reads calls by their SIDs, one or ten thousand."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Final

from attrs import Factory, define, frozen

from exotel_async import (
    IST,
    APIError,
    AsyncExotel,
    AuthenticationError,
    Call,
    CallResult,
    CallResults,
    ConnectionFailed,
    DecodeError,
    ExotelError,
    FetchStatistics,
    InvalidRequest,
    LimiterUnavailable,
    NotFound,
    PaymentRequired,
    PermissionDenied,
)
from exotel_async.cli.get_input import CannotRead, Lines
from exotel_async.cli.progress import Progress, Requests, progress
from exotel_async.cli.service import Service
from exotel_async.cli.shared_limiter import reporting_outages
from exotel_async.cli.terminal import (
    Exit,
    complain,
    counted,
    drawing,
    end_on_sigterm,
    err,
    note,
    one_line,
    out,
    report_problem,
    say,
    show_json,
)
from exotel_async.cli.time_arguments import Moment, shown_length
from exotel_async.masking import mask_number

_LAYOUT: Final = ("<32", "<11", "<19", "<13", "<13", ">6", ">6")
_MANY: Final = 20  # SIDs above which a summary is printed


@frozen(kw_only=True)
class Question:
    """What `get` is to look up, and how to print it.

    Attributes:
        sids: SIDs from the command line.
        file: a file with more of them; `-` for stdin.
        details: whether to read legs and talk time as well.
        as_json: whether to print the calls as JSON.
        numbers: whether to print all digits of phone numbers.
        since: when the oldest call was created; None: not given.
        until: when the newest call was created; None: not given.
        service: which Exotel to use.
    """

    sids: Sequence[str]
    file: Path | None
    details: bool
    as_json: bool
    numbers: bool
    since: Moment | None
    until: Moment | None
    service: Service


def get(question: Question) -> Exit:
    """Look the calls up, and print each as it arrives."""
    run = _Run(question)
    try:
        with _open(question.file) as lines:
            run.lines = lines
            asyncio.run(run.go())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return run.interrupted()
    except ExotelError as error:
        return question.service.failed(error, as_json=question.as_json)
    except CannotRead as error:
        problem = f"cannot read {question.file}: {error}"
        report_problem(problem, kind=OSError.__name__, as_json=question.as_json)
        return Exit.FAILED
    return run.ended()


@contextmanager
def _open(file: Path | None) -> Iterator[Lines | None]:
    if file is None:
        yield None
    elif str(file) == "-":
        yield Lines(sys.stdin.fileno())
    else:
        # Before the loop runs: opening a pipe may block until it has a writer.
        try:
            opened = file.open("rb", buffering=0)
        except OSError as error:
            raise CannotRead(error.strerror or str(error)) from error
        with opened:
            yield Lines(opened.fileno())


@define(eq=False)
class _Run:
    """One run, which can be summed up even if it is interrupted."""

    question: Question
    lines: Lines | None = None
    statistics: FetchStatistics | None = None
    _started: float = Factory(time.monotonic)
    _headed: bool = False

    async def go(self) -> None:
        """Look up and print the calls.

        Raises:
            ExotelError: an error that would affect all other calls, too.
        """
        end_on_sigterm()
        question = self.question
        async with (
            question.service.session() as exotel,
            reporting_outages(exotel),
            exotel.calls.get_many(
                self._sids(),
                details=question.details,
                since=None if question.since is None else question.since.at,
                until=None if question.until is None else question.until.end,
            ) as results,
        ):
            self.statistics = results.statistics()
            with self._showing() as show:
                async with drawing(lambda: show(self._progress(exotel))):
                    async for result in self._in_order(results):
                        self.statistics = results.statistics()
                        self._print(result)

    def ended(self) -> Exit:
        """Report the result, and return the exit code."""
        totals = self.statistics
        if totals is None or not totals.done:
            note("No SID was given.")
            return Exit.OK
        if totals.done > _MANY:
            self._sum_up()
        if totals.missing == totals.done:
            note(f"No SID was found: check the account, and that {self._host} is its host")
        return Exit.OK if totals.found == totals.done else Exit.FAILED

    def interrupted(self) -> Exit:
        """Report how far it came, unless the reader of the output has gone."""
        if not out.quiet:
            complain("interrupted")
            self._sum_up()
        return Exit.INTERRUPTED

    def _sum_up(self) -> None:
        totals = self.statistics
        if totals is not None:
            note(
                f"{totals.found:,} found, {totals.missing:,} not found, {totals.failed:,} failed, "
                f"in {counted(totals.requests, 'request')}"
            )

    @property
    def _host(self) -> str:
        return self.question.service.host

    def _sids(self) -> Sequence[str] | AsyncIterator[str]:
        return list(self.question.sids) if self.lines is None else self._all_sids(self.lines)

    async def _all_sids(self, lines: Lines) -> AsyncIterator[str]:
        for sid in self.question.sids:
            yield sid
        async for sid in lines:
            yield sid

    async def _in_order(self, results: CallResults) -> AsyncIterator[CallResult]:
        """Yield the results, those for SIDs from the command line in the order given."""
        waiting: dict[str, deque[CallResult]] = {}
        expected = deque(self.question.sids if self.lines is None else ())
        async for result in results:
            if self.lines is not None:
                yield result
                continue
            waiting.setdefault(result.sid, deque()).append(result)
            while expected and (ready := waiting.get(expected[0])):
                expected.popleft()
                yield ready.popleft()

    def _showing(self) -> AbstractContextManager[Callable[[Progress], None]]:
        # If the calls themselves appear on the terminal, no progress is drawn below them.
        return nullcontext(lambda _: None) if out.is_terminal else progress(err)

    def _progress(self, exotel: AsyncExotel) -> Requests:
        totals, limiter = self.statistics, exotel.limiter.statistics()
        assert totals is not None  # noqa: S101 - it is set before anything is drawn
        elapsed = time.monotonic() - self._started
        share = self.lines.share if self.lines is not None else None
        of_them, left = "", totals.time_left
        if totals.total:
            share, of_them = totals.done / totals.total, f" of {totals.total:,}"
        elif share and totals.done:
            left = timedelta(seconds=elapsed * (1 - share) / share)
        return Requests(
            done=f"{totals.done:,}{of_them} calls",
            share=share,
            elapsed=elapsed,
            left=left,
            requests=totals.requests,
            budget=self.question.service.rate,
            limiter=limiter,
        )

    def _print(self, result: CallResult) -> None:
        call, error = result.call, result.error
        if call is not None:
            self._print_call(call)
            return
        assert error is not None  # noqa: S101 - there is one or the other
        totals = self.statistics
        nothing_good = totals is not None and not totals.found and not totals.missing
        if isinstance(error, AuthenticationError) or (nothing_good and _concerns_all(error)):
            raise error
        why = self._why(error)
        complain(f"{_shown(result.sid)}: {why}")
        if self.question.as_json:
            kind = type(error).__name__
            show_json({"sid": result.sid, "error": {"type": kind, "text": why}})

    def _print_call(self, call: Call) -> None:
        if self.question.as_json:
            show_json(call.to_dict())
            return
        if not self._headed:
            self._headed = True
            more = "talk, legs" if self.question.details else None
            say(_line("sid", "status", "created (IST)", "from", "to", "length", "price", more))
        say(_line_of(call, str if self.question.numbers else mask_number))

    def _why(self, error: ExotelError) -> str:
        match error:
            case NotFound():
                return "no such call"
            case InvalidRequest():
                return error.rule
        return self.question.service.explain(error)


def _concerns_all(error: ExotelError) -> bool:
    """Return whether an error that comes first would occur for the other SIDs as well."""
    if isinstance(
        error,
        ConnectionFailed | DecodeError | LimiterUnavailable | PaymentRequired | PermissionDenied,
    ):
        return True
    # A 404 that is not a `NotFound` concerns the list, not a call.
    return isinstance(error, APIError) and error.status == 404 and not isinstance(error, NotFound)


def _shown(sid: str) -> str:
    # A phone number may have been given by mistake.
    return one_line(sid if any(char.isalpha() for char in sid) else mask_number(sid))


def _line_of(call: Call, shown: Callable[[str], str]) -> str:
    details = call.details
    more = None
    if details is not None:
        talk = "-" if details.talk_time is None else shown_length(details.talk_time)
        more = f"{talk} {details.leg1_status or '-'} {details.leg2_status or '-'}"
    return _line(
        call.sid,
        call.status,
        None if call.created_at is None else f"{call.created_at.astimezone(IST):%Y-%m-%d %H:%M:%S}",
        call.from_ and shown(call.from_),
        call.to and shown(call.to),
        None if call.duration is None else shown_length(call.duration),
        None if call.price is None else f"{call.price:f}",
        more,
    )


def _line(*values: str | None) -> str:
    """Lay out a line; the last value is left out where there is none."""
    *cells, more = values
    shown = [one_line(str(value or "-")) for value in cells]
    line = "  ".join(format(value, spec) for value, spec in zip(shown, _LAYOUT, strict=True))
    return line.rstrip() if more is None else f"{line}  {one_line(more)}"
