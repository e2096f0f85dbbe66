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
from exotel_async.wire.call_query import MOST_SIDS

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

    Make one for the life of the program and close it at the end, best with ``with``; making it
    costs nothing and sends nothing. All `Exotel` sessions of an account in a process, and no
    others, share the account's budget, in all threads.

    Attributes:
        calls: dial, and read calls.
        numbers: look up phone numbers.
        account: the account itself.
        exophones: the account's ExoPhones, and the flows of the calls that come in at them.
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
        """Describe the session.

        Args:
            account_sid: the account; else ``EXOTEL_ACCOUNT_SID``.
            api_key: the API key; else ``EXOTEL_API_KEY``.
            api_token: the API token; else ``EXOTEL_API_TOKEN``.
            region: where the account lives: a `Region`, or ``"mumbai"`` or ``"singapore"``, or its
                host; else the host in ``EXOTEL_SUBDOMAIN``, else Singapore.
            base_url: any other address, such as a local emulator: ``http(s)://host[:port]``. The
                path that Exotel documents, ``/v1/Accounts/...``, may stand behind it.
            allow_http: whether an address may begin with ``http://`` that is not this computer's.
                The API token is then sent unencrypted.
            rate_limit: the account's budget, or a limiter; 200 requests a minute by default. A
                number is requests a minute. A budget is shared with other processes through the
                server in ``EXOTEL_RATE_LIMIT_URL``, if that is set; a limiter is taken as it is.
            exophone_rate_limit: the same for `exophones`, which have a budget of their own: 50
                requests a minute by default.
            retry: how often a request is sent again where that is safe. A number is how often
                after the first time; 0 or False: never, not even after a 429.
            timeout: bounds on one exchange with the service. A number is the seconds each step may
                take (to connect, to write, to read), and three times as many the exchange.
            max_in_flight: requests that may be in flight at once; below the size of the pool of
                connections.
            http_client: an `httpx.AsyncClient` or `httpx2.AsyncClient` to use instead of an own
                one. It is not closed with the session. Cookies are neither kept nor sent in either.
                Give it a `keepalive_expiry` of a second or so: a dial that meets a connection the
                service has dropped is lost. ``"httpx"`` or ``"httpx2"``: an own client of that
                library; else the one in ``EXOTEL_HTTP``, else httpx.
            time_zone: the clock Exotel writes times by; Indian by default.
            coalesce: whether calls that are read at the same time may share a request.
            on_orphaned_call: called as ``on_orphaned_call(ended, target)`` with the end of a dial
                whose caller was interrupted or timed out: the `Call`, or `CallOutcomeUnknown`; and
                with the `DialTarget` it was passed, or that is made of what it was passed. Called
                in a thread of its own, for which closing waits a second. What it raises is logged.
            on_event: called with each event of `exotel_async.events` that the session reports, in
                the thread of the event loop: it must not block. What it raises is logged. The
                `Telemetry` of `exotel_async.otel` is such a function.

        Raises:
            ConfigurationError: something is missing, or does not fit.
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
        """Return a view of this session whose calls have other defaults.

        It is the same session: closing either closes both.

        Args:
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: a time is negative, or the priority is none.
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

        It keeps to the rate limit, and its errors and log lines are masked, as those of every
        request. A GET is retried. Any other method is sent again only if it is certain that Exotel
        did not act on it: nothing was written, or the answer was a 429. ``Calls/connect`` is
        refused: `calls` dials.

        Args:
            method: GET, POST, PUT or DELETE.
            path: the path below ``/v1/Accounts/{account_sid}/``, as ``"Balance.json"``: without
                ``.json`` most endpoints answer in XML. Encode values in it with
                `urllib.parse.quote`.
            params: the query: names and values.
            form: the form of a POST or PUT, sent urlencoded: names and values.
            category: the part of the API: ``"voice"``, or ``"exophones"``, whose paths are below
                ``/v2_beta/Accounts/{account_sid}/`` and count in the budget of `exophones`.
            **options: see `RequestOptions`.

        Returns:
            The answer, if its status is 2xx, as it came.

        Raises:
            InvalidRequest: it is a dial, the path leads out of the account, or an argument is
                malformed; nothing was sent.
            RequestOutcomeUnknown: it is no GET, and it is not known whether Exotel acted on it.
            APIError: Exotel refused, by HTTP status.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
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
        """The limiter of the account; `limiter.statistics()` says what it is doing.

        ExoPhones have another: `exophones.limiter`.

        Raises:
            ConfigurationError: the session is closed.
        """
        return Limiter(self._session, lambda exotel: exotel.limiter)

    def close(
        self,
        grace: float = 1.5,
    ) -> None:
        """Close the session.

        Requests that wait fail with `ConfigurationError`. What is in flight has `grace` seconds
        to end; a dial that is cut off after them is reported as `CallOutcomeUnknown`.

        Raises:
            ConfigurationError: `grace` is not from 0 seconds to a year; nothing is closed.
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
        return self._await(
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
        return self._await(
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
        return self._await(
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
        """Dial many, and stream what comes of each dial.

        Use it as ``with exotel.calls.connect_many(numbers, flow=926, caller_id=...) as outcomes``
        and ``for outcome in outcomes``: one `DialOutcome` for each target, in the order the answers
        come. An outcome says that Exotel took the order, not how the call ended: that is in
        `outcomes.ended()`. `outcomes.stop()` ends it in order.

        It is not durable: what was dialled when the process died is not known to the next one.

        Args:
            targets: numbers rung first, or `DialTarget` with more. Any iterable, read no further
                than it is needed: one target at most waits for room for its call.
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
        """Search for the call of a dial whose outcome is not known.

        It looks for the call among the call records of those minutes, by its numbers, its ExoPhone
        and, where the record shows it, its custom field. Calls that a session of this account and
        process was answered about are not meant. A call shows up there only when it is over, so
        that this may take as long as the call may last; a status callback with the same custom
        field, given to `notify`, ends it.

        A call is found for one dial only. One that looks as much like that of another lost dial of
        this account and process, because the parties are the same and so are the minutes, is found
        for neither, unless something distinguishes them: a custom field, an SID in an answer that
        came late or damaged, or that the other dial's call is found, or is certain not to be. The
        same error, copied or pickled, gives the same call again.

        What other processes dial is not known here: search for all lost dials in one process. Give
        each dial a custom field of its own, which tells it from theirs where the records show
        custom fields; where they do not, several calls that are alike are all named, but one that
        is alone is taken for this dial's.

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
        return self._await(
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
        """Report the status of a call, as a callback shows it: a `wait` for it ends at once.

        Args:
            event: a `Call`, or anything with `sid` and `status`, and perhaps `custom_field`,
                `from_` and `to`. What can make a `Call` of itself (`to_call()`) is asked to.

        Returns:
            Whether somebody's wait has ended with it.

        Raises:
            InvalidRequest: it has no SID or no status.
            ConfigurationError: the session is closed.
        """
        return self._ask(lambda held: held.notify(event))

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

        `ended_at`, `duration` and `price` are filled about two minutes after the call is over, and
        what `details` tell of the second party and of the talk time comes with them.

        Gets that are made at the same time, or have to wait for the budget, share their requests,
        up to a hundred calls each, with the result that a request for one would have given. None is
        answered by a request that left before it was made.

        Args:
            sid: the call's SID.
            details: whether to read its legs and talk time as well.
            recording_url_validity: how long the pre-signed recording link is to open: 5 to 60
                whole minutes.
            coalesce: whether it may share a request; None: as the session is set.
            extra: parameters this SDK does not know; with them, no request is shared.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            NotFound: no such call, or the account lives in the other region.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        return self._await(
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
        """List the calls of a range of time. Calls in progress are not among them.

        Rests on `GET Calls`. What is returned is read with ``for``; see `CallRecords`. It sends
        nothing before that.

        Args:
            since: when the calls were created: this second or later. Aware, any zone; not older
                than six months. None: 30 days before `until`.
            until: this second or before. None, or a time that has not come: all until now. It is
                fixed when reading begins.
            limit: calls at most.
            resume: the `resume_token` of a list with the same filters and order: continue after
                it. The range of time is the token's, whatever `since` and `until` are: calls that
                are newer than that list are given by `changes` alone. The token of a list until
                now that was read to its end is refused for that reason.
            concurrency: slices of the range read side by side, 1 to 16, still given out in order.
                Needed where round trips are so long that one page after the other does not use
                the budget; it costs about a tenth more requests.
            priority: which request goes first when several wait.
            max_wait: seconds each request may wait for the budget.
            timeout: seconds each request may take with everything.
            **filters: which calls, and how they are given out: see `CallFilters`.

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
        """Read which calls are new, or have changed, since they were read the last time.

        Use it as ``for call in changes``, and keep `changes.token` for the next time, which may be
        in a minute or after some nights were missed. Each call is given when it is new, and again,
        once, each time its record has changed: its end, duration, price and recording come late.
        Calls in progress are not among them.

        Rests on `GET Calls`, which takes times of creation alone: each time it reads again what was
        created in the 4 hours and 15 minutes before the last time, which is the longest a call may
        last and its price may take. What changes later than that is not noticed.

        Args:
            since: the `token` of the last time; or, the first time, when the calls were created:
                this second or later. Aware, any zone; not older than six months. None: 30 days ago.
            allow_gap: whether to read on if that was so long ago that Exotel, which keeps six
                months, has no more of some of the calls; `changes.gap` says which. Else it is an
                error: nothing is passed over in silence.
            priority: which request goes first when several wait.
            max_wait: seconds each request may wait for the budget.
            timeout: seconds each request may take with everything.
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
        batch_size: int = MOST_SIDS,
        on_progress: Callable[[FetchStatistics], object] | None = None,
        **options: Unpack[RequestOptions],
    ) -> CallResults:
        """Read many calls by their SIDs, up to a hundred with each request.

        Use it as ``with exotel.calls.get_many(sids) as results`` and ``for result in results``: one
        `CallResult` for each SID, in the order the answers come. A SID that cannot be read does not
        affect the others.

        Rests on the `Sid` filter of `GET Calls`. What that leaves out (calls in progress, calls
        older than 31 days, SIDs that do not exist) is asked for singly.

        Args:
            sids: any iterable, read no further than it is needed.
            details: whether to read legs and talk time as well.
            recording_url_validity: how long recording links are to open: 5 to 60 whole minutes.
            since: when the oldest of the calls was created, if they are older than 31 days: they
                are then looked for month by month. Aware; not older than six months.
            until: when the newest of them was created.
            concurrency: requests under way at a time, 1 to 64.
            batch_size: SIDs in one request, 1 to 100.
            on_progress: called with the statistics, each time some are taken out of the stream.
            **options: see `RequestOptions`; `Priority.BULK` if they do not say otherwise.

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

        Nothing but to read a call that is named by its SID is a request to the API and takes of its
        rate limit. The signed link comes first, without credentials; where that is refused, the
        plain one, with HTTP Basic if it leads to Exotel. It is written beside `path`, to a file of
        its own whose name ends in `.part`, and renamed when it is whole: else `path` stays as it
        is, and nothing of it stays, unless the process is killed. Of several downloads to one path
        the last to end is what stays. Only its owner may read the file (mode 0600). Four run at a
        time.

        A link or a redirect to a loopback, link-local, private or reserved address is followed only
        to the session's own host, or if that host has such an address itself, as an emulator does.
        Names are looked up for this. What a name leads to when the connection is made, a moment
        later, is not looked at again; a name that this computer does not know is left to the proxy,
        if there is one.

        Args:
            call: the call, read not long ago: signed links live for minutes, and a recording comes
                up to fifteen minutes after the end. Or its SID: it is read first. Or the link to a
                recording, as Exotel sent it to you.
            path: where to write it. A regular file that is there is replaced.
            max_size: bytes it may have, 1 GiB unless another number is given. None: no bound.
            idle_timeout: seconds of waiting in which a KiB must come for each of them, or the try
                ends: 30 KiB in 30 s. None: those of `Timeouts.read`, 30 by default. As long as a
                recording comes faster, there is no limit on the time it takes.

        Returns:
            The path.

        Raises:
            InvalidRequest: the call or the path is none, a link is none of http(s) or leads to a
                private address, or a bound is not above 0.
            NotFound: there is no such call; or nothing, or nothing yet, where the link leads that
                was given instead of a call.
            RecordingNotReady: it may come: the call is in progress, or ended less than 15 minutes
                ago.
            NoRecording: there is none, and none will come: it ended longer ago than that, or
                no one has answered.
            APIError: it was refused, redirected to where no link may lead, or could not be had
                after all retries.
            RequestTimeout: the connection was lost, or stalled, or was too slow, each time.
            ConnectionFailed: its host was not reached.
            DecodeError: what came is a page of text, is compressed, which was not asked for, or is
                larger than `max_size`.
            OSError: it could not be written. IsADirectoryError, FileExistsError: there is something
                at `path` that is no regular file.
        """
        return self._await(
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
        """Open the recording of a call, to pass it on as it comes.

        Use it as ``with exotel.calls.open_recording(call) as recording`` and ``for chunk in
        recording``; `recording.content_type` and `recording.size` are what its host says. It is
        fetched as `download_recording` does it, by the same links and under the same rules. Until
        its first bytes are there it is tried again; what breaks off later has to be opened anew. It
        is one of the four that run at a time until its block is left, however slowly it is read.

        Args:
            call: the call, its SID, or the link to a recording: see `download_recording`.
            max_size: bytes it may have, 1 GiB unless another number is given. None: no bound.
            idle_timeout: seconds of waiting in which a KiB must come for each of them. None: those
                of `Timeouts.read`, 30 by default. Time that the program takes does not count.

        Raises:
            InvalidRequest: as `download_recording`, for the arguments. What else that raises is
                raised when the block is entered, or by the ``for``.
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

        All that wait in a session share one poll: a hundred waiting calls cost one request in each
        round, and none if `notify` gets their ends first.

        Args:
            sid: the call's SID; or several, which gives a `CallResult` for each, in their order.
            timeout: seconds to wait at most; None: as long as it takes.
            settled: wait until length, price and end have come as well, which takes about two
                minutes from the end; what has not come within fifteen is not waited for.
            details: wait for legs and talk time as well, and read them. They come with the end,
                unless the first party was not reached.
            interval: seconds until the first poll; half of `timeout` if that is less. It grows to
                twelve times as much.
            priority: which request goes first when several wait.

        Raises:
            InvalidRequest: an argument that makes no sense; nothing was sent.
            NotFound: no such call (any more).
            RequestTimeout: it was not over within `timeout`.
            ExotelError: any other of the tree but `CallOutcomeUnknown`, if it persists.
        """
        sid = sid if isinstance(sid, str) else list(sid)
        return self._await(
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
        """Wait until each of many calls is over, and give each when it is.

        Use it as ``with exotel.calls.as_completed(sids) as results`` and ``for result in results``:
        one `CallResult` for each SID, in the order the calls end. It is `wait` as a stream, over
        the same poll: the calls of others are looked up a hundred at a time.

        Args:
            sids: any iterable. It is read as it comes, and no further while 10,000 are waited for
                or were not taken out of the stream yet.
            timeout: seconds to wait for each, from when its SID was read; then its result has a
                `RequestTimeout`. None: as long as it takes.
            settled: as for `wait`; as are `interval` and `priority`.
            details: as for `wait`.
            interval: seconds until the first poll; half of `timeout` if that is less. It grows to
                twelve times as much.
            priority: which request goes first when several wait.

        Raises:
            InvalidRequest: an argument that makes no sense. What is wrong with one SID is in its
                result.
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

        Rests on `GET Numbers/{number}`. What it answers for other countries is not documented.

        Args:
            number: the number; separators are taken out.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it is no phone number; nothing was sent.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        return self._await(
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
        """Add numbers to the whitelist: those on the DND register that the account may call.

        Rests on `POST CustomerWhitelist`. Exotel sends an SMS to each of the numbers, which says
        how to unsubscribe. So the request is sent again only if Exotel certainly did not act on it,
        like a dial. An entry holds for six months. The account needs an agreement with Exotel for
        it.

        Args:
            numbers: a number, or several: they are sent in one request, each once. How many Exotel
                takes at a time is not documented; programs were seen to send a thousand.
            exophone: the ExoPhone that the SMS come from.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: no number was given, or one is no phone number; nothing was sent.
            RequestOutcomeUnknown: it is not known whether they were added: read `whitelist_status`.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        numbers = numbers if isinstance(numbers, str) else list(numbers)
        self._await(
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
        """Read how a number stands on the account's whitelist.

        Rests on `GET CustomerWhitelist/{number}`. Numbers that have called in are on it without
        being added, and so are those of the account's users.

        Args:
            number: the number; separators are taken out.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it is no phone number; nothing was sent.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        return self._await(
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
        """Read what is left in the account. Rests on `GET Balance`.

        Args:
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            ExotelError: any of the tree but `CallOutcomeUnknown`.
        """
        return self._await(lambda held: held.balance(extra=extra, **options))


class ExoPhones(Resource["AsyncExoPhones"]):
    """The account's own numbers: `exotel.exophones`. They have a budget of their own."""

    @property
    def limiter(self) -> Limiter:
        """The limiter of these requests: not that of calls.

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

        Rests on `GET IncomingPhoneNumbers`. What is returned is read with ``for``; see
        `ExoPhoneList`. It sends nothing before that.

        Args:
            extra: parameters this SDK does not know, sent with each page.
            **options: see `RequestOptions`; they are those of each request.

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
        """Read one ExoPhone. Rests on `GET IncomingPhoneNumbers/{sid}`.

        Args:
            sid: its SID, as `list` gives it.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: it cannot be a SID; nothing was sent.
            NotFound: there is no such ExoPhone, or the account lives in the other region.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        return self._await(
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

        Rests on `PUT IncomingPhoneNumbers/{sid}`, which may be sent again: setting the same flow
        twice is setting it once.

        Args:
            sid: the ExoPhone's SID, as `list` gives it.
            flow: the flow's id (its app id in the dashboard), or the whole URL of one.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: an argument Exotel would refuse; nothing was sent.
            NotFound: there is no such ExoPhone, or the account lives in the other region.
            RequestTimeout: no answer came: it may be assigned, now or a little later.
            DecodeError: it is assigned, but the answer cannot be read.
            ExotelError: any other of the tree but `CallOutcomeUnknown`.
        """
        return self._await(
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
        """Give an ExoPhone another name. Rests on `PUT IncomingPhoneNumbers/{sid}`.

        Args:
            sid: the ExoPhone's SID, as `list` gives it.
            name: its friendly name from now on.
            extra: parameters this SDK does not know.
            **options: see `RequestOptions`.

        Raises:
            As `assign_flow`.
        """
        return self._await(
            lambda held: held.rename(
                sid,
                name,
                extra=extra,
                **options,
            )
        )


class CallRecords(ClosableList["AsyncCallRecords"]):
    """A list of calls: `exotel.calls.list(...)`. Nothing is asked for until it is read.

    ``for call in records`` reads it to its end, `pages` does so page by page, and `first_page`
    reads the first page alone. Each of them begins at the beginning; the end of the range is fixed
    by the first. To stop, leave the loop. After a step of an iterator that failed, or was
    cancelled, the next one asks again. A list with `concurrency` reads ahead; put it in ``with
    contextlib.closing(records)`` where it must have stopped when the block is left.
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

        return self._await(first)

    def pages(self) -> Generator[CallPage, None, None]:
        """Read the list page by page. A page's `total` is that of its window of 30 days at most.

        Raises:
            ExotelError: a page could not be had; `resume_token` says where to continue.
        """
        return self._iterate(lambda held: held.pages())

    @property
    def resume_token(self) -> str | None:
        """Where to continue after what was given out last, for `calls.list(resume=...)`.

        A short opaque string that another process may use, too, with the same account, filters and
        order; the range is in it, so that it never leads to calls that are newer than this list:
        `calls.changes` gives those. None before anything was read.
        """
        return self._ask(lambda held: held.resume_token)

    def close(self) -> None:
        """End all reading ahead. Reading on nevertheless raises a ConfigurationError."""
        self._await(lambda held: held.aclose())


class CallChanges(LoopObject["AsyncCallChanges"]):
    """What is new or has changed: `exotel.calls.changes(...)`. Nothing is sent until it is read.

    ``for call in changes`` reads all there is, in the order of creation, and ends; `pages` does so
    page by page. Read again, it gives what is new since. `token` says to another process what was
    given out.
    """

    def __iter__(self) -> Iterator[Call]:
        return self._iterate(aiter)

    def pages(self) -> Generator[CallPage, None, None]:
        """Read the same, page by page. `CallPage.total` is None: Exotel counts other calls, too.

        Raises:
            InvalidRequest: Exotel does not have all of it any more: see `gap`.
            ExotelError: a page could not be had; the next step or reading again continues, and so
                does `token`.
        """
        return self._iterate(lambda held: held.pages())

    @property
    def token(self) -> str | None:
        """What was given out until now, for `calls.changes(since=...)`.

        It is right at any time, in the middle of reading as well: what was given out last counts as
        dealt with.

        An opaque string that another process may use, too, with the same account, filters and
        `details`. Its length is about 11 letters for each call that was created in the last four
        and a quarter hours: some kilobytes as a rule, half a megabyte where 200 calls a minute are
        made; and for a moment, in the middle of reading, twice as much. None if no `since` was
        given, and nothing was read yet.
        """
        return self._ask(lambda held: held.token)

    @property
    def gap(self) -> tuple[datetime, datetime] | None:
        """The first and the last second of what Exotel has no more, for it is six months old.

        Known when reading begins: calls that were created then may be missing. None: none is.
        """
        return self._ask(lambda held: held.gap)


class ExoPhoneList(LoopObject["AsyncExoPhoneList"]):
    """The account's ExoPhones: `exotel.exophones.list()`. Nothing is asked for until it is read.

    ``for exophone in exophones`` reads them all, `pages` does so page by page. Each of them begins
    at the beginning.
    """

    def __iter__(self) -> Iterator[ExoPhone]:
        return self._iterate(aiter)

    def pages(self) -> Generator[ExoPhonePage, None, None]:
        """Read page by page. An ExoPhone that was on a page before is left out.

        Raises:
            ExotelError: a page could not be had. The next step asks for it again.
        """
        return self._iterate(lambda held: held.pages())


class Recording(SyncStream["AsyncRecording", "bytes"]):
    """A recording that is open: read it with ``for``, in its block.

    It is asked for when the block is entered, and open when its first bytes are there. Nothing is
    read ahead of the program but what the connection holds, and leaving the block ends it.
    """

    @property
    def content_type(self) -> str | None:
        """What it is, as its host says: `audio/mpeg`. None if that says nothing."""
        return self._ask(lambda held: held.content_type)

    @property
    def size(self) -> int | None:
        """How many bytes it has. None if its host does not say; `max_size` holds all the same."""
        return self._ask(lambda held: held.size)


class CallResults(SyncResultStream["AsyncCallResults", "CallResult"]):
    """A stream of `CallResult`, one for each SID, in the order the answers come.

    Use it as ``with exotel.calls.get_many(sids) as results: for result in results``: leaving the
    block ends what is in progress.
    """

    def statistics(self) -> FetchStatistics:
        """Return the progress so far, without what was not taken out of the stream yet."""
        return self._ask(lambda held: held.statistics())


class EndedCalls(SyncResultStream["AsyncEndedCalls", "CallResult"]):
    """A stream of `CallResult`, one for each SID, in the order the calls end.

    Use it as ``with exotel.calls.as_completed(sids) as results: for result in results``: leaving
    the block ends the waiting.
    """


class Dials(SyncResultStream["AsyncDials", "DialOutcome"]):
    """A stream of `DialOutcome`, one for each target, in the order the answers come.

    Use it as ``with exotel.calls.connect_many(...) as outcomes: for outcome in outcomes``. Leaving
    the block ends the dialling; how dials in flight end is reported to the session's
    `on_orphaned_call`, and so is every call whose outcome was not taken out of the stream, each
    with its `DialTarget`. Nothing of it survives the process.
    """

    @property
    def live(self) -> int:
        """Legs in progress as far as is known: ringing, talking, or perhaps."""
        return self._ask(lambda held: held.live)

    def statistics(self) -> DialStatistics:
        """Return the progress so far; outcomes count when they are taken out of the stream."""
        return self._ask(lambda held: held.statistics())

    def stop(self) -> None:
        """Take no more targets. What is in flight, or waits for the budget, still gets its outcome.

        Then the stream ends. A target that was taken already, and waits for room, is not dialled:
        its outcome has the error `NotDialled`. Calls in progress are not ended, and `ended()` goes
        on until they are over. It may be called in any thread, and by a signal handler; again, it
        does nothing.
        """
        self._ask(lambda held: held.stop())

    def ended(self) -> Iterator[Call]:
        """Return a stream of the calls, each once, when it is over; with its `target`.

        It rests on the poll of `wait`, which `max_live` needs as well and which is made for this
        without, and on `notify`; there are no other requests. A dial whose outcome is not known is
        searched for, and is among them if its call is found. One that is not found, or that Exotel
        does not know any more, is not.

        Ask for it at the start of the block, for an end that nobody waits for is not kept. It ends
        when nothing more will be dialled and no call is in progress any more. Dialling waits for
        the outcomes to be read: read them in another thread, or before. It is for one reader; asked
        for again, it is the same.

        Raises:
            RuntimeError: a call was placed before it was asked for. While it is read: the block was
                left before all calls were over.
            ConfigurationError: while it is read: the session was closed.
        """
        return self._iterate(lambda held: held.ended())
