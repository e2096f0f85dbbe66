"""Status callbacks as they come from calls that go on: late, lost, doubled and out of order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import attrs
import pytest

from exotel_async import AsyncExotel
from exotel_async.emulator import Emulator, Fault, Scenario
from exotel_async.models import Call, CallbackContentType, CallStatus
from exotel_async.webhooks import ExotelWebhooks, StatusCallback
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session
from tests.emulator.support import until
from tests.webhooks.serving import SECRET, reserve, serving

CALLS = 12
SPEED = 300
LATE = 0.15  # real seconds


@attrs.define
class Application:
    """What a user's application knows of its calls."""

    hooks: ExotelWebhooks
    emulator: Emulator
    exotel: AsyncExotel
    events: dict[str, list[StatusCallback]] = attrs.field(factory=lambda: defaultdict(list))

    @property
    def ends(self) -> dict[str, list[CallStatus | None]]:
        """The ends it was told of, by call."""
        return {
            sid: [event.status for event in events if event.is_final]
            for sid, events in self.events.items()
        }

    @property
    def truth(self) -> dict[str, str]:
        """How the calls have ended."""
        return {sid: call.timeline.status.value for sid, call in self.emulator.calls.items()}

    async def dial(self, **options: Any) -> list[Call]:
        """Dial two numbers, so many times."""
        return [
            await self.exotel.calls.connect(
                f"+9198123000{number:02}",
                f"+9198123001{number:02}",
                caller_id=EXOPHONE,
                status_callback=self.hooks.url("status_callback"),
                **options,
            )
            for number in range(CALLS)
        ]


@asynccontextmanager
async def running(
    encoding: Literal["multipart", "urlencoded"] = "multipart", **options: Any
) -> AsyncIterator[Application]:
    """An application and Exotel, with calls of all kinds between them."""
    bound, url = reserve()
    hooks = ExotelWebhooks(SECRET, base_url=url)
    settings = {"speed": SPEED, "seed": 7, "rate": 10_000, "callback_encoding": encoding}
    async with (
        serving(hooks, bound=bound),
        Emulator(**(settings | options)) as emulator,
        session(emulator) as exotel,
    ):
        application = Application(hooks, emulator, exotel)

        @hooks.status_callback
        async def told(event: StatusCallback) -> None:
            application.events[event.sid].append(event)

        hooks.forward_to(exotel.calls)
        yield application


async def wait_for_all(application: Application, calls: list[Call], interval: float) -> None:
    """`wait` for every call, and compare with how it ended."""
    lookups = await application.exotel.calls.wait(
        [call.sid for call in calls], timeout=20, interval=interval
    )
    assert {look.sid: look.unwrap().status for look in lookups} == application.truth


async def test_waits_end_with_the_callbacks_and_without_a_poll() -> None:
    async with running() as application:
        calls = await application.dial()
        await wait_for_all(application, calls, interval=30)
        await until(lambda: len(application.ends) == CALLS)
        assert application.ends == {sid: [status] for sid, status in application.truth.items()}
        assert len(set(application.truth.values())) > 1
        assert {request.method for request in application.emulator.requests} == {"POST"}


FAULTS: list[tuple[str, Callable[[], Fault]]] = [
    ("late", lambda: Fault.callback_late(LATE)),
    ("doubled", lambda: Fault.callback_duplicated(3)),
    ("reordered", Fault.callback_reordered),
    ("lost", Fault.callback_lost),
]
ENCODINGS = ["multipart", "urlencoded", "json"]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", [kind for kind, _ in FAULTS])
async def test_each_call_ends_once_whatever_befalls_its_callbacks(kind: str, encoding: Any) -> None:
    fault = dict(FAULTS)[kind]()
    as_json = encoding == "json"
    async with running("multipart" if as_json else encoding) as application:
        application.emulator.faults.add(fault, path="status_callback", times=None)
        calls = await application.dial(
            status_callback_events=["terminal", "answered"],
            status_callback_content_type=CallbackContentType.JSON if as_json else None,
        )
        await wait_for_all(application, calls, interval=0.1)
        if kind == "lost":
            # All of it was found out by asking.
            assert application.events == {}
            assert "GET" in {request.method for request in application.emulator.requests}
            return
        await until(lambda: all_told(application))
        assert application.ends == {sid: [status] for sid, status in application.truth.items()}
        for sid, events in application.events.items():
            moments = application.emulator.calls[sid].moments()
            assert len(events) == len({event.key for event in events}) == len(moments)
            assert sorted(str(event.event_type) for event in events) == sorted(
                kind.value for kind, _ in moments
            )
        orders = {tuple(str(event.event_type) for event in e) for e in application.events.values()}
        if kind == "reordered":
            assert ("terminal", "answered") in {order[-2:] for order in orders}


def all_told(application: Application) -> bool:
    """Whether every moment of every call has been handled."""
    return all(
        len(application.events[sid]) == len(call.moments())
        for sid, call in application.emulator.calls.items()
    )


