"""The transcript of a call: values to assert on, and a text to read."""

from __future__ import annotations

import pytest

from exotel_async.emulator import (
    Caller,
    Connect,
    Email,
    Emulator,
    Exchange,
    Greeting,
    Menu,
    Note,
    Passthru,
)
from tests.emulator.application import Application, text
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, call_in

NOBODY = "http://127.0.0.1:9/"


def flow(url: str) -> Greeting:
    """Through a loop, past a failure, to an agent."""
    connect = Connect(
        numbers=[AGENT], then=Passthru(name="after", url=NOBODY, otherwise=Email(to="a@b"))
    )
    menu = Menu(name="main", text="Press one", keys={"1": connect}, wait=5, otherwise="main")
    return Greeting(text="Hello", then=Passthru(url=url, ok=menu))


async def test_printed(emulator: Emulator, application: Application) -> None:
    url = application("/crm", text('{"select": "gold"}'))
    call = await call_in(emulator, flow(url), Caller(keys=["", "1"]))
    last = f'CallType=completed DialCallStatus=completed DialWhomNumber={AGENT} digits="1"'
    assert (
        str(call.transcript)
        == f"""\
incoming call {call.sid} from {CUSTOMER} to {EXOPHONE}, flow 926
     0 s  Greeting
         0 s  says 'Hello'
            -> then
     1 s  Passthru
         1 s  GET {url} CallType=call-attempt
         1 s  200 text/plain '{{"select": "gold"}}'
            -> ok
     1 s  Menu "main"
         1 s  says 'Press one'
            -> otherwise
     7 s  Menu "main"
         7 s  says 'Press one'
         9 s  the caller presses 1
            -> 1
     9 s  Connect
         9 s  rings {AGENT}
        14 s  {AGENT} answers
        44 s  they talked for 30 s
            -> then
    44 s  Passthru "after"
        44 s  GET {NOBODY} {last}
        44 s  ConnectError
            -> otherwise
    44 s  Email
        44 s  writes to a@b
            -> then
          ended by its flow after 44 s: completed"""
    )


async def test_as_values(emulator: Emulator, application: Application) -> None:
    url = application("/crm", text("ok"))
    call = await call_in(emulator, flow(url), Caller(keys=["", "1"]))
    transcript = call.transcript
    assert transcript.path == [
        ("Greeting", "then"),
        ("Passthru", "ok"),
        ("main", "otherwise"),
        ("main", "1"),
        ("Connect", "then"),
        ("after", "otherwise"),
        ("Email", "then"),
    ]
    greeting = transcript.step("Greeting")
    assert (greeting.at, greeting.flow, greeting.applet.kind) == (0, "926", "Greeting")
    assert greeting.entries == (Note(at=0, text="says 'Hello'"),)
    first, second = transcript.exchanges
    assert isinstance(first, Exchange)
    assert (first.method, first.url, first.status, first.text) == ("GET", url, 200, "ok")
    assert first.parameters["CallSid"] == call.sid
    assert (second.status, second.error) == (None, "ConnectError")
    assert transcript.step("main").at == 1, "the first time"
    with pytest.raises(KeyError):
        transcript.step("Voicemail")
    assert transcript == call.transcript
