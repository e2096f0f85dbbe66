"""`ExotelWebhooks` in other applications, and FastAPI's dependencies in routes of one's own."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, routing
from fastapi.responses import PlainTextResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.routing import Mount

from exotel_async.emulator.encoding import Encoding, encode
from exotel_async.errors import ConfigurationError
from exotel_async.webhooks import (
    ConnectRequest,
    DialEvent,
    ExotelWebhooks,
    GatherRequest,
    GreetingRequest,
    PassthruRequest,
    SmsRequest,
    Speak,
    StatusCallback,
    VoicebotRequest,
    WhisperRequest,
    fastapi,
)
from tests.webhooks.payloads import DIAL, ENCODINGS, LONG, PASSTHRU, SID, as_json, query
from tests.webhooks.serving import SECRET, new_hooks, path, reserve, serving

QUERY = query(PASSTHRU)
INCLUDES_MOUNTS = pytest.mark.skipif(
    not hasattr(routing, "_IncludedRouter"), reason="this FastAPI leaves out mounts of routers"
)


async def pass_on(request: Request, call_next: Any) -> Any:
    return await call_next(request)


def in_fastapi(hooks: Any) -> Any:
    app = FastAPI()
    app.mount("/exotel", hooks)
    return app


def in_starlette(hooks: Any) -> Any:
    inner = Starlette(
        routes=[Mount("/exotel", hooks)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)],
    )
    return Starlette(routes=[Mount("/api", inner)])


def in_a_subapplication(hooks: Any) -> Any:
    app, api = FastAPI(), FastAPI()
    api.mount("/v1/exotel", hooks)
    app.mount("/api", api)
    return app


def litestar() -> Any:
    # Not at the top: it takes a tenth of a second, and each worker imports this module.
    return importlib.import_module("litestar")


def in_litestar(hooks: Any) -> Any:
    # Not a copy of the scope, or the server's log has what was taken out of it.
    handler = litestar().asgi("/exotel", is_mount=True, copy_scope=False)(hooks)
    return litestar().Litestar(route_handlers=[handler], logging_config=None)


def in_a_router_of_litestar(hooks: Any) -> Any:
    handler = litestar().asgi("/exotel", is_mount=True, copy_scope=False)(hooks)
    router = litestar().Router("/api/v1", route_handlers=[handler])
    return litestar().Litestar(route_handlers=[router], logging_config=None)


def behind_a_root_path(hooks: Any) -> Any:
    app = in_fastapi(hooks)

    async def outside(scope: Any, receive: Any, send: Any) -> None:
        """As FastAPI's root_path= does it."""
        scope["root_path"] = "/outside"
        await app(scope, receive, send)

    return outside


def in_a_router(hooks: Any) -> Any:
    app, router = FastAPI(), APIRouter()
    router.mount("/exotel", hooks)
    app.include_router(router, prefix="/v1")
    return app


def in_one_that_is_mounted_twice(hooks: Any) -> Any:
    inner = Starlette(routes=[Mount("/exotel", hooks)])
    return Starlette(routes=[Mount("/{shop}", inner), Mount("/api", inner)])


PLACES: list[tuple[Any, str, dict[str, Any]]] = [
    (in_fastapi, "/exotel", {}),
    (in_starlette, "/api/exotel", {}),
    (in_a_subapplication, "/api/v1/exotel", {}),
    (in_litestar, "/exotel", {}),
    (in_a_router_of_litestar, "/api/v1/exotel", {}),
    # Behind a proxy that takes its prefix off the path.
    (in_fastapi, "/exotel", {"root_path": "/outside"}),
    (behind_a_root_path, "/exotel", {}),
    (lambda hooks: hooks, "", {"root_path": "/outside"}),
    (lambda hooks: hooks, "", {}),
]


