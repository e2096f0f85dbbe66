"""The synchronous classes. Written by `python -m tests.sync.generate`: do not edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from exotel_async.calls.intervals import FIRST_LOOK, FIRST_POLL
from exotel_async.calls.recording_reader import LARGEST
from exotel_async.config import IST, Priority
from exotel_async.limiter.limiter import DEFAULT_IN_FLIGHT
from exotel_async.sync.bases import (
    ClosableList,
    Limiter,
    LoopObject,
    Resource,
    SyncResultStream,
    SyncSession,
    SyncStream,
)
from exotel_async.sync.listeners import Progress, run_in_thread
from exotel_async.sync.loop_call import run_in_loop
from exotel_async.sync.source_reader import SourceReader
from exotel_async.wire.call_query import MAX_SIDS

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta, tzinfo
    from pathlib import Path
    from typing import Any, Self, Unpack

    from exotel_async.calls.as_completed import EndedCalls as AsyncEndedCalls
    from exotel_async.calls.changes import CallChanges as AsyncCallChanges
    from exotel_async.calls.connect_many import DialOutcome, DialStatistics
    from exotel_async.calls.connect_many import Dials as AsyncDials
    from exotel_async.calls.get_many import CallResult, FetchStatistics
    from exotel_async.calls.get_many import CallResults as AsyncCallResults
    from exotel_async.calls.list import CallRecords as AsyncCallRecords
    from exotel_async.calls.open_recording import Recording as AsyncRecording
    from exotel_async.calls.reconcile import Reconciliation
    from exotel_async.calls.resource import Calls as AsyncCalls
    from exotel_async.config import RateLimit, Region, RequestOptions, RetryPolicy, Timeouts
    from exotel_async.errors import CallOutcomeUnknown
    from exotel_async.events import OnEvent
    from exotel_async.http.http_client import HttpClient, HttpLibrary
    from exotel_async.http.orphans import OnOrphanedCall
    from exotel_async.limiter.protocol import RateLimiter
    from exotel_async.models import (
        Balance,
        Call,
        CallPage,
        DialOptions,
        DialTarget,
        ExoPhone,
        ExoPhonePage,
        NumberMetadata,
        PlaybackTo,
        RawResponse,
        StreamOptions,
        TargetOptions,
        WhitelistEntry,
    )
    from exotel_async.resources.account import Account as AsyncAccount
    from exotel_async.resources.exophones import ExoPhoneList as AsyncExoPhoneList
    from exotel_async.resources.exophones import ExoPhones as AsyncExoPhones
    from exotel_async.resources.numbers import Numbers as AsyncNumbers
    from exotel_async.sync.session import Session
    from exotel_async.wire.call_query import CallFilters, RecordFilters


class Exotel(SyncSession):
    """A session with one Exotel account.

    Make one for the lifetime of the program and close it at the end, preferably with ``with``;
    making it is cheap and sends nothing. All `Exotel` sessions of an account in a process, and no
    others, share the account's budget, in all threads.

    Attributes:
        calls: dial, and read calls.
        numbers: look up phone numbers.
        account: the account itself.
        exophones: the account's ExoPhones, and the flows of their incoming calls.
    """

    calls: Calls
    numbers: Numbers
    account: Account
    exophones: ExoPhones

    def __init__(
        self,
        *,
        account_sid: str | None = None,
        api_key: str | None = None,
        api_token: str | None = None,
        region: Region | str | None = None,
        base_url: str | None = None,
        allow_http: bool = False,
        rate_limit: RateLimit | RateLimiter | int | None = None,
        exophone_rate_limit: RateLimit | RateLimiter | int | None = None,
        retry: RetryPolicy | int | None = None,
        timeout: Timeouts | float | None = None,
        max_in_flight: int = DEFAULT_IN_FLIGHT,
        http_client: HttpClient | HttpLibrary | None = None,
        time_zone: tzinfo = IST,
        coalesce: bool = True,
        on_orphaned_call: OnOrphanedCall | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        """Create the session.

        Args:
            account_sid: the account; by default the value of ``EXOTEL_ACCOUNT_SID``.
            api_key: the API key; by default the value of ``EXOTEL_API_KEY``.
            api_token: the API token; by default the value of ``EXOTEL_API_TOKEN``.
            region: the region of the account: a `Region`, or ``"mumbai"`` or ``"singapore"``, or
                its host; else the one in ``EXOTEL_SUBDOMAIN``, else Singapore.
            base_url: any other address, such as a local emulator: ``http(s)://host[:port]``. The
                path that Exotel documents, ``/v1/Accounts/...``, may follow.
            allow_http: whether to accept an ``http://`` address that is not this computer's. The
                API token is then sent unencrypted.
            rate_limit: the account's budget, or a limiter; 200 requests a minute by default. A
                number is requests a minute. A budget is shared with other processes through the
                server in ``EXOTEL_RATE_LIMIT_URL``, if that is set; a limiter is used as it is.
            exophone_rate_limit: the same for `exophones`, which have a budget of their own: 50
                requests a minute by default.
            retry: how often a request is sent again if that is safe. A number is the number of
                retries; 0 or False: never, not even after a 429.
            timeout: time limits of one exchange with the service. A number is the seconds each step
                may take (to connect, to write, to read); the exchange may take three times as long.
            max_in_flight: requests that may be in flight at once; less than the size of the
                connection pool.
            http_client: an `httpx.AsyncClient` or `httpx2.AsyncClient` to use instead of the
                session's own. It is not closed with the session. Neither of them keeps or sends
                cookies. Give it a `keepalive_expiry` of a second or so: a dial on a connection that
                the service has dropped is lost. ``"httpx"`` or ``"httpx2"``: a client of the
                session's own from that library; else the one in ``EXOTEL_HTTP``, else httpx.
            time_zone: the time zone of Exotel's times; that of India by default.
            coalesce: whether calls that are read at the same time may share a request.
            on_orphaned_call: called as ``on_orphaned_call(ended, target)`` with the outcome of a
                dial whose caller was interrupted or timed out: the `Call`, or `CallOutcomeUnknown`;
                and with its `DialTarget`, as passed or made from the arguments. Called in a thread
                of its own; closing the session waits one second for it. What it raises is logged.
            on_event: called with each event of `exotel_async.events` that the session reports, in
                the thread of the event loop: it must not block. What it raises is logged. A
                `Telemetry` of `exotel_async.otel` can be passed.

        Raises:
            ConfigurationError: an argument is missing or invalid.
        """
        self._open(
            account_sid=account_sid,
            api_key=api_key,
            api_token=api_token,
            region=region,
            base_url=base_url,
            allow_http=allow_http,
            rate_limit=rate_limit,
            exophone_rate_limit=exophone_rate_limit,
            retry=retry,
            timeout=timeout,
            max_in_flight=max_in_flight,
            http_client=http_client,
            time_zone=time_zone,
            coalesce=coalesce,
            on_orphaned_call=run_in_thread(on_orphaned_call),
            on_event=on_event,
        )

    def with_options(
        self,
        **options: Unpack[RequestOptions],
    ) -> Self:
        """Return a view of this session with other defaults for requests.

        It is the same session: closing either closes both.

        Args:
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: a time is negative, or the priority is not a `Priority`.
        """
        return self._view(options)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        category: str = "voice",
        **options: Unpack[RequestOptions],
    ) -> RawResponse:
        """Send a request to an endpoint of the API that this SDK has no method for.

        Like every request, it respects the rate limit, and its errors and log lines are masked. A
        GET is retried. Any other method is sent again only if it is certain that Exotel did not act
        on it: nothing was written, or the response was a 429. ``Calls/connect`` is refused: use
        `calls` to dial.

        Args:
            method: GET, POST, PUT or DELETE.
            path: the path below ``/v1/Accounts/{account_sid}/``, such as ``"Balance.json"``:
                without ``.json`` most endpoints respond in XML. Encode values in it with
                `urllib.parse.quote`.
            params: the query: names and values.
            form: the form of a POST or PUT, sent urlencoded: names and values.
            category: the part of the API: ``"voice"``, or ``"exophones"``, whose paths are below
                ``/v2_beta/Accounts/{account_sid}/`` and count in the budget of `exophones`.
            **options: see `RequestOptions`.

        Returns:
            The response as it came, if its status is 2xx.

        Raises:
            InvalidRequest: it is a dial, the path leads out of the account, or an argument is
                malformed; nothing was sent.
            RequestOutcomeUnknown: it is not a GET, and it is unknown whether Exotel acted on it.
            APIError: Exotel refused, by HTTP status.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        return run_in_loop(
            lambda: self._session.in_loop().request(
                method,
                path,
                params=params,
                form=form,
                category=category,
                **options,
            )
        )

    @property
    def limiter(self) -> Limiter:
        """The account's rate limiter; `limiter.statistics()` returns its current state.

        Requests about ExoPhones have another: `exophones.limiter`.

        Raises:
            ConfigurationError: the session is closed.
        """
        return Limiter(self._session, lambda exotel: exotel.limiter)

    def close(
        self,
        grace: float = 1.5,
    ) -> None:
        """Close the session.

        Waiting requests fail with `ConfigurationError`. Requests in flight have `grace` seconds to
        finish; a dial that is cut off after that is reported as `CallOutcomeUnknown`.

        Raises:
            ConfigurationError: `grace` is not between 0 seconds and a year; nothing is closed.
        """
        self._session.close(grace)

    def _use(self, session: Session) -> None:
        self._session = session
        self.calls = Calls(session, lambda exotel: exotel.calls)
        self.numbers = Numbers(session, lambda exotel: exotel.numbers)
        self.account = Account(session, lambda exotel: exotel.account)
        self.exophones = ExoPhones(session, lambda exotel: exotel.exophones)


