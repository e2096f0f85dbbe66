"""Every outcome of both parties, as applications see it that were written for the real service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal, NamedTuple

import httpx
import pytest

from exotel_async.emulator import (
    Behaviour,
    Caller,
    Connect,
    Emulator,
    Flow,
    Passthru,
    Scenario,
)
from tests.emulator.consumers import Crm, credentials_problem, running
from tests.emulator.support import EXOPHONE, FLOW_URL, client_of, dial

BOTH = {"StatusCallbackEvents[0]": "terminal", "StatusCallbackEvents[1]": "answered"}


@pytest.fixture
async def crm() -> AsyncIterator[Crm]:
    async with running() as application:
        yield application
        assert application.errors == []


def number(index: int, party: int = 0) -> str:
    return f"098123{party}{index:04}"


async def record(client: httpx.AsyncClient, sid: str) -> dict[str, Any]:
    answer = await client.get(f"Calls/{sid}.json", params={"details": "true"})
    found: dict[str, Any] = answer.json()["Call"]
    return found


async def test_credentials_are_checked_when_settings_are_saved(emulator: Emulator) -> None:
    """By a client that sends them once a 401 asks for them."""
    account, key, token = emulator.account_sid, emulator.api_key, emulator.api_token
    problems = [
        await asyncio.to_thread(credentials_problem, emulator.base_url, *given)
        for given in (
            (account, key, token),
            (account, key, "wrong"),
            (account, "wrong", token),
            ("acme10", key, token),
        )
    ]
    assert problems == [None, "wrong key or token", "wrong key or token", "no such account"]


class Seen(NamedTuple):
    """What agent and customer do, and what is seen of it."""

    agent: str
    customer: str
    screen: list[str]
    """The states of the agent's screen from the first callback on."""
    status: str


SEEN = [
    Seen("busy", "completed", ["ended: agent busy"], "busy"),
    Seen("no-answer", "completed", ["ended: agent no-answer"], "no-answer"),
    Seen("failed", "completed", ["ended: agent failed"], "failed"),
    Seen(
        "completed",
        "completed",
        ["agent answered", "bridged", "ended: talked"],
        "completed",
    ),
    Seen("completed", "busy", ["agent answered", "ended: customer busy"], "busy"),
    Seen("completed", "no-answer", ["agent answered", "ended: customer no-answer"], "no-answer"),
    Seen("completed", "failed", ["agent answered", "ended: customer failed"], "failed"),
    Seen("completed", "canceled", ["agent answered", "ended: agent hung up"], "failed"),
]
LOGGED = {"completed": "Completed", "failed": "Failed", "busy": "Busy", "no-answer": "No Answer"}


@pytest.mark.parametrize(
    ("encoding", "switch"),
    [("multipart", "second-leg"), ("urlencoded", "second-leg"), ("multipart", "completed")],
)
async def test_a_call_screen_and_a_log_by_status_callbacks(
    crm: Crm,
    encoding: Literal["multipart", "urlencoded"],
    switch: Literal["second-leg", "completed"],
) -> None:
    """Two `answered` and a `terminal`; they agree with the record that is read later."""
    behaviours = {}
    for index, one in enumerate(SEEN):
        behaviours[number(index)] = Behaviour(one.agent, ring=5, talk=30)
        behaviours[number(index, 1)] = Behaviour(one.customer, ring=5, talk=30)
    async with (
        Emulator(
            scenario=Scenario(numbers=behaviours),
            callback_encoding=encoding,
            unreached_second=switch,
        ) as emulator,
        client_of(emulator) as client,
    ):
        sids = [
            await dial(
                client,
                From=number(index),
                To=number(index, 1),
                Record="true",
                CustomField=f"order of {index}",
                StatusCallback=f"{crm.url}/status",
                **BOTH,
            )
            for index in range(len(SEEN))
        ]
        await emulator.finish_calls()
        records = [await record(client, sid) for sid in sids]
    assert {sent.status for sent in emulator.callbacks} == {200}
    for one, sid, found in zip(SEEN, sids, records, strict=True):
        answered = one.agent == "completed"
        talked = answered and one.customer == "completed"
        status = "completed" if answered and switch == "completed" else one.status
        assert crm.screens[sid].seen == ["ringing", *one.screen], one
        told = found["Details"]
        assert (found["Status"], told["Leg1Status"]) == (status, one.agent)
        assert told["Leg2Status"] == (one.customer if answered else None)
        entry = crm.log[sid]
        assert (entry.status, entry.order) == (LOGGED[status], f"order of {sids.index(sid)}")
        assert (entry.agent, entry.customer) == (found["From"], found["To"])
        assert (entry.direction, entry.exophone) == ("Outgoing", found["PhoneNumberSid"])
        assert entry.duration == told["ConversationDuration"] == (30 if talked else 0)
        assert entry.recording == found["RecordingUrl"]
        assert (entry.recording is not None) is talked


