"""The line a flow has its caller on: its time, its requests, and what is said on it."""

from __future__ import annotations

import asyncio
import math
from asyncio import Task
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import NoReturn

import attrs

from exotel_async.emulator.call_store import CallBook
from exotel_async.emulator.calls import EmulatedCall, Recording
from exotel_async.emulator.dial_request import MAX_TIME_LIMIT
from exotel_async.emulator.documents import CallDocuments
from exotel_async.emulator.flow_engine.app_client import TIMEOUT, Fetcher
from exotel_async.emulator.flow_engine.state import State
from exotel_async.emulator.flows.applets import Applet
from exotel_async.emulator.flows.caller import Script
from exotel_async.emulator.flows.flow import Flow
from exotel_async.emulator.flows.outbox import Outbox
from exotel_async.emulator.flows.settings import FlowSettings
from exotel_async.emulator.flows.transcript import Exchange, Log, Place
from exotel_async.emulator.phones import Handset
from exotel_async.emulator.settings import Settings

VERSION: Mapping[str, str] = {"Exotel-Version": "1.0"}
"""The header of dynamic Connect and Gather (VOICE_V1 7)."""


class Ended(Exception):
    """The call is over; the text says why. Raised through the applet that is running."""


class CallerLeft(Ended):
    """A caller played by hand has hung up; applets that need no caller may still run."""


@attrs.frozen(kw_only=True)
class FlowServices:
    """The parts of an emulator that the flows of all its calls share."""

    settings: Settings
    book: CallBook
    documents: CallDocuments
    fetcher: Fetcher
    outbox: Outbox


@attrs.frozen(eq=False)
class BackgroundRequest:
    """A request to the application whose answer is not waited for."""

    task: Task[None]
    at: float
    """The call's age."""
    event: bool
    """Whether it is a dial event."""


