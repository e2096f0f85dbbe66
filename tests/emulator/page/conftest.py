"""A flow to be played by hand, as short as it can be."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
import pytest

from exotel_async.emulator import (
    Connect,
    Email,
    Emulator,
    Flow,
    Greeting,
    Menu,
    Scenario,
    Sms,
    Voicemail,
)
from tests.emulator.support import EXOPHONE

DESK = "09812300009"
"""An agent's number."""


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Whose flow waits as long as it takes, and says everything in no time."""
    box = Voicemail(
        name="box",
        text="Speak",
        max_seconds=9999,
        then=Sms(text="We have <your> message", then=Email(to=["desk@acme.example"], text="New")),
    )
    desk = Connect(name="desk", numbers=[DESK], then=box, no_answer=box)
    keys = {"1": Greeting(text="We are open"), "2": desk}
    menu = Menu(name="main", text="Press 2", keys=keys, wait=9999, otherwise="main")
    async with Emulator(
        rate=1000,
        speed=100,
        scenario=attrs.evolve(Scenario.all_answered(talk=9999), ring_timeout=9999),
        flows=[Flow(926, start=menu)],
        exophone_flows={EXOPHONE: 926},
    ) as running:
        running.flow_settings.speech = 1000
        yield running
