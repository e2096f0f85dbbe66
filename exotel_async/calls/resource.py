"""The Calls resource: dialling, reconciling lost dials, and everything that `CallReader` reads."""

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
        """Return a view with other defaults that shares all known state of calls."""
        view = copy(self)
        view._defaults = defaults  # noqa: SLF001 - a copy of ours
        return view

    def parts(self) -> CallParts:
        """Return the components that a session shares with its views, for code that dials."""
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
        """Connect two parties: ring `from_` first, and `to` once it has answered.

        If a call is returned, Exotel has accepted the dial; use `get` to see how it goes.
        Uses `POST Calls/connect`, mode "connect two numbers".

        Args:
            from_: the party rung first: a phone number, preferably with its country code, or a SIP
                id or URI (`sip:agent7f3a`).
            to: the party rung second, in the same form.
            caller_id: the ExoPhone that both parties see.
            wait_url: a WAV file the first party hears while the second is rung; cached by its URL.
            start_playback_to: which party hears `start_playback_url`.
            start_playback_url: audio played when the second party answers.
            priority: which request goes first when several wait.
            max_wait: seconds the dial may wait for the budget.
            timeout: seconds the dial may take in all.
            **options: see `DialOptions`.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            RateLimitTimeout: the rate limit left no request in time; nothing was sent.
            ConnectionFailed: Exotel was not reached.
            APIError: Exotel refused; no call was made.
            CallOutcomeUnknown: it is not known whether the call was made. The SDK never dials it
                again on its own.
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
        del options  # save memory: tens of thousands of requests may be waiting
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
        """Ring a party and connect it to a call flow.

        Uses `POST Calls/connect`, mode "connect to flow".

        Args:
            from_: the party to ring: a phone number, preferably with its country code, or a SIP id
                or URI.
            flow: the flow's id (its app id in the dashboard), or its full URL.
            caller_id: the ExoPhone that the party sees.
            priority: which request goes first when several wait.
            max_wait: seconds the dial may wait for the budget.
            timeout: seconds the dial may take in all.
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
        del options  # save memory: tens of thousands of requests may be waiting
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

        When the party answers, Exotel opens a WebSocket to `stream_url` that carries the audio in
        both directions. Uses `POST Calls/connect` with `StreamUrl`, as Exotel's portal
        documents it (agentstream/connect-voice-ai).

        Args:
            from_: the party to ring: a phone number, preferably with its country code, or a SIP id
                or URI.
            stream_url: the bot's `ws` or `wss` URL, at most 600 characters including the sample
                rate.
            caller_id: the ExoPhone the party sees.
            stream_name: a name for the stream, at most 32 characters.
            sample_rate: samples per second of the audio: 8000, 16000 or 24000. It is written into
                the URL as `sample-rate`; Exotel's default is 8000.
            priority: which request goes first when several wait.
            max_wait: seconds the dial may wait for the budget.
            timeout: seconds the dial may take in all.
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
        del options  # save memory: tens of thousands of requests may be waiting
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
        """Dial many targets, and stream the outcome of each dial.

        Use it as ``async with exotel.calls.connect_many(numbers, flow=926, caller_id=...) as
        outcomes`` and ``async for outcome in outcomes``: one `DialOutcome` for each target, in the
        order the responses arrive. An outcome says whether Exotel accepted the order, not how the
        call ended: for that, read `outcomes.ended()`. `outcomes.stop()` stops it gracefully.

        It is not durable: after a crash, nothing records which targets were dialled.

        Args:
            targets: numbers rung first, or `DialTarget` with more. Any iterable or async iterable,
                read lazily: at most one target waits for room for its call.
            to: the party rung second. Give one of `to`, `flow` and the option `stream_url`.
            flow: the flow that they are connected to.
            caller_id: the ExoPhone they see. It may be omitted, and so may `to` and `flow`, if each
                target is a `DialTarget` with its own.
            max_live: legs that may be in progress at once: the account's channels. A call between
                two numbers has two. The end of a call is learned from the poll of `wait`, or from
                `notify`; a dial counts until its outcome is known. None: any
                number.
            interval: seconds until the first poll for a call's end.
            priority: which request goes first when several wait.
            max_wait: seconds each dial may wait for the budget.
            timeout: seconds each dial may take in all.
            on_progress: called with `statistics()` each time an outcome is taken from the stream.
                The stream raises its exceptions.
            **options: see `TargetOptions`; a target's own options take precedence.

        Raises:
            InvalidRequest: an invalid or missing argument. If targets are not a list or a tuple,
                what one of them lacks is raised when the stream reaches it. Any other problem with
                one target is in its outcome.
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
        """Search for the call of a dial whose outcome is unknown.

        It searches the call records created around the time of the dial, by the numbers, the
        ExoPhone and, where records show it, the custom field. Calls that a session of this account
        and event loop got in response to a dial are excluded. A call is listed only when it is
        over, so this may take as long as the call may last; a status callback with the same custom
        field, passed to `notify`, ends the search early.

        A call is found for one dial only. If it matches another lost dial of this account and event
        loop equally well, because the parties and the minutes are the same, it is found for
        neither, unless something distinguishes the two: a custom field, a SID in a late or damaged
        response, or that the call of the other dial is found or certainly does not exist. The same
        error, copied or pickled, gives the same call again.

        Dials of other processes and event loops are not known here: reconcile all lost dials in one
        event loop rather than in an `asyncio.run` for each. Give each dial a unique custom field,
        which distinguishes it from theirs if the records show custom fields; if they do not,
        several matching calls are all returned as candidates, but a single one is taken for the
        call of this dial.

        Args:
            error: the error that the dial raised, here or in another process. Its times are by the
                clock of the machine that dialled: if the error does not know how far that clock was
                from Exotel's (`clock_offset`), only the custom field can identify a call for
                certain, and it is never certain that there is none.
            timeout: seconds to search at most; 0: search once; None: until the result is certain,
                which takes as long as the call may last plus a quarter of an hour.
            interval: seconds between the first search and the second. It grows up to twenty times
                as long.
            priority: which request goes first when several wait.

        Returns:
            `CallFound`, `CallNotFound` with whether that is certain, or `CallAmbiguous` with all
            candidates: there are several; or one that does not match fully (another direction, or a
            party or the custom field not shown), or that may as well belong to another dial; or the
            service counts more calls in those minutes than it shows. Certainty depends on the
            session's `time_zone` being that of the account.

        Raises:
            InvalidRequest: an invalid argument, a dial of another account, or one of more than six
                months ago.
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
        """Report a call's status, as received in a callback: a `wait` for its end returns at once.

        Args:
            event: a `Call`, or any object with `sid` and `status`, and optionally `custom_field`,
                `from_` and `to`. If it has a method `to_call()` that returns a `Call`, that is
                used.

        Returns:
            Whether this completed any wait.

        Raises:
            InvalidRequest: the event has no SID or no status.
            ConfigurationError: the session is closed, or this is not its event loop.
        """
        call = call_of(event)
        ended = self._parts.watcher.notify(call)
        self._parts.reconciler.settle(call)
        return ended


def call_of(event: Any) -> Call:
    """Return the call that an event reports.

    Raises:
        InvalidRequest: the event has no SID or no status.
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
