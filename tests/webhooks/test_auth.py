"""Nobody gets in without the secret, or from elsewhere; and to be refused costs nothing."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exotel_async.webhooks import PassthruRequest, StatusCallback, auth
from tests.webhooks.payloads import LONG, PASSTHRU, as_json, query
from tests.webhooks.serving import OTHER, SECRET, Served, new_hooks, path, serving

CHECK = path("passthru", "check")
ENDED = path("status_callback")
QUERY = query(PASSTHRU)


class Application:
    """Two handlers that count."""

    def __init__(self, **options: Any) -> None:
        self.hooks = new_hooks(**options)
        self.seen: list[object] = []
        self.hooks.passthru("check")(self.check)
        self.hooks.status_callback(self.ended)

    def check(self, request: PassthruRequest) -> None:
        self.seen.append(request)

    def ended(self, event: StatusCallback) -> None:
        self.seen.append(event)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture(params=["h11", "httptools"])
async def served(request: pytest.FixtureRequest, application: Application) -> AsyncIterator[Served]:
    """Behind each of uvicorn's parsers: they do not agree on what a path is."""
    if request.param == "httptools":
        pytest.importorskip("httptools")
    async with serving(application.hooks, http=request.param) as served:
        yield served


def get(target: str, *, method: str = "GET", headers: str = "") -> bytes:
    """A request as it is on the wire; httpx would put a path in order."""
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


WRONG = [
    "/",
    "//",
    "/passthru/check",
    "//passthru/check",
    f"/{SECRET}",
    f"/{SECRET}/",
    f"/{SECRET}/passthru",
    f"/{SECRET}/passthru/",
    f"{CHECK}/",
    f"/{CHECK}",
    f"/{SECRET}//passthru/check",
    f"/{SECRET}/passthru//check",
    f"/{SECRET}/passthru/other",
    f"/{SECRET}/connect/check",
    f"/{SECRET}/Passthru/check",
    f"/{SECRET}/passthru/check;x=y",
    f"/{SECRET[:-1]}/passthru/check",
    f"/{SECRET}x/passthru/check",
    f"/x{SECRET}/passthru/check",
    f"/{SECRET.upper()}/passthru/check",
    f"/{SECRET[::-1]}/passthru/check",
    f"/{OTHER}/passthru/check",
    f"/{SECRET}{SECRET}/passthru/check",
    f"/{'x' * 30_000}/passthru/check",
    # It decodes to the right path; no URL of ours is written so.
    f"/%{ord(SECRET[0]):02x}{SECRET[1:]}/passthru/check",
    f"/{SECRET}%2Fpassthru%2Fcheck",
    f"/{SECRET}/passthru%2fcheck",
    f"/{SECRET}/passthru/%63heck",
    f"/{SECRET}%00/passthru/check",
    f"/{SECRET}%20/passthru/check",
    f"/{SECRET}%0d%0a/passthru/check",
    f"/%20{SECRET}/passthru/check",
    f"/{SECRET.replace('o', '%D0%BE')}/passthru/check",
    f"/{SECRET.replace('o', '%EF%BD%8F')}/passthru/check",
    f"/%ff%fe{SECRET}/passthru/check",
    f"/%ED%A0%80{SECRET}/passthru/check",
    f"/{SECRET}%C2%A0/passthru/check",
    f"/./{SECRET}/passthru/check",
    f"/x/../{SECRET}/passthru/check",
    f"/{SECRET}/../{SECRET}/passthru/check",
    f"/{SECRET}/passthru/../passthru/check",
    f"/%2e%2e/{SECRET}/passthru/check",
    f"/..%2f{SECRET}/passthru/check",
    "/../../etc/passwd",
    f"/passthru/check?secret={SECRET}",
    "/-/passthru/check",
    f"*/{SECRET}/passthru/check",
]


async def test_wrong_paths(served: Served, application: Application) -> None:
    assert status(await served.raw(get(f"{CHECK}?{QUERY}"))) == 200
    assert len(application.seen) == 1
    for target in WRONG:
        sign = "&" if "?" in target else "?"
        answer = await served.raw(get(f"{target}{sign}{QUERY}"))
        # 400 is the server's own, for what is no target.
        assert status(answer) == 404 or (status(answer) == 400 and target.startswith("*")), target
        assert answer.endswith(b"\r\n\r\n") or target.startswith("*"), target
    assert len(application.seen) == 1


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


