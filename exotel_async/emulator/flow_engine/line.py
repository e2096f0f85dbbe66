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
    """A caller played by hand has hung up; what needs no caller may still go on."""


@attrs.frozen(kw_only=True)
class World:
    """What the calls of an emulator share."""

    settings: Settings
    book: CallBook
    documents: CallDocuments
    fetcher: Fetcher
    outbox: Outbox


@attrs.frozen(eq=False)
class Aside:
    """A request to the application whose answer is not waited for."""

    task: Task[None]
    at: float
    """The call's age."""
    event: bool
    """Whether it is a dial event."""


@attrs.define(eq=False)
class Line:
    """One call in its flow. Its age is what the applets make it, request by request.

    What the application takes to answer costs a call no time of the emulator's, for then the same
    script would come to other lengths on each run; a time-out costs what it says. Who plays a phone
    by hand has a clock of their own: see `catch_up`.
    """

    world: World
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
    """Whom the caller is connected with."""
    hurried: bool = False
    """It waits neither for the clock any more, nor for people."""
    woken: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when there is something to see to before the clock says so."""
    asides: list[Aside] = attrs.field(factory=list)
    """Requests whose answers are not waited for."""
    children: int = 0
    """How many legs have a record of their own."""
    random: Random = attrs.field(init=False)
    _steps: int = 0
    _gone: float = 0.0
    """The age at which a caller played by hand hung up."""

    def __attrs_post_init__(self) -> None:
        self.random = Random(f"{self.call.seed}/flow")  # noqa: S311 - a script, not a secret

    @property
    def rules(self) -> FlowSettings:
        """How flows behave."""
        return self.world.settings.flow_settings

    @property
    def now(self) -> datetime:
        """The date by the call's age."""
        return self.call.clock.wall(self.call.at + self.age)

    def count_step(self) -> None:
        """Raises Ended when there were too many."""
        self._steps += 1
        if self._steps > self.rules.max_steps:
            raise Ended(f"ended after {self.rules.max_steps} steps")

    @property
    def agent_left(self) -> bool:
        """Whether an agent played by hand has hung up; nobody plays them once it is hurried."""
        agent = self.agent
        return agent is not None and agent.manual and (agent.state == "ended" or self.hurried)

    def hurry(self) -> None:
        """Wait for nothing from now on but for answers of the application."""
        self.hurried = True
        self.woken.set()

    def look(self) -> None:
        """A person has done something."""
        if self._caller_leaves:
            self._gone = self.call.age
        self.woken.set()

    def catch_up(self) -> None:
        """Be as old as the clock says: people are about to be waited for, and to them the time that
        the application took to answer was time, too."""
        if not self.hurried:
            self.age = max(self.age, min(self.call.age, self._longest))

    async def spend(self, seconds: float) -> None:
        """Let that much time go by, or less if the agent hangs up.

        Raises Ended at the call's longest, and CallerLeft when the caller hangs up.
        """
        await self._pass(seconds, lambda: self._caller_leaves or self.agent_left)
        self._notice()

    async def wait_for(self, done: Callable[[], bool], seconds: float) -> bool:
        """Give people that much time to do something; whether they did. Raises as `spend` does."""
        await self._pass(seconds, lambda: done() or self._caller_leaves)
        if done():
            return True
        self._notice()
        return False

    def caller_left(self) -> bool:
        """Whether the caller has hung up since it was last looked at."""
        if not self._caller_leaves:
            return False
        self.age = max(self.age, min(self._gone, self._longest))
        self.hang_up()
        return True

    @property
    def _caller_leaves(self) -> bool:
        return self.caller.gone and self.left is None

    def _notice(self) -> None:
        """Raises CallerLeft."""
        if self.caller_left():
            raise CallerLeft("ended by the caller")

    @property
    def _longest(self) -> int:
        return self.call.dial.time_limit or MAX_TIME_LIMIT

    async def _pass(self, seconds: float, stop: Callable[[], bool]) -> None:
        """Let that much time go by, or less once there is reason to stop. Raises Ended."""
        call, until = self.call, min(self.age + seconds, self._longest)
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
        if until >= self._longest:
            raise Ended("ended by its time limit")

    def note(self, text: str) -> None:
        """Take something down."""
        self.log.note(self.age, text)

    def hang_up(self) -> None:
        """The caller leaves."""
        self.note("the caller hangs up")
        self.left = self.age
        self.caller.end()

    def end(self, why: str) -> NoReturn:
        """Raises Ended."""
        raise Ended(why)

    async def say(self, text: str) -> None:
        """A text is said."""
        self.note(f"says {text!r}")
        self._heard(text)
        await self.spend(self.seconds_of(text))

    async def play(self, urls: Sequence[str]) -> None:
        """Audio files are played one after the other."""
        for url in urls:
            if self.agent_left:
                break
            self.note(f"plays {url}")
            self._heard(url)
            await self.spend(self.rules.audio_seconds)

    def seconds_of(self, text: str) -> int:
        """How long it takes to say."""
        return max(1, round(len(text) / self.rules.speech))

    async def fetch(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Ask the application, and wait for its answer.

        What was sent at an earlier age has arrived before, however fast the clock runs; of the same
        age, dial events.
        """
        await self._told(self.age)
        asked, place = self._ask(method, url, parameters, headers)
        answered = await self.world.fetcher.fetch(asked, self.rules.timeout)
        place.fill(answered)
        if answered.error == TIMEOUT:
            await self._pass(self.rules.timeout, lambda: False)
        return answered

    def tell(self, url: str, parameters: Mapping[str, str], *, event: bool) -> None:
        """Send a request without waiting for its answer. Those of one call arrive in order."""
        asked, place = self._ask("GET", url, parameters, None)
        before = self.asides[-1].task if self.asides else None

        async def send() -> None:
            if before is not None:
                await asyncio.wait([before])
            place.fill(await self.world.fetcher.fetch(asked, self.rules.timeout))

        self.asides.append(Aside(asyncio.create_task(send()), self.age, event))

    async def told(self) -> None:
        """Wait until all of them were sent, and answered."""
        await self._told(math.inf)

    async def _told(self, age: float) -> None:
        """Wait until all that belong before that age were sent."""
        before = [a.task for a in self.asides if a.at < age or (a.event and a.at == age)]
        await asyncio.gather(*before)

    def record(self, seconds: int) -> None:
        """There is a recording, that long."""
        made = self.call.recordings
        number = f"-{len(made) + 1}" if made else ""
        self.call.recordings = (*made, Recording(f"{self.call.sid}{number}.mp3", seconds))
        self.state.recording_url = self.world.documents.recording_url(self.call)

    def leaves_here(self, applet: Applet) -> bool:
        """Whether this is where the caller hangs up."""
        return self.left is None and self.script.leaves_at(applet)

    def _heard(self, what: str) -> None:
        """The agent hears it if there is one: it is said to them before the two are connected."""
        (self.agent or self.caller).hears = what

    def _ask(
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
