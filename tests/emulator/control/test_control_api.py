"""The control API: what it answers, what it refuses, and the document that describes it."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from starlette.routing import Mount, Route

from exotel_async.emulator import Emulator, Fault, Flow, FlowSettings, Hangup
from exotel_async.emulator.calls import Dial
from exotel_async.emulator.control.app import ROOT
from exotel_async.emulator.control.app import Control as ControlApp
from exotel_async.emulator.control.config import config_schema
from exotel_async.emulator.responses import Message
from tests.conftest import SOON
from tests.emulator.control.support import Control, controlling
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, TWO_NUMBERS, client_of, until

CALL = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)
ADDED = {"dial": {"from": AGENT, "to": CUSTOMER, "caller_id": EXOPHONE}}
SPACED = {"from": "+91 98123 00007", "exophone": EXOPHONE}
NOT_DESCRIBED = {"/openapi.json", "/docs", "/schema.json", "/"}
THE_PAGE = "/page/"
"""What the page for browsers consists of."""


@pytest.fixture
async def control(emulator: Emulator) -> AsyncIterator[Control]:
    """A client of the emulator's control API."""
    async with controlling(emulator.base_url) as control:
        yield control


@pytest.mark.slow(1)
async def test_the_document_is_openapi_and_describes_every_route(
    emulator: Emulator, control: Control
) -> None:
    # Not at the top: it takes a tenth of a second, and each worker imports this module.
    from openapi_spec_validator import validate  # noqa: PLC0415

    validate(dict(control.document))
    assert control.document["openapi"].startswith("3.1")
    (mount,) = ControlApp(emulator, lambda _: asyncio.sleep(0))._new_app().routes
    assert isinstance(mount, Mount)
    routed = {
        (route.path, method)
        for route in mount.routes
        if isinstance(route, Route)
        and route.path not in NOT_DESCRIBED
        and not route.path.startswith(THE_PAGE)
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {
        (path, method.upper())
        for path, methods in control.document["paths"].items()
        for method in methods
    }
    assert described == routed


async def test_the_examples_of_the_document_are_taken_one_after_the_other(
    control: Control,
) -> None:
    for path, methods in control.document["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation and path != "/unreachable":
                given = operation["requestBody"]["content"]["application/json"]
                control.check(given["schema"], given["example"])
                expect = 404 if "{sid}" in path else None  # which is no call's
                answer = await control.ask(method.upper(), path, given["example"], expect=expect)
                assert answer.is_success or expect


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field", "message"),
    [
        ("PATCH", "/settings", {"rate": 3}, 409, "rate", "is read at the start"),
        ("PATCH", "/settings", {"kyc": "no"}, 422, "kyc", "neither true nor false"),
        ("PATCH", "/settings", {"kycs": True}, 422, "kycs", "is not a key here"),
        ("PATCH", "/settings", {"sped": 2}, 422, "sped", "is not a key here; there are speed"),
        ("PATCH", "/settings", {"flows": []}, 422, "flows", "is not a key here"),
        ("PATCH", "/settings", {"kyc": False, "channels": "x"}, 422, "channels", "whole number"),
        ("PATCH", "/settings", {"flow_settings": {"time": 1}}, 422, "flow_settings.time", "a key"),
        ("PATCH", "/settings", [], 422, None, "is not an object"),
        ("PUT", "/scenario", {"busy": 2}, 422, None, "shares sum up to 1"),
        ("PUT", "/flows", [{"id": 1}], 422, "[0].start", "is missing"),
        ("PUT", "/flows", [{"id": 1, "start": {"applet": "transfer", "flow": 2}}], 422, None, "2"),
        ("PUT", "/exophone_flows", {EXOPHONE: 7}, 422, None, "flow 7, which is not known"),
        ("PUT", "/exophone_flows", {"0803": 7}, 422, None, "not one of the account's ExoPhones"),
        ("PUT", "/callers", {CUSTOMER: {"key": 1}}, 422, "*******0002.key", "is not a key here"),
        ("POST", "/faults", {"fault": "drop"}, 422, "fault", "is not one of drop_before"),
        ("DELETE", "/faults/9", None, 404, "id", "no fault '9' is pending"),
        ("DELETE", "/faults/x", None, 404, "id", "no fault 'x' is pending"),
        ("POST", "/calls", {}, 422, "dial", "is missing"),
        ("POST", "/calls", {**ADDED, "ago": 1e300}, 422, "ago", "1e+300 is further than dates go"),
        ("POST", "/calls", {**ADDED, "ago": 1e11}, 422, "ago", "1e+11 is further than dates go"),
        ("POST", "/calls", {"dial": {"from": 1}}, 422, "dial.from", "1 is not a text"),
        ("POST", "/incoming_calls", {"from": "x"}, 422, "exophone", "is missing"),
        ("POST", "/incoming_calls", SPACED, 422, "from", "'+** ***** *0007' is not a phone number"),
        ("POST", "/finish_calls", {"settle": 1}, 422, "settle", "neither true nor false"),
        ("POST", "/unreachable", {"seconds": 0}, 422, None, "'seconds' must be > 0"),
        ("GET", "/calls/none", None, 404, "sid", "there is no call 'none'"),
        ("GET", "/calls/none/transcript", None, 404, "sid", "there is no call"),
        ("GET", "/calls/none/recording", None, 404, "sid", "there is no call"),
        ("DELETE", "/calls/none", None, 404, "sid", "there is no call"),
        ("GET", "/calls/none/phones", None, 404, "sid", "there is no call"),
        ("GET", "/calls/none/asked", None, 404, "sid", "there is no call"),
        ("POST", "/calls/none/answer", {"number": AGENT}, 404, "sid", "there is no call"),
        ("POST", "/calls/none/press", {"keys": "x"}, 422, None, "a telephone has 0 to 9, * and #"),
        ("POST", "/calls/none/press", {"keys": ""}, 422, None, "a telephone has 0 to 9, * and #"),
        ("POST", "/calls/none/speak", {"seconds": 0}, 422, None, "'seconds' must be >= 1: 0"),
        ("POST", "/calls/none/speak", {"seconds": "x"}, 422, "seconds", "whole number"),
        ("GET", "/calls?after=none", None, 422, "after", "'none' is not among them"),
        ("GET", "/requests?after=x", None, 422, "after", "'x' is not what `next` says"),
        ("GET", f"/requests?after={'9' * 5000}", None, 422, "after", "is not what `next` says"),
        ("GET", "/requests?limit=0", None, 422, "limit", "0 is not in 1 to 1000"),
        ("GET", "/requests?limit=x", None, 422, "limit", "'x' is not a number"),
        ("GET", "/requests?page=2", None, 422, "page", "is not a parameter here; there are after"),
        ("GET", "/calls/none?wait=nan", None, 422, "wait", "nan is not in 0 to 3600"),
    ],
)
async def test_what_is_refused_names_the_field_and_changes_nothing(
    emulator: Emulator,
    control: Control,
    method: str,
    path: str,
    body: object,
    status: int,
    field: str | None,
    message: str,
) -> None:
    before = await control.get("/settings"), await control.get("/scenario")
    error = (await control.ask(method, path, body, expect=status)).json()["error"]
    assert (error["status"], error["field"]) == (status, field)
    assert message in error["message"]
    assert before == (await control.get("/settings"), await control.get("/scenario"))
    assert (emulator.flows, emulator.faults.pending, dict(emulator.calls)) == ((), [], {})


async def test_what_http_has_for_the_rest(control: Control) -> None:
    twice = b'{"kyc": true, "kyc": false}'
    for content in (b"", b"{", b"\xff", b'{"kyc": NaN}', twice, b"[" * 100_000):
        answer = await control.ask("PATCH", "/settings", content=content, expect=400)
        assert "the body is not JSON" in answer.json()["error"]["message"]
    missing = (await control.http.get("/nothing")).json()["error"]
    assert (missing["status"], "/_emulator/docs" in missing["message"]) == (404, True)
    wrong = await control.http.post("/calls/none/transcript")
    assert wrong.status_code == wrong.json()["error"]["status"] == 405
    assert wrong.headers["allow"] == "GET, HEAD"
    assert wrong.json()["error"]["message"] == "POST is not allowed here, but GET, HEAD"
    head = await control.http.head("/settings")
    assert (head.status_code, head.content) == (200, b"")
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # as curl -d has it
    changed = await control.http.patch("/settings", content=b'{"kyc": false}', headers=form)
    assert changed.json()["kyc"] is False


async def test_a_client_that_leaves_while_it_sends_is_no_mistake_of_the_emulator(
    emulator: Emulator,
) -> None:
    sent = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)  # the server drops it: nobody is there any more

    scope = {"type": "http", "method": "POST", "path": f"{ROOT}/faults", "headers": []}
    await ControlApp(emulator, asyncio.sleep)({**scope, "query_string": b""}, receive, send)
    assert sent[0]["status"] == 400
    assert emulator.faults.orders == ()