class Connected(NamedTuple):
    """What the agents of a Connect do, and what is seen of it."""

    agents: list[str]
    patience: int | None
    """How long the caller waits for them; None: for ever."""
    logged: str
    second: str
    """The status of the second leg."""
    duration: int
    """`DialCallDuration`."""
    steps: list[tuple[int, str]]
    """The dial events: which agent's, and what."""


RUNG = [(0, "Dial"), (0, "Terminal")]
TALKED = [(0, "Dial"), (0, "Answered"), (0, "Terminal")]
AFTER_ANOTHER = [*RUNG, (1, "Dial"), (1, "Answered"), (1, "Terminal")]
CONNECTED = [
    Connected(["completed"], None, "Completed", "completed", 35, TALKED),
    Connected(["busy"], None, "Busy", "busy", 5, RUNG),
    Connected(["no-answer"], None, "No Answer", "no-answer", 0, RUNG),
    Connected(["failed"], None, "Failed", "failed", 0, RUNG),
    Connected(["canceled"], None, "Canceled", "canceled", 0, RUNG),
    Connected(["completed"], 3, "Canceled", "canceled", 0, RUNG),
    Connected(["busy", "completed"], None, "Completed", "completed", 35, AFTER_ANOTHER),
]


async def test_a_log_by_flows(crm: Crm) -> None:
    """Of calls that came in and of calls that the API made: Connect asks whom to dial, tells of
    each phone, and a Passthru comes after it. A call that came in is `completed`, and one that the
    API made as well: its one party was reached."""
    behaviours = {}
    for index, one in enumerate(CONNECTED):
        behaviours[number(index)] = Behaviour(ring=5)
        agents = [number(index, 1 + place) for place in range(len(one.agents))]
        for agent, does in zip(agents, one.agents, strict=True):
            behaviours[agent] = Behaviour(does, ring=5, talk=30)
        crm.agents[number(index)] = ",".join(agents)
    after = Passthru(url=f"{crm.url}/passthru")
    connect = Connect(
        dial_whom_url=f"{crm.url}/whom",
        events_url=f"{crm.url}/event",
        record=True,
        then=after,
        no_answer=after,
    )
    callers = {number(index): Caller(patience=one.patience) for index, one in enumerate(CONNECTED)}
    async with (
        Emulator(
            scenario=Scenario(numbers=behaviours),
            flows=[Flow(926, start=connect)],
            exophone_flows={EXOPHONE: 926},
            callers=callers,
        ) as emulator,
        client_of(emulator) as client,
    ):
        seen = []
        for index, one in enumerate(CONNECTED):
            incoming = await emulator.incoming_call(number(index), EXOPHONE)
            form = {"StatusCallback": f"{crm.url}/status", "CustomField": f"order of {index}"}
            outgoing = await dial(client, From=number(index), Url=FLOW_URL, **form)
            seen += [
                (index, one, incoming.sid, "Incoming"),
                (index, one, outgoing, "Outgoing"),
            ]
        await emulator.finish_calls()
        records = [await record(client, sid) for _, _, sid, _ in seen]
    assert [sent.status for sent in emulator.callbacks] == [200] * len(CONNECTED)
    for (index, one, sid, direction), found in zip(seen, records, strict=True):
        entry = crm.log[sid]
        assert (entry.status, entry.duration) == (one.logged, one.duration), one
        assert entry.agent == number(index, len(one.agents))
        assert entry.steps == [(number(index, 1 + place), step) for place, step in one.steps]
        assert (entry.customer, entry.direction) == (found["From"], direction)
        assert entry.exophone == found["PhoneNumberSid"] == EXOPHONE
        assert entry.order == (f"order of {index}" if direction == "Outgoing" else None)
        assert entry.recording == found["RecordingUrl"]
        assert (entry.recording is not None) is (one.logged == "Completed")
        assert (found["Status"], found["Details"]["Leg2Status"]) == ("completed", one.second)
        reached = one.logged == "Completed" and direction == "Incoming"
        assert found["To"] == (entry.agent if reached else EXOPHONE)
        assert crm.short.get(sid) == (None if direction == "Incoming" else "completed")


async def test_a_flow_that_nobody_came_to(crm: Crm) -> None:
    """Its applets ask nothing; the short callback tells why."""
    outcomes = ["busy", "no-answer", "failed"]
    numbers = {number(index): Behaviour(outcome) for index, outcome in enumerate(outcomes)}
    async with (
        Emulator(
            scenario=Scenario(numbers=numbers),
            flows=[Flow(926, start=Passthru(url=f"{crm.url}/passthru"))],
        ) as emulator,
        client_of(emulator) as client,
    ):
        form = {"Url": FLOW_URL, "StatusCallback": f"{crm.url}/status"}
        sids = [await dial(client, From=one, **form) for one in numbers]
        await emulator.finish_calls()
    assert crm.log == {}
    assert [crm.short[sid] for sid in sids] == outcomes
