"""`call`: place one call, through the real service unless another address is given."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import define, frozen

from exotel_async import AsyncExotel, Call, CallOutcomeUnknown, CallStatus, ExotelError
from exotel_async.cli.service import exit_of, kind_of
from exotel_async.cli.shared_limiter import reporting_outages
from exotel_async.cli.terminal import (
    Exit,
    complain,
    end_on_sigterm,
    ignoring_lost_output,
    note,
    one_line,
    say,
    show_json,
    waiting,
)
from exotel_async.cli.time_arguments import shown_length
from exotel_async.masking import mask_number
from exotel_async.wire import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exotel_async.cli.service import Service


@frozen(kw_only=True)
class CallArguments:
    """The dial to make: to two parties, or to one party and a flow or a bot."""

    from_: str
    to: str | None
    flow: str | None
    stream_url: str | None
    caller_id: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        if self.to is not None:
            then = mask_number(self.to)
        elif self.stream_url is not None:
            then = f"a bot at {urlsplit(self.stream_url).hostname}"  # its path may hold a key
        else:
            then = f"flow {self.flow}"
        return (
            f"{mask_number(self.from_)}, then {then}, with caller ID {mask_number(self.caller_id)}"
        )

    def check(self) -> None:
        """Validate the arguments as dialling would.

        Raises:
            InvalidRequest: Exotel would refuse one of them.
        """
        options: Any = self.options
        if self.to is not None:
            requests.connect(from_=self.from_, to=self.to, caller_id=self.caller_id, **options)
        elif self.stream_url is not None:
            requests.connect_to_stream(
                from_=self.from_, stream_url=self.stream_url, caller_id=self.caller_id, **options
            )
        else:
            requests.connect_to_flow(
                account_sid=os.environ["EXOTEL_ACCOUNT_SID"].strip(),
                from_=self.from_,
                flow=self.flow or "",
                caller_id=self.caller_id,
                **options,
            )

    async def place(self, exotel: AsyncExotel) -> Call:
        """Send the dial."""
        options: Any = self.options
        if self.to is not None:
            return await exotel.calls.connect(
                self.from_, self.to, caller_id=self.caller_id, **options
            )
        if self.stream_url is not None:
            return await exotel.calls.connect_to_stream(
                self.from_, stream_url=self.stream_url, caller_id=self.caller_id, **options
            )
        return await exotel.calls.connect_to_flow(
            self.from_, flow=self.flow or "", caller_id=self.caller_id, **options
        )


@define
class _Ended:
    """The outcome of the dial, and then of the call, as far as known."""

    how: Call | ExotelError | None = None
    """The placed call, or the error of the dial; None: not known yet."""
    closed: bool = False
    """Whether the session was closed properly, so that a dial in flight has been resolved."""
    shown: bool = False
    """Whether the call was printed when it was placed."""
    waited: Call | ExotelError | None = None
    """The call after its end, or why that could not be read; None: not awaited."""
    print_failed: bool = False
    """Whether standard output could not be written."""

    def note(self, how: Call | ExotelError) -> None:
        """Record the outcome of the dial."""
        self.how = how

    def print(self, show: Callable[[], None]) -> None:
        """Print to standard output; whether that fails does not change the exit code."""
        failed_before, self.print_failed = self.print_failed, True
        with ignoring_lost_output(sys.stdout):
            show()
            sys.stdout.flush()
            self.print_failed = failed_before


def call(arguments: CallArguments, service: Service, *, wait: bool, as_json: bool) -> Exit:
    """Dial once, and report the outcome, even when interrupted.

    Args:
        arguments: the dial.
        service: which Exotel to use.
        wait: whether to wait until the call is over.
        as_json: whether to print the call, or the error, as JSON.
    """
    ended = _Ended()

    async def dial() -> None:
        end_on_sigterm()
        try:
            exotel = service.session(on_orphaned_call=lambda how, _: ended.note(how))
        except ExotelError as error:
            ended.note(error)
            return
        try:
            arguments.check()
            note(f"Dialling {arguments}, through {service.host}.")
            async with reporting_outages(exotel):
                ended.note(await arguments.place(exotel))
                if wait:
                    await _wait(exotel, ended, silent=as_json)
        except ExotelError as error:
            ended.note(error)
        finally:
            await exotel.aclose()
            ended.closed = True

    interrupted = False
    try:
        with waiting():
            asyncio.run(dial())
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted = True
    code = _exit_code(ended, interrupted=interrupted)
    problem = _problem_of(ended, service)
    # A script that reads only the exit code must not dial again after an output error.
    ended.print(partial(_show_result, ended, problem, as_json=as_json))
    with ignoring_lost_output(sys.stderr):
        if problem is not None:
            complain(problem)
        match ended.how:
            case Call(sid=sid) if ended.print_failed:
                note(
                    f"The call was placed, but standard output cannot be written. Its SID is {sid}."
                )
            case Call() if code is Exit.INTERRUPTED:
                note("Interrupted, but the call was placed.")
    return code


async def _wait(exotel: AsyncExotel, ended: _Ended, *, silent: bool) -> None:
    made = ended.how
    assert isinstance(made, Call)  # noqa: S101 - it has just been placed
    if not silent:
        ended.print(partial(_show_placed, made))
        ended.shown = True
    try:
        ended.waited = await exotel.calls.wait(made.sid, details=True)
    except ExotelError as error:  # not an error of the dial
        ended.waited = error


def _exit_code(ended: _Ended, *, interrupted: bool) -> Exit:
    match ended.how:
        case CallOutcomeUnknown():
            return Exit.UNKNOWN
        case ExotelError() as error:
            return exit_of(error)
        case None if not ended.closed:
            return Exit.UNKNOWN
    if interrupted:
        return Exit.INTERRUPTED
    if ended.waited is None or _was_completed(ended.how, ended.waited):
        return Exit.OK
    return Exit.NOT_COMPLETED


def _was_completed(made: Call | None, over: Call | ExotelError) -> bool:
    """Return whether a call was completed, also by its second party if it had one."""
    if not isinstance(over, Call):
        return False
    # The status may be that of the first leg only.
    target = None if made is None else made.target
    two = target is not None and target.to is not None
    second = over.details.leg2_status if two and over.details else None
    return over.status is CallStatus.COMPLETED and second in {None, CallStatus.COMPLETED}


def _problem_of(ended: _Ended, service: Service) -> str | None:
    match ended.how:
        case Call() if isinstance(ended.waited, ExotelError):
            why = service.explain(ended.waited)
            return f"the call was placed, but reading how it ended failed: {why}"
        case Call():
            return None
        case CallOutcomeUnknown() as error:
            known = f" Its SID is {error.sid}." if error.sid else ""
            return _unknown(f"{error.reason}.{known}")
        case ExotelError() as error:
            return f"no call was placed: {service.explain(error)}"
    return "interrupted; no call was placed" if ended.closed else _unknown("interrupted.")


def _unknown(reason: str) -> str:
    return (
        f"it is not known whether the call was placed (the phone may have rung): {reason} "
        "Look for it in the dashboard or the call records before you dial again."
    )


def _show_result(ended: _Ended, problem: str | None, *, as_json: bool) -> None:
    if as_json:
        show_json(_as_json(ended, problem))
    elif isinstance(ended.how, Call):
        if not ended.shown:
            _show_placed(ended.how)
        if isinstance(ended.waited, Call):
            _show_end(ended.waited)


def _as_json(ended: _Ended, problem: str | None) -> Mapping[str, Any]:
    values: dict[str, Any] = {}
    made = wrong = ended.how
    if isinstance(made, Call):
        wrong = ended.waited
        values = (wrong if isinstance(wrong, Call) else made).to_dict()
    elif isinstance(wrong, CallOutcomeUnknown):
        values = {"sid": wrong.sid}
    if problem is not None:
        kind = "KeyboardInterrupt" if wrong is None else kind_of(wrong)
        values["error"] = {"type": kind, "text": one_line(problem)}
    return values


def _show_placed(made: Call) -> None:
    say(f"sid      {one_line(made.sid)}")
    say(f"status   {one_line(str(made.status or 'unknown'))}")


def _show_end(over: Call) -> None:
    say(f"status   {one_line(str(over.status))}")
    for what, length in (("duration", over.duration), ("talk", over.talk_time)):
        say(f"{what:<8} {'not known yet' if length is None else shown_length(length)}")
    say(f"price    {'not known yet' if over.price is None else format(over.price, 'f')}")
