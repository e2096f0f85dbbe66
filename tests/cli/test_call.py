"""`call`, `number` and `doctor` against an emulator in this process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from exotel_async import AuthenticationError, InvalidRequest, NotFound
from exotel_async.cli.service import Service
from exotel_async.emulator import Behaviour, Emulator, Fault, Garbage, Outcome, Scenario
from tests.cli.support import (
    COMMAND,
    EAGER,
    EXOPHONE,
    FIRST,
    SECOND,
    TOKEN,
    Ended,
    environment,
    pointing_at,
    ran,
    started,
)

pytestmark = pytest.mark.slow

DIAL = ("call", FIRST, SECOND, "--caller-id", EXOPHONE)
SIGNALS = pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
UNKNOWN = "it is not known whether the call was placed (the phone may have rung): "


def assert_failed(ended: Ended, *words: str, code: int = 1) -> None:
    assert ended.code == code, ended
    assert ended.out == ""
    assert ended.error_lines[-1].startswith("exotel-async: ")
    for word in words:
        assert word in ended.error_lines[-1]


def assert_masked(ended: Ended) -> None:
    for number in (FIRST, SECOND, EXOPHONE):
        assert number[-8:] not in ended.out + ended.err


# call


async def test_call_dials_once_and_prints_sid_and_status(emulator: Emulator) -> None:
    ended = await ran(*DIAL, "--custom-field", "order-7", "--record", env=pointing_at(emulator))
    assert ended.code == 0, ended
    (call,) = emulator.calls.values()
    assert ended.out.splitlines() == [f"sid      {call.sid}", "status   in-progress"]
    (line,) = ended.error_lines
    assert line.startswith("Dialling +********0001, then *******0002")
    assert emulator.requests[0].form["CustomField"] == "order-7"
    assert emulator.requests[0].form["Record"] == "true"
    assert emulator.rung(FIRST) == 1
    assert_masked(ended)


@pytest.mark.parametrize("redirect", ["> /dev/full", "2> /dev/null | true", "2>&1 | head -1"])
@pytest.mark.parametrize(("fault", "code"), [(None, 0), (Fault.act_then_drop(), 3)])
async def test_a_reader_that_has_gone_changes_no_exit_code(
    emulator: Emulator, redirect: str, fault: Fault | None, code: int
) -> None:
    emulator.latency = lambda _: (0.0, 0.2)  # `true` has gone by then
    if fault is not None:
        emulator.faults.add(fault)
    line = f"set -o pipefail; {shlex.join((*COMMAND, *DIAL))} {redirect}"
    ended = await ran("-c", line, command=("bash",), env=pointing_at(emulator))
    # Who cannot even say that it dials does not.
    assert ended.code == (code if emulator.calls else 1), ended
    if fault is None and redirect == "> /dev/full":
        (call,) = emulator.calls.values()
        assert f"standard output cannot be written. Its SID is {call.sid}." in ended.err


async def test_call_dials_a_flow(emulator: Emulator) -> None:
    arguments = ("call", FIRST, "--flow", "926", "--caller-id", EXOPHONE)
    ended = await ran(*arguments, "--base-url", emulator.base_url, env=pointing_at(emulator))
    assert ended.code == 0, ended
    assert emulator.requests[0].form["Url"].endswith("/926")
    assert_masked(ended)


async def test_call_dials_a_bot(emulator: Emulator) -> None:
    bot = ("--stream-url", "wss://bot.example/media?key=canary", "--stream-name", "greeter")
    arguments = ("call", FIRST, *bot, "--sample-rate", "16000", "--max-retries", "0")
    ended = await ran(*arguments, "--caller-id", EXOPHONE, env=pointing_at(emulator))
    assert ended.code == 0, ended
    form = emulator.requests[0].form
    assert form["StreamUrl"] == "wss://bot.example/media?key=canary&sample-rate=16000"
    assert (form["StreamName"], form["MaxRetries"]) == ("greeter", "0")
    assert "then a bot at bot.example" in ended.err
    assert "canary" not in ended.out + ended.err, "a bot's URL may hold its key"
    assert_masked(ended)


async def test_call_that_would_be_refused_costs_no_request(emulator: Emulator) -> None:
    arguments = ("call", FIRST, "--flow", "9/26", "--caller-id", EXOPHONE)
    ended = await ran(*arguments, env=pointing_at(emulator))
    assert_failed(ended, "no call was placed", "--flow '9/26'", code=2)
    for number in ("12", "", "9812300001.0", "+91 09812300001"):
        ended = await ran("call", number, *DIAL[2:], env=pointing_at(emulator))
        assert_failed(ended, "no call was placed", "FROM", code=2)
        assert "Dialling" not in ended.err
    assert not emulator.requests


async def test_call_that_exotel_refuses_says_its_words() -> None:
    async with Emulator(api_token=TOKEN, ndnc=[FIRST]) as emulator:
        ended = await ran(*DIAL, env=pointing_at(emulator))
    assert_failed(ended, "no call was placed", "HTTP 403")
    assert_masked(ended)


async def test_call_that_cannot_begin_says_that_none_was_placed(emulator: Emulator) -> None:
    ended = await ran(*DIAL, env=pointing_at(emulator, EXOTEL_SUBDOMAIN="ftp://x"))
    assert (ended.code, ended.out) == (1, "")
    assert ended.error_lines == [
        "exotel-async: no call was placed: EXOTEL_SUBDOMAIN is not valid: "
        "must be http(s)://host[:port], as 'https://api.in.exotel.com'"
    ]


@pytest.mark.parametrize(
    "fault", [Fault.act_then_drop(), Fault.act_then_status(502), Fault.act_then_garbage("html")]
)
async def test_call_with_unknown_outcome_warns_and_never_dials_again(
    emulator: Emulator, fault: Fault
) -> None:
    emulator.faults.add(fault)
    ended = await ran(*DIAL, env=pointing_at(emulator))
    assert ended.code == 3, ended
    assert UNKNOWN in ended.error_lines[-1]
    assert "before you dial again" in ended.error_lines[-1]
    assert emulator.rung(FIRST) == 1
    assert_masked(ended)


async def test_call_answered_in_xml_shows_the_sid(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_garbage(Garbage.XML))
    ended = await ran(*DIAL, env=pointing_at(emulator))
    assert ended.code == 3, ended
    assert next(iter(emulator.calls)) in ended.err


@SIGNALS
async def test_ctrl_c_with_the_dial_in_the_air_says_that_it_is_unknown(
    emulator: Emulator, by: signal.Signals
) -> None:
    emulator.faults.add(Fault.act_then_stall())
    async with started(*DIAL, env=pointing_at(emulator)) as running:
        while not emulator.rung(FIRST):
            await asyncio.sleep(0.01)
        ended = await running.end(by)
    assert ended.code == 3, ended
    assert UNKNOWN in ended.error_lines[-1]


@SIGNALS
async def test_ctrl_c_while_the_answer_is_on_its_way_still_shows_it(
    emulator: Emulator, by: signal.Signals
) -> None:
    emulator.faults.add(Fault.act_then_stall(0.5))
    async with started(*DIAL, env=pointing_at(emulator)) as running:
        while not emulator.rung(FIRST):
            await asyncio.sleep(0.01)
        ended = await running.end(by)
    assert ended.code == 130, ended
    assert next(iter(emulator.calls)) in ended.out
    assert "the call was placed" in ended.error_lines[-1]


@SIGNALS
async def test_ctrl_c_before_anything_was_taken_says_so(
    emulator: Emulator, by: signal.Signals
) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=60))
    async with started(*DIAL, env=pointing_at(emulator)) as running:
        while not emulator.requests or emulator.requests[0].status is None:
            await asyncio.sleep(0.01)
        ended = await running.end(by)
    assert ended.code == 130, ended
    assert "no call was placed" in ended.error_lines[-1]
    assert not emulator.calls


# call --wait


def ending(outcome: Outcome, second: Outcome = Outcome.COMPLETED) -> Emulator:
    """An emulator on which each call soon ends so, and soon has its length and price."""
    everybody = {
        FIRST: Behaviour(outcome, ring=1, talk=60),
        SECOND: Behaviour(second, ring=1, talk=60),
    }
    scenario = Scenario(numbers=everybody, settle=(1, 1))
    return Emulator(api_token=TOKEN, speed=60, scenario=scenario)


async def test_call_can_wait_for_the_end() -> None:
    async with (
        ending(Outcome.COMPLETED) as emulator,
        started(*DIAL, "--wait", command=EAGER, env=pointing_at(emulator)) as running,
    ):
        await running.line("sid")
        (call,) = emulator.calls.values()
        assert call.status == "in-progress"  # the SID is there before the call is over
        ended = await running.end()
    assert ended.code == 0, ended
    first, then, *rest = ended.out.splitlines()
    assert (first, then) == (f"sid      {call.sid}", "status   in-progress")
    assert [line.split()[0] for line in rest] == ["status", "duration", "talk", "price"]
    assert [line.split()[1] for line in rest] == ["completed", "1:02", "1:00", "1.500"]
    assert_masked(ended)


async def test_call_that_nobody_answered_is_told_by_its_exit_code() -> None:
    async with ending(Outcome.NO_ANSWER) as emulator:
        ended = await ran(*DIAL, "--wait", command=EAGER, env=pointing_at(emulator))
    assert ended.code == 4, ended
    assert "status   no-answer" in ended.out


@pytest.mark.parametrize(("switch", "status"), [("second-leg", "busy"), ("completed", "completed")])
async def test_call_whose_second_party_is_not_reached_is_told_by_its_exit_code(
    switch: str, status: str
) -> None:
    """Whichever status the service gives it."""
    async with ending(Outcome.COMPLETED, Outcome.BUSY) as emulator:
        emulator.unreached_second = switch  # type: ignore[assignment]
        ended = await ran(*DIAL, "--wait", command=EAGER, env=pointing_at(emulator))
    assert ended.code == 4, ended
    assert f"status   {status}" in ended.out


@SIGNALS
async def test_ctrl_c_while_it_waits_leaves_the_call_alone(
    emulator: Emulator, by: signal.Signals
) -> None:
    async with started(*DIAL, "--wait", env=pointing_at(emulator)) as running:
        await running.line("status")
        ended = await running.end(by)
    assert ended.code == 130, ended
    assert "the call was placed" in ended.error_lines[-1]


async def test_an_end_that_cannot_be_read_is_no_call_that_was_not_placed(
    emulator: Emulator,
) -> None:
    emulator.faults.add(Fault.answer(403), method="GET", times=None)
    ended = await ran(*DIAL, "--wait", command=EAGER, env=pointing_at(emulator))
    assert ended.code == 4, ended
    assert next(iter(emulator.calls)) in ended.out
    assert "was placed, but reading how it ended failed: " in ended.error_lines[-1]


# --json


async def test_every_command_prints_its_result_as_one_line_of_json() -> None:
    async with ending(Outcome.COMPLETED) as emulator:
        env = pointing_at(emulator)
        for arguments, keys in (
            ((*DIAL, "--json"), {"sid", "status", "from", "to"}),
            ((*DIAL, "--wait", "--json"), {"sid", "status", "duration", "details"}),
            (("number", FIRST, "--json"), {"phone_number", "circle", "dnd"}),
            (("doctor", "--json"), {"host", "account_sid", "balance", "clock_offset"}),
        ):
            ended = await ran(*arguments, command=EAGER, env=env)
            assert ended.code == 0, ended
            (line,) = ended.out.splitlines()
            result = json.loads(line)
            assert keys <= result.keys()
            assert "error" not in result
        assert result["balance"]["amount"] == "1000.00"


async def test_what_went_wrong_is_json_too(emulator: Emulator) -> None:
    env = pointing_at(emulator)
    wrong = pointing_at(emulator, EXOTEL_API_TOKEN="wrong")
    for arguments, variables, code, kind in (
        (("call", "12", *DIAL[2:], "--json"), env, 2, "InvalidRequest"),
        ((*DIAL, "--json"), wrong, 1, "AuthenticationError"),
        (("number", "12", "--json"), env, 2, "InvalidRequest"),
        (("get", "some", "--json"), wrong, 1, "AuthenticationError"),
        (("doctor", "--json"), wrong, 1, "AuthenticationError"),
    ):
        ended = await ran(*arguments, env=variables)
        assert ended.code == code, ended
        result = json.loads(ended.out)
        assert result["error"]["type"] == kind
        assert ended.error_lines[-1] == f"exotel-async: {result['error']['text']}"
    emulator.faults.add(Fault.act_then_garbage(Garbage.XML))
    ended = await ran(*DIAL, "--json", env=env)
    assert ended.code == 3
    result = json.loads(ended.out)
    assert (result["sid"], result["error"]["type"]) == (*emulator.calls, "CallOutcomeUnknown")
    assert_masked(ended)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (("call", FIRST, "--caller-id", EXOPHONE), "InvalidRequest", "give exactly one of TO"),
        (("get",), "InvalidRequest", "give at least one SID, or --file"),
        (("export", "-o", "calls.txt"), "InvalidRequest", "give --format, or a FILE"),
        (("export", "-o", "a.csv", "--resume", "--force"), "InvalidRequest", "give one of them"),
        (("emulator", "--token", ""), "InvalidRequest", "--token must not be empty"),
        (("number", FIRST, "--rate", "0"), "InvalidRequest", 'Invalid value "0" for --rate'),
        (("number", FIRST, "--base-url", "nonsense"), "ConfigurationError", "--base-url is not"),
        (("export", "-o", "a.csv", "--base-url", "x"), "ConfigurationError", "--base-url is not"),
        ((*DIAL, "--region", "mumbai"), "ConfigurationError", "both choose the host"),
    ],
)
async def test_wrong_usage_is_json_too(
    arguments: Sequence[str], kind: str, text: str, emulator: Emulator
) -> None:
    env = pointing_at(emulator)
    where = ("--base-url", emulator.base_url) if "--region" in arguments else ()
    ended = await ran(*arguments, *where, "--json", env=env)
    assert ended.code == 2, ended
    assert text in ended.err
    error = json.loads(ended.out)["error"]
    assert error["type"] == kind
    assert text in error["text"]
    assert emulator.requests == []


async def test_a_file_that_cannot_be_read_is_json_too(emulator: Emulator) -> None:
    ended = await ran("get", "--file", "there/is/none", "--json", env=pointing_at(emulator))
    assert ended.code == 1, ended
    error = json.loads(ended.out)["error"]
    assert error == {"type": "OSError", "text": ended.error_lines[-1].partition(": ")[2]}


# number


async def test_number_prints_what_is_known(emulator: Emulator) -> None:
    ended = await ran("number", "+91", "98123 00001", env=pointing_at(emulator))
    assert ended.code == 0, ended
    words = [line.split()[0] for line in ended.out.splitlines()]
    assert words == ["number", "circle", "operator", "type", "DND"]
    assert ended.out.splitlines()[0].endswith("*******0001")
    assert ended.err == ""
    assert_masked(ended)
    ended = await ran("number", FIRST, "--numbers", env=pointing_at(emulator))
    assert ended.out.splitlines()[0].split() == ["number", "09812300001"]


async def test_number_that_is_none(emulator: Emulator) -> None:
    ended = await ran("number", "98x", env=pointing_at(emulator))
    assert_failed(ended, "NUMBER", "phone number", code=2)
    assert not emulator.requests


async def test_number_that_exotel_does_not_know(emulator: Emulator) -> None:
    ended = await ran("number", "+1 202 555 0101", env=pointing_at(emulator))
    assert_failed(ended, "the number may not be an Indian one, or ", "(HTTP 404)")
    assert "5550101" not in ended.err


# doctor


async def test_doctor_finds_all_well_with_one_request(emulator: Emulator) -> None:
    ended = await ran("doctor", env=pointing_at(emulator))
    assert ended.code == 0, ended
    (line,) = ended.out.splitlines()
    assert re.match(r"all is well: .* account acme1, balance 1,000.00 INR; clock right", line)
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("command", [("doctor",), ("number", FIRST), DIAL])
async def test_credentials_that_do_not_open(emulator: Emulator, command: tuple[str, ...]) -> None:
    ended = await ran(*command, env=pointing_at(emulator, EXOTEL_API_TOKEN="wrong"))
    assert_failed(ended, "EXOTEL_API_TOKEN", "HTTP 401", "in another region")
    ended = await ran(*command, env=pointing_at(emulator, EXOTEL_ACCOUNT_SID="wrong"))
    assert_failed(ended, "EXOTEL_ACCOUNT_SID", "HTTP 404")


@pytest.mark.parametrize("command", [("doctor",), ("number", FIRST), DIAL])
async def test_missing_variables_are_named_all_at_once(command: tuple[str, ...]) -> None:
    ended = await ran(*command, env=environment(EXOTEL_API_KEY="k"))
    assert_failed(ended, "EXOTEL_API_TOKEN and EXOTEL_ACCOUNT_SID are not set")


@pytest.mark.parametrize("kind", [Garbage.XML, Garbage.HTML])
async def test_doctor_names_what_came_instead_of_json(emulator: Emulator, kind: Garbage) -> None:
    emulator.faults.add(Fault.act_then_garbage(kind))
    ended = await ran("doctor", env=pointing_at(emulator))
    assert_failed(ended, f"answered with {kind.value.upper()}", "host of the Exotel API")


async def test_doctor_finds_a_clock_that_is_off() -> None:
    later = datetime.now(UTC) + timedelta(hours=1, minutes=1)
    async with Emulator(api_token=TOKEN, now=later) as emulator:
        # What is on this computer has the same clock, if it is no emulator.
        elsewhere = emulator.base_url.replace("127.0.0.1", "0.0.0.0")  # noqa: S104
        env = pointing_at(emulator, EXOTEL_SUBDOMAIN=elsewhere)
        assert_failed(await ran("doctor", env=env), "this computer's clock is 1 h", "behind")
        ended = await ran("doctor", env=pointing_at(emulator))
    assert ended.code == 0, ended
    assert ended.out.startswith("all is well: ")
    assert re.search(r"clock is 1 h \d min behind that of an emulator on it, ", ended.out.strip())


async def test_doctor_tells_how_the_host_cannot_be_reached(emulator: Emulator) -> None:
    async with emulator.unreachable():
        ended = await ran("doctor", env=pointing_at(emulator))
    assert_failed(ended, "refuses connections")
    ended = await ran("doctor", "--base-url", "https://no.such.invalid", env=pointing_at(emulator))
    assert_failed(ended, "no.such.invalid cannot be reached", "DNS")
    secure = emulator.base_url.replace("http:", "https:")
    ended = await ran("doctor", "--base-url", secure, env=pointing_at(emulator))
    assert_failed(ended, "no TLS on port")


async def test_a_host_that_makes_no_sense(emulator: Emulator) -> None:
    env = pointing_at(emulator)
    ended = await ran("doctor", "--region", "mumbai", "--base-url", emulator.base_url, env=env)
    assert_failed(ended, "--region and --base-url", code=2)
    ended = await ran("doctor", "--base-url", f"http://u:{TOKEN}@127.0.0.1", env=env)
    assert_failed(ended, "must not hold credentials", code=2)
    ended = await ran("doctor", "--base-url", "nonsense", env=env)
    assert_failed(ended, "http(s)://host", code=2)


def test_the_other_region_is_named() -> None:
    error = AuthenticationError("no", status=401)
    assert "--region mumbai" in Service(region="singapore").explain(error)
    missing = NotFound("no", status=404)
    assert "--region singapore" in Service(region="mumbai").explain(missing)


def test_arguments_are_named_as_they_are_typed() -> None:
    service = Service()
    assert service.explain(InvalidRequest("to", "12", "is short")) == "TO '12' is short"
    shown = service.explain(InvalidRequest("custom_field", "x", "is long"))
    assert shown == "--custom-field 'x' is long"


async def test_variables_that_keep_a_client_from_being_made_are_said_in_a_line(
    emulator: Emulator,
) -> None:
    elsewhere = {"EXOTEL_SUBDOMAIN": "https://exotel.invalid"}
    for name, value in (
        ("ALL_PROXY", "socks5://user:secret@127.0.0.1:1"),
        ("NO_PROXY", "10.0.0.0/8,::1/128"),
        ("SSL_CERT_FILE", "/nowhere/bundle.pem"),
    ):
        env = pointing_at(emulator, **elsewhere, HTTPS_PROXY="http://127.0.0.1:1", **{name: value})
        for command in (("doctor",), DIAL, ("number", FIRST)):
            ended = await ran(*command, env=env)
            assert_failed(ended, f"{name}: ")
            assert len([line for line in ended.error_lines if "exotel-async:" in line]) == 1
            assert "Traceback" not in ended.err
            assert "secret" not in ended.err
    assert emulator.requests == []


async def test_no_proxy_leads_to_an_emulator_on_this_computer(emulator: Emulator) -> None:
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:1")
    for command in (("doctor",), ("number", FIRST), DIAL):
        ended = await ran(*command, env=pointing_at(emulator, **nowhere))
        assert ended.code == 0, ended
    ended = await ran("doctor", "--base-url", "http://[::1", env=pointing_at(emulator))
    assert_failed(ended, "--base-url is not valid", code=2)


async def test_no_message_repeats_the_token_of_a_base_url(emulator: Emulator) -> None:
    for url in (f"key:{TOKEN}@127.0.0.1", f"https:/key:{TOKEN}@127.0.0.1", f"https://{TOKEN}@x"):
        for command in (("doctor",), DIAL, ("number", FIRST)):
            ended = await ran(*command, "--base-url", url, env=pointing_at(emulator))
            assert_failed(ended, "--base-url must not hold credentials", code=2)
            assert TOKEN not in ended.err


async def test_another_computer_is_not_told_the_token_in_the_clear(emulator: Emulator) -> None:
    env = pointing_at(emulator, EXOTEL_SUBDOMAIN="http://no.such.invalid")
    assert_failed(await ran("doctor", env=env), "EXOTEL_SUBDOMAIN begins with http://")
    assert_failed(await ran("doctor", "--allow-http", env=env), "no.such.invalid cannot be reached")


async def test_the_documented_base_url_is_understood(emulator: Emulator) -> None:
    url = f"{emulator.base_url}/v1/Accounts/{emulator.account_sid}/"
    ended = await ran("doctor", env=pointing_at(emulator, EXOTEL_SUBDOMAIN=url))
    assert ended.code == 0, ended


async def test_a_dial_that_is_redirected_may_have_rung(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_status(303), path="Calls/connect")
    ended = await ran(*DIAL, env=pointing_at(emulator))
    assert ended.code == 3, ended
    assert UNKNOWN in ended.err
    assert emulator.rung(FIRST) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
async def test_a_terminal_that_goes_away_does_not_hide_a_call(emulator: Emulator) -> None:
    import pty  # noqa: PLC0415 - not on every system

    emulator.latency = lambda _: (0.0, 1.0)
    master, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "exotel_async", *DIAL),
        stdout=asyncio.subprocess.PIPE,
        stderr=slave,
        env=pointing_at(emulator, TERM="xterm"),
    )
    os.close(slave)
    while not emulator.calls:
        await asyncio.sleep(0.01)
    os.close(master)
    out, _ = await process.communicate()
    (call,) = emulator.calls.values()
    assert process.returncode == 0
    assert call.sid in out.decode()
