"""Rate windows: each against a slow, plain model of itself, and over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.emulator import Emulator, RateWindow
from exotel_async.emulator.rate_limit import Window, busiest, new_window
from tests.emulator.support import client_of

RATE, PER, BURST = 4, 8.0, 3
# All these, and quarters, are exact in binary: models and windows compute the same numbers.
GAPS = st.lists(st.integers(0, 20).map(lambda quarters: quarters / 4), max_size=80)


def window(kind: RateWindow, *, count_refusals: bool = False) -> Window:
    return new_window(kind, RATE, PER, leaky_burst=BURST, count_refusals=count_refusals)


def moments(gaps: Sequence[float]) -> list[float]:
    now, result = 0.0, []
    for gap in gaps:
        now += gap
        result.append(now)
    return result


def run(kind: RateWindow, arrivals: Sequence[float], *, count_refusals: bool = False) -> list[bool]:
    counted = window(kind, count_refusals=count_refusals)
    return [counted.admit(now) for now in arrivals]


@given(GAPS, st.booleans())
def test_sliding_log_is_a_count_of_the_last_seconds(gaps: list[float], refusals: bool) -> None:
    arrivals = moments(gaps)
    taken: list[float] = []
    expected = []
    for now in arrivals:
        free = sum(now - PER < moment for moment in taken) < RATE
        if free or refusals:
            taken.append(now)
        expected.append(free)
    assert run(RateWindow.SLIDING_LOG, arrivals, count_refusals=refusals) == expected


@given(GAPS, st.booleans())
def test_fixed_is_a_count_per_window_from_the_start(gaps: list[float], refusals: bool) -> None:
    arrivals = moments(gaps)
    counts: dict[int, int] = {}
    expected = []
    for now in arrivals:
        index = int(now // PER)
        free = counts.get(index, 0) < RATE
        counts[index] = counts.get(index, 0) + (free or refusals)
        expected.append(free)
    assert run(RateWindow.FIXED, arrivals, count_refusals=refusals) == expected


@given(GAPS, st.booleans())
def test_sliding_counter_weighs_the_last_window(gaps: list[float], refusals: bool) -> None:
    arrivals = moments(gaps)
    counts: dict[int, int] = {}
    expected = []
    for now in arrivals:
        index, since = divmod(now, PER)
        this, last = counts.get(int(index), 0), counts.get(int(index) - 1, 0)
        free = last * (1 - since / PER) + this + 1 <= RATE
        counts[int(index)] = this + (free or refusals)
        expected.append(free)
    assert run(RateWindow.SLIDING_COUNTER, arrivals, count_refusals=refusals) == expected


def test_sliding_counter_does_not_round_the_estimate_down() -> None:
    counted = window(RateWindow.SLIDING_COUNTER)
    assert [counted.admit(0.0) for _ in range(5)] == [True] * 4 + [False]
    # 4 x 0.75 is exactly 3 at 10 s; just before it the estimate plus one is above 4
    assert not counted.admit(9.99)
    assert counted.admit(10.0)


@pytest.mark.parametrize(("kind", "burst"), [(RateWindow.TOKEN_BUCKET, RATE), ("leaky", BURST)])
def test_a_bucket_gives_its_burst_and_then_one_each_gap(kind: RateWindow, burst: int) -> None:
    gap = PER / RATE
    counted = window(RateWindow(kind))
    assert [counted.admit(0.0) for _ in range(burst + 2)] == [True] * burst + [False] * 2
    for step in range(1, 5):
        assert not counted.admit(step * gap - 0.01)
        assert counted.admit(step * gap + 0.01)
    assert [counted.admit(100.0) for _ in range(burst + 1)] == [True] * burst + [False]


@pytest.mark.parametrize("kind", list(RateWindow))
def test_counted_refusals_keep_the_door_shut(kind: RateWindow) -> None:
    """Somebody who tries 100 times a second gets nothing more out of a window that counts it."""
    arrivals = [step / 100 for step in range(3000)]
    # A fixed window forgets everything at its edge; the others never get a quiet moment.
    strict = {RateWindow.FIXED: 4 * RATE, RateWindow.LEAKY: BURST}.get(kind, RATE)
    assert sum(run(kind, arrivals, count_refusals=True)) == strict
    assert sum(run(kind, arrivals)) >= 3 * RATE


@given(st.sampled_from(RateWindow), GAPS)
def test_wait_is_when_the_next_is_admitted(kind: RateWindow, gaps: list[float]) -> None:
    counted, now = window(kind), 0.0
    for now in moments(gaps):
        counted.admit(now)
    wait = counted.wait(now)
    assert wait >= 0
    if wait > 0.02:
        assert counted.wait(now + wait - 0.01) > 0
    assert counted.admit(now + wait + 1e-6)


@given(st.sampled_from(RateWindow), GAPS)
def test_remaining_is_how_many_more_are_admitted_now(kind: RateWindow, gaps: list[float]) -> None:
    counted, now = window(kind), 0.0
    for now in moments(gaps):
        counted.admit(now)
    remaining = counted.remaining(now)
    assert [counted.admit(now) for _ in range(remaining + 1)] == [True] * remaining + [False]


@given(GAPS)
def test_busiest_is_the_most_in_any_window(gaps: list[float]) -> None:
    arrivals = moments(gaps)
    plain = max(
        (sum(now - PER < other <= now for other in arrivals) for now in arrivals), default=0
    )
    assert busiest(arrivals, PER) == plain


def test_a_window_that_admits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="admits nothing"):
        new_window(RateWindow.FIXED, 0, 60, leaky_burst=20, count_refusals=False)
    with pytest.raises(ValueError, match="admits nothing"):
        new_window(RateWindow.LEAKY, 10, 60, leaky_burst=0, count_refusals=False)


async def ask(emulator: Emulator, times: int) -> list[int]:
    async with client_of(emulator) as client:
        answers = await asyncio.gather(*(client.get("Balance.json") for _ in range(times)))
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("kind", "most"), [(kind, 4 if kind == "leaky" else 10) for kind in RateWindow]
)
async def test_each_window_over_a_socket(kind: RateWindow, most: int) -> None:
    async with Emulator(rate=10, per=3600, window=kind, leaky_burst=4) as emulator:
        statuses = await ask(emulator, 30)
        assert statuses.count(200) == most
        assert statuses.count(429) == emulator.refused == 30 - most
        assert emulator.busiest_window() == 30
        assert [r.refused for r in emulator.requests].count(True) == 30 - most


@pytest.mark.slow(1)
async def test_a_fast_clock_frees_the_window_again() -> None:
    """At 240 emulator seconds a second a window of 60 s passes while we ask."""
    async with Emulator(rate=10, per=60, speed=240) as emulator:
        while sum(not r.refused for r in emulator.requests) < 35:
            await ask(emulator, 12)
        arrivals = [(r.arrived, r.refused) for r in emulator.requests]
    accepted = [at for at, refused in arrivals if not refused]
    assert emulator.refused > 0
    for at, refused in arrivals:
        inside = sum(at - 60 < other < at for other in accepted)
        assert refused == (inside == 10)


async def test_every_request_of_the_account_counts_and_no_other() -> None:
    async with Emulator(rate=3, per=3600) as emulator, client_of(emulator) as client:
        assert (await client.get("Nothing.json")).status_code == 404
        assert (await client.post("Calls/connect.json")).status_code == 400
        assert (await client.get("Balance.json", auth=("who", "knows"))).status_code == 401
        other = f"{emulator.base_url}/v1/Accounts/other1/Balance.json"
        assert (await client.get(other)).status_code == 404
        assert (await client.get("Balance.json")).status_code == 200
        assert (await client.get("Balance.json")).status_code == 429
        assert [r.counted for r in emulator.requests] == [True, True, False, False, True, True]
        assert emulator.busiest_window() == 4


async def test_a_refused_dial_rings_nobody() -> None:
    async with Emulator(rate=1, per=3600) as emulator, client_of(emulator) as client:
        await client.get("Balance.json")
        form = {"From": "09812300001", "To": "09812300002", "CallerId": "08030000000"}
        answer = await client.post("Calls/connect.json", data=form)
        assert answer.status_code == 429
        assert answer.json()["RestException"]["Status"] == 429
        assert "retry-after" not in answer.headers
        assert emulator.rung("09812300001") == 0


RETRY_AFTER: list[tuple[Callable[[str], bool], float | str]] = [
    (lambda text: text == "2.5", 2.5),
    (lambda text: text == "7", 7),
    # a window of 600 emulator seconds at 10 a second: 60 real ones from the first request on
    (lambda text: 55 <= int(text) <= 60, "exact"),
]


@pytest.mark.parametrize(("right", "setting"), RETRY_AFTER)
async def test_retry_after(right: Callable[[str], bool], setting: float) -> None:
    async with (
        Emulator(rate=1, per=600, speed=10, retry_after=setting) as emulator,
        client_of(emulator) as client,
    ):
        assert "retry-after" not in (await client.get("Balance.json")).headers
        assert right((await client.get("Balance.json")).headers["retry-after"])


async def test_rate_limit_headers() -> None:
    async with (
        Emulator(rate=2, per=3600, rate_limit_headers=True) as emulator,
        client_of(emulator) as client,
    ):
        headers = [(await client.get("Balance.json")).headers for _ in range(3)]
        assert [h["x-ratelimit-limit"] for h in headers] == ["2"] * 3
        assert [h["x-ratelimit-remaining"] for h in headers] == ["1", "0", "0"]
        now = emulator.clock.now().timestamp()
        assert now + 3500 < int(headers[2]["x-ratelimit-reset"]) <= now + 3601
        stranger = await client.get("Balance.json", auth=("who", "knows"))
        assert "x-ratelimit-limit" not in stranger.headers
