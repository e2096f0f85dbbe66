"""Clients that others have published, as they are on PyPI, against the emulator over TLS.

They know hosts of Exotel and https, and nothing else. So their names lead to the emulator, as a
hosts file would let them, and its authority is trusted. Each program below is what a user of that
client writes; what it prints is compared with what the client's own text promises.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import venv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exotel_async.emulator import Emulator, Fault, Scenario
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE

pytestmark = pytest.mark.slow(6)

PUBLISHED = ("exotel==0.1.5", "pyexotel==1.0.3", "exotelpy==0.1.1")
SID = "acme1"
RESOLVER = """
import os, socket

resolve, (host, port) = socket.getaddrinfo, os.environ["EMULATOR"].split(":")

def led_there(name, service, *rest, **options):
    if str(name).endswith((".exotel.com", ".exotel.in")):
        name, service = host, int(port)
    return resolve(name, service, *rest, **options)

socket.getaddrinfo = led_there
"""
SHOW = """
import json

def show(value):
    print("shown", json.dumps(value))

"""


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has them, and whose names of Exotel lead to the emulator."""
    folder = tmp_path_factory.mktemp("published")
    venv.create(folder)
    (library,) = folder.glob("lib/python*/site-packages")
    (library / "sitecustomize.py").write_text(RESOLVER, encoding="ascii")
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--retries", "1"]
    installed = subprocess.run([*pip, *PUBLISHED], capture_output=True, text=True, check=False)
    if "Could not find a version" in installed.stderr:
        pytest.skip("pip does not reach an index")
    assert installed.returncode == 0, installed.stderr
    return python


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """`exotel` takes the account's SID for the name of its user, as Exotel once had it."""
    answered = Scenario.all_answered()
    async with Emulator(tls=True, account_sid=SID, api_key=SID, scenario=answered) as emulator:
        yield emulator


async def shown(python: Path, emulator: Emulator, program: str) -> list[Any]:
    """Run a program; what it has shown, in order, as JSON, and beside that what was printed."""
    assert emulator.ca_file is not None
    process = await asyncio.create_subprocess_exec(
        python,
        "-c",
        SHOW + program,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            "EMULATOR": emulator.base_url.removeprefix("https://"),
            "REQUESTS_CA_BUNDLE": emulator.ca_file,
            "PATH": os.environ["PATH"],
        },
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return [
        json.loads(line.removeprefix("shown ")) if line.startswith("shown ") else line
        for line in out.decode().splitlines()
    ]


async def test_exotel(python: Path, emulator: Emulator) -> None:
    program = f"""
from exotel import Exotel

client = Exotel({SID!r}, "emulator-token")
answers = [
    client.call_number("{AGENT}", "{EXOPHONE}", "{CUSTOMER}"),
    client.call_number(
        "{AGENT}", "{EXOPHONE}", "{CUSTOMER}", timelimit=60, timeout=20, custom_data="order-7"
    ),
    client.call_flow("{CUSTOMER}", "{EXOPHONE}", 926),
]
answers += [client.call_details(answer.json()["Call"]["Sid"]) for answer in answers]
answers += [client.call_details("0a1b2c"), Exotel({SID!r}, "wrong").call_details("0a1b2c")]
for answer in answers:
    show([answer.status_code, answer.json()])
"""
    answers = await shown(python, emulator, program)
    assert [status for status, _ in answers] == [200, 200, 200, 200, 200, 200, 404, 401]
    placed, read = [[body["Call"] for _, body in part] for part in (answers[:3], answers[3:6])]
    assert [call["Sid"] for call in placed] == [call["Sid"] for call in read] == [*emulator.calls]
    assert [call["Status"] for call in placed] == ["in-progress"] * 3
    assert [call["To"] for call in read] == [CUSTOMER, CUSTOMER, EXOPHONE]
    assert [call["From"] for call in read] == [AGENT, AGENT, CUSTOMER]
    assert [call["PhoneNumberSid"] for call in read] == [EXOPHONE] * 3
    assert all(body["RestException"]["Message"] for _, body in answers[6:])
    assert emulator.requests[1].form == {
        "From": AGENT,
        "CallerId": EXOPHONE,
        "To": CUSTOMER,
        "TimeLimit": "60",
        "CallType": "trans",
        "TimeOut": "20",
        "CustomField": "order-7",
    }
    assert emulator.requests[2].form["Url"] == "http://my.exotel.in/exoml/start/926"


