"""The page by plain HTTP: what it shows, and what its forms do without a script."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from exotel_async.emulator import Emulator, Fault
from tests.emulator.application import Application, Reply
from tests.emulator.page.conftest import DESK
from tests.emulator.page.forms import Visitor
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, client_of, dial, until

CALLER = f"Caller {CUSTOMER}"


@pytest.fixture
async def visitor(emulator: Emulator) -> AsyncIterator[Visitor]:
    async with httpx.AsyncClient(base_url=emulator.base_url, trust_env=False) as client:
        yield Visitor(client)


async def test_a_person_plays_the_caller_and_the_agent(
    emulator: Emulator, visitor: Visitor
) -> None:
    """Calls in, presses 2, talks to an agent, who hangs up, and leaves a message."""
    await visitor.open("/_emulator/")
    await visitor.click("Set", manual=DESK)
    await visitor.click("Call", **{"from": CUSTOMER})
    (call,) = emulator.calls.values()

    def waits_for(what: str) -> bool:
        return emulator.phones(call.sid)[0].waits_for == what

    await until(lambda: waits_for("keys"))
    page = await visitor.open("/_emulator/")
    assert f"{CALLER} connected" in page.text
    assert "Hears Press 2 The flow waits for keys" in page.text
    await visitor.click("Press 2")
    await until(lambda: len(emulator.phones(call.sid)) == 2)
    page = await visitor.open("/_emulator/")
    assert f"Agent {DESK} ringing" in page.text
    await visitor.click(f"Answer: Agent {DESK}")
    await until(lambda: emulator.phones(call.sid)[1].state == "connected")
    page = await visitor.open("/_emulator/")
    assert f"Agent {DESK} connected" in page.text
    assert not any("Press 1" in form.buttons for form in page.forms), "nobody hears keys"
    await visitor.click(f"Hang up: Agent {DESK}")
    await until(lambda: waits_for("message"))
    await visitor.open("/_emulator/")
    await visitor.click("Speak", seconds="7")
    await call.over()
    page = await visitor.open("/_emulator/")
    assert "ended by its flow" in page.text
    assert "recorded 7 s" in page.text
    page = await visitor.follow(f"{CUSTOMER} → {EXOPHONE}")
    for told in ("Recorded: 7 s", "the caller presses 2", "2 ✓ taken", "step 3", "SMS"):
        assert told in page.text, told
    assert call.transcript.path[:2] == [("main", "2"), ("desk", "then")]
    page = await visitor.follow("Flows")
    assert "For incoming calls of 08030000000" in page.text
    page = await visitor.follow(f"{CUSTOMER} → {EXOPHONE}")
    assert page.answer.url.path == f"/_emulator/page/calls/{call.sid}"


async def test_a_call_between_two_by_hand(emulator: Emulator, visitor: Visitor) -> None:
    """The page of the call has the same buttons, and stays where they are."""
    emulator.manual = "*"
    async with client_of(emulator) as client:
        sid = await dial(client)
    page = await visitor.open(f"/_emulator/page/calls/{sid}")
    assert f"First party {AGENT} ringing" in page.text
    page = await visitor.click(f"Answer: First party {AGENT}")
    page = await visitor.click(f"Reject: Second party {CUSTOMER}")
    assert page.answer.url.path == f"/_emulator/page/calls/{sid}"
    assert f"Second party {CUSTOMER} busy" in page.text
    assert emulator.calls[sid].ended


async def test_what_is_not_done_says_why(emulator: Emulator, visitor: Visitor) -> None:
    await visitor.open("/_emulator/")
    page = await visitor.click("Call", **{"from": "<b>nobody</b>"})
    assert page.answer.status_code == 400
    assert "That was not done. From: a phone number has 8 to 15 digits" in page.text
    assert page.forms[0].fields["from"] == "<b>nobody</b>", "what was typed is kept"
    emulator.exophone_flows.clear()
    page = await visitor.click("Call", **{"from": CUSTOMER})
    assert page.answer.status_code == 400
    assert "no flow is assigned" in page.text
    page = await visitor.click("Set", manual="call me")
    assert "give phone numbers, or * for every phone" in page.text
    assert not emulator.calls
    assert not emulator.manual

    async with client_of(emulator) as client:
        sid = await dial(client)
    action = f"/_emulator/page/calls/{sid}/answer"
    answer = await visitor.client.post(action, data={"number": AGENT})
    assert answer.status_code == 400
    assert "by hand" in answer.text
    action = "/_emulator/page/calls/none/answer"
    assert (await visitor.client.post(action, data={"number": AGENT})).status_code == 404
    assert (await visitor.client.get("/_emulator/page/calls/none")).status_code == 404


async def test_finishing_calls_and_a_reset_that_is_confirmed(
    emulator: Emulator, visitor: Visitor
) -> None:
    await visitor.open("/_emulator/")
    await visitor.click("Call")
    page = await visitor.click("Finish all now")
    (call,) = emulator.calls.values()
    assert call.ended
    assert "In progress 0" in page.text
    await visitor.follow("Settings")
    await visitor.follow("Reset…")
    assert emulator.calls, "it only asks"
    await visitor.click("Reset")
    assert not emulator.calls


async def test_faults_by_form(emulator: Emulator, visitor: Visitor) -> None:
    await visitor.open("/_emulator/page/faults")
    page = await visitor.click("Add", fault="answer-503", path="Balance", times="2")
    assert "nothing is done, answers 503 2 times, where the path has Balance" in page.text
    async with client_of(emulator) as client:
        assert [(await client.get("Balance.json")).status_code for _ in range(3)] == [503, 503, 200]
    await visitor.click("Add", times="")
    assert emulator.faults.pending == [Fault.act_then_drop()]
    page = await visitor.open("/_emulator/page/faults")
    assert "closes without an answer always, for any path" in page.text
    for bad in ({"times": "0"}, {"times": "two"}, {"fault": "none"}):
        page = await visitor.click("Add", **bad)
        assert page.answer.status_code == 400, bad
    page = await visitor.click("Remove all")
    assert emulator.faults.pending == []
    assert "No fault is pending" in page.text


async def test_callbacks_messages_and_requests(
    emulator: Emulator, visitor: Visitor, application: Application
) -> None:
    """With their verdicts, and nothing of what others send is taken for HTML."""
    evil = "<script>alert(1)</script>"
    told = application("/told", Reply(500, evil))
    async with client_of(emulator) as client:
        await dial(client, StatusCallback=told, CustomField=evil)
        emulator.faults.add(Fault.act_then_drop(), path="Calls/connect")
        with pytest.raises(httpx.HTTPError):
            await dial(client)
        await client.get("Calls/none.json")
    await emulator.finish_calls()
    page = await visitor.open("/_emulator/page/callbacks")
    assert f"terminal: completed 500 {evil}" in page.text
    page = await visitor.open("/_emulator/page/requests")
    assert "404, The call was not found" in page.text
    assert "fault: closes without an answer" in page.text
    assert f"CustomField {evil}" in page.text
    assert "<script>alert" not in page.answer.text
    assert not emulator._app.requests[3:], "the page's own are not among them"
    assert "None" not in page.text


async def test_the_token_is_not_shown_and_changes_are_marked(
    emulator: Emulator, visitor: Visitor
) -> None:
    page = await visitor.open("/_emulator/page/settings")
    assert "rate 1000 set" in page.text
    assert "per 60.0 window" in page.text, "the default has no mark"
    assert "speech 1000 set" in page.text
    assert emulator.api_token not in page.answer.text


@pytest.mark.parametrize(
    "path", ["/", "/page/flows", "/page/callbacks", "/page/messages", "/page/calls/none"]
)
async def test_pages_let_a_browser_do_no_more_than_they_need(visitor: Visitor, path: str) -> None:
    headers = (await visitor.open(f"/_emulator{path}")).answer.headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["referrer-policy"] == "same-origin", "forms keep their Origin"


async def test_the_slash_at_the_end_may_be_forgotten(emulator: Emulator, visitor: Visitor) -> None:
    answer = await visitor.client.get("/_emulator", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/_emulator/")
    assert not emulator.requests


async def test_the_recording_can_be_heard(emulator: Emulator, visitor: Visitor) -> None:
    async with client_of(emulator) as client:
        sid = await dial(client, Record="true")
        other = await dial(client)
    await emulator.finish_calls()
    path = f"/_emulator/page/calls/{sid}/recording.mp3"
    answer = await visitor.client.get(path)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.content == emulator.recording(sid)
    assert (await visitor.client.get(path.replace(sid, other))).status_code == 404