def is_quiet(emulator: Emulator) -> bool:
    """Whether there is no callback more to come."""
    return not emulator._callbacks._timers and not emulator._callbacks._tasks


async def test_all_of_it_together() -> None:
    async with running() as application:
        for number, (_, fault) in enumerate(FAULTS * 3):
            # In turn, and not for all: each takes its place among those that come.
            application.emulator.faults.add(
                fault(), path="status_callback", after=number % 4, times=2
            )
        calls = await application.dial(status_callback_events=["terminal", "answered"])
        await wait_for_all(application, calls, interval=0.1)
        await until(lambda: is_quiet(application.emulator))
        for sid, ends in application.ends.items():
            assert len(ends) <= 1
            assert ends == [application.truth[sid]] * len(ends)
        assert sum(map(len, application.ends.values())) >= CALLS - 6


async def test_what_the_application_could_not_handle_comes_again() -> None:
    """Its database is down at first: Exotel is told so, and sends the events again."""
    retries = (0.05 * SPEED, 0.1 * SPEED)
    bound, url = reserve()
    hooks = ExotelWebhooks(SECRET, base_url=url)
    failures, handled = defaultdict[str, int](int), defaultdict[str, list[Any]](list)

    @hooks.status_callback
    async def store(event: StatusCallback) -> None:
        failures[event.key] += 1
        if failures[event.key] <= 2:
            raise OSError("the database is down")
        handled[event.sid].append(event.status)

    async with (
        serving(hooks, bound=bound),
        Emulator(speed=SPEED, seed=7, rate=10_000, callback_retries=retries) as emulator,
        session(emulator) as exotel,
    ):
        emulator.faults.add(Fault.callback_duplicated(), path="status_callback", times=None)
        application = Application(hooks, emulator, exotel)
        await application.dial()
        await until(lambda: len(handled) == CALLS)
        await until(lambda: is_quiet(emulator))
        assert handled == {sid: [status] for sid, status in application.truth.items()}
        assert set(failures.values()) == {3}


async def test_a_flow_call_has_its_short_callback() -> None:
    async with running() as application:
        call = await application.exotel.calls.connect_to_flow(
            "+919812300001",
            flow=926,
            caller_id=EXOPHONE,
            status_callback=application.hooks.url("status_callback"),
        )
        ended = await application.exotel.calls.wait(call.sid, timeout=20, interval=30)
        await until(lambda: bool(application.events))
        (event,) = application.events[call.sid]
        assert event.status == ended.status == application.truth[call.sid]
        assert event.event_type is None


async def test_a_call_to_a_stream_rings_before_it_is_answered_and_that_ends_no_wait() -> None:
    async with running(scenario=Scenario.all_answered(ring=30, talk=30)) as application:
        call = await application.exotel.calls.connect_to_stream(
            "+919812300001",
            stream_url="wss://bot.example/media",
            caller_id=EXOPHONE,
            status_callback=application.hooks.url("status_callback"),
            status_callback_events=["ringing", "answered", "terminal"],
        )
        ended = await application.exotel.calls.wait(call.sid, timeout=20, interval=30)
        assert ended.status is CallStatus.COMPLETED
        await until(lambda: len(application.events[call.sid]) == 3)
        events = application.events[call.sid]
        assert [event.event_type for event in events] == ["ringing", "answered", "terminal"]
        assert [event.is_final for event in events] == [False, False, True]
        assert {event.to for event in events} == {None}


async def test_what_stands_in_the_url_of_a_dial_comes_with_its_callbacks() -> None:
    told: list[StatusCallback] = []

    class Receiver:
        def notify(self, event: StatusCallback) -> None:
            told.append(event)

    async with running(scenario=Scenario.all_answered(ring=30, talk=30)) as application:
        hooks, emulator = application.hooks, application.emulator
        hooks.forward_to(Receiver())
        emulator.faults.add(Fault.callback_duplicated(2))
        url = hooks.url("status_callback")
        sids = {}
        for attempt, tail in (("ab12", "?attempt=ab12&of=a%2Fb"), ("cd34", "?attempt=cd34")):
            call = await application.exotel.calls.connect(
                CUSTOMER,
                AGENT,
                caller_id=EXOPHONE,
                status_callback=f"{url}{tail}",
                status_callback_events=["answered", "terminal"],
            )
            sids[attempt] = call.sid
        await until(lambda: [len(application.events[sid]) for sid in sids.values()] == [3, 3])
        await until(lambda: len(told) == 7)
    queries = {sid: [event.query for event in application.events[sid]] for sid in sids.values()}
    assert queries == {
        sids["ab12"]: [{"attempt": "ab12", "of": "a/b"}] * 3,
        sids["cd34"]: [{"attempt": "cd34"}] * 3,
    }
    assert {event.query["attempt"]: event.sid for event in told} == sids


async def test_nothing_is_forwarded_to_a_closed_session() -> None:
    async with running() as application:
        async with session(application.emulator) as other:
            application.hooks.forward_to(other.calls)
        await application.dial()
        await until(lambda: len(application.ends) == CALLS)
        assert application.hooks._sessions == [application.exotel.calls]