async def test_pyexotel(python: Path, emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_status(503), path="Calls/connect", after=3)
    program = f"""
from pyexotel import Exotel

client = Exotel({SID!r}, "emulator-token", {SID!r})
mumbai = Exotel({SID!r}, "emulator-token", {SID!r}, domain="api.in.exotel.com")
placed = [
    client.call("{AGENT}", "{CUSTOMER}", "{EXOPHONE}"),
    mumbai.call("{AGENT}", "{CUSTOMER}", "{EXOPHONE}", record=False, stream_url="wss://app.test/"),
    client.connect_flow("{CUSTOMER}", "{EXOPHONE}", "926"),
]
show(placed)
show([client.get_call_info(call["Call"]["Sid"]) for call in placed])
show(client.get_phone_info("{AGENT}"))
show(client.call("{AGENT}", "{CUSTOMER}", "{EXOPHONE}"))
show(client.get_call_info("0a1b2c"))
"""
    placed, read, number, *failed = await shown(python, emulator, program)
    sids = [*emulator.calls]
    assert [call["Call"]["Sid"] for call in placed] == sids[:3]
    assert [call["Call"]["Sid"] for call in read] == sids[:3]
    assert [call["Call"]["To"] for call in read] == [CUSTOMER, CUSTOMER, EXOPHONE]
    assert [call.dial.record for call in emulator.calls.values()] == [True, False, False, True]
    # Its text has these fields at the top; its code returns Exotel's answer as it is.
    assert set(number) == {"Numbers"}
    assert set(number["Numbers"]) == {
        "PhoneNumber",
        "Circle",
        "CircleName",
        "Type",
        "Operator",
        "OperatorName",
        "DND",
    }
    # It prints what went wrong and returns None: of a dial that may have been placed, too.
    assert failed[1] is failed[3] is None
    assert failed[0].startswith("An error occurred: 503 Server Error")
    assert failed[2].startswith("An error occurred: 404 Client Error")
    assert len(sids) == 4


async def test_exotelpy(python: Path, emulator: Emulator) -> None:
    """Of Voice v1 it has nothing; of ExoPhones it has all that reads."""
    emulator.faults.add(Fault.too_many_requests(), path="IncomingPhoneNumbers", after=3)
    program = f"""
from exotelpy import Exotel
from exotelpy.exceptions import NotFound, Throttled

client = Exotel({SID!r}, {SID!r}, "emulator-token")
exophones = client.get_all_exophones()
show(exophones)
sid = exophones["incoming_phone_numbers"][0]["sid"]
show(client.get_exophone_details(sid))
show(client.get_exophone_heartbeat(sid))
for ask in (lambda: client.get_exophone_details("0a1b2c"), client.get_all_exophones):
    try:
        ask()
    except (NotFound, Throttled) as error:
        show([type(error).__name__, str(error)])
try:
    Exotel({SID!r}, {SID!r}, "wrong").get_all_exophones()
except KeyError as error:
    show(str(error))
"""
    exophones, one, heartbeat, missing, throttled, refused = await shown(python, emulator, program)
    assert exophones["incoming_phone_numbers"] == [one]
    assert heartbeat["sid"] == one["sid"]  # of v2, and what else it says is not known
    assert one["phone_number"] == "+918030000000"
    assert missing == ["NotFound", "The ExoPhone was not found"]
    assert throttled == ["Throttled", "Request was throttled."]
    # It would raise AuthenticationFailed, but reads the error as one of v2 whatever was asked.
    assert refused == "'response'"
