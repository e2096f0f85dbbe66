"""The Calls resource: dial, find out what came of lost dials, and what `reader` reads back."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from copy import copy
from typing import TYPE_CHECKING, Any, Self, Unpack

from exotel_async.calls.intervals import FIRST_LOOK, FIRST_POLL
from exotel_async.calls.reader import CallReader
from exotel_async.config import Priority
from exotel_async.errors import CallOutcomeUnknown, InvalidRequest
from exotel_async.keywords import check_options
from exotel_async.models import Call, CallStatus, DialOptions, StreamOptions, TargetOptions
from exotel_async.wire import requests
from exotel_async.wire.validation import positive_seconds

if TYPE_CHECKING:
    from exotel_async.calls.connect_many import Dials, DialStatistics
    from exotel_async.calls.parts import CallParts
    from exotel_async.calls.reconcile import Reconciliation
    from exotel_async.config import SendOptions
    from exotel_async.models import DialTarget, PlaybackTo


class Calls(CallReader):
    """Calls of the account: `exotel.calls`."""

    def with_defaults(self, defaults: SendOptions) -> Self:
        """Return a view with other defaults, which shares all that is known of calls."""
        view = copy(self)
        view._defaults = defaults  # noqa: SLF001 - its own
        return view

    def parts(self) -> CallParts:
        """Return what a view and its session have in common, for what dials with them."""
        return self._parts

    async def connect(
        self,
        from_: str,
        to: str,
        *,
        caller_id: str,
        wait_url: str | None = None,
        start_playback_to: PlaybackTo | str | None = None,
        start_playback_url: str | None = None,
        priority: Priority | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
        **options: Unpack[DialOptions],
    ) -> Call:
        """Connect two parties: ring `from_` first, and `to` when it has answered.

        The answer means that Exotel took the order; how the call goes is read back with `get`.
        Rests on `POST Calls/connect`, mode "connect two numbers".

        Args:
            from_: the party rung first: a phone number, best with its country code, or a SIP id or
                URI (`sip:agent7f3a`).
            to: the party rung second: the same.
            caller_id: the ExoPhone both of them see.
            wait_url: a WAV file the first party hears while the second is rung; cached by its URL.
            start_playback_to: who hears `start_playback_url`.
            start_playback_url: audio played when the second party answers.
            priority: which request goes first when several wait.
            max_wait: seconds the dial may wait for the budget.
            timeout: seconds it may take with everything.
            **options: see `DialOptions`.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            RateLimitTimeout: the budget had no place in time; nothing was sent.
            ConnectionFailed: Exotel was not reached.
            APIError: Exotel refused; no call was made.
            CallOutcomeUnknown: it is not known whether the call was made. It is never dialled
                again by itself.
        """
        check_options("calls.connect", self.connect, options, DialOptions)
        request = requests.connect(
            from_=from_,
            to=to,
            caller_id=caller_id,
            wait_url=wait_url,
            start_playback_to=start_playback_to,
            start_playback_url=start_playback_url,
            **options,
        )
        del options  # in the request now, which may wait with tens of thousands of others
        chosen = self._defaults.with_changes(priority=priority, max_wait=max_wait, timeout=timeout)
        with self._pipeline.reports.operation("calls.connect") as operation:
            return operation.returns(
                await self._pipeline.send(request, self._parts.read_dialled, chosen)
            )

    async def connect_to_flow(
        self,
        from_: str,
        *,
        flow: int | str,
        caller_id: str,
        priority: Priority | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
        **options: Unpack[DialOptions],
    ) -> Call:
        """Ring a party and connect it to a call flow: an outgoing call to a flow.

        Rests on `POST Calls/connect`, mode "connect to flow".

        Args:
            from_: the party rung: a phone number, best with its country code, or a SIP id or URI.
            flow: the flow's id (its app id in the dashboard), or the whole URL of one.
            caller_id: the ExoPhone it sees.
            priority: which request goes first when several wait.
            max_wait: seconds the dial may wait for the budget.
            timeout: seconds it may take with everything.
            **options: see `DialOptions`.

        Raises:
            ExotelError: as `connect` does.
        """
        check_options("calls.connect_to_flow", self.connect_to_flow, options, DialOptions)
        request = requests.connect_to_flow(
            account_sid=self._account_sid,
            flow=flow,
            from_=from_,
            caller_id=caller_id,
            **options,
        )
        del options  # in the request now, which may wait with tens of thousands of others
        chosen = self._defaults.with_changes(priority=priority, max_wait=max_wait, timeout=timeout)
        with self._pipeline.reports.operation("calls.connect_to_flow") as operation:
            return operation.returns(
                await self._pipeline.send(request, self._parts.read_dialled, chosen)
            )

    async def connect_to_stream(
        self,
        from_: str,
        *,
        stream_url: str,
        caller_id: str,
        stream_name: str | None = None,
        sample_rate: int | None = None,
        priority: Priority | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
        **options: Unpack[StreamOptions],
    ) -> Call:
        """Ring a party and connect it directly to a voice bot, without a flow or a second party.

        When the party answers, Exotel opens a WebSocket to `stream_url`, and the audio goes both
        ways over it. Rests on `POST Calls/connect` with `StreamUrl`, as Exotel's portal documents
        it (agentstream/connect-voice-ai).

        Args:
            from_: the party rung: a phone number, best with its country code, or a SIP id or URI.
            stream_url: the bot's `ws` or `wss` URL, at most 600 characters with its sample rate.
            caller_id: the ExoPhone the party sees.
            stream_name: a name for the stream, at most 32 characters.
            sample_rate: samples per second of the audio: 8000, 16000 or 24000. It is written into
                the URL as `sample-rate`; Exotel's default is 8000.
            priority: which request goes first when several wait.
            max_wait: seconds the dial may wait for the budget.
            timeout: seconds it may take with everything.
            **options: see `StreamOptions`.

        Raises:
            ExotelError: as `connect` does.
        """
        check_options("calls.connect_to_stream", self.connect_to_stream, options, StreamOptions)
        request = requests.connect_to_stream(
            from_=from_,
            stream_url=stream_url,
            caller_id=caller_id,
            stream_name=stream_name,
            sample_rate=sample_rate,
            **options,
        )
        del options  # in the request now, which may wait with tens of thousands of others
        chosen = self._defaults.with_changes(priority=priority, max_wait=max_wait, timeout=timeout)
        with self._pipeline.reports.operation("calls.connect_to_stream") as operation:
            return operation.returns(
                await self._pipeline.send(request, self._parts.read_dialled, chosen)
            )

    def connect_many(
        self,
        targets: Iterable[DialTarget | str] | AsyncIterable[DialTarget | str],
        *,
        to: str | None = None,
        flow: int | str | None = None,
        caller_id: str | None = None,
        max_live: int | None = None,
        interval: float = FIRST_POLL,
        priority: Priority = Priority.BULK,
        max_wait: float | None = None,
        timeout: float | None = None,
        on_progress: Callable[[DialStatistics], object] | None = None,
        **options: Unpack[TargetOptions],
    ) -> Dials:
        """Dial many, and stream what comes of each dial.

        Use it as ``async with exotel.calls.connect_many(numbers, flow=926, caller_id=...) as
        outcomes`` and ``async for outcome in outcomes``: one `DialOutcome` for each target, in the
        order the answers come. An outcome says that Exotel took the order, not how the call ended:
        that is in `outcomes.ended()`. `outcomes.stop()` ends it in order.

        It is not durable: what was dialled when the process died is not known to the next one.

        Args:
            targets: numbers rung first, or `DialTarget` with more. Any iterable or async iterable,
                read no further than it is needed: one target at most waits for room for its call.
            to: the party rung second; or else
            flow: the flow they are connected to; or else `stream_url` among the options.
            caller_id: the ExoPhone they see. It may be missing, and so may `to` and `flow`, where
                each target is a `DialTarget` with its own.
            max_live: legs that may be in progress at once: the account's channels. A call between
                two numbers has two. Their ends come from the poll of `wait`, or from `notify`;
                a dial whose outcome is not known is counted until it is. None: any number.
            interval: seconds until the first poll for a call's end.
            priority: which request goes first when several wait.
            max_wait: seconds each dial may wait for the budget.
            timeout: seconds each may take with everything.
            on_progress: called with `statistics()` whenever an outcome has been taken out of the
                stream. What it raises is raised there.
            **options: see `TargetOptions`; a target's own go before them.

        Raises:
            InvalidRequest: an argument that makes no sense, or is missing: where targets are not
                a list or a tuple, and one of them says nothing of what is missing, the stream
                raises it there. What else is wrong with one target is in its outcome.
        """
        from exotel_async.calls.connect_many import Dials  # noqa: PLC0415
        from exotel_async.calls.connect_many_plan import DialPlan  # noqa: PLC0415

        check_options("calls.connect_many", self.connect_many, options, TargetOptions)
        plan = DialPlan(
            account_sid=self._account_sid,
            to=to,
            flow=flow,
            caller_id=caller_id,
            options=options,
            max_live=max_live,
        )
        return Dials(
            parts=self._parts,
            targets=targets,
            plan=plan,
            interval=positive_seconds("interval", interval),
            options=self._defaults.with_changes(
                priority=priority, max_wait=max_wait, timeout=timeout
            ),
            on_progress=on_progress,
        )

    async def reconcile(
        self,
        error: CallOutcomeUnknown,
        *,
        timeout: float | None = None,
        interval: float = FIRST_LOOK,
        priority: Priority | None = None,
    ) -> Reconciliation:
        """Search for the call of a dial whose outcome is not known.

        It looks for the call among the call records of those minutes, by its numbers, its ExoPhone
        and, where the record shows it, its custom field. Calls that a session of this account and
        event loop was answered about are not meant. A call shows up there only when it is over, so
        that this may take as long as the call may last; a status callback with the same custom
        field, given to `notify`, ends it.

        A call is found for one dial only. One that looks as much like that of another lost dial of
        this account and event loop, because the parties are the same and so are the minutes, is
        found for neither, unless something distinguishes them: a custom field, an SID in an answer
        that came late or damaged, or that the other dial's call is found, or is certain not to be.
        The same error, copied or pickled, gives the same call again.

        What other processes and event loops dial is not known here: search for all lost dials in
        one event loop rather than in an `asyncio.run` for each. Give each dial a custom field of
        its own, which tells it from theirs where the records show custom fields; where they do not,
        several calls that are alike are all named, but one that is alone is taken for this dial's.

        Args:
            error: what the dial has raised, here or in another process. Its times are by the clock
                of the machine that dialled: where the error does not know how far that one was from
                Exotel's (`clock_offset`), nothing but the custom field makes a call found for
                certain, and that there is none is never certain.
            timeout: seconds to look at most; 0: one look; None: until it is certain, which is the
                longest the call may last, and a quarter of an hour.
            interval: seconds between the first look and the second. It grows to twenty times as
                much.
            priority: which request goes first when several wait.

        Returns:
            `CallFound`, `CallNotFound` with whether that is certain, or `CallAmbiguous` with all
            calls that may be meant: there are several, or one that does not quite look like it (the
            direction is another one, a party or the custom field is not shown), or may as well be
            another dial's, or the service counts more calls in those minutes than it shows. What is
            certain rests on the session's `time_zone` being the account's.

        Raises:
            InvalidRequest: an argument that makes no sense, a dial of another account, or one of
                more than six months ago.
            ExotelError: the call records could not be read, several times in a row.
        """
        if not isinstance(error, CallOutcomeUnknown):
            raise InvalidRequest("error", type(error).__name__, "must be a CallOutcomeUnknown")
        if error.account_sid not in {None, self._account_sid}:
            rule = f"must be of this session's account, {self._account_sid}"
            raise InvalidRequest("error", f"of account {error.account_sid}", rule)
        if None in {error.sent_at.tzinfo, error.lost_at.tzinfo}:
            raise InvalidRequest("error", f"sent at {error.sent_at}", "its times must be aware")
        limit = timeout if timeout in (None, 0) else positive_seconds("timeout", timeout)
        chosen = self._defaults.with_changes(priority=priority)
        first = positive_seconds("interval", interval)
        with self._pipeline.reports.operation("calls.reconcile"):
            return await self._parts.reconciler.reconcile(
                error, chosen, timeout=limit, interval=first
            )

    def notify(self, event: Any) -> bool:
        """Report the status of a call, as a callback shows it: a `wait` for it ends at once.

        Args:
            event: a `Call`, or anything with `sid` and `status`, and perhaps `custom_field`,
                `from_` and `to`. What can make a `Call` of itself (`to_call()`) is asked to.

        Returns:
            Whether somebody's wait has ended with it.

        Raises:
            InvalidRequest: it has no SID or no status.
            ConfigurationError: the session is closed, or this is not its event loop.
        """
        call = call_of(event)
        ended = self._parts.watcher.notify(call)
        self._parts.reconciler.settle(call)
        return ended


def call_of(event: Any) -> Call:
    """Return the call that an event reports.

    Raises:
        InvalidRequest: it has no SID or no status.
    """
    if isinstance(event, Call):
        return event
    to_call = getattr(event, "to_call", None)
    if callable(to_call):
        made = to_call()
        if isinstance(made, Call):
            return made
    sid, status = getattr(event, "sid", None), getattr(event, "status", None)
    if not isinstance(sid, str) or not isinstance(status, str):
        raise InvalidRequest("event", type(event).__name__, "must have a sid and a status")
    return Call(
        sid=sid,
        status=CallStatus(status),
        from_=getattr(event, "from_", None),
        to=getattr(event, "to", None),
        custom_field=getattr(event, "custom_field", None),
    )