@pytest.mark.parametrize("method", METHODS)
async def test_methods(served: Served, application: Application, method: str) -> None:
    check = await served.raw(get(f"{CHECK}?{QUERY}", method=method))
    ended = await served.raw(get(ENDED, method=method, headers="Content-Length: 0\r\n"))
    wrong = await served.raw(get(f"/{OTHER}/status_callback", method=method))
    assert status(check) == (200 if method in {"GET", "HEAD"} else 405)
    assert (b"allow: GET, HEAD\r\n" in check) == (method not in {"GET", "HEAD"})
    assert status(ended) == (415 if method == "POST" else 405)
    assert (b"allow: POST\r\n" in ended) == (method != "POST")
    assert status(wrong) == 404
    assert b"allow" not in wrong.lower()
    assert len(application.seen) == (1 if method == "GET" else 0)


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/xml", "multipart/mixed; boundary=b", "json", "a" * 9999],
)
async def test_media_types(
    served: Served, application: Application, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    got = await served.client.post(ENDED, content=as_json(LONG), headers=headers)
    assert (got.status_code, got.content) == (415, b"")
    assert not application.seen


async def test_secrets_rotate(served: Served, application: Application) -> None:
    async def statuses() -> list[int]:
        paths = [path("passthru", "check", secret=secret) for secret in (SECRET, OTHER)]
        return [(await served.client.get(f"{p}?{QUERY}")).status_code for p in paths]

    assert await statuses() == [200, 404]
    application.hooks.rotate([OTHER, SECRET])
    assert OTHER in application.hooks.url("passthru", "check")
    assert await statuses() == [200, 200]
    application.hooks.rotate(OTHER)
    assert await statuses() == [404, 200]


@pytest.mark.parametrize(
    "presented", [SECRET, OTHER, "", "c", SECRET[:-1], SECRET + "x", "é", "\ud800", "x" * 128]
)
def test_time_tells_nothing(presented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is presented: every secret is compared, as digests of one length, to the end."""
    compared: list[tuple[int, int]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return hmac.compare_digest(a, b)

    monkeypatch.setattr(auth, "compare_digest", compare)
    secrets = auth.PathSecrets([SECRET, OTHER, "a-third-one-that-is-longer-than-others"])
    assert secrets.admit(presented) == (presented in {SECRET, OTHER})
    assert compared == [(32, 32)] * 3
    # What is longer than any secret may be is not even looked at.
    assert not secrets.admit("x" * 129)
    assert len(compared) == 3


async def unread() -> Any:
    raise AssertionError("it is not to be read")


@pytest.mark.parametrize(
    ("method", "target", "content_type", "expected"),
    [
        ("POST", f"/{OTHER}/status_callback", "application/json", 404),
        ("POST", f"/{SECRET}/other", "application/json", 404),
        ("PUT", ENDED, "application/json", 405),
        ("POST", CHECK, "application/json", 405),
        ("POST", ENDED, "text/plain", 415),
        ("POST", ENDED, "application/json", 413),
    ],
)
async def test_refusals_read_no_body(
    application: Application, method: str, target: str, content_type: str, expected: int
) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", content_type.encode()), (b"content-length", b"100000000")]
    scope = {"type": "http", "http_version": "1.1", "method": method, "path": target}
    more = {"query_string": QUERY.encode(), "headers": headers, "client": ("192.0.2.1", 1)}
    await application.hooks({**scope, **more}, unread, send)
    assert [message.get("status") for message in sent] == [expected, None]
    assert (b"connection", b"close") in sent[0]["headers"]
    assert sent[1].get("body") == b""
    assert not application.seen


PROXY, EXOTEL, STRANGER = "10.0.0.1", "203.0.113.7", "198.51.100.1"
ORIGINS: list[tuple[str | None, list[str], bool]] = [
    (EXOTEL, [], True),
    (STRANGER, [], False),
    (None, [], False),
    ("", [], False),
    ("testclient", [], False),
    (PROXY, [], False),
    # The header is worth what the one is who wrote it.
    (STRANGER, [EXOTEL], False),
    (STRANGER, [f"{EXOTEL}, {PROXY}"], False),
    (EXOTEL, [STRANGER], True),
    (PROXY, [EXOTEL], True),
    (PROXY, [STRANGER], False),
    (PROXY, [f"{STRANGER}, {EXOTEL}"], True),
    # Forged: what a stranger sent stands left of what our proxy saw.
    (PROXY, [f"{EXOTEL}, {STRANGER}"], False),
    (PROXY, [EXOTEL, STRANGER], False),
    (PROXY, [STRANGER, EXOTEL], True),
    (PROXY, [f"{EXOTEL}, 10.9.9.9"], True),
    (PROXY, [f"{EXOTEL}, {STRANGER}, 10.9.9.9, 10.0.0.2"], False),
    (PROXY, [f"{EXOTEL}, 10.9.9.9, unknown"], False),
    (PROXY, [f"{EXOTEL},"], False),
    (PROXY, [""], False),
    (PROXY, ["10.1.1.1, 10.2.2.2"], False),
    (PROXY, [f"{EXOTEL}:4711"], True),
    (PROXY, [f"[::ffff:{EXOTEL}]:4711"], True),
    (PROXY, ["2001:db8::1"], True),
    (PROXY, ["[2001:db8::1]"], True),
    (PROXY, ["2001:db9::1"], False),
    (PROXY, ["203.0.113.07"], False),
    (PROXY, ["203.0.113.7.evil.example"], False),
    (f"::ffff:{PROXY}", [EXOTEL], True),
    (f"::ffff:{EXOTEL}", [], True),
    ("2001:db8:ffff::9", [], True),
]


@pytest.mark.parametrize(("peer", "forwarded", "enters"), ORIGINS)
async def test_addresses(peer: str | None, forwarded: list[str], enters: bool) -> None:
    application = Application(
        allowed_addresses=["203.0.113.0/29", "2001:db8::/32"], trusted_proxies=["10.0.0.0/8"]
    )
    statuses: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": CHECK,
        "query_string": QUERY.encode(),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
        "client": None if peer is None else (peer, 4711),
    }
    await application.hooks(scope, unread, send)
    assert statuses == [200 if enters else 404, 0]
    assert len(application.seen) == enters


async def test_addresses_on_a_real_socket() -> None:
    near = Application(allowed_addresses=["127.0.0.1"])
    behind = Application(allowed_addresses=[EXOTEL], trusted_proxies=["127.0.0.1"])
    async with serving(near.hooks) as one, serving(behind.hooks) as two:
        url = f"{CHECK}?{QUERY}"
        assert (await one.client.get(url)).status_code == 200
        forged = {"x-forwarded-for": EXOTEL, "forwarded": f"for={EXOTEL}", "x-real-ip": EXOTEL}
        assert (await one.client.get(url, headers=forged)).status_code == 200
        assert (await two.client.get(url)).status_code == 404
        assert (await two.client.get(url, headers=forged)).status_code == 200
        forged["x-forwarded-for"] = f"{EXOTEL}, {STRANGER}"
        assert (await two.client.get(url, headers=forged)).status_code == 404
        forged["x-forwarded-for"] = ", ".join([EXOTEL] * 500 + [STRANGER])
        assert (await two.client.get(url, headers=forged)).status_code == 404


async def test_addresses_protect_nothing_where_the_server_believes_everybody() -> None:
    """What the docstring of `allowed_addresses` warns of, and how it is set up right."""
    forged = {"x-forwarded-for": EXOTEL}
    for believed, expected in (("*", 200), ("127.0.0.1", 200), ("10.0.0.1", 404)):
        hooks = Application(allowed_addresses=[EXOTEL]).hooks
        async with serving(hooks, proxy_headers=True, forwarded_allow_ips=believed) as served:
            got = await served.client.get(f"{CHECK}?{QUERY}", headers=forged)
            assert got.status_code == expected