async def test_the_token_is_set_and_never_shown(emulator: Emulator, control: Control) -> None:
    await control.ask("PATCH", "/settings", {"api_token": "canary-5e1f"}, expect=200)
    assert emulator.api_token == "canary-5e1f"
    for path in ("/settings", "/openapi.json", "/docs"):
        assert "canary" not in (await control.http.get(path)).text
    refused = await control.ask("PATCH", "/settings", {"api_token": ["canary"]}, expect=422)
    assert "canary" not in refused.text


async def test_lists_come_in_pages_and_hold_while_calls_are_forgotten(
    emulator: Emulator, control: Control, client: httpx.AsyncClient
) -> None:
    sids = [emulator.add_call(CALL).sid for _ in range(5)]
    assert [call["sid"] for call in await control.items("/calls")] == sids
    first = await control.get("/calls?limit=2")
    emulator.forget(sids[0])
    following = await control.get(f"/calls?limit=2&after={first['next']}")
    assert [call["sid"] for call in following["items"]] == sids[2:4]
    assert following["total"] == 4
    for _ in range(3):
        await client.get("Balance.json")
    assert len(await control.items("/requests")) == 3
    assert (await control.get("/requests?after=3"))["items"] == []


@pytest.mark.parametrize("page", ["/calls", "/requests"])
async def test_the_page_that_ends_with_the_list_is_the_last(
    emulator: Emulator, control: Control, client: httpx.AsyncClient, page: str
) -> None:
    for _ in range(2):
        await client.post("Calls/connect", data=TWO_NUMBERS)
    assert (await control.get(f"{page}?limit=2"))["next"] is None
    assert (await control.get(f"{page}?limit=1"))["next"] is not None


