"""The emulator over TLS: the certificate made at start, one of the user's own, and faults."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import trustme
import uvloop

from exotel_async import ConnectionFailed
from exotel_async.emulator import Dial, Emulator, Fault, Scenario
from tests.conftest import SOON, session
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, dial, until

TRUSTED_NAMES = (
    "localhost",
    "127.0.0.1",
    "::1",
    "api.exotel.com",
    "api.in.exotel.com",
    "twilix.exotel.in",
    "my.in.exotel.com",
    "ccm-api.exotel.com",
    "emulator.test",
)


def trusting(emulator: Emulator) -> ssl.SSLContext:
    """Trust the emulator's authority and no other, as strictly as Python 3.13 does by default."""
    context = ssl.create_default_context(cafile=emulator.ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def client_of(emulator: Emulator) -> httpx.AsyncClient:
    """A client with the right credentials, and trust in the emulator."""
    return httpx.AsyncClient(
        base_url=f"{emulator.base_url}/v1/Accounts/{emulator.account_sid}/",
        auth=(emulator.api_key, emulator.api_token),
        trust_env=False,
        verify=trusting(emulator),
    )


def left_in(folder: Path) -> list[str]:
    """The names of what is in a folder."""
    return [path.name for path in folder.iterdir()]


def read(file: Path) -> str:
    """What is in a file."""
    return file.read_text(encoding="ascii")


def address(emulator: Emulator) -> tuple[str, int]:
    """Where it listens."""
    host, _, port = emulator.base_url.removeprefix("https://").rpartition(":")
    return host, int(port)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    answered = Scenario.all_answered()
    async with Emulator(
        tls=True, hostnames=["emulator.test"], rate=1000, scenario=answered
    ) as emulator:
        yield emulator


@pytest.fixture
def own(tmp_path: Path) -> tuple[trustme.CA, str, str]:
    """An authority of the user's own, and a certificate and key that it has issued."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certfile, keyfile = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certfile)
    issued.private_key_pem.write_to_path(keyfile)
    return authority, str(certfile), str(keyfile)


async def test_all_of_it_is_https(emulator: Emulator) -> None:
    assert emulator.base_url.startswith("https://127.0.0.1:")
    recorded = emulator.add_call(
        Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE, record=True),
        ago=timedelta(minutes=10),
    )
    async with client_of(emulator) as client:
        sid = await dial(client)
        assert (await client.get(f"Calls/{sid}.json")).json()["Call"]["Sid"] == sid
        url = (await client.get(f"Calls/{recorded.sid}.json")).json()["Call"]["RecordingUrl"]
        assert url.startswith(emulator.base_url)
        assert (await client.get(url)).content == emulator.recording(recorded.sid)


async def test_it_is_certified_for_the_names_that_clients_use_and_no_other(
    emulator: Emulator,
) -> None:
    async def shake_hands(name: str) -> None:
        opened = asyncio.open_connection(
            *address(emulator), ssl=trusting(emulator), server_hostname=name
        )
        _, writer = await opened
        writer.close()

    for name in TRUSTED_NAMES:
        await shake_hands(name)
    for name in ("example.com", "exotel.com.example.com", "127.0.0.2"):
        with pytest.raises(ssl.SSLCertVerificationError):
            await shake_hands(name)


async def test_whoever_does_not_trust_it_sends_nothing(emulator: Emulator) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(emulator.base_url)
    assert emulator.requests == []


async def test_a_handshake_that_has_ended_is_kept_nowhere(emulator: Emulator) -> None:
    async with client_of(emulator) as client:
        await dial(client)
        assert emulator._listener._tls_server is not None
        assert emulator._listener._tls_server._handshakes == {}


async def test_no_private_key_is_left_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    load = ssl.SSLContext.load_cert_chain

    def loading(context: ssl.SSLContext, certfile: str) -> None:
        modes.append(stat.S_IMODE(Path(certfile).stat().st_mode))
        load(context, certfile)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", loading)
    async with Emulator(tls=True) as emulator:
        assert emulator.ca_file is not None
        file = Path(emulator.ca_file)
        assert "PRIVATE" not in read(file)
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert left_in(file.parent) == [file.name]
    assert modes == [0o600]
    assert not file.parent.exists()


async def test_a_file_of_ones_own_for_the_authority_is_written_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("of the last run", encoding="ascii")
    async with Emulator(tls=True, ca_file=file) as emulator, client_of(emulator) as client:
        assert emulator.ca_file == str(file)
        await dial(client)
    assert read(file).startswith("-----BEGIN CERTIFICATE-----")
    assert left_in(tmp_path) == [file.name]


async def test_a_certificate_of_ones_own(own: tuple[trustme.CA, str, str]) -> None:
    authority, certfile, keyfile = own
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with (
        Emulator(certfile=certfile, keyfile=keyfile) as emulator,
        httpx.AsyncClient(verify=context, trust_env=False) as client,
    ):
        assert emulator.ca_file is None
        assert emulator.base_url.startswith("https://")
        assert (await client.get(f"{emulator.base_url}/_emulator/statistics")).status_code == 200


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"tls": True, "certfile": "c.pem"}, "tls=True makes a certificate: leave certfile out"),
        ({"keyfile": "k.pem"}, "keyfile=k.pem needs certfile"),
        ({"ca_file": "ca.pem"}, "ca_file=ca.pem needs tls=True"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, object], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Emulator(**settings)  # type: ignore[arg-type]


async def test_a_certificate_that_cannot_be_used(
    own: tuple[trustme.CA, str, str], tmp_path: Path
) -> None:
    _, certfile, keyfile = own
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)
    missing = str(tmp_path / "none.pem")
    for settings, problem in (
        ({"certfile": missing}, f"certfile={missing}: No such file"),
        ({"certfile": certfile, "keyfile": missing}, f"keyfile={missing}: No such file"),
        ({"certfile": certfile}, f"certfile={certfile}: holds no private key; give keyfile"),
        ({"certfile": keyfile, "keyfile": keyfile}, f"certfile={keyfile}: holds no certificate"),
        ({"certfile": certfile, "keyfile": str(other)}, "is not the key of the certificate"),
    ):
        with pytest.raises(ValueError, match=problem):
            await Emulator(**settings).__aenter__()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"ca_file={tmp_path}: Is a directory"):
        await Emulator(tls=True, ca_file=tmp_path).__aenter__()


async def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trustme", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'exotel-async\[tls\]'"):
        await Emulator(tls=True).__aenter__()


async def raw_dial(emulator: Emulator) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Dial by hand, to see how the connection ends."""
    reader, writer = await asyncio.open_connection(*address(emulator), ssl=trusting(emulator))
    body = f"From={AGENT}&To={CUSTOMER}&CallerId={EXOPHONE}"
    auth = httpx.BasicAuth(emulator.api_key, emulator.api_token)._auth_header
    writer.write(
        f"POST /v1/Accounts/acme1/Calls/connect.json HTTP/1.1\r\nHost: here\r\n"
        f"Authorization: {auth}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return reader, writer


async def drops_and_resets(emulator: Emulator) -> None:
    """Meet each fault that ends a connection."""
    for fault, whole, how in (
        (Fault.drop_before(), b"", None),
        (Fault.act_then_drop(), b"", None),
        (Fault.act_then_drop(reset=True), b"", ConnectionResetError),
        (Fault.act_then_cut(), b'{"Call":', None),
        (Fault.act_then_cut(reset=True), b"", ConnectionResetError),
    ):
        emulator.faults.add(fault, path="Calls/connect")
        reader, writer = await raw_dial(emulator)
        async with asyncio.timeout(SOON):
            if how is None:
                assert whole in await reader.read()
            else:
                with pytest.raises(how):
                    await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
    assert emulator.faults.pending == []
    assert emulator.rung(AGENT) == 4  # all but the first, which did not act


async def test_faults_end_connections(emulator: Emulator) -> None:
    await drops_and_resets(emulator)


def test_faults_end_connections_on_uvloop() -> None:
    async def main() -> None:
        async with Emulator(tls=True, rate=1000) as emulator:
            await drops_and_resets(emulator)

    uvloop.run(main())


async def test_it_becomes_unreachable_and_comes_back(emulator: Emulator) -> None:
    async with client_of(emulator) as client:
        await dial(client)
        async with emulator.unreachable():
            with pytest.raises(httpx.ConnectError):
                await dial(client)
        await dial(client)
    assert len(emulator.calls) == 2


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_handshake_that_never_ends_does_not_outlive_it(
    run: Callable[..., None],
) -> None:
    """It is not a connection of the app's yet."""

    async def main() -> None:
        before = asyncio.all_tasks()
        async with Emulator(tls=True) as emulator:
            reader, writer = await asyncio.open_connection(*address(emulator))
            writer.write(b"\x16\x03\x01")  # the first bytes of a handshake
            plain_reader, plain_writer = await asyncio.open_connection(*address(emulator))
            plain_writer.write(b"GET /_emulator/statistics HTTP/1.1\r\nHost: here\r\n\r\n")
            async with asyncio.timeout(SOON):
                # What is no handshake is not served.
                with contextlib.suppress(ConnectionError):
                    assert b"HTTP" not in await plain_reader.read()
                await until(lambda: bool(asyncio.all_tasks() - before))
            plain_writer.close()
        async with asyncio.timeout(SOON):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        assert asyncio.all_tasks() == before

    run(main())


async def test_the_sdk_trusts_what_the_environment_names(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with session(emulator) as exotel:
        with pytest.raises(ConnectionFailed):
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    assert emulator.ca_file is not None
    monkeypatch.setenv("SSL_CERT_FILE", emulator.ca_file)
    async with session(emulator) as exotel:
        call = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        assert (await exotel.calls.get(call.sid)).sid == call.sid
    assert emulator.rung(AGENT) == 1


def test_the_port_is_free_when_the_certificate_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    async def main() -> None:
        with pytest.raises(ValueError, match="certfile"):
            await Emulator(port=port, certfile=str(tmp_path / "none.pem")).__aenter__()
        async with Emulator(port=port):
            pass

    asyncio.run(main())


@pytest.mark.exotel(tls=True)
async def test_sessions_in_a_test_trust_the_emulator_of_the_fixture(
    exotel_emulator: Emulator,
) -> None:
    assert exotel_emulator.base_url.startswith("https://")
    async with session(exotel_emulator) as exotel:
        await exotel.account.balance()
