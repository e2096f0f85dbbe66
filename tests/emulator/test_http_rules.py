"""HTTP as its RFCs have it: challenges, HEAD, methods that are not allowed, errors in JSON."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
from urllib.parse import urlencode

import httpx
import pytest

from exotel_async.emulator import Dial, Emulator, Fault
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, TWO_NUMBERS, client_of

VOICE = "/v1/Accounts/acme1"
EXOPHONES = "/v2_beta/Accounts/acme1"
BASIC = 'Basic realm="Exotel"'


def url(emulator: Emulator, path: str = f"{VOICE}/Calls/connect.json") -> str:
    return emulator.base_url + path


@pytest.mark.parametrize(
    "path",
    [
        VOICE,
        f"{VOICE}/Balance.json",
        f"{EXOPHONES}/IncomingPhoneNumbers",
        "/v2/accounts/acme1/incoming-phone-numbers/1",
        "/v1/Accounts/other/Balance",
        "/exotelrecordings/acme1/any.mp3",
    ],
)
async def test_401_says_how_to_get_in(emulator: Emulator, path: str) -> None:
    async with httpx.AsyncClient(base_url=emulator.base_url, trust_env=False) as stranger:
        for method in ("GET", "HEAD", "POST"):
            answer = await stranger.request(method, path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, BASIC)
    assert emulator.busiest_window() == 0, "it does not count against the rate"


async def test_a_401_by_a_fault_says_so_as_well(emulator: Emulator) -> None:
    emulator.faults.add(Fault.answer(401))
    async with client_of(emulator) as client:
        answer = await client.get("Balance.json")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, BASIC)


async def dialled(emulator: Emulator, answered: bytes) -> None:
    """A client that waits to be asked for credentials has dialled once, at the cost of one."""
    call = json.loads(answered)["Call"]
    assert list(emulator.calls) == [call["Sid"]]
    assert emulator.busiest_window() == 1
    assert [request.status for request in emulator.requests] == [401, 200]


async def test_urllib_gets_in_by_its_handler(emulator: Emulator) -> None:
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, emulator.base_url, emulator.api_key, emulator.api_token)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(manager)
    )

    def post() -> bytes:
        with opener.open(url(emulator), urlencode(TWO_NUMBERS).encode()) as answer:
            body: bytes = answer.read()
            return body

    await dialled(emulator, await asyncio.to_thread(post))


@pytest.mark.parametrize("program", ["curl", "wget"])
async def test_a_program_gets_in_that_waits_for_the_challenge(
    emulator: Emulator, program: str
) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not here")
    name, token, form = emulator.api_key, emulator.api_token, urlencode(TWO_NUMBERS)
    options = {
        "curl": ["-sS", "--noproxy", "*", "--anyauth", "-u", f"{name}:{token}", "-d", form],
        "wget": [
            "-qO-",
            "--no-proxy",
            f"--user={name}",
            f"--password={token}",
            f"--post-data={form}",
        ],
    }[program]
    process = await asyncio.create_subprocess_exec(
        found, *options, url(emulator), stdout=asyncio.subprocess.PIPE
    )
    answered, _ = await process.communicate()
    await dialled(emulator, answered)


async def test_head_answers_as_get_does_without_the_body(emulator: Emulator) -> None:
    emulator.rate_limit_headers = True
    call = emulator.add_call(Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE, record=True))
    call.run_ahead(10_000)
    pages = [
        VOICE,
        f"{VOICE}/Calls.json",
        f"{VOICE}/Calls/{call.sid}",
        f"{VOICE}/Calls/unknown.json",
        f"{VOICE}/Numbers/{CUSTOMER}.json",
        f"{EXOPHONES}/IncomingPhoneNumbers",
        f"{EXOPHONES}/AvailablePhoneNumbers/IN/Mobile",
        f"/exotelrecordings/acme1/{call.sid}.mp3",
        "/_emulator/statistics",
        "/nowhere",
    ]
    async with client_of(emulator) as client:
        for page in pages:
            got = await client.get(url(emulator, page))
            head = await client.head(url(emulator, page))
            assert head.content == b""
            assert head.status_code == got.status_code, page
            for name in ("content-type", "content-length"):
                assert head.headers[name] == got.headers[name], page
        assert (await client.get("Balance.json")).status_code == 200, "the connection goes on"


async def test_a_head_is_recorded_counted_and_spoilt_like_any_request(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.faults.add(Fault.answer(503), method="HEAD")
    assert (await client.get("Balance")).status_code == 200
    assert (await client.head("Balance")).status_code == 503
    assert (await client.head("Calls/connect")).status_code == 405
    assert [request.method for request in emulator.requests] == ["GET", "HEAD", "HEAD"]
    assert emulator.busiest_window() == 3
    assert emulator.calls == {}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"{VOICE}/Calls/connect.json", "POST"),
        ("POST", f"{VOICE}/Calls.json", "GET, HEAD"),
        ("DELETE", f"{VOICE}/Calls/any.json", "GET, HEAD"),
        ("POST", f"{VOICE}/Balance", "GET, HEAD"),
        ("POST", f"{VOICE}.json", "GET, HEAD"),
        ("OPTIONS", f"{VOICE}/CustomerWhitelist", "POST"),
        ("POST", f"{EXOPHONES}/IncomingPhoneNumbers", "GET, HEAD"),
        ("DELETE", f"{EXOPHONES}/IncomingPhoneNumbers/any", "GET, HEAD, PUT"),
        ("PUT", "/v2/accounts/acme1/incoming-phone-numbers/any", "GET, HEAD"),
    ],
)
async def test_a_known_page_names_its_methods(
    emulator: Emulator, client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, url(emulator, path))
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert emulator.requests[-1].counted


@pytest.mark.parametrize(
    ("path", "in_json"),
    [
        (f"{VOICE}/Nothing", False),
        (f"{VOICE}/Nothing.json", True),
        ("/v1/Accounts/other/Calls", False),
        ("/v1/Accounts/other/Calls.json", True),
        ("/v1/accounts/acme1/Calls.json", True),
        ("/nothing", False),
        ("/nothing.json", True),
        (f"{EXOPHONES}/Nothing", True),
        ("/v2_beta/Accounts/other/IncomingPhoneNumbers", True),
        ("/v2_beta/nothing", True),
        ("/v2/accounts/acme1/nothing", True),
        ("/v2/accounts/other/incoming-phone-numbers/1", True),
        ("/v2/nothing", True),
    ],
)
async def test_errors_come_as_the_path_wants_them(
    emulator: Emulator, client: httpx.AsyncClient, path: str, in_json: bool
) -> None:
    """Those of wrong paths, wrong accounts, and wrong credentials."""
    for credentials in ((emulator.api_key, emulator.api_token), ("who", "knows")):
        answer = await client.get(url(emulator, path), auth=credentials)
        assert answer.status_code in {401, 404}
        if in_json:
            assert answer.headers["content-type"] == "application/json"
            assert answer.json()["RestException"]["Status"] == answer.status_code
        else:
            assert answer.headers["content-type"] == "application/xml"
            assert f"<Status>{answer.status_code}</Status>" in answer.text


async def test_the_newer_page_of_an_exophone_says_what_the_older_says(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    listed = await client.get(url(emulator, f"{EXOPHONES}/IncomingPhoneNumbers"))
    (phone,) = listed.json()["incoming_phone_numbers"]
    newer = "/v2/accounts/acme1/incoming-phone-numbers"
    answer = await client.get(url(emulator, f"{newer}/{phone['sid']}"))
    assert answer.json() == phone
    assert (await client.get(url(emulator, f"{newer}/unknown"))).status_code == 404
    assert all(request.exophones for request in emulator.requests)


async def test_paths_are_read_part_by_part(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.foreign_number_status = 400
    assert (await client.get("Numbers/abroad")).status_code == 400
    assert (await client.get("Numbers/")).status_code == 404, "there is no number in it"
    assert (await client.post("Calls/")).status_code == 404
    quoted = "/v1/Accounts/%61cme1/Numbers/%2B919812300001.json"
    answer = await client.get(url(emulator, quoted))
    assert answer.json()["Numbers"]["PhoneNumber"] == "09812300001"