async def test_settings_of_flows_that_are_not_given_stay(
    emulator: Emulator, control: Control
) -> None:
    emulator.flow_settings = FlowSettings(max_steps=7)
    await control.ask("PATCH", "/settings", {"flow_settings": {"timeout": 2}}, expect=200)
    assert (emulator.flow_settings.max_steps, emulator.flow_settings.timeout) == (7, 2.0)


async def test_a_call_is_waited_for(emulator: Emulator, control: Control) -> None:
    call = emulator.add_call(CALL)
    live = await control.get(f"/calls/{call.sid}?wait=0.01")
    assert (live["status"], live["duration"]) == ("in-progress", None)
    call.run_ahead(call.timeline.ended - 0.2)
    assert (await control.get(f"/calls/{call.sid}?wait=600"))["status"] == "completed"


async def test_what_a_phone_cannot_do_is_refused(
    emulator: Emulator, control: Control, client: httpx.AsyncClient
) -> None:
    emulator.manual = [AGENT]
    sid = (await client.post("Calls/connect.json", data=TWO_NUMBERS)).json()["Call"]["Sid"]
    for path, body, message in [
        ("hang-up", {"number": AGENT}, "the phone is ringing, not connected"),
        ("answer", {"number": CUSTOMER}, "number: it is not that of a phone"),
        ("press", {"keys": "1"}, "without a flow"),
    ]:
        refused = await control.ask("POST", f"/calls/{sid}/{path}", body, expect=409)
        assert message in refused.json()["error"]["message"]
    late = await control.ask("GET", f"/calls/{sid}/ringing/{CUSTOMER}?wait=0.01", expect=409)
    assert "in time" in late.json()["error"]["message"]
    waits = asyncio.create_task(
        control.ask("GET", f"/calls/{sid}/ringing/{CUSTOMER}?wait=20", expect=409)
    )
    await until(lambda: len(emulator.calls[sid].handsets._watchers) > 0)
    emulator.reject(sid, AGENT)
    assert "the call is over" in (await waits).json()["error"]["message"]


