"""ExoPhones: listed, read, renamed, led to flows; on a budget of their own."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import (
    APIError,
    AsyncExotel,
    ConfigurationError,
    DecodeError,
    ExoPhone,
    ExoPhonePage,
    InvalidRequest,
    NotFound,
    RateLimit,
    RateLimitTimeout,
    RequestTimeout,
    TokenBucket,
    same_number,
)
from exotel_async.emulator import Caller, Emulator, Fault, Flow, Garbage, Greeting
from exotel_async.wire import responses
from exotel_async.wire.converter import converter
from exotel_async.wire.request import Category, Request, put_request
from tests.conftest import CUSTOMER, EXOPHONE, session

PHONES = [f"080300000{n:02}" for n in range(7)]
FLOW = Flow(926, start=Greeting(text="Hello"))
URL = "http://my.exotel.com/acme1/exoml/start_voice/926"
PATH = "IncomingPhoneNumbers"
ROW: dict[str, Any] = {
    "sid": "9eeafc8ab479a386dc95f854f9d7cd8a",
    "phone_number": "+918030000000",
    "friendly_name": "Sales",
    "capabilities": {"voice": True, "sms": False},
    "country": "IN",
    "region": "KA",
    "voice_url": URL,
    "sms_url": None,
    "rental_price": "499.000000",
}


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """One with seven ExoPhones, thirty times as fast as time."""
    async with Emulator(speed=30, exophones=PHONES, flows=[FLOW]) as emulator:
        yield emulator


@pytest.fixture
async def exotel(emulator: Emulator) -> AsyncIterator[AsyncExotel]:
    """A session with it, at its budgets."""
    async with open_session(emulator) as exotel:
        yield exotel


def open_session(emulator: Emulator, **options: Any) -> AsyncExotel:
    """Make a session that knows the budget of ExoPhones as well."""
    budget = RateLimit(emulator.exophone_rate, per=emulator.per / emulator.speed)
    return session(emulator, **({"exophone_rate_limit": budget} | options))


async def first(exotel: AsyncExotel) -> ExoPhone:
    async for exophone in exotel.exophones.list():
        return exophone
    raise AssertionError("there are ExoPhones")


def page_of(*sids: str, following: str | None = None) -> bytes:
    rows = [{"sid": sid} for sid in sids]
    return json.dumps({"incoming_phone_numbers": rows, "next_page_uri": following}).encode()


# Listing


async def test_all_are_listed(emulator: Emulator, exotel: AsyncExotel) -> None:
    found = [exophone async for exophone in exotel.exophones.list()]
    assert all(same_number(e.phone_number, n) for e, n in zip(found, PHONES, strict=True))
    assert len({e.sid for e in found}) == 7
    assert found[0].country == "IN"
    assert (found[0].voice, found[0].sms) == (True, True)
    (request,) = emulator.requests
    assert (request.method, request.path) == ("GET", f"/v2_beta/Accounts/acme1/{PATH}")
    assert request.query == {}


async def test_page_by_page_from_our_own_host(exotel: AsyncExotel, emulator: Emulator) -> None:
    # Were a URI of a page followed, this is where it led; nothing would be asked of the emulator.
    emulator.exophone_host = "http://internal.invalid"
    pages = [page async for page in exotel.exophones.list(extra={"PageSize": "3"}).pages()]
    assert [len(page.exophones) for page in pages] == [3, 3, 1]
    assert [page.next_page for page in pages] == [1, 2, None]
    assert [r.query for r in emulator.requests] == [
        {"PageSize": "3"},
        {"Page": "1", "PageSize": "3"},
        {"Page": "2", "PageSize": "3"},
    ]


async def test_a_list_is_read_anew_each_time_and_no_further_than_needed(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    listed = exotel.exophones.list(extra={"PageSize": "2"})
    assert emulator.requests == []
    async for exophone in listed:
        assert exophone.sid
        break
    assert len(emulator.requests) == 1
    assert len([exophone async for exophone in listed]) == 7


async def test_what_comes_twice_is_given_out_once(emulator: Emulator, exotel: AsyncExotel) -> None:
    following = "http://twilix.exotel.com/x?Page=1&PageSize=2"
    emulator.faults.add(Fault.act_then_body(page_of("a", "b", following=following)))
    emulator.faults.add(Fault.act_then_body(page_of("b", "c")))
    assert [exophone.sid async for exophone in exotel.exophones.list()] == ["a", "b", "c"]


async def test_an_empty_page_is_the_end(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.faults.add(Fault.act_then_body(page_of("a", following="/x?Page=1")))
    emulator.faults.add(Fault.act_then_body(page_of(following="/x?Page=2")))
    assert [exophone.sid async for exophone in exotel.exophones.list()] == ["a"]
    assert len(emulator.requests) == 2


@pytest.mark.parametrize("following", ["/x?Page=0", "/x?Page=1"])
async def test_pages_in_circles_are_an_error(
    emulator: Emulator, exotel: AsyncExotel, following: str
) -> None:
    emulator.faults.add(Fault.act_then_body(page_of("a", following="/x?Page=1")))
    emulator.faults.add(Fault.act_then_body(page_of("b", following=following)))
    found = []
    with pytest.raises(DecodeError, match="never reach the end"):
        async for exophone in exotel.exophones.list():
            found.append(exophone.sid)  # noqa: PERF401 - what came before the error counts
    assert found == ["a", "b"]


async def test_the_page_is_not_for_the_caller_to_choose(exotel: AsyncExotel) -> None:
    with pytest.raises(InvalidRequest, match="extra"):
        exotel.exophones.list(extra={"Page": "2"})


# Reading and setting


async def test_a_flow_is_assigned_and_calls_come_in_there(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    exophone = await first(exotel)
    assert (exophone.voice_url, exophone.flow) == (None, None)
    assigned = await exotel.exophones.assign_flow(exophone.sid, 926)
    assert (assigned.voice_url, assigned.flow) == (URL, "926")
    assert await exotel.exophones.get(exophone.sid) == assigned
    assert emulator.requests[1].method == "PUT"
    assert emulator.requests[1].form == {"VoiceUrl": URL}
    call = await emulator.incoming_call(CUSTOMER, PHONES[0], caller=Caller())
    await emulator.finish_calls()
    assert call.status == "completed"


async def test_a_flow_by_its_url(emulator: Emulator, exotel: AsyncExotel) -> None:
    exophone = await first(exotel)
    url = "http://my.exotel.in/exoml/start/926"
    await exotel.exophones.assign_flow(exophone.sid, url)
    assert emulator.requests[-1].form == {"VoiceUrl": url}


async def test_a_new_name(emulator: Emulator, exotel: AsyncExotel) -> None:
    exophone = await first(exotel)
    await exotel.exophones.assign_flow(exophone.sid, 926)
    renamed = await exotel.exophones.rename(exophone.sid, "बिक्री & Sales", extra={"SMSUrl": ""})
    assert renamed.friendly_name == "बिक्री & Sales"
    assert renamed.flow == "926", "the rest stays as it was"
    assert emulator.requests[-1].form == {"FriendlyName": "बिक्री & Sales", "SMSUrl": ""}


async def test_nothing_is_sent_for_a_bad_argument(emulator: Emulator, exotel: AsyncExotel) -> None:
    exophones = exotel.exophones
    with pytest.raises(InvalidRequest, match="sid="):
        await exophones.get("../Calls")
    with pytest.raises(InvalidRequest, match="sid="):
        await exophones.rename("", "Sales")
    for flow in (0, True, "a/b", "ftp://my.exotel.com/1"):
        with pytest.raises(InvalidRequest, match="flow="):
            await exophones.assign_flow("s", flow)
    for name in ("", "  ", "x" * 256, "a\0b", None, 7):
        with pytest.raises(InvalidRequest, match="name="):
            await exophones.rename("s", name)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="extra"):
        await exophones.assign_flow("s", 926, extra={"VoiceUrl": "x"})
    with pytest.raises(InvalidRequest, match="max_wait"):
        exophones.list(max_wait=-1)
    assert emulator.requests == []


async def test_refusals(emulator: Emulator, exotel: AsyncExotel) -> None:
    with pytest.raises(NotFound):
        await exotel.exophones.get("0" * 32)
    with pytest.raises(NotFound):
        await exotel.exophones.rename("0" * 32, "Sales")
    assert len(emulator.requests) == 2, "a clear no is final"


# What may be sent again


@pytest.mark.parametrize(
    "fault",
    [
        Fault.drop_before(),
        Fault.act_then_drop(),
        Fault.act_then_status(500),
        Fault.act_then_status(503, retry_after=0),
        Fault.answer(408),
        Fault.too_many_requests(retry_after=0),
    ],
)
async def test_setting_is_tried_again(
    emulator: Emulator, exotel: AsyncExotel, fault: Fault
) -> None:
    exophone = await first(exotel)
    emulator.faults.add(fault, method="PUT")
    assert (await exotel.exophones.assign_flow(exophone.sid, 926)).flow == "926"
    assert [r.method for r in emulator.requests] == ["GET", "PUT", "PUT"]


async def test_set_but_the_answer_cannot_be_read(emulator: Emulator, exotel: AsyncExotel) -> None:
    exophone = await first(exotel)
    emulator.faults.add(Fault.act_then_garbage(Garbage.HTML), method="PUT")
    with pytest.raises(DecodeError, match="ExoPhone"):
        await exotel.exophones.assign_flow(exophone.sid, 926)
    assert len(emulator.requests) == 2
    assert (await exotel.exophones.get(exophone.sid)).flow == "926"


async def test_no_answer_in_time_is_no_lost_dial(emulator: Emulator, exotel: AsyncExotel) -> None:
    exophone = await first(exotel)
    emulator.faults.add(Fault.act_then_stall(), method="PUT")
    with pytest.raises(RequestTimeout):
        await exotel.exophones.rename(exophone.sid, "Sales", timeout=0.3)
    await exotel.aclose(0)  # what stalls is not waited for


def test_only_a_dial_dials() -> None:
    assert Request("POST", "Calls/connect.json").dials
    assert not Request("GET", "Calls/connect.json").dials, "that reads a call of that name"
    for method in ("GET", "PUT", "POST"):
        assert not Request(method, f"{PATH}/s", category=Category.EXOPHONES).dials


def test_what_is_not_known_to_be_repeatable_is_done_once() -> None:
    assert Request("POST", "Calls/connect.json").must_not_repeat
    assert Request("DELETE", "Things").must_not_repeat
    assert not Request("GET", "Things").must_not_repeat
    assert not put_request("Things", {}, None, Category.EXOPHONES).must_not_repeat


# The budget


@pytest.mark.slow(1)
async def test_a_budget_of_their_own() -> None:
    async with (
        Emulator(exophone_rate=10, rate=10, per=0.7) as emulator,
        open_session(emulator) as exotel,
    ):
        assert exotel.exophones.limiter is not exotel.limiter
        exophone = await first(exotel)
        await asyncio.gather(
            *(exotel.exophones.get(exophone.sid) for _ in range(20)),
            *(exotel.account.balance() for _ in range(20)),
        )
        arrived = [r.arrived for r in emulator.requests if r.exophones]
    assert emulator.refused == 0
    assert len(arrived) == 21
    assert all(late - early > 0.7 for early, late in zip(arrived, arrived[10:], strict=False))


async def test_a_refusal_of_theirs_holds_no_call(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=30), path=PATH)
    with pytest.raises(APIError):
        await exotel.exophones.get("s", timeout=0.2)
    with pytest.raises(RateLimitTimeout):
        await exotel.exophones.get("s", max_wait=0.05)
    assert exotel.exophones.limiter.statistics().paused_for > 1
    await exotel.account.balance(max_wait=0.05)
    assert exotel.limiter.statistics().refused == 0


async def test_sessions_of_an_account_share_it(emulator: Emulator) -> None:
    async with open_session(emulator) as one, open_session(emulator) as two:
        assert one.exophones.limiter is two.exophones.limiter
        assert one.with_options(max_wait=1).exophones.limiter is two.exophones.limiter
        async with open_session(emulator, exophone_rate_limit=RateLimit(7)) as three:
            assert three.limiter is one.limiter
            with pytest.raises(ConfigurationError, match="one budget"):
                await three.exophones.get("s")


async def test_fifty_a_minute_unless_told_otherwise(emulator: Emulator) -> None:
    async with session(emulator) as exotel:
        assert exotel.exophones.limiter.statistics().window_size == 49
    own = TokenBucket(RateLimit(5))
    async with open_session(emulator, exophone_rate_limit=own) as exotel:
        assert exotel.exophones.limiter is own
        assert exotel.limiter is not own
    with pytest.raises(ConfigurationError, match="exophone_rate_limit"):
        open_session(emulator, exophone_rate_limit="50")


async def test_a_view_has_its_own_defaults(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.faults.add(Fault.act_then_stall())
    with pytest.raises(RequestTimeout):
        await exotel.with_options(timeout=0.2).exophones.get("s")
    await exotel.aclose(0)  # what stalls is not waited for


async def test_where_requests_go() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=ROW)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
        AsyncExotel(account_sid="acme1", api_key="k", api_token="t", http_client=client) as exotel,
    ):
        await exotel.exophones.rename("+918030000000", "Sales")
        await exotel.exophones.get("s")
    root = "https://api.exotel.com/v2_beta/Accounts/acme1/IncomingPhoneNumbers"
    assert [str(request.url) for request in asked] == [f"{root}/%2B918030000000", f"{root}/s"]
    assert asked[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked[0].content == b"FriendlyName=Sales"
    assert "content-type" not in asked[1].headers


# The values


def test_an_exophone() -> None:
    exophone = converter().structure(ROW, ExoPhone)
    assert exophone == ExoPhone(
        sid="9eeafc8ab479a386dc95f854f9d7cd8a",
        phone_number="+918030000000",
        friendly_name="Sales",
        country="IN",
        region="KA",
        voice=True,
        sms=False,
        voice_url=URL,
    )
    assert exophone.raw["rental_price"] == "499.000000"
    assert pickle.loads(pickle.dumps(exophone)) == exophone  # noqa: S301
    assert hash(exophone)


@pytest.mark.parametrize(
    ("url", "flow"),
    [
        (URL, "926"),
        ("http://my.exotel.in/exoml/start/926", "926"),
        ("https://my.exotel.com/exoml/start/flow_id", "flow_id"),
        ("https://example.com/926", None),
        ("http://[my.exotel.com/exoml/start/926", None),
        ("", None),
        (None, None),
    ],
)
def test_its_flow(url: str | None, flow: str | None) -> None:
    assert ExoPhone(sid="s", voice_url=url).flow == flow


@pytest.mark.parametrize(
    ("capabilities", "told"),
    [
        ({"voice": "true", "sms": "False"}, (True, False)),
        ({"voice": 1, "sms": None}, (None, None)),
        ([], (None, None)),
        (None, (None, None)),
    ],
)
def test_what_it_can_do(capabilities: object, told: tuple[bool | None, bool | None]) -> None:
    exophone = converter().structure({"sid": "s", "capabilities": capabilities}, ExoPhone)
    assert (exophone.voice, exophone.sms) == told


@pytest.mark.parametrize("sid", [None, "", "null", {}, True])
def test_it_needs_a_sid(sid: object) -> None:
    with pytest.raises(ValueError, match="sid"):
        converter().structure({"sid": sid}, ExoPhone)
    with pytest.raises(ValueError, match="sid"):
        converter().structure({"incoming_phone_numbers": [ROW, {"sid": sid}]}, ExoPhonePage)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"{}",
        b'{"incoming_phone_numbers": null}',
        b'{"incoming_phone_numbers": ["s"]}',
        page_of("s", following="/v2_beta/x"),
        page_of("s", following="/v2_beta/x?Page=next"),
        page_of("s", following="http://[twilix/x?Page=1"),
    ],
)
def test_what_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError, match="no ExoPhonePage"):
        responses.read_exophone_page(responses.Response(200, body=body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@pytest.mark.slow
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(ROW, JSON)), JSON)
def test_any_row_is_read_or_refused(row: dict[str, Any], following: object) -> None:
    page = {"incoming_phone_numbers": [row], "next_page_uri": following}
    try:
        (exophone,) = converter().structure(page, ExoPhonePage).exophones
    except ValueError:
        return
    assert exophone.sid
    assert exophone.raw is row
    assert repr(exophone)
    assert exophone.flow is None or exophone.voice_url


def test_the_default_exophone_of_the_emulator_is_listed() -> None:
    async def main() -> list[str | None]:
        async with Emulator() as emulator, open_session(emulator) as exotel:
            return [exophone.phone_number async for exophone in exotel.exophones.list()]

    (number,) = asyncio.run(main())
    assert same_number(number, EXOPHONE)
