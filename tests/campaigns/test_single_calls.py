"""Single calls: each is named by its key, and is not made twice."""

from __future__ import annotations

import asyncio

import pytest

from exotel_async.campaigns import Contact
from exotel_async.campaigns.dialer import Dialer
from exotel_async.emulator import Emulator
from tests.campaigns.running import number
from tests.conftest import EXOPHONE

pytestmark = pytest.mark.anyio


async def test_one_key_makes_one_call_whatever_its_settings(
    dialer: Dialer, exotel_server: Emulator
) -> None:
    contact = Contact(number(1), key="order-1")
    outcomes = await asyncio.gather(
        *(dialer.call(contact, flow=flow, caller_id=EXOPHONE) for flow in (926, 926, 927))
    )
    assert len({outcome.attempts[0].sid for outcome in outcomes}) == 1
    assert exotel_server.rung(number(1)) == 1
