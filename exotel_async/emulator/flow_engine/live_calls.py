"""The calls that are in a flow now."""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Callable

from exotel_async.emulator.calls import EmulatedCall
from exotel_async.emulator.flow_engine.line import FlowServices, Line
from exotel_async.emulator.flow_engine.walk import run
from exotel_async.emulator.flows.caller import Caller, Script
from exotel_async.emulator.flows.flow import Flow
from exotel_async.emulator.flows.transcript import Log
from exotel_async.emulator.numbers import national
from exotel_async.emulator.phones import Handset
from exotel_async.emulator.settings import is_manual


def not_answered(call: EmulatedCall) -> str:
    """Return how the transcript of an unanswered call ends."""
    return f"not answered after {call.timeline.ended:.0f} s: {call.timeline.status}"


class FlowRuns:
    """Runs calls through their flows."""

    def __init__(self, services: FlowServices, ended: Callable[[EmulatedCall], None]) -> None:
        self._services = services
        self._ended = ended
        self._lines: dict[Task[None], Line] = {}

    def begin_transcript(self, call: EmulatedCall, flow: Flow) -> Log:
        """Begin the transcript of a call just accepted for a flow."""
        party, exophone = national(call.from_), national(call.caller_id)
        parties = f"from {party} to {exophone}" if call.incoming else f"to {party} from {exophone}"
        direction = "incoming call" if call.incoming else "call"
        call.log = Log(f"{direction} {call.sid} {parties}, flow {flow.id}")
        return call.log

    def start(
        self, call: EmulatedCall, flow: Flow, caller: Caller, phone: Handset | None = None
    ) -> None:
        """Start the flow of a call that was just accepted for it, once it has been answered.

        `phone` is that of a caller played by hand, who has answered already. `ended` is called with
        the call when it is over; at once if it is not answered.
        """
        log = call.log or self.begin_transcript(call, flow)
        if call.timeline.answered is None:
            log.ending = not_answered(call)
            self._ended(call)
            return
        if phone is None:
            manual = caller.manual or is_manual(self._services.settings, call.from_)
            phone = Handset(call.from_, "caller", manual)
            call.handsets.add(phone)
            if call.incoming:
                phone.connect()
        script = Script(Caller() if phone.manual else caller)
        line = Line(self._services, call, flow, script, log, phone)
        phone.on_action = line.person_acted
        call.run = task = asyncio.create_task(self._go(line))
        self._lines[task] = line
        task.add_done_callback(self._lines.pop)

    async def finish_now(self) -> None:
        """Let the current calls reach their end without waiting for the clock.

        Their requests are sent, and their answers awaited. Raises errors of the emulator itself.
        """
        if not self._lines:
            return
        for line in self._lines.values():
            line.hurry()
        ended, _ = await asyncio.wait(list(self._lines))
        for task in ended:
            if not task.cancelled():
                task.result()

    def clear(self) -> list[Task[None]]:
        """Cancel all calls where they are, and return the tasks that are ending."""
        tasks = list(self._lines)
        for line in self._lines.values():
            tasks += [request.task for request in line.background]
        for task in tasks:
            task.cancel()
        self._services.fetcher.renew()
        return tasks

    async def aclose(self) -> None:
        """Cancel all calls, and close the connections to the application."""
        await asyncio.gather(*self.clear(), return_exceptions=True)
        await self._services.fetcher.aclose()

    async def _go(self, line: Line) -> None:
        try:
            await run(line)
        finally:
            line.call.handsets.close()
        self._ended(line.call)
        await line.finish_background()