@attrs.define(eq=False)
class Line:
    """One call in its flow. The applets advance its age, step by step.

    The time that the application takes to answer does not count, or the same script would give
    other lengths on each run; a timeout counts in full. With people who play a phone by hand, the
    age follows the emulator's clock: see `catch_up`.
    """

    services: FlowServices
    call: EmulatedCall
    flow: Flow
    script: Script
    log: Log
    caller: Handset
    state: State = attrs.field(factory=State)
    age: float = 0.0
    """Emulator seconds since the call began."""
    left: float | None = None
    """The age at which the caller left."""
    agent: Handset | None = None
    """The phone the caller is connected with."""
    hurried: bool = False
    """Whether it no longer waits for the clock, nor for people."""
    woken: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when a wait for the clock is to be interrupted."""
    background: list[BackgroundRequest] = attrs.field(factory=list)
    """Requests whose answers are not waited for."""
    children: int = 0
    """How many legs have a call record of their own."""
    random: Random = attrs.field(init=False)
    _steps: int = 0
    _hung_up_at: float = 0.0
    """The age at which a caller played by hand hung up."""

    def __attrs_post_init__(self) -> None:
        self.random = Random(f"{self.call.seed}/flow")  # noqa: S311 - a script, not a secret

    @property
    def rules(self) -> FlowSettings:
        """How flows behave."""
        return self.services.settings.flow_settings

    @property
    def now(self) -> datetime:
        """The date and time at the call's age."""
        return self.call.clock.wall(self.call.at + self.age)

    def count_step(self) -> None:
        """Count an applet or a dial attempt. Raises Ended if there were too many."""
        self._steps += 1
        if self._steps > self.rules.max_steps:
            raise Ended(f"ended after {self.rules.max_steps} steps")

    @property
    def agent_left(self) -> bool:
        """Whether an agent played by hand has hung up, or is not played any more: `hurried`."""
        agent = self.agent
        return agent is not None and agent.manual and (agent.state == "ended" or self.hurried)

    def hurry(self) -> None:
        """From now on wait for nothing but answers of the application."""
        self.hurried = True
        self.woken.set()

    def person_acted(self) -> None:
        """Handle that a person has done something."""
        if self._caller_leaves:
            self._hung_up_at = self.call.age
        self.woken.set()

    def catch_up(self) -> None:
        """Advance the age to the emulator's clock. Called before waiting for people, for whom the
        time counts that the application took to answer."""
        if not self.hurried:
            self.age = max(self.age, min(self.call.age, self._time_limit))

    async def spend(self, seconds: float) -> None:
        """Let that much time go by, or less if the agent hangs up.

        Raises Ended at the call's time limit, and CallerLeft when the caller hangs up.
        """
        await self._advance(seconds, lambda: self._caller_leaves or self.agent_left)
        self._check_caller()

    async def wait_for(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait at most that long for `done`, and return it. Raises as `spend` does."""
        await self._advance(seconds, lambda: done() or self._caller_leaves)
        if done():
            return True
        self._check_caller()
        return False

    def caller_left(self) -> bool:
        """Return whether the caller has hung up since the last check, and record it."""
        if not self._caller_leaves:
            return False
        self.age = max(self.age, min(self._hung_up_at, self._time_limit))
        self.hang_up()
        return True

    @property
    def _caller_leaves(self) -> bool:
        return self.caller.hung_up and self.left is None

    def _check_caller(self) -> None:
        """Raise CallerLeft if the caller has hung up."""
        if self.caller_left():
            raise CallerLeft("ended by the caller")

    @property
    def _time_limit(self) -> int:
        return self.call.dial.time_limit or MAX_TIME_LIMIT

    async def _advance(self, seconds: float, stop: Callable[[], bool]) -> None:
        """Let that much time go by, or less once `stop` says so. Raises Ended at the time limit."""
        call, until = self.call, min(self.age + seconds, self._time_limit)
        while not self.hurried and not stop():
            wait = call.clock.real(until - call.age)
            if wait <= 0:
                break
            self.woken.clear()
            try:
                async with asyncio.timeout(wait):
                    await self.woken.wait()
            except TimeoutError:
                continue
        if stop():
            until = min(until, max(self.age, call.age))
        call.run_ahead(until)
        self.age = until
        if until >= self._time_limit:
            raise Ended("ended by its time limit")

    def note(self, text: str) -> None:
        """Add a note to the transcript."""
        self.log.note(self.age, text)

    def hang_up(self) -> None:
        """Have the caller hang up now."""
        self.note("the caller hangs up")
        self.left = self.age
        self.caller.end()

    def end(self, why: str) -> NoReturn:
        """End the call: raises Ended."""
        raise Ended(why)

    async def say(self, text: str) -> None:
        """Say a text."""
        self.note(f"says {text!r}")
        self._set_hears(text)
        await self.spend(self.seconds_of(text))

    async def play(self, urls: Sequence[str]) -> None:
        """Play audio files one after the other."""
        for url in urls:
            if self.agent_left:
                break
            self.note(f"plays {url}")
            self._set_hears(url)
            await self.spend(self.rules.audio_seconds)

    def seconds_of(self, text: str) -> int:
        """Return how long it takes to say."""
        return max(1, round(len(text) / self.rules.speech))

    async def fetch(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Send a request to the application, and wait for its answer.

        Background requests of an earlier age, and dial events of the same age, are answered before,
        however fast the clock runs.
        """
        await self._finish_background(self.age)
        asked, place = self._log_request(method, url, parameters, headers)
        answered = await self.services.fetcher.fetch(asked, self.rules.timeout)
        place.fill(answered)
        if answered.error == TIMEOUT:
            await self._advance(self.rules.timeout, lambda: False)
        return answered

    def send_in_background(self, url: str, parameters: Mapping[str, str], *, event: bool) -> None:
        """Send a request without waiting for its answer. Those of one call arrive in order."""
        asked, place = self._log_request("GET", url, parameters, None)
        before = self.background[-1].task if self.background else None

        async def send() -> None:
            if before is not None:
                await asyncio.wait([before])
            place.fill(await self.services.fetcher.fetch(asked, self.rules.timeout))

        self.background.append(BackgroundRequest(asyncio.create_task(send()), self.age, event))

    async def finish_background(self) -> None:
        """Wait until all background requests are answered."""
        await self._finish_background(math.inf)

    async def _finish_background(self, age: float) -> None:
        """Wait until all background requests that belong before that age are answered."""
        before = [b.task for b in self.background if b.at < age or (b.event and b.at == age)]
        await asyncio.gather(*before)

    def record(self, seconds: int) -> None:
        """Add a recording of that length."""
        made = self.call.recordings
        number = f"-{len(made) + 1}" if made else ""
        self.call.recordings = (*made, Recording(f"{self.call.sid}{number}.mp3", seconds))
        self.state.recording_url = self.services.documents.recording_url(self.call)

    def leaves_here(self, applet: Applet) -> bool:
        """Return whether the caller hangs up at this applet."""
        return self.left is None and self.script.leaves_at(applet)

    def _set_hears(self, what: str) -> None:
        """Set what the agent hears before the two are connected, or else the caller."""
        (self.agent or self.caller).hears = what

    def _log_request(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        headers: Mapping[str, str] | None,
    ) -> tuple[Exchange, Place]:
        asked = Exchange(
            at=self.age,
            method=method,
            url=url,
            parameters=dict(parameters),
            headers=dict(headers or {}),
        )
        return asked, self.log.expect(asked)
