"""What tests and programs do with a running emulator, and what it has recorded."""

from __future__ import annotations

import math
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

import attrs

from exotel_async.emulator.app import App
from exotel_async.emulator.call_store import CallBook
from exotel_async.emulator.callbacks import Callbacks, SentCallback
from exotel_async.emulator.calls import INBOUND, Dial, EmulatedCall
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.faults import Faults
from exotel_async.emulator.flow_engine.live_calls import FlowRuns
from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.flows.flow import find_flow
from exotel_async.emulator.flows.outbox import Outbox, SentEmail, SentSms
from exotel_async.emulator.manual_calls import ManualCalls
from exotel_async.emulator.numbers import checked_number, masked, national
from exotel_async.emulator.phones import Phone
from exotel_async.emulator.rate_limit import Window, busiest, new_window
from exotel_async.emulator.recordings import Recordings, silence
from exotel_async.emulator.request_log import Download, ReceivedRequest, Statistics
from exotel_async.emulator.settings import Settings
from exotel_async.emulator.thread import SteadyView, runs_in_own_loop
from exotel_async.emulator.whitelist import Whitelist


@attrs.define(kw_only=True, eq=False, slots=False)
class Operations(Settings):
    """An emulator without its socket: `Emulator` adds that, and wires the parts together."""

    faults: Faults = attrs.field(factory=Faults, init=False, repr=False)
    """The faults to inject: `emulator.faults.add(Fault.act_then_drop(), path="Calls/connect")`."""
    base_url: str = attrs.field(default="", init=False)
    """The URL it listens at, without a path. Known once it has started."""
    clock: Clock = attrs.field(init=False, repr=False)
    """Its clock, which starts when it does."""
    _book: CallBook = attrs.field(init=False, repr=False)
    _callbacks: Callbacks = attrs.field(init=False, repr=False)
    _outbox: Outbox = attrs.field(factory=Outbox, init=False, repr=False)
    _runs: FlowRuns = attrs.field(init=False, repr=False)
    _manual_calls: ManualCalls = attrs.field(init=False, repr=False)
    _recordings: Recordings = attrs.field(init=False, repr=False)
    _whitelist: Whitelist = attrs.field(init=False, repr=False)
    _app: App = attrs.field(init=False, repr=False)
    _loop: AbstractEventLoop | None = attrs.field(default=None, init=False, repr=False)
    """The event loop it runs in."""

    @property
    def requests(self) -> Sequence[ReceivedRequest]:
        """Every request for the API, ExoPhones included, in order of arrival."""
        return self._app.requests

    @property
    def calls(self) -> Mapping[str, EmulatedCall]:
        """Every call by its SID, in the order they were added."""
        return SteadyView(self._book.by_sid)

    @property
    def callbacks(self) -> Sequence[SentCallback]:
        """Every attempt to send a status callback, in the order they ended."""
        return self._callbacks.sent

    @property
    def sms(self) -> Sequence[SentSms]:
        """Every SMS that flows have sent, in order."""
        return self._outbox.sms

    @property
    def emails(self) -> Sequence[SentEmail]:
        """Every e-mail that flows have sent, in order."""
        return self._outbox.emails

    @property
    def downloads(self) -> Sequence[Download]:
        """Every request for a recording, in order of arrival."""
        return self._recordings.downloads

    @property
    def whitelist(self) -> Collection[str]:
        """The numbers that `CustomerWhitelist` has added, in their national form."""
        return self._whitelist

    @property
    def refused(self) -> int:
        """How many requests a rate window has refused."""
        return self._app.refused

    def rung(self, number: str) -> int:
        """Return how often that number, however written, was rung: as first party of an accepted
        dial, as second, or as an agent by a flow."""
        return self._book.rung(number)

    def busiest_window(self) -> int:
        """Return the most authenticated requests that arrived in any `per` seconds, refused or not.

        Those for ExoPhones, which have a rate of their own, are not counted.
        """
        counted = [r.arrived for r in self.requests if r.counted and not r.exophones]
        return busiest(counted, self.per)

    def statistics(self) -> Statistics:
        """Return the totals so far."""
        return Statistics(
            requests=len(self.requests),
            accepted=self._app.accepted,
            refused=self.refused,
            busiest_window=self.busiest_window(),
            calls=Counter(call.status for call in self.calls.values()),
        )

    @runs_in_own_loop
    def add_call(self, dial: Dial, *, ago: timedelta = timedelta()) -> EmulatedCall:
        """Add a call that was dialled that long ago by the emulator's clock, without a request.

        It sends no callbacks, and does not go through a flow.
        """
        at = self.clock.elapsed() - ago.total_seconds()
        second_decides = self.unreached_second == "second-leg"
        return self._book.take(dial, self.scenario, at, second_decides=second_decides)

    @runs_in_own_loop
    async def incoming_call(
        self, from_: str, exophone: str, *, caller: Caller | None = None
    ) -> EmulatedCall:
        """Start an incoming call in the flow assigned to that ExoPhone, and return the call.

        `caller` None: the one in `callers`. Without a free channel it is over at once, as `busy`.
        Raises ValueError if no flow is assigned there, or `from_` is not a number.
        """
        checked_number(from_)
        assigned = self.exophone_flows.get(exophone)
        flow = None if assigned is None else find_flow(self.flows, assigned)
        if flow is None:
            raise ValueError(f"no flow is assigned to ExoPhone {masked(exophone)}")
        call = self._book.take(
            Dial(from_=from_, to=None, caller_id=exophone, direction=INBOUND),
            self.scenario,
            self.clock.elapsed(),
            in_flow=True,
            busy=self.channels is not None and self._book.channels() >= self.channels,
        )
        self._runs.start(call, flow, caller or self.callers.get(from_, Caller()))
        return call

    @runs_in_own_loop
    def phones(self, sid: str) -> Sequence[Phone]:
        """Return the phones of a call in their current state: those of its parties that have been
        rung, and the caller's. Raises KeyError if there is no such call."""
        return self.calls[sid].phones()

    @runs_in_own_loop
    def answer(self, sid: str, number: str) -> None:
        """Answer a ringing phone that a person plays: see `Settings.manual`.

        This and the methods below raise KeyError if there is no such call, and ValueError if the
        phone of that number, however written, cannot do that now. The effect is immediate; a flow
        that waits for it proceeds in the next iteration of the event loop.
        """
        handsets = self.calls[sid].handsets
        phone = handsets.find(number, "ringing")
        if phone.role == "agent" and phone.state == "ringing" and handsets.talking:
            raise ValueError("the agent cannot answer: another one has")
        phone.answer()

    @runs_in_own_loop
    def reject(self, sid: str, number: str) -> None:
        """Reject the call that a phone rings for: its party is then busy."""
        self.calls[sid].handsets.find(number, "ringing").reject()

    @runs_in_own_loop
    def hang_up(self, sid: str, number: str) -> None:
        """Hang up a connected phone. If it is an agent's, the flow proceeds."""
        self.calls[sid].handsets.find(number, "connected").hang_up()

    @runs_in_own_loop
    def press(self, sid: str, keys: str, *, number: str | None = None) -> None:
        """Press keys as the caller of a flow: digits, `*` and `#`. Keys that are not asked for at
        that moment are kept for the next question; they do not interrupt a prompt."""
        handsets = self.calls[sid].handsets
        phone = handsets.caller if number is None else handsets.find(number, "connected")
        if handsets.talking:
            raise ValueError("the caller cannot press keys for the flow: they talk to an agent")
        phone.press(keys)

    @runs_in_own_loop
    def speak(self, sid: str, seconds: int) -> None:
        """Say a message of that length, as the caller of a flow, to the Voicemail that waits for
        one. If the caller hangs up meanwhile, what was said so far is left as the message."""
        self.calls[sid].handsets.caller.speak(seconds)

    @runs_in_own_loop
    async def until_ringing(self, sid: str, number: str) -> Phone:
        """Wait until a phone of that number rings, in a call in a flow or one played by hand.

        Raises KeyError if there is no such call, ValueError if it ends before that.
        """
        handsets, wanted = self.calls[sid].handsets, national(number)
        phone = await handsets.until(
            lambda one: one.state == "ringing" and national(one.number) == wanted
        )
        return phone.view(over=False)

    @runs_in_own_loop
    async def until_asked(self, sid: str) -> Phone:
        """Wait until a flow waits for keys or a message from its caller, played by hand. After
        `press` it is the next time.

        Raises KeyError if there is no such call, ValueError if it ends before that.
        """
        phone = await self.calls[sid].handsets.until(lambda one: one.waits_for is not None)
        return phone.view(over=False)

    @runs_in_own_loop
    def forget(self, sid: str) -> None:
        """Remove a call from the service: it can no longer be queried or listed.

        `rung` still counts it, and its status callbacks are still sent. Raises KeyError if there is
        no such call.
        """
        self._book.forget(sid)

    def recording(self, sid: str) -> bytes:
        """Return the content of a call's recording, ready or not. Raises KeyError."""
        call = self.calls[sid]
        return silence(call.talked if call.recording is None else call.recording.seconds)

    @runs_in_own_loop
    async def finish_calls(self, *, settle: bool = True) -> None:
        """Bring every call in progress to its end now, and send its status callbacks.

        Durations stay as they were drawn, so dates of such calls may lie ahead of the clock. Calls
        in flows reach the end of their flow, with all requests, as fast as those are answered. No
        person plays a phone any more: one that rings is given up when its time is over, no key is
        pressed, and conversations and messages end now. `settle`: Duration, Price and EndTime show
        at once as well. It does not wait for callbacks delayed by a fault, for further attempts,
        or for calls that begin meanwhile.
        """
        self._manual_calls.finish_now()
        await self._runs.finish_now()
        for call in self._book.unsettled():
            if call.timeline.ended < math.inf:
                call.run_ahead(call.timeline.settled if settle else call.timeline.ended)
        await self._callbacks.hurry()

    @runs_in_own_loop
    def reset(self) -> None:
        """Remove requests, downloads, calls, callbacks, SMS, e-mails, faults, the whitelist and the
        rate windows' counts.

        Nothing that was in progress has a later effect: flows end where they are, nothing more is
        sent to the application, and requests lose their connections. ExoPhones stay as they were
        set.
        """
        self._manual_calls.clear()
        self._runs.clear()
        self._outbox.clear()
        self._book.clear()
        self._callbacks.clear()
        self._recordings.downloads.clear()
        self._whitelist.clear()
        self._app.clear(self._new_windows())
        self.faults.clear()

    def _new_windows(self) -> tuple[Window, Window]:
        """Return the rate windows of Voice and of ExoPhones."""
        voice, exophones = (
            new_window(
                self.window,
                rate,
                self.per,
                leaky_burst=self.leaky_burst,
                count_refusals=self.count_refusals,
            )
            for rate in (self.rate, self.exophone_rate)
        )
        return voice, exophones