@pytest.mark.parametrize(("mount", "prefix", "options"), PLACES)
async def test_it_answers_at_its_prefix(mount: Any, prefix: str, options: dict[str, Any]) -> None:
    hooks = new_hooks()
    seen: list[object] = []
    hooks.status_callback(seen.append)

    @hooks.greeting("hello")
    async def hello(request: GreetingRequest) -> Speak:
        seen.append(request)
        return Speak("Welcome")

    async with serving(mount(hooks), **options) as served:
        callback = await served.client.post(prefix + path("status_callback"), json=LONG)
        head = await served.client.head(f"{prefix}{path('greeting', 'hello')}?{QUERY}")
        got = await served.client.get(f"{prefix}{path('greeting', 'hello')}?{QUERY}")
        wrong = await served.client.get(f"{prefix}/wrong{path('greeting', 'hello')}?{QUERY}")
    assert [r.status_code for r in (callback, head, got, wrong)] == [200, 200, 200, 404]
    assert got.text == "Welcome"
    assert got.headers["content-type"] == head.headers["content-type"] == "text/plain"
    assert len(seen) == 2


def with_middleware(hooks: Any) -> Any:
    routes = [
        Mount("/exotel", hooks, middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)])
    ]
    return GZipMiddleware(Starlette(routes=[Mount("/api", routes=routes)]))


@pytest.mark.parametrize(
    ("mount", "prefix"),
    [
        (in_fastapi, "/exotel"),
        (in_starlette, "/api/exotel"),
        (in_a_subapplication, "/api/v1/exotel"),
        (with_middleware, "/api/exotel"),
        pytest.param(in_a_router, "/v1/exotel", marks=INCLUDES_MOUNTS),
        (in_one_that_is_mounted_twice, "/api/exotel"),
        (lambda hooks: hooks, ""),
    ],
)
async def test_its_urls_have_the_prefix_it_finds(mount: Any, prefix: str) -> None:
    bound, public = reserve()
    hooks = ExotelWebhooks(SECRET, base_url=f"{public}/")
    seen: list[StatusCallback] = []
    hooks.status_callback(seen.append)
    app = mount(hooks)
    hooks.mounted_in(app)
    url = hooks.url("status_callback")
    assert url == f"{public}{prefix}{path('status_callback')}"
    async with serving(app, bound=bound) as served:
        assert (await served.client.post(url, json=LONG)).status_code == 200
    assert len(seen) == 1


@pytest.mark.parametrize("mount_path", ["/exotel", "exotel/", "/exotel/"])
def test_its_urls_have_the_prefix_they_are_given(mount_path: str) -> None:
    hooks = ExotelWebhooks(SECRET, base_url="https://app.example", mount_path=mount_path)
    hooks.status_callback(print)
    assert hooks.url("status_callback") == f"https://app.example/exotel/{SECRET}/status_callback"


@pytest.mark.parametrize(
    "mount_path", [None, 7, "/{shop}/exotel", "/exotel?a", "/exo tel", "/a\nb", "/a/../b"]
)
def test_a_mount_path_that_is_not_a_path(mount_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="mount_path"):
        ExotelWebhooks(SECRET, base_url="https://app.example", mount_path=mount_path)


@pytest.mark.parametrize(
    "elsewhere",
    [
        FastAPI(),
        object(),
        None,
        lambda hooks: Starlette(routes=[Mount("/{shop}/exotel", hooks)]),
        in_litestar,
    ],
)
def test_where_it_is_mounted_cannot_be_found(elsewhere: Any) -> None:
    hooks = new_hooks()
    app = (
        elsewhere(hooks)
        if callable(elsewhere) and not isinstance(elsewhere, FastAPI)
        else elsewhere
    )
    with pytest.raises(ConfigurationError, match="mount_path="):
        hooks.mounted_in(app)


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "exotel_async"]


WARNING_TEXT = "A request of Exotel's came to '{}', where nothing is served. The right URL is {}"


