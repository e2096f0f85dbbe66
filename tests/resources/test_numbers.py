"""The whitelist of numbers on the DND register, which people hear of by SMS."""

from __future__ import annotations

from datetime import timedelta

import pytest

from exotel_async import (
    AsyncExotel,
    BadRequest,
    DecodeError,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    RequestOutcomeUnknown,
    RequestTimeout,
    WhitelistEntry,
    WhitelistStatus,
    WhitelistType,
)
from exotel_async.emulator import Emulator, Fault, Garbage
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session
from tests.emulator.support import StoppedClock

PAGE = "CustomerWhitelist/"


async def test_a_whitelisted_number_may_be_called(emulator: Emulator, exotel: AsyncExotel) -> None:
    clock = StoppedClock(emulator)
    emulator.ndnc = {CUSTOMER}
    with pytest.raises(PermissionDenied):
        await exotel.calls.connect_to_flow(CUSTOMER, flow=926, caller_id=EXOPHONE)
    before = await exotel.numbers.whitelist_status(CUSTOMER)
    assert before == WhitelistEntry(status=WhitelistStatus.NEUTRAL)
    assert await exotel.numbers.whitelist(CUSTOMER, exophone=EXOPHONE) is None  # type: ignore[func-returns-value]
    clock.seconds += 3600
    after = await exotel.numbers.whitelist_status("098123 00001")
    assert after == WhitelistEntry(
        status=WhitelistStatus.WHITELIST,
        type=WhitelistType.API,
        expires_in=timedelta(days=180, hours=-1),
    )
    assert after.raw["Status"] == "Whitelist"
    await exotel.calls.connect_to_flow(CUSTOMER, flow=926, caller_id=EXOPHONE)
    assert [request.path.removeprefix("/v1/Accounts/acme1/") for request in emulator.requests] == [
        "Calls/connect.json",
        "CustomerWhitelist/+919812300001.json",
        "CustomerWhitelist/",
        "CustomerWhitelist/09812300001.json",
        "Calls/connect.json",
    ]


async def test_several_numbers_in_one_request(emulator: Emulator, exotel: AsyncExotel) -> None:
    written = (number for number in (CUSTOMER, "098123-00002", CUSTOMER))
    await exotel.numbers.whitelist(written, exophone="080 3000 0000", extra={"Language": "en"})
    (request,) = emulator.requests
    assert request.form == {
        "VirtualNumber": "08030000000",
        "Number": f"{CUSTOMER},09812300002",
        "Language": "en",
    }
    assert CUSTOMER in emulator.whitelist
    assert AGENT in emulator.whitelist


async def test_nothing_is_sent_for_a_bad_argument(emulator: Emulator, exotel: AsyncExotel) -> None:
    with pytest.raises(InvalidRequest, match="numbers="):
        await exotel.numbers.whitelist([CUSTOMER, "nobody"], exophone=EXOPHONE)
    with pytest.raises(InvalidRequest, match="one phone number or more"):
        await exotel.numbers.whitelist([], exophone=EXOPHONE)
    with pytest.raises(InvalidRequest, match="exophone="):
        await exotel.numbers.whitelist(CUSTOMER, exophone="")
    with pytest.raises(InvalidRequest, match="number="):
        await exotel.numbers.whitelist_status("")
    assert emulator.requests == []


async def test_a_refusal(emulator: Emulator, exotel: AsyncExotel) -> None:
    with pytest.raises(BadRequest, match="one of the account's ExoPhones"):
        await exotel.numbers.whitelist(CUSTOMER, exophone="08012345678")
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault.act_then_drop(),
        Fault.act_then_status(500),
        Fault.act_then_status(408),
        Fault.act_then_cut(),
        Fault.act_then_garbage(Garbage.HTML),
    ],
)
async def test_no_second_sms_is_risked(
    emulator: Emulator, exotel: AsyncExotel, fault: Fault
) -> None:
    emulator.faults.add(fault)
    with pytest.raises(RequestOutcomeUnknown) as caught:
        await exotel.numbers.whitelist(CUSTOMER, exophone=EXOPHONE)
    assert (caught.value.method, caught.value.path) == ("POST", PAGE)
    assert len(emulator.requests) == 1
    found = await exotel.numbers.whitelist_status(CUSTOMER)
    assert found.status is WhitelistStatus.WHITELIST


async def test_what_certainly_did_nothing_is_sent_again(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=0))
    await exotel.numbers.whitelist(CUSTOMER, exophone=EXOPHONE)
    assert [request.status for request in emulator.requests] == [429, 200]
    emulator.faults.add(Fault.too_many_requests(retry_after=0))
    async with session(emulator, retry=False) as once:
        with pytest.raises(RateLimited):
            await once.numbers.whitelist(AGENT, exophone=EXOPHONE)
    assert AGENT not in emulator.whitelist


async def test_the_status_is_read_again(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.faults.add(Fault.act_then_drop())
    found = await exotel.numbers.whitelist_status(CUSTOMER)
    assert found.status is WhitelistStatus.NEUTRAL
    assert len(emulator.requests) == 2
    emulator.faults.add(Fault.act_then_stall())
    with pytest.raises(RequestTimeout):
        await exotel.numbers.whitelist_status(CUSTOMER, timeout=0.2)
    emulator.faults.add(Fault.act_then_garbage(Garbage.HTML))
    with pytest.raises(DecodeError, match="no WhitelistEntry"):
        await exotel.numbers.whitelist_status(CUSTOMER)
    await exotel.aclose(0)  # what stalls is not waited for


async def test_a_status_in_xml(emulator: Emulator, exotel: AsyncExotel) -> None:
    body = (
        b'<?xml version="1.0"?>\n<TwilioResponse><Result> <Status>Whitelist</Status> '
        b"<Type>Agent</Type> <Expiry>-1</Expiry> </Result></TwilioResponse>"
    )
    emulator.faults.add(Fault.act_then_body(body, content_type="application/xml"))
    assert await exotel.numbers.whitelist_status(CUSTOMER) == WhitelistEntry(
        status=WhitelistStatus.WHITELIST, type=WhitelistType.AGENT
    )
