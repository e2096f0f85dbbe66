"""Who asks for calls by their SIDs, and who waits for their ends; each in a process of its own."""

from __future__ import annotations

import asyncio
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import httpx
from attrs import evolve, frozen

from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN, refused_so_far
from benchmarks.traffic import MINUTE, RATE, Recorder
from exotel_async import AsyncExotel, CallStatus, RateLimit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exotel_async import Call

_PLENTY: Final = RateLimit(10**6, per=1.0, burst=10**4)
_FROM, _TO = "09812300001", "09812300002"


class Way(StrEnum):
    """How calls are asked for."""

    GET_MANY = "calls.get_many"
    GATHER = "gather of calls.get"
    LOOP = "loop of single gets"


@frozen(kw_only=True)
class Case:
    """SIDs to be asked for in one way, at 200 in each `per` seconds."""

    way: Way
    base_url: str
    sids: Sequence[str]
    per: float


@frozen(kw_only=True)
class Asked:
    """How it went.

    Attributes:
        found: calls that came, each once.
        requests: what they cost, refused ones too.
        refused: answers 429.
        seconds: the time it took.
    """

    found: int
    requests: int
    refused: int
    seconds: float


def ask(case: Case) -> Asked:
    """Ask for all of them."""
    return _loop(case) if case.way is Way.LOOP else asyncio.run(_ask(case))


async def _ask(case: Case) -> Asked:
    limiter = Recorder(RateLimit(RATE, per=case.per))
    async with AsyncExotel(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        base_url=case.base_url,
        rate_limit=limiter,
    ) as exotel:
        began = time.perf_counter()
        if case.way is Way.GATHER:
            calls = await asyncio.gather(*(exotel.calls.get(sid) for sid in case.sids))
            found = {call.sid for call in calls}
        else:
            async with exotel.calls.get_many(case.sids) as lookups:
                found = {lookup.unwrap().sid async for lookup in lookups}
        seconds = time.perf_counter() - began
    refused = await refused_so_far(case.base_url)
    sent = sum(one.finished is not None for one in limiter.sent)
    return Asked(found=len(found), requests=sent, refused=refused, seconds=seconds)


def _loop(case: Case) -> Asked:
    """Ask as one does with the synchronous clients: one request after another, one for each SID.

    They know of no budget, so that the program waits when it is refused. The connection is kept
    open, which they do not do.
    """
    found: set[str] = set()
    requests = 0
    url = f"{case.base_url}/v1/Accounts/{ACCOUNT}/Calls"
    with httpx.Client(auth=(KEY, TOKEN), trust_env=False) as client:
        began = time.perf_counter()
        for sid in case.sids:
            while True:
                requests += 1
                response = client.get(f"{url}/{sid}.json")
                if response.status_code != 429:
                    break
                time.sleep(case.per / MINUTE)
            found.add(response.json()["Call"]["Sid"])
        seconds = time.perf_counter() - began
    refused = asyncio.run(refused_so_far(case.base_url))
    return Asked(found=len(found), requests=requests, refused=refused, seconds=seconds)


class Form(StrEnum):
    """How many calls are waited for."""

    GATHER = "gather of calls.wait"
    LIST = "calls.wait of a list"


@frozen(kw_only=True)
class WaitingCase:
    """So many calls to be dialled and then waited for.

    Attributes:
        form: how.
        base_url: where.
        number: how many.
        interval: seconds until the first poll.
        seconds: how long no end is told; then all are at once, by status callbacks.
    """

    form: Form
    base_url: str
    number: int
    interval: float
    seconds: float


@frozen
class Waited:
    """How it went.

    Attributes:
        rounds: requests in each poll round.
        told: requests from the first callback on, until all waits had ended.
        told_only: requests of as many calls whose callbacks came before the first poll.
        ended: waits that have ended with the callbacks, of either.
    """

    rounds: Sequence[int]
    told: int
    told_only: int
    ended: int


def wait(case: WaitingCase) -> Waited:
    """Wait for all of them."""
    return asyncio.run(_wait(case))


async def _wait(case: WaitingCase) -> Waited:
    limiter = Recorder(_PLENTY)
    sent = limiter.sent
    async with AsyncExotel(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        base_url=case.base_url,
        rate_limit=limiter,
    ) as exotel:
        calls = await _dial(exotel, case.number)
        dialled = len(sent)
        waiting = asyncio.ensure_future(_ends(exotel, calls, case))
        await asyncio.sleep(case.seconds)
        polled = len(sent)
        _tell_ends(exotel, calls)
        ended = await waiting
        told = len(sent) - polled

        calls = await _dial(exotel, case.number)
        before = len(sent)
        waiting = asyncio.ensure_future(_ends(exotel, calls, case))
        await asyncio.sleep(case.interval / 2)
        _tell_ends(exotel, calls)
        ended += await waiting
        await asyncio.sleep(case.interval)
    rounds = _rounds([one.asked for one in sent[dialled:polled]], case.interval / 2)
    return Waited(rounds, told, len(sent) - before, ended)


async def _dial(exotel: AsyncExotel, number: int) -> Sequence[Call]:
    dials = (exotel.calls.connect(_FROM, _TO, caller_id=EXOPHONE) for _ in range(number))
    return await asyncio.gather(*dials)


async def _ends(exotel: AsyncExotel, calls: Sequence[Call], case: WaitingCase) -> int:
    sids = [call.sid for call in calls]
    if case.form is Form.LIST:
        lookups = await exotel.calls.wait(sids, interval=case.interval)
        return sum(lookup.unwrap().is_final for lookup in lookups)
    waits = (exotel.calls.wait(sid, interval=case.interval) for sid in sids)
    return sum(call.is_final for call in await asyncio.gather(*waits))


def _tell_ends(exotel: AsyncExotel, calls: Sequence[Call]) -> None:
    for call in calls:
        exotel.calls.notify(evolve(call, status=CallStatus.COMPLETED))


def _rounds(moments: Sequence[float], gap: float) -> Sequence[int]:
    """Part requests where nothing was asked for so long."""
    rounds: list[int] = []
    last = float("-inf")
    for moment in moments:
        if moment - last > gap:
            rounds.append(0)
        rounds[-1] += 1
        last = moment
    return rounds