@pytest.mark.parametrize(
    ("mount", "mount_path", "came", "logged"),
    [
        # The prefix twice, or one that a proxy was to take off.
        (in_fastapi, "/exotel", "/exotel/exotel{}", "/exotel/exotel/.../{}"),
        (lambda hooks: hooks, "", "/exotel{}", "/exotel/.../{}"),
        (in_litestar, "/exotel", "/exotel/a/b{}", "/exotel/a/b/.../{}"),
    ],
)
async def test_a_request_for_a_wrong_prefix_is_logged_once(
    mount: Any, mount_path: str, came: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = ExotelWebhooks(SECRET, base_url="https://app.example", mount_path=mount_path)
    hooks.status_callback(print)
    hooks.passthru("crm")(lambda request: None)
    async with serving(mount(hooks)) as served:
        for wrong in ("/wrong/status_callback", f"/{SECRET}/unknown", f"/{SECRET}x/passthru/crm"):
            assert (await served.client.get(came.format(wrong))).status_code == 404
        assert not ours(caplog)
        for tail in ("passthru/crm", "status_callback", "passthru/crm"):
            got = await served.client.get(f"{came.format(f'/{SECRET}/{tail}')}?{QUERY}")
            assert got.status_code == 404
    right = f"https://app.example{mount_path}/.../passthru/crm"
    (record,) = ours(caplog)
    assert record.levelno == logging.WARNING
    assert record.getMessage() == WARNING_TEXT.format(logged.format("passthru/crm"), right)


async def test_urls_with_a_wrong_prefix_are_logged_when_a_request_comes_to_the_right_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As one for the URL that was written into a flow: those of `url` lead nowhere."""
    hooks = ExotelWebhooks(SECRET, base_url="https://app.example")
    hooks.passthru("crm")(lambda request: None)
    async with serving(in_fastapi(hooks)) as served:
        for _ in range(2):
            got = await served.client.get(f"/exotel{path('passthru', 'crm')}?{QUERY}")
            assert got.status_code == 200
    (record,) = ours(caplog)
    assert "mount_path='/exotel'" in record.getMessage()
    assert SECRET not in record.getMessage()


def twice(hooks: Any) -> Any:
    app = in_fastapi(hooks)
    app.mount("/b", hooks)
    return app


def under_a_letter(hooks: Any) -> Any:
    return Starlette(routes=[Mount("/é", hooks)])


def under_a_space(hooks: Any) -> Any:
    return Starlette(routes=[Mount("/a b", hooks)])


@pytest.mark.parametrize(
    ("mount", "prefix"), [(twice, "/b"), (under_a_letter, "/é"), (under_a_space, "/a b")]
)
async def test_a_prefix_it_has_found_is_not_logged(
    mount: Any, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = ExotelWebhooks(SECRET, base_url="https://app.example")
    hooks.passthru("crm")(lambda request: None)
    app = mount(hooks)
    hooks.mounted_in(app)
    assert hooks.url("passthru", "crm").isascii()
    async with serving(app) as served:
        got = await served.client.get(f"{prefix}{path('passthru', 'crm')}?{QUERY}")
        assert got.status_code == 200
    assert not ours(caplog)


@pytest.mark.parametrize(
    "where",
    [{"base_url": f"https://app.example/{SECRET}"}, {"mount_path": f"/exotel/{SECRET}"}],
)
def test_a_url_with_the_secret_is_not_taken_for_the_base(where: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must not hold the secret") as raised:
        ExotelWebhooks(SECRET, **where)
    assert SECRET not in str(raised.value)


OLD = "an-older-secret-that-is-still-valid"


@pytest.mark.parametrize("before", ["/{0}", "/{0}/foo", "/{1}", "/{0}x", "/a/{0}"])
@pytest.mark.parametrize("public", ["", f"/{SECRET}x"])
async def test_no_secret_is_logged(
    before: str, public: str, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = ExotelWebhooks(
        [SECRET, OLD], base_url=f"https://app.example{public}", mount_path="/exotel"
    )
    hooks.passthru("crm")(lambda request: None)
    async with serving(in_fastapi(hooks)) as served:
        wrong = f"/exotel{before.format(SECRET, OLD)}{path('passthru', 'crm')}?{QUERY}"
        assert (await served.client.get(wrong)).status_code == 404
    (record,) = ours(caplog)
    assert SECRET not in record.getMessage()
    assert OLD not in record.getMessage()


@pytest.mark.parametrize(
    "base_url", [None, "https://app.example/outside", "https://a.example/exotel"]
)
async def test_right_prefixes_are_not_logged(
    base_url: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """That of a proxy, which the server does not see, among them."""
    mount_path = "" if base_url and base_url.endswith("/exotel") else "/exotel"
    hooks = ExotelWebhooks(SECRET, base_url=base_url, mount_path=mount_path)
    hooks.passthru("crm")(lambda request: None)
    async with serving(in_fastapi(hooks)) as served:
        got = await served.client.get(f"/exotel{path('passthru', 'crm')}?{QUERY}")
        assert got.status_code == 200
    assert not ours(caplog)


async def test_litestars_server_does_not_log_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    hooks = new_hooks()
    hooks.passthru("crm")(lambda request: None)
    caplog.set_level(logging.INFO)
    async with serving(in_litestar(hooks), access_log=True) as served:
        got = await served.client.get(f"/exotel{path('passthru', 'crm')}?{QUERY}")
        assert got.status_code == 200
    log = [r.getMessage() for r in caplog.records if r.name == "uvicorn.access"]
    assert [line.partition('"')[2] for line in log] == ['GET /-/passthru/crm HTTP/1.1" 200']


async def test_the_rest_of_the_application_is_left_alone() -> None:
    app = FastAPI()

    @app.get("/exotel-docs/{rest:path}")
    async def other(rest: str, a: str) -> str:
        return f"{rest} {a}"

    app.mount("/exotel", new_hooks())
    async with serving(app) as served:
        got = await served.client.get(f"/exotel-docs/{SECRET}/status_callback?a=b")
        assert got.json() == f"{SECRET}/status_callback b"
        assert (await served.client.get("/exotel")).status_code in {307, 404}
        assert (await served.client.get("/exotel/")).status_code == 404


async def test_a_lifespan_waits_for_its_handlers() -> None:
    hooks = new_hooks()
    started, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @hooks.status_callback
    async def handle(event: StatusCallback) -> None:
        started.set()
        await go_on.wait()
        ended.set()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        go_on.set()
        await hooks.aclose()
        assert ended.is_set()

    app = FastAPI(lifespan=lifespan)
    app.mount("/exotel", hooks)
    # The server cancels the request that has not ended by then.
    async with serving(app, timeout_graceful_shutdown=0.1) as served:
        _, writer = await asyncio.open_connection(*served.address)
        body = as_json(LONG)
        target = f"/exotel{path('status_callback')}"
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await started.wait()
    assert ended.is_set()
    writer.close()


# Routes of one's own

app = FastAPI()
READ: list[tuple[str, type[Any]]] = [
    ("passthru", PassthruRequest),
    ("connect", ConnectRequest),
    ("gather", GatherRequest),
    ("greeting", GreetingRequest),
    ("whisper", WhisperRequest),
    ("sms", SmsRequest),
    ("dial", DialEvent),
]


@app.post("/ended")
async def ended(
    event: Annotated[StatusCallback, Depends(fastapi.status_callback)],
) -> dict[str, Any]:
    return {
        "type": type(event).__name__,
        "key": event.key,
        "talk": event.talk_time,
        "query": event.query,
    }


@app.get("/passthru")
async def passthru(
    request: Annotated[PassthruRequest, Depends(fastapi.passthru_request)],
) -> str:
    return f"{type(request).__name__} {request.sid}"


@app.get("/connect")
async def connect(
    request: Annotated[ConnectRequest, Depends(fastapi.connect_request)],
) -> str:
    return f"{type(request).__name__} {request.sid}"


@app.get("/gather")
async def gather(request: Annotated[GatherRequest, Depends(fastapi.gather_request)]) -> str:
    return f"{type(request).__name__} {request.sid}"


@app.get("/greeting")
async def greeting(
    request: Annotated[GreetingRequest, Depends(fastapi.greeting_request)],
) -> str:
    return f"{type(request).__name__} {request.sid}"


@app.get("/whisper")
async def whisper(
    request: Annotated[WhisperRequest, Depends(fastapi.whisper_request)],
) -> str:
    return f"{type(request).__name__} {request.sid}"


@app.get("/sms")
async def sms(request: Annotated[SmsRequest, Depends(fastapi.sms_request)]) -> str:
    return f"{type(request).__name__} {request.sid}"


@app.get("/voicebot")
async def voicebot(request: Annotated[VoicebotRequest, Depends(fastapi.voicebot_request)]) -> str:
    return f"{type(request).__name__} {request.sid}"


@app.get("/dial")
async def dial(event: Annotated[DialEvent, Depends(fastapi.dial_event)]) -> PlainTextResponse:
    return PlainTextResponse(f'"{type(event).__name__} {event.sid}"')


async def test_a_route_for_a_voicebot_takes_whatever_comes() -> None:
    async with serving(app) as served:
        for asked, sid in ((query(PASSTHRU), SID), ("", None)):
            got = await served.client.get(f"/voicebot?{asked}")
            assert (got.status_code, got.text) == (200, f'"VoicebotRequest {sid}"')


async def test_routes_of_ones_own_read_what_comes() -> None:
    async with serving(app) as served:
        for name, kind in READ:
            got = await served.client.get(f"/{name}?{query(PASSTHRU | DIAL)}")
            assert (got.status_code, got.text) == (200, f'"{kind.__name__} {SID}"')
            assert (await served.client.get(f"/{name}")).status_code == 400
            wrong = await served.client.get(f"/{name}?CallSid=..%2f09812300001")
            assert wrong.status_code == 400
            assert "9812300001" not in wrong.text
            # h11 takes no more of a line than 64 KB; other servers do.
            scope = {"type": "http", "query_string": b"CallSid=a&b=" + b"x" * 65_536}
            read = getattr(fastapi, f"{name}_{'event' if name == 'dial' else 'request'}")
            with pytest.raises(Exception, match="414"):
                await read(Request(scope))


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_routes_of_ones_own_read_callbacks(encoding: Encoding) -> None:
    content_type, body = encode(LONG, encoding, boundary="a9b8")
    event = StatusCallback.from_request(body, content_type)
    async with serving(app) as served:
        headers = {"content-type": content_type}
        got = await served.client.post("/ended?attempt=ab12", content=body, headers=headers)
    assert got.status_code == 200
    assert got.json() == {
        "type": "StatusCallback",
        "key": event.key,
        "talk": "PT41S",
        "query": {"attempt": "ab12"},
    }


async def test_routes_of_ones_own_refuse_what_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi, "BODY_SECONDS", 0.2)

    async def drip() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" "
            await asyncio.sleep(0.01)

    bodies: list[tuple[Any, str, int]] = [
        (b"{}", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (drip(), "application/json", 408),
    ]
    async with serving(app) as served:
        for content, content_type, status in bodies:
            headers = {"content-type": content_type}
            got = await served.client.post("/ended", content=content, headers=headers)
            assert got.status_code == status
        head = b"POST /ended HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        answer = await served.raw(head + b"Connection: close\r\nContent-Length: 65537\r\n\r\n")
        assert answer.split()[1] == b"413"
        # The client leaves: nobody is there to be told, and nothing is wrong.
        _, writer = await asyncio.open_connection(*served.address)
        writer.write(head + b"Content-Length: 9\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await served.client.post("/ended", json=LONG)).status_code == 200


def test_without_starlette_they_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette.requests", None)
    monkeypatch.delitem(sys.modules, "exotel_async.webhooks.fastapi")
    with pytest.raises(ConfigurationError, match=r"exotel-async\[webhooks\]"):
        __import__("exotel_async.webhooks.fastapi")


@pytest.mark.slow
def test_the_application_itself_needs_no_starlette() -> None:
    """Nothing that a server serves has to be loaded for it."""
    code = (
        "import sys; from exotel_async.webhooks import ExotelWebhooks;"
        f"ExotelWebhooks('{SECRET}');"
        "print([m for m in ('starlette', 'fastapi', 'uvicorn') if m in sys.modules])"
    )
    import subprocess  # noqa: PLC0415

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