class Calls(Resource["AsyncCalls"]):
    """Calls of the account: `exotel.calls`."""

    def connect(
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
        return self._await_in_loop(
            lambda held: held.connect(
                from_,
                to,
                caller_id=caller_id,
                wait_url=wait_url,
                start_playback_to=start_playback_to,
                start_playback_url=start_playback_url,
                priority=priority,
                max_wait=max_wait,
                timeout=timeout,
                **options,
            )
        )

    def connect_to_flow(
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
        return self._await_in_loop(
            lambda held: held.connect_to_flow(
                from_,
                flow=flow,
                caller_id=caller_id,
                priority=priority,
                max_wait=max_wait,
                timeout=timeout,
                **options,
            )
        )

    def connect_to_stream(
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
        return self._await_in_loop(
            lambda held: held.connect_to_stream(
                from_,
                stream_url=stream_url,
                caller_id=caller_id,
                stream_name=stream_name,
                sample_rate=sample_rate,
                priority=priority,
                max_wait=max_wait,
                timeout=timeout,
                **options,
            )
        )

    def connect_many(
        self,
        targets: Iterable[DialTarget | str],
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

        Use it as ``with exotel.calls.connect_many(numbers, flow=926, caller_id=...) as outcomes``
        and ``for outcome in outcomes``: one `DialOutcome` for each target, in the order the
        responses arrive. An outcome says whether Exotel accepted the order, not how the call ended:
        for that, read `outcomes.ended()`. `outcomes.stop()` stops it gracefully.

        It is not durable: after a crash, nothing records which targets were dialled.

        Args:
            targets: numbers rung first, or `DialTarget` with more. Any iterable, read lazily: at
                most one target waits for room for its call.
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
        feed = SourceReader(targets, ahead=1)
        progress = Progress(on_progress)
        return Dials(
            self._session,
            lambda: self._in_loop().connect_many(
                feed.source,
                to=to,
                flow=flow,
                caller_id=caller_id,
                max_live=max_live,
                interval=interval,
                priority=priority,
                max_wait=max_wait,
                timeout=timeout,
                on_progress=progress.listener,
                **options,
            ),
            feed,
            progress,
        )

    def reconcile(
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
        and process got in response to a dial are excluded. A call is listed only when it is over,
        so this may take as long as the call may last; a status callback with the same custom field,
        passed to `notify`, ends the search early.

        A call is found for one dial only. If it matches another lost dial of this account and
        process equally well, because the parties and the minutes are the same, it is found for
        neither, unless something distinguishes the two: a custom field, a SID in a late or damaged
        response, or that the call of the other dial is found or certainly does not exist. The same
        error, copied or pickled, gives the same call again.

        Dials of other processes are not known here: reconcile all lost dials in one process. Give
        each dial a unique custom field, which distinguishes it from theirs if the records show
        custom fields; if they do not, several matching calls are all returned as candidates, but a
        single one is taken for the call of this dial.

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
        return self._await_in_loop(
            lambda held: held.reconcile(
                error,
                timeout=timeout,
                interval=interval,
                priority=priority,
            )
        )

    def notify(
        self,
        event: Any,
    ) -> bool:
        """Report a call's status, as received in a callback: a `wait` for its end returns at once.

        Args:
            event: a `Call`, or any object with `sid` and `status`, and optionally `custom_field`,
                `from_` and `to`. If it has a method `to_call()` that returns a `Call`, that is
                used.

        Returns:
            Whether this completed any wait.

        Raises:
            InvalidRequest: the event has no SID or no status.
            ConfigurationError: the session is closed.
        """
        return self._call_in_loop(lambda held: held.notify(event))

    def get(
        self,
        sid: str,
        *,
        details: bool = False,
        recording_url_validity: timedelta | None = None,
        coalesce: bool | None = None,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Call:
        """Read one call.

        Exotel fills in `ended_at`, `duration` and `price` about two minutes after the call is over,
        and with them the second party and the talk time in `details`.

        Gets that are made at the same time, or have to wait for the budget, share requests of up to
        a hundred calls each; the result is the same as that of single requests. No get is answered
        by a request that was sent before it was made.

        Args:
            sid: the call's SID.
            details: whether to read its legs and talk time as well.
            recording_url_validity: how long the pre-signed recording link stays valid: 5 to 60
                whole minutes.
            coalesce: whether it may share a request; None: the session's setting.
            extra: parameters this SDK does not know; with them, no request is shared.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            NotFound: no such call, or the account is in the other region.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        return self._await_in_loop(
            lambda held: held.get(
                sid,
                details=details,
                recording_url_validity=recording_url_validity,
                coalesce=coalesce,
                extra=extra,
                **options,
            )
        )

    def list(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        resume: str | None = None,
        concurrency: int = 1,
        priority: Priority = Priority.BULK,
        max_wait: float | None = None,
        timeout: float | None = None,
        **filters: Unpack[CallFilters],
    ) -> CallRecords:
        """List the calls of a time range. Calls in progress are not included.

        Uses `GET Calls`. Read the result with ``for``; see `CallRecords`. Nothing is sent before
        that.

        Args:
            since: calls created in this second or later. Aware, any zone; not older than six
                months. None: 30 days before `until`.
            until: calls created in this second or before. None, or a time in the future: all until
                now, which is fixed when reading begins.
            limit: calls at most.
            resume: the `resume_token` of a list with the same filters and order: continue after
                it. The time range is the token's, whatever `since` and `until` are: only `changes`
                gives calls that are newer than that list. For that reason, the token of a list
                until now that was read to its end is refused.
            concurrency: slices of the range read in parallel, 1 to 16, still in order. Useful if
                round trips are so long that reading page after page does not use up the budget; it
                costs about a tenth more requests.
            priority: which request goes first when several wait.
            max_wait: seconds each request may wait for the budget.
            timeout: seconds each request may take in all.
            **filters: which calls, and in which order and form: see `CallFilters`.

        Raises:
            InvalidRequest: an argument Exotel would refuse.
        """
        return CallRecords(
            self._session,
            lambda: self._in_loop().list(
                since=since,
                until=until,
                limit=limit,
                resume=resume,
                concurrency=concurrency,
                priority=priority,
                max_wait=max_wait,
                timeout=timeout,
                **filters,
            ),
        )

    def changes(
        self,
        *,
        since: datetime | str | None = None,
        allow_gap: bool = False,
        priority: Priority = Priority.BULK,
        max_wait: float | None = None,
        timeout: float | None = None,
        **filters: Unpack[RecordFilters],
    ) -> CallChanges:
        """Read the calls that are new or have changed since the last reading.

        Use it as ``for call in changes``, and save `changes.token` for the next reading, a minute
        or several days later. Each call is yielded when it is new, and again each time its record
        has changed: its end, duration, price and recording come late. Calls in progress are not
        included.

        Uses `GET Calls`, whose only time filter is the time of creation: each reading
        also re-reads the calls created in the 4 hours and 15 minutes before the previous one, which
        is the longest that a call may last and its price may take. Later changes are not noticed.

        Args:
            since: the `token` of the last reading; or, the first time, a datetime: calls created in
                this second or later. Aware, any zone; not older than six months. None: 30 days ago.
            allow_gap: whether to continue if the last reading was so long ago that Exotel, which
                keeps calls for six months, no longer has some of them; `changes.gap` says which.
                Otherwise that is an error: nothing is skipped silently.
            priority: which request goes first when several wait.
            max_wait: seconds each request may wait for the budget.
            timeout: seconds each request may take in all.
            **filters: which calls: see `RecordFilters`.

        Raises:
            InvalidRequest: an argument Exotel would refuse, or a token for other calls.
        """
        return CallChanges(
            self._session,
            lambda: self._in_loop().changes(
                since=since,
                allow_gap=allow_gap,
                priority=priority,
                max_wait=max_wait,
                timeout=timeout,
                **filters,
            ),
        )

    def get_many(
        self,
        sids: Iterable[str],
        *,
        details: bool = False,
        recording_url_validity: timedelta | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        concurrency: int = 8,
        batch_size: int = MAX_SIDS,
        on_progress: Callable[[FetchStatistics], object] | None = None,
        **options: Unpack[RequestOptions],
    ) -> CallResults:
        """Read many calls by their SIDs, up to a hundred with each request.

        Use it as ``with exotel.calls.get_many(sids) as results`` and ``for result in results``: one
        `CallResult` for each SID, in the order the responses arrive. A SID that cannot be read does
        not affect the others.

        Uses the `Sid` filter of `GET Calls`. What that leaves out (calls in progress, calls
        older than 31 days, SIDs that do not exist) is read singly.

        Args:
            sids: any iterable, read lazily.
            details: whether to read legs and talk time as well.
            recording_url_validity: how long recording links stay valid: 5 to 60 whole minutes.
            since: when the oldest of the calls was created, if they are older than 31 days: they
                are then searched for month by month. Aware; not older than six months.
            until: when the newest of them was created.
            concurrency: requests in flight at a time, 1 to 64.
            batch_size: SIDs in one request, 1 to 100.
            on_progress: called with `statistics()` each time results are taken from the stream.
            **options: see `RequestOptions`; the default priority is `Priority.BULK`.

        Raises:
            InvalidRequest: an argument Exotel would refuse.
        """
        feed = SourceReader(sids, ahead=100)
        progress = Progress(on_progress)
        return CallResults(
            self._session,
            lambda: self._in_loop().get_many(
                feed.source,
                details=details,
                recording_url_validity=recording_url_validity,
                since=since,
                until=until,
                concurrency=concurrency,
                batch_size=batch_size,
                on_progress=progress.listener,
                **options,
            ),
            feed,
            progress,
        )

    def download_recording(
        self,
        call: Call | str,
        path: str | os.PathLike[str],
        *,
        max_size: int | None = LARGEST,
        idle_timeout: float | None = None,
    ) -> Path:
        """Download the recording of a call.

        Only reading a call that is given by its SID is a request to the API and counts in its rate
        limit. The pre-signed link is tried first, without credentials; if that is refused, the
        plain link, with HTTP Basic if it leads to Exotel. The recording is written to a file of its
        own next to `path`, whose name ends in `.part`, and renamed when it is complete. Otherwise
        `path` stays as it is, and the `.part` file is removed, unless the process is killed. Of
        several downloads to one path, the last to finish remains. Only the owner may read the file
        (mode 0600). Four downloads run at a time.

        A link or a redirect to a loopback, link-local, private or reserved address is followed only
        to the session's own host, or if that host has such an address itself, as an emulator does.
        Names are resolved for this check. They are not checked again when the connection is made, a
        moment later; a name that this computer cannot resolve is left to the proxy, if there is
        one.

        Args:
            call: the call, read recently: pre-signed links are valid for minutes, and a recording
                comes up to fifteen minutes after the end. Or its SID: it is read first. Or the link
                to a recording, as Exotel sent it to you.
            path: where to write it. An existing regular file is replaced.
            max_size: bytes it may have, 1 GiB by default. None: no limit.
            idle_timeout: seconds of waiting in which at least as many KiB must arrive, or the
                attempt ends: 30 KiB in 30 s. None: the seconds of `Timeouts.read`, 30 by default. A
                recording that comes faster may take any time.

        Returns:
            The path.

        Raises:
            InvalidRequest: `call` or `path` is invalid, a link is not http(s) or leads to a private
                address, or a limit is not above 0.
            NotFound: there is no such call; or the link that was given instead of a call leads to
                nothing, or to nothing yet.
            RecordingNotReady: it may still come: the call is in progress, or ended less than 15
                minutes ago.
            NoRecording: there is none, and none will come: the call ended longer ago than that, or
                no one answered.
            APIError: it was refused, redirected to a forbidden address, or could not be fetched
                after all retries.
            RequestTimeout: the connection was lost, stalled, or was too slow, each time.
            ConnectionFailed: its host was not reached.
            DecodeError: the response is a page of text, is compressed although that was not
                requested, or is larger than `max_size`.
            OSError: it could not be written. IsADirectoryError, FileExistsError: `path` exists and
                is not a regular file.
        """
        return self._await_in_loop(
            lambda held: held.download_recording(
                call,
                path,
                max_size=max_size,
                idle_timeout=idle_timeout,
            )
        )

    def open_recording(
        self,
        call: Call | str,
        *,
        max_size: int | None = LARGEST,
        idle_timeout: float | None = None,
    ) -> Recording:
        """Open the recording of a call, to stream it.

        Use it as ``with exotel.calls.open_recording(call) as recording`` and ``for chunk in
        recording``; `recording.content_type` and `recording.size` are what its host states. It is
        fetched as by `download_recording`, from the same links and under the same rules. It is
        retried until the first bytes have arrived; if it breaks off later, open it again. It counts
        as one of the four downloads that run at a time until its block is left, however slowly it
        is read.

        Args:
            call: the call, its SID, or the link to a recording: see `download_recording`.
            max_size: bytes it may have, 1 GiB by default. None: no limit.
            idle_timeout: seconds of waiting in which at least as many KiB must arrive. None: the
                seconds of `Timeouts.read`, 30 by default. Time that the program takes does not
                count.

        Raises:
            InvalidRequest: as `download_recording`, for the arguments. Its other errors are raised
                when the block is entered, or by the ``for``.
        """
        return Recording(
            self._session,
            lambda: self._in_loop().open_recording(
                call,
                max_size=max_size,
                idle_timeout=idle_timeout,
            ),
        )

    @overload
    def wait(  # type: ignore[overload-overlap]  # a str is meant as one SID
        self,
        sid: str,
        *,
        timeout: float | None = None,
        settled: bool = False,
        details: bool = False,
        interval: float = FIRST_POLL,
        priority: Priority | None = None,
    ) -> Call: ...

    @overload
    def wait(
        self,
        sid: Iterable[str],
        *,
        timeout: float | None = None,
        settled: bool = False,
        details: bool = False,
        interval: float = FIRST_POLL,
        priority: Priority | None = None,
    ) -> Sequence[CallResult]: ...

    def wait(
        self,
        sid: str | Iterable[str],
        *,
        timeout: float | None = None,
        settled: bool = False,
        details: bool = False,
        interval: float = FIRST_POLL,
        priority: Priority | None = None,
    ) -> Call | Sequence[CallResult]:
        """Wait until a call, or each of several, is over.

        All waits of a session share one poll: a hundred calls cost one request per round, and none
        if `notify` reports their ends first.

        Args:
            sid: the call's SID; or several, which gives a `CallResult` for each, in their order.
            timeout: seconds to wait at most; None: as long as it takes.
            settled: wait for the record's duration, price and end time as well, which takes about
                two minutes from the end; after fifteen minutes they are no longer waited for.
            details: wait for legs and talk time as well, and read them. They come with the end
                time, unless the first party was not reached.
            interval: seconds until the first poll; half of `timeout` if that is less. It grows up
                to twelve times as long.
            priority: which request goes first when several wait.

        Raises:
            InvalidRequest: an invalid argument; nothing was sent.
            NotFound: there is no such call, or no longer.
            RequestTimeout: the call was not over within `timeout`.
            ExotelError: any other error except `CallOutcomeUnknown`, if it persists.
        """
        sid = sid if isinstance(sid, str) else list(sid)
        return self._await_in_loop(
            lambda held: held.wait(
                sid,
                timeout=timeout,
                settled=settled,
                details=details,
                interval=interval,
                priority=priority,
            )
        )

    def as_completed(
        self,
        sids: Iterable[str],
        *,
        timeout: float | None = None,
        settled: bool = False,
        details: bool = False,
        interval: float = FIRST_POLL,
        priority: Priority | None = None,
    ) -> EndedCalls:
        """Stream many calls, each when it is over.

        Use it as ``with exotel.calls.as_completed(sids) as results`` and ``for result in results``:
        one `CallResult` for each SID, in the order the calls end. It is `wait` as a stream, with
        the same poll: calls that this session did not dial are first read a hundred at a time.

        Args:
            sids: any iterable. It is read as fast as it yields, but paused while 10,000 SIDs are
                waited for or not yet taken from the stream.
            timeout: seconds to wait for each call, counted from when its SID was read; then its
                result has a `RequestTimeout`. None: as long as it takes.
            settled: as for `wait`.
            details: as for `wait`.
            interval: seconds until the first poll; half of `timeout` if that is less. It grows up
                to twelve times as long.
            priority: which request goes first when several wait.

        Raises:
            InvalidRequest: an invalid argument. A problem with one SID is in its result.
        """
        feed = SourceReader(sids, ahead=100)
        return EndedCalls(
            self._session,
            lambda: self._in_loop().as_completed(
                feed.source,
                timeout=timeout,
                settled=settled,
                details=details,
                interval=interval,
                priority=priority,
            ),
            feed,
        )


class Numbers(Resource["AsyncNumbers"]):
    """Phone numbers: `exotel.numbers`."""

    def lookup(
        self,
        number: str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> NumberMetadata:
        """Look up circle, operator, type and DND state of an Indian phone number.

        Uses `GET Numbers/{number}`. Its response for other countries is not documented.

        Args:
            number: the number; separators are removed.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it is not a phone number; nothing was sent.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        return self._await_in_loop(
            lambda held: held.lookup(
                number,
                extra=extra,
                **options,
            )
        )

    def whitelist(
        self,
        numbers: str | Iterable[str],
        *,
        exophone: str,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Add numbers to the whitelist: numbers on the DND register that the account may call.

        Uses `POST CustomerWhitelist`. Exotel sends an SMS to each of the numbers, which says
        how to unsubscribe. So, like a dial, the request is sent again only if Exotel certainly did
        not act on it. An entry is valid for six months. The account needs an agreement with Exotel
        for this.

        Args:
            numbers: a number, or several, which are sent in one request, without duplicates. How
                many Exotel accepts at a time is not documented; programs were seen to send a
                thousand.
            exophone: the ExoPhone that the SMS come from.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: no number was given, or one is not a phone number; nothing was sent.
            RequestOutcomeUnknown: it is not known whether they were added: read `whitelist_status`.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        numbers = numbers if isinstance(numbers, str) else list(numbers)
        self._await_in_loop(
            lambda held: held.whitelist(
                numbers,
                exophone=exophone,
                extra=extra,
                **options,
            )
        )

    def whitelist_status(
        self,
        number: str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> WhitelistEntry:
        """Read the status of a number on the account's whitelist.

        Uses `GET CustomerWhitelist/{number}`. Numbers that have called in are on it without
        being added, and so are those of the account's users.

        Args:
            number: the number; separators are removed.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it is not a phone number; nothing was sent.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        return self._await_in_loop(
            lambda held: held.whitelist_status(
                number,
                extra=extra,
                **options,
            )
        )


class Account(Resource["AsyncAccount"]):
    """The account itself: `exotel.account`."""

    def balance(
        self,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Balance:
        """Read the account's balance. Uses `GET Balance`.

        Args:
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            ExotelError: any error of this package except `CallOutcomeUnknown`.
        """
        return self._await_in_loop(lambda held: held.balance(extra=extra, **options))


class ExoPhones(Resource["AsyncExoPhones"]):
    """The account's own numbers: `exotel.exophones`. They have a budget of their own."""

    @property
    def limiter(self) -> Limiter:
        """The rate limiter of these requests, which is not that of calls.

        Raises:
            ConfigurationError: the session is closed.
        """
        return Limiter(self._session, lambda exotel: self._part(exotel).limiter)

    def list(
        self,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ExoPhoneList:
        """List the account's ExoPhones.

        Uses `GET IncomingPhoneNumbers`. Read the result with ``for``; see `ExoPhoneList`. Nothing
        is sent before that.

        Args:
            extra: parameters this SDK does not know, sent with each page.
            **options: see `RequestOptions`; they apply to each request.

        Raises:
            InvalidRequest: an argument Exotel would refuse.
        """
        return ExoPhoneList(
            self._session,
            lambda: self._in_loop().list(extra=extra, **options),
        )

    def get(
        self,
        sid: str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ExoPhone:
        """Read one ExoPhone. Uses `GET IncomingPhoneNumbers/{sid}`.

        Args:
            sid: its SID, as `list` gives it.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it cannot be a SID; nothing was sent.
            NotFound: there is no such ExoPhone, or the account is in the other region.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        return self._await_in_loop(
            lambda held: held.get(
                sid,
                extra=extra,
                **options,
            )
        )

    def assign_flow(
        self,
        sid: str,
        flow: int | str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ExoPhone:
        """Connect the incoming calls of an ExoPhone to a flow.

        Uses `PUT IncomingPhoneNumbers/{sid}`, which is retried: setting a flow is idempotent.

        Args:
            sid: the ExoPhone's SID, as `list` gives it.
            flow: the flow's id (its app id in the dashboard), or its full URL.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            NotFound: there is no such ExoPhone, or the account is in the other region.
            RequestTimeout: no response came: the flow may have been assigned, or may still be.
            DecodeError: the flow was assigned, but the response cannot be read.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        return self._await_in_loop(
            lambda held: held.assign_flow(
                sid,
                flow,
                extra=extra,
                **options,
            )
        )

    def rename(
        self,
        sid: str,
        name: str,
        *,
        extra: Mapping[str, str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> ExoPhone:
        """Rename an ExoPhone. Uses `PUT IncomingPhoneNumbers/{sid}`.

        Args:
            sid: the ExoPhone's SID, as `list` gives it.
            name: its new friendly name.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            As `assign_flow`.
        """
        return self._await_in_loop(
            lambda held: held.rename(
                sid,
                name,
                extra=extra,
                **options,
            )
        )


class CallRecords(ClosableList["AsyncCallRecords"]):
    """A list of calls: `exotel.calls.list(...)`. Nothing is sent until it is read.

    ``for call in records`` reads it to its end, `pages` does so page by page, and `first_page`
    reads only the first page. Each of them starts from the beginning; the first one fixes the end
    of the range. To stop, leave the loop. If a step of an iterator fails or is cancelled, the next
    step tries again. A list with `concurrency` reads ahead; use ``with
    contextlib.closing(records)`` to make sure that this has stopped when the block is left.
    """

    def __iter__(self) -> Iterator[Call]:
        return self._iterate(aiter)

    def first_page(self) -> CallPage:
        """Read the first page alone; one without calls where there is none.

        Raises:
            ExotelError: it could not be had.
        """

        async def first(held: AsyncCallRecords) -> CallPage:
            return await held

        return self._await_in_loop(first)

    def pages(self) -> Generator[CallPage, None, None]:
        """Read the list page by page. A page's `total` is that of its window of at most 30 days.

        Raises:
            ExotelError: a page could not be read; `resume_token` says where to continue.
        """
        return self._iterate(lambda held: held.pages())

    @property
    def resume_token(self) -> str | None:
        """A token to continue after the last call that was yielded, for `calls.list(resume=...)`.

        A short opaque string that another process may use, too, with the same account, filters and
        order. It contains the time range, so it never yields calls that are newer than this list:
        use `calls.changes` for those. None before anything was read.
        """
        return self._call_in_loop(lambda held: held.resume_token)

    def close(self) -> None:
        """Stop all reading ahead. Reading on after this raises a ConfigurationError."""
        self._await_in_loop(lambda held: held.aclose())


class CallChanges(LoopObject["AsyncCallChanges"]):
    """New and changed calls: `exotel.calls.changes(...)`. Nothing is sent until it is read.

    ``for call in changes`` reads all that there are, in the order of creation, and ends; `pages`
    does so page by page. Read again, it yields what is new or has changed since. With `token`
    another process can continue.
    """

    def __iter__(self) -> Iterator[Call]:
        return self._iterate(aiter)

    def pages(self) -> Generator[CallPage, None, None]:
        """Read the same, page by page. `CallPage.total` is None: Exotel counts other calls, too.

        Raises:
            InvalidRequest: Exotel no longer has all of the calls: see `gap`.
            ExotelError: a page could not be read; continue with the next step, by reading again, or
                with `token`.
        """
        return self._iterate(lambda held: held.pages())

    @property
    def token(self) -> str | None:
        """A token of what was yielded until now, for `calls.changes(since=...)`.

        It is valid at any time, also in the middle of reading: the call that was yielded last
        counts as handled.

        An opaque string that another process may use, too, with the same account, filters and
        `details`. Its length is about 11 characters for each call created in the last four and a
        quarter hours: usually some kilobytes, half a megabyte at 200 calls a minute; and for a
        moment, in the middle of reading, twice as much. None if no `since` was given and nothing
        was read yet.
        """
        return self._call_in_loop(lambda held: held.token)

    @property
    def gap(self) -> tuple[datetime, datetime] | None:
        """The first and last second of creation of calls that may be missing; None: none are.

        Exotel no longer has them, because they are over six months old. Known when reading begins.
        """
        return self._call_in_loop(lambda held: held.gap)


class ExoPhoneList(LoopObject["AsyncExoPhoneList"]):
    """The account's ExoPhones: `exotel.exophones.list()`. Nothing is sent until it is read.

    ``for exophone in exophones`` reads them all, `pages` does so page by page. Each of them starts
    from the beginning.
    """

    def __iter__(self) -> Iterator[ExoPhone]:
        return self._iterate(aiter)

    def pages(self) -> Generator[ExoPhonePage, None, None]:
        """Read page by page. An ExoPhone that was on an earlier page is left out.

        Raises:
            ExotelError: a page could not be read. The next step tries again.
        """
        return self._iterate(lambda held: held.pages())


class Recording(SyncStream["AsyncRecording", "bytes"]):
    """An open recording: read it with ``for``, in its block.

    It is requested when the block is entered, and open when the first bytes have arrived. Nothing
    is read ahead except what the connection buffers, and leaving the block ends it.
    """

    @property
    def content_type(self) -> str | None:
        """The content type that the host states, such as `audio/mpeg`; None if it states none."""
        return self._call_in_loop(lambda held: held.content_type)

    @property
    def size(self) -> int | None:
        """Its size in bytes; None if the host does not state it. `max_size` applies regardless."""
        return self._call_in_loop(lambda held: held.size)


class CallResults(SyncResultStream["AsyncCallResults", "CallResult"]):
    """A stream of `CallResult`, one for each SID, in the order the responses arrive.

    Use it as ``with exotel.calls.get_many(sids) as results: for result in results``: leaving the
    block ends what is in progress.
    """

    def statistics(self) -> FetchStatistics:
        """Return the progress so far; results count when they are taken from the stream."""
        return self._call_in_loop(lambda held: held.statistics())


class EndedCalls(SyncResultStream["AsyncEndedCalls", "CallResult"]):
    """A stream of `CallResult`, one for each SID, in the order the calls end.

    Use it as ``with exotel.calls.as_completed(sids) as results: for result in results``: leaving
    the block ends the waiting.
    """


class Dials(SyncResultStream["AsyncDials", "DialOutcome"]):
    """A stream of `DialOutcome`, one for each target, in the order the responses arrive.

    Use it as ``with exotel.calls.connect_many(...) as outcomes: for outcome in outcomes``. Leaving
    the block stops the dialling; the outcomes of dials in flight are reported to the session's
    `on_orphaned_call`, and so is every call whose outcome was not taken from the stream, each with
    its `DialTarget`. No state survives the process.
    """

    @property
    def live(self) -> int:
        """Legs that are, or may be, in progress."""
        return self._call_in_loop(lambda held: held.live)

    def statistics(self) -> DialStatistics:
        """Return the progress so far; outcomes count when they are taken from the stream."""
        return self._call_in_loop(lambda held: held.statistics())

    def stop(self) -> None:
        """Take no more targets. Dials in flight, or waiting for the budget, still get an outcome.

        Then the stream ends. A target that was taken already, but waits for room, is not dialled:
        its outcome has the error `NotDialled`. Calls in progress are not hung up, and `ended()`
        continues until they are over. It may be called in any thread, and by a signal handler;
        calling it again does nothing.
        """
        self._call_in_loop(lambda held: held.stop())

    def ended(self) -> Iterator[Call]:
        """Return a stream of the calls, each once, when it is over; with its `target`.

        It learns of ends from the poll of `wait`, as `max_live` does, and from `notify`; it makes
        no other requests. The call of a dial whose outcome is unknown is searched for, and included
        if it is found. A call that is not found, or that Exotel no longer knows, is left out.

        Call this at the start of the block: without a reader, ends are not kept. It ends when
        nothing more will be dialled and no call is in progress. Dialling waits for the outcomes to
        be read: read them in another thread, or before. It is for one reader; every call of this
        method returns the same stream.

        Raises:
            RuntimeError: a call was placed before this was called. While reading: the block was
                left before all calls were over.
            ConfigurationError: while reading: the session was closed.
        """
        return self._iterate(lambda held: held.ended())
