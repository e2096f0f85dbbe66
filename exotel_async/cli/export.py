"""`export`: writes call records to a file, and can continue after an interruption."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final

from attrs import define, evolve, field

from exotel_async import AsyncExotel, ExotelError, InvalidRequest
from exotel_async.cli.export_arguments import ExportArguments
from exotel_async.cli.export_progress import ListProgress
from exotel_async.cli.export_sink import (
    Refusal,
    Sink,
    State,
    in_thread,
    part_path,
    require_regular_files,
)
from exotel_async.cli.export_sqlite import Database
from exotel_async.cli.export_update import Updater
from exotel_async.cli.progress import Requests, progress
from exotel_async.cli.service import exit_of, kind_of
from exotel_async.cli.shared_limiter import reporting_outages
from exotel_async.cli.terminal import (
    Exit,
    counted,
    drawing,
    end_on_sigterm,
    err,
    ignoring_lost_output,
    note,
    report_problem,
    say,
    show_json,
)
from exotel_async.cli.time_arguments import Moment

_USUAL: Final = "30d"
"""The default of `--since`."""
_ARGUMENTS: Final = {
    "from_": "--from",
    "duration": "--min-duration or --max-duration",
    "price": "--min-price or --max-price",
}
_WIDE: Final = 4  # slices of the list read concurrently if responses are slow
_TRIAL: Final = 10  # pages after which it is decided whether they are
_SLOW: Final = 0.75  # a fraction of the pace that the budget allows


def export(arguments: ExportArguments) -> Exit:
    """Run an export, and report the result."""
    run = _Run(arguments)
    try:
        asyncio.run(run.go())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return run.interrupted()
    except ExotelError as error:
        # A bad token in the state of an earlier export is not a usage error.
        typed = not (isinstance(error, InvalidRequest) and error.argument == "resume")
        code = exit_of(error) if typed else Exit.FAILED
        return run.failed(error, arguments.service.explain(error, arguments=_ARGUMENTS), code)
    except (Refusal, OSError, sqlite3.Error) as error:
        if arguments.to_stdout and isinstance(error, BrokenPipeError):
            raise  # the reader has closed the pipe, as `head` does
        return run.failed(error, _why(error, arguments.target), Exit.FAILED)
    finally:
        run.sink.close()
    return Exit.OK


@define(eq=False)
class _Run:
    """One run of an export. If it is interrupted, its attributes say how far it came."""

    arguments: ExportArguments
    sink: Sink = field(init=False)
    opened: bool = False
    """Whether this run has opened FILE.part, and so must keep or discard it."""
    updater: Updater | None = None
    read: int = 0
    """The number of calls read in this run."""
    detailed: int = 0
    """How many of them came with details."""

    def __attrs_post_init__(self) -> None:
        self.sink = self.arguments.sink()

    async def go(self) -> None:
        """Export, update or follow, as ordered."""
        end_on_sigterm()
        arguments = self.arguments
        async with arguments.service.session() as exotel, reporting_outages(exotel):
            fresh = not self._is_whole(exotel)
            if fresh:
                await self._export(exotel)
            if arguments.every is None and (fresh or not arguments.update):
                self._tell_result()
                return
            assert isinstance(self.sink, Database)  # noqa: S101 - no other can be updated
            self.sink.update(self.sink.state)
            self.updater = Updater(
                exotel,
                arguments.service,
                self.sink,
                arguments.target,
                arguments.page_size,
                arguments.as_json,
            )
            if arguments.every is None:
                await self.updater.once()
            else:
                await self.updater.follow(arguments.every)

    def interrupted(self) -> Exit:
        """Report how far the interrupted run came, and return the exit code."""
        if self.updater is not None and self.arguments.every is not None:
            try:
                self.updater.stopped()
            except (Refusal, sqlite3.Error) as error:
                return self.failed(error, _why(error, self.arguments.target), Exit.FAILED)
            return Exit.OK
        problem = self._cut_short("interrupted")
        report_problem(problem, kind=KeyboardInterrupt.__name__, as_json=self.arguments.as_json)
        return Exit.INTERRUPTED

    def failed(self, error: Exception, why: str, code: Exit) -> Exit:
        """Report why the run failed, and how far it came."""
        problem = self._cut_short(why)
        report_problem(problem, kind=kind_of(error), as_json=self.arguments.as_json)
        return code

    def _cut_short(self, why: str) -> str:
        if self.updater is not None:
            return f"{why}; the next update catches up" if self.arguments.every is None else why
        if self.arguments.to_stdout and self.opened:
            records = self.sink.state.records
            were = "was" if records == 1 else "were"
            return f"{why}; only {counted(records, 'call')} {were} written"
        if not self.opened:
            return why
        if not self.sink.state.records:
            with suppress(OSError):
                self.sink.discard()
            return f"{why}; nothing was exported"
        return (
            f"{why}; {self.sink.state.records:,} calls are in {part_path(self.arguments.target)}, "
            f"to continue: {self.arguments.continue_command()}"
        )

    def _is_whole(self, exotel: AsyncExotel) -> bool:
        """Return whether the file is already a complete export as ordered.

        Raises:
            Refusal: the file is something else, or must not be replaced.
        """
        arguments, sink = self.arguments, self.sink
        if arguments.to_stdout:
            return False
        require_regular_files(*sink.files)
        if arguments.force or not arguments.target.exists() or sink.unfinished() is not None:
            return False
        if not self._may_continue:
            raise Refusal(f"{arguments.target} already exists: --force replaces it")
        state = sink.finished()
        self._check_same_export(state, arguments.target)
        self._check_state(state, exotel)
        if not (arguments.updates or arguments.as_json):
            say(f"{arguments.target} is complete: {counted(state.records, 'call')}")
        sink.state = state
        return True

    @property
    def _may_continue(self) -> bool:
        """Whether an existing file may be continued or updated."""
        return self.arguments.resume or self.arguments.updates

    async def _export(self, exotel: AsyncExotel) -> None:
        arguments, sink = self.arguments, self.sink
        self._open(exotel)
        base = sink.state.requests
        course = ListProgress.of(sink.state.selection, sink.state.records)

        def current() -> Requests:
            limiter = exotel.limiter.statistics()
            return Requests(
                done=str(course),
                share=course.share,
                elapsed=course.elapsed,
                left=course.left,
                requests=base + limiter.granted,
                budget=arguments.service.rate,
                limiter=limiter,
            )

        if arguments.to_stdout and sys.stdout.isatty():
            await self._read(exotel, course, base)
        elif not sink.state.whole:
            with progress(err) as show:
                async with drawing(lambda: show(current())):
                    await self._read(exotel, course, base)
        sink.finish()
        self.opened = False
        if arguments.to_stdout or arguments.as_json:
            return
        calls, requests = (
            counted(sink.state.records, "call"),
            counted(sink.state.requests, "request"),
        )
        with ignoring_lost_output(
            sys.stdout
        ):  # the file is complete, whether or not that can be printed
            say(f"{calls} in {requests}: {arguments.target}")

    def _tell_result(self) -> None:
        arguments, state = self.arguments, self.sink.state
        if state.selection.details and self.read and not self.detailed:
            note(
                "Exotel sent no details of these calls: columns such as talk_time are empty. "
                "`exotel-async get --details` reads calls by their SIDs"
            )
        if arguments.as_json:
            totals = {"calls": state.records, "requests": state.requests}
            with ignoring_lost_output(sys.stdout):
                show_json({"file": str(arguments.target), **totals})

    def _open(self, exotel: AsyncExotel) -> None:
        """Start the file, or continue it.

        Raises:
            InvalidRequest: the selection is not valid.
            Refusal: an existing file must not be continued or replaced.
        """
        arguments, sink = self.arguments, self.sink
        left = None if arguments.force else sink.unfinished()
        if left is None:
            if arguments.resume:
                note(f"There is nothing to continue for {arguments.target}: starting a new export.")
            selection, account = arguments.selection, os.environ["EXOTEL_ACCOUNT_SID"].strip()
            if isinstance(sink, Database) and selection.since is selection.until is None:
                # While the database has no calls, updates begin at the same moment.
                selection = evolve(selection, since=Moment.read(_USUAL))
            # To validate the selection before anything is written or removed.
            exotel.calls.list(since=selection.begin, until=selection.end, **selection.filters())
            sink.begin(State(account=account, selection=selection, replaces=arguments.force))
        else:
            part = part_path(arguments.target)
            if not self._may_continue:
                raise Refusal(
                    f"{part} is left from an unfinished export: "
                    "--resume continues it, --force starts again"
                )
            self._check_same_export(left, part)
            self._check_state(left, exotel)
            if arguments.target.exists() and not (left.replaces or left.whole):
                raise Refusal(
                    f"{arguments.target} already exists: move it away, or start again with --force"
                )
            sink.resume(left)
        self.opened = True

    def _check_state(self, state: State, exotel: AsyncExotel) -> None:
        """Check that a stored state has valid filters and tokens.

        Raises:
            InvalidRequest: it is so old that Exotel no longer has these calls.
            Refusal: no export can have stored it.
        """
        filters = state.selection.filters()
        try:
            exotel.calls.list(newest_first=False, **filters)
            if state.token is not None:
                exotel.calls.list(newest_first=False, resume=state.token, **filters)
            if state.changes is not None:
                exotel.calls.changes(since=state.changes, **filters)
        except InvalidRequest as error:
            if error.argument == "resume" and "older" in error.rule:
                raise
            raise self.sink.invalid_state from None

    def _check_same_export(self, state: State, where: Path) -> None:
        """Check that a stored state belongs to the export that is ordered.

        Raises:
            Refusal: it belongs to a different one.
        """
        different = self.arguments.selection.differences(state.selection)
        if state.account != os.environ["EXOTEL_ACCOUNT_SID"].strip():
            raise Refusal(f"{where} has calls of another account, {state.account}")
        if different:
            raise Refusal(
                f"{where} was started with other values of {' and '.join(different)}: give the "
                "same values, or leave them out"
            )
        if self.arguments.updates and state.selection.until is not None:
            but = "--update reads until now" if self.arguments.update else "--follow never ends"
            raise Refusal(f"{where} was started with --until, but {but}")

    async def _read(self, exotel: AsyncExotel, course: ListProgress, base: int) -> None:
        """Read the list to its end, concurrently if one page after the other is too slow."""
        sink, concurrency, pages_read = self.sink, 1, 0
        selection = sink.state.selection
        while True:
            token = sink.state.token
            records = exotel.calls.list(
                since=None if token else selection.begin,
                until=None if token else selection.end,
                resume=token,
                newest_first=False,
                page_size=self.arguments.page_size,
                concurrency=concurrency,
                **selection.filters(),
            )
            async with records, aclosing(records.pages()) as pages:
                async for page in pages:
                    limiter = exotel.limiter.statistics()
                    state = sink.state.advanced(
                        len(page.calls), base + limiter.granted, records.resume_token
                    )
                    await in_thread(sink.add, page.calls, state)
                    self.read += len(page.calls)
                    self.detailed += sum(call.details is not None for call in page.calls)
                    course.add_page(page)
                    pages_read += 1
                    slow = pages_read < _SLOW * limiter.pace * course.elapsed
                    if slow and concurrency == 1 and pages_read == _TRIAL:
                        concurrency = _WIDE
                        break
                else:
                    spent = base + exotel.limiter.statistics().granted
                    sink.state = evolve(sink.state, requests=spent)
                    return


def _why(error: Exception, target: Path) -> str:
    match error:
        case OSError():
            return f"cannot write {target}: {error.strerror or error}"
        case sqlite3.Error():
            return f"cannot write {target}: {error}"
    return str(error)