async def test_nobody_reaches_it_for_a_while(emulator: Emulator, control: Control) -> None:
    answer = await control.ask("POST", "/unreachable", {"seconds": 0.2}, expect=202)
    assert answer.headers["connection"] == "close"
    refused = 0
    async with client_of(emulator) as client, asyncio.timeout(SOON):
        while True:
            try:
                await client.get("Balance.json")
            except httpx.TransportError:
                refused += 1
                await asyncio.sleep(0.01)
            else:
                if refused:
                    break


async def test_of_several_whiles_it_is_the_last_that_ends(emulator: Emulator) -> None:
    """An unclosed socket would warn, and warnings are errors."""
    async with controlling(emulator.base_url) as control:
        async with emulator.unreachable():
            async with emulator.unreachable():
                pass
            for _ in range(2):
                await emulator._start_outage(0.01)
            await until(lambda: not emulator._outages)
            with pytest.raises(httpx.ConnectError):
                await control.http.get("/clock")
        assert await control.get("/clock")
    gc.collect()


async def test_an_end_while_nobody_reaches_it_is_prompt() -> None:
    before = asyncio.all_tasks()
    async with Emulator() as emulator, controlling(emulator.base_url) as control:
        await control.ask("POST", "/unreachable", {"seconds": 3600}, expect=202)
        await until(lambda: bool(emulator._outages))
    assert asyncio.all_tasks() == before


async def test_a_page_to_read_needs_nothing_else(control: Control) -> None:
    page = await control.http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in page.text
    assert 'src="' not in page.text
    assert 'href="http' not in page.text
    for methods in control.document["paths"].values():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page.text


async def test_the_schema_of_files_is_served(control: Control) -> None:
    answer = await control.http.get("/schema.json")
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.json() == json.loads(json.dumps(config_schema()))
    Draft202012Validator.check_schema(answer.json())


async def test_where_it_stands(control: Control, emulator: Emulator) -> None:
    emulator.flows = [Flow("1", start=Hangup())]
    await control.ask("PUT", "/exophone_flows", {EXOPHONE: "1"}, expect=200)
    made: list[tuple[str, Any]] = [
        ("/calls", {"dial": {"from": AGENT, "to": None, "caller_id": EXOPHONE}}),
        ("/incoming_calls", {"from": CUSTOMER, "exophone": EXOPHONE}),
    ]
    for path, body in made:
        answer = await control.ask("POST", path, body, expect=201)
        where = answer.headers["location"]
        assert (await control.get(where.removeprefix(ROOT)))["sid"] == answer.json()["sid"]


async def test_a_fault_made_by_hand_is_shown(emulator: Emulator, control: Control) -> None:
    emulator.faults.add(Fault(delay=1, status=500))
    (shown,) = (await control.ask("GET", "/faults", expect=200)).json()
    assert (shown["fault"], shown["delay"]) == (None, 1)
