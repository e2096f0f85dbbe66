"""`ExotelWebhooks` on a real socket: what each handler gets, and what goes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from exotel_async.emulator.encoding import Encoding, encode
from exotel_async.errors import ConfigurationError, InvalidRequest
from exotel_async.models import CallStatus
from exotel_async.webhooks import (
    ConnectPlan,
    ConnectRequest,
    DialEvent,
    DialWhom,
    ExotelWebhooks,
    GatherPlan,
    GatherRequest,
    GreetingRequest,
    Passthru,
    PassthruRequest,
    Play,
    Playback,
    SmsRequest,
    SmsText,
    Speak,
    StatusCallback,
    VoicebotRequest,
    VoicebotStream,
    WhisperRequest,
)
from tests.conftest import SOON
from tests.webhooks.payloads import DIAL, ENCODINGS, LONG, PASSTHRU, SHORT, SID, query
from tests.webhooks.serving import OTHER, SECRET, new_hooks, path, serving

APPLETS: list[tuple[str, type[Any], object, object]] = [
    ("passthru", PassthruRequest, Passthru.divert(), Passthru.divert()),
    ("passthru", PassthruRequest, None, Passthru.proceed()),
    ("passthru", PassthruRequest, Passthru.select("vip"), Passthru.select("vip")),
    ("connect", ConnectRequest, ConnectPlan("+919812300003"), ConnectPlan("+919812300003")),
    ("dial_whom", ConnectRequest, "+919812300003", DialWhom("+919812300003")),
    ("gather", GatherRequest, GatherPlan("Your PIN?"), GatherPlan("Your PIN?")),
    ("greeting", GreetingRequest, "Welcome", Speak("Welcome")),
    ("greeting", GreetingRequest, Play("https://x.example/a.wav"), Play("https://x.example/a.wav")),
    ("whisper", WhisperRequest, Playback("A customer"), Playback("A customer")),
    ("sms", SmsRequest, "Thank you", SmsText("Thank you")),
    ("voicebot", VoicebotRequest, "wss://bot.example", VoicebotStream("wss://bot.example")),
    (
        "voicebot",
        VoicebotRequest,
        VoicebotStream("wss://bot.example/1", sample_rate=16000),
        VoicebotStream("wss://bot.example/1?sample-rate=16000"),
    ),
]
TEXT = {"greeting", "sms", "dial_whom"}
JSON = {"connect", "gather", "whisper", "voicebot"}
FALLBACKS: dict[str, tuple[int, str]] = {
    "passthru": (302, ""),
    "connect": (200, ConnectPlan.nobody().render().body.decode()),
    "gather": (200, '{"gather_prompt":{"text":"Sorry"},"input_timeout":1}'),
    "greeting": (200, "Sorry"),
    "dial_whom": (500, ""),
    "whisper": (500, ""),
    "sms": (500, ""),
    "voicebot": (500, ""),
}
OWN_FALLBACKS: dict[str, Any] = {
    "passthru": Passthru.select("trouble"),
    "connect": ConnectPlan("+919812300009"),
    "gather": GatherPlan("Later"),
    "greeting": Play("https://x.example/sorry.wav"),
    "dial_whom": "+919812300009",
    "whisper": Playback("Later"),
    "sms": SmsText("Later"),
    "voicebot": "wss://spare.example",
}


def register(hooks: ExotelWebhooks, kind: str, handler: Any, **options: Any) -> None:
    getattr(hooks, kind)("main", **options)(handler)


@pytest.mark.parametrize(("kind", "request_type", "given", "answer"), APPLETS)
@pytest.mark.parametrize("is_async", [True, False])
async def test_an_applet_is_asked_and_answered(
    kind: str, request_type: type[Any], given: object, answer: Any, is_async: bool
) -> None:
    hooks, seen = new_hooks(), []

    def handler(request: object) -> object:
        seen.append(request)
        return given

    async def async_handler(request: object) -> object:
        return handler(request)

    register(hooks, kind, async_handler if is_async else handler)
    async with serving(hooks) as served:
        got = await served.client.get(f"{path(kind, 'main')}?{query(PASSTHRU)}")
    assert [type(request) for request in seen] == [request_type]
    assert seen[0] == request_type.from_query(query(PASSTHRU))
    expected = answer.render()
    assert (got.status_code, got.content) == (expected.status, expected.body)
    told = {name: got.headers[name] for name, _ in expected.headers}
    assert list(told.items()) == list(expected.headers)
    assert ("content-type" in got.headers) == ("content-type" in told)


@pytest.mark.parametrize(("kind", "request_type", "given", "answer"), APPLETS)
async def test_head_tells_what_get_does_and_runs_no_handler(
    kind: str, request_type: type[Any], given: object, answer: Any
) -> None:
    hooks, seen = new_hooks(), []

    async def handler(request: object) -> object:
        seen.append(request)
        return given

    register(hooks, kind, handler)
    async with serving(hooks) as served:
        head = await served.client.head(f"{path(kind, 'main')}?{query(PASSTHRU)}")
        assert not seen
        got = await served.client.get(f"{path(kind, 'main')}?{query(PASSTHRU)}")
    assert len(seen) == 1
    assert head.status_code == 200
    assert head.content == b""
    if kind != "passthru":  # whose type and status are its answer, and nobody asks before
        assert head.status_code == got.status_code
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-type"] == (
            "text/plain" if kind in TEXT else "application/json"
        )
        framing = {"content-length", "transfer-encoding", "date"}
        assert head.headers.keys() - framing == got.headers.keys() - framing


def broken(request: object) -> object:
    raise RuntimeError(f"a defect, at {request!r:.12}")


async def asleep(request: object) -> object:
    await asyncio.sleep(60)
    return request


async def deaf(request: object) -> object:
    """It does not let itself be cancelled; not at once."""
    for _ in range(3):
        try:
            await asyncio.sleep(0.15)
        except asyncio.CancelledError:
            continue
    return request


async def of_no_use(request: object) -> object:
    return {"not": "an answer"}


async def cancelled(request: object) -> object:
    raise asyncio.CancelledError


async def stopped(request: object) -> object:
    raise GeneratorExit


@pytest.mark.slow(7)
@pytest.mark.parametrize("handler", [broken, asleep, deaf, of_no_use, cancelled, stopped])
@pytest.mark.parametrize("kind", FALLBACKS)
async def test_a_failing_handler_leaves_nobody_in_silence(
    kind: str, handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = new_hooks(answer_timeout=0.1, apology="Sorry")
    register(hooks, kind, handler)
    other = new_hooks(answer_timeout=0.1)
    register(other, kind, handler, fallback=OWN_FALLBACKS[kind])
    async with serving(hooks) as served, serving(other) as second:
        async with asyncio.timeout(SOON):
            asked = f"{path(kind, 'main')}?{query(PASSTHRU)}"
            got, own = await asyncio.gather(served.client.get(asked), second.client.get(asked))
    assert (got.status_code, got.text) == FALLBACKS[kind]
    prompt = OWN_FALLBACKS[kind]
    if isinstance(prompt, str):
        prompt = DialWhom(prompt) if kind == "dial_whom" else VoicebotStream(prompt)
    expected = prompt.render()
    assert (own.status_code, own.content) == (expected.status, expected.body)
    told = [record for record in caplog.records if record.name == "exotel_async"]
    assert len(told) == 2
    assert all(f"{kind}/main" in record.getMessage() for record in told)
    assert all(SID in record.getMessage() for record in told)
    assert not any(SECRET in record.getMessage() for record in told)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("payload", [SHORT, LONG])
async def test_a_status_callback_is_handled(encoding: Encoding, payload: dict[str, Any]) -> None:
    hooks = new_hooks()
    seen: list[StatusCallback] = []

    @hooks.status_callback
    async def ended(event: StatusCallback) -> None:
        seen.append(event)

    content_type, body = encode(payload, encoding, boundary="a9b8")
    async with serving(hooks) as served:
        got = await served.client.post(
            path("status_callback"), content=body, headers={"content-type": content_type}
        )
    assert (got.status_code, got.content) == (200, b"")
    assert seen == [StatusCallback.from_request(body, content_type)]
    assert seen[0].status is CallStatus.COMPLETED


QUERIES: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("?", {}),
    ("?attempt=ab12", {"attempt": "ab12"}),
    ("?attempt=ab12&attempt=cd34&of=a%20b+c%26", {"attempt": "cd34", "of": "a b c&"}),
    ("?attempt=&flag", {"attempt": "", "flag": ""}),
    ("?a[b]=1&a=2", {"a[b]": "1", "a": "2"}),
    ("?name=%E0%A4%85%FF", {"name": "\u0905\ufffd"}),
]


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_callback_knows_the_query_of_its_url(http: str) -> None:
    if http == "httptools":
        pytest.importorskip("httptools")
    hooks = new_hooks()
    seen: list[StatusCallback] = []
    hooks.status_callback(seen.append)
    async with serving(hooks, http=http) as served:
        for position, (tail, _) in enumerate(QUERIES):
            payload = LONG | {"CallSid": f"{SID}{position}"}
            got = await served.client.post(f"{path('status_callback')}{tail}", json=payload)
            assert got.status_code == 200
        # The same event, whatever it was asked for by: it is handled once.
        for tail in ("", "?attempt=ef56"):
            got = await served.client.post(
                f"{path('status_callback')}{tail}", json=LONG | {"CallSid": f"{SID}0"}
            )
            assert got.status_code == 200
        too_many = "&".join(["a=1"] * 1_001)
        got = await served.client.post(f"{path('status_callback')}?{too_many}", json=LONG)
        assert got.status_code == 400
    assert [event.query for event in seen] == [query for _, query in QUERIES]


async def test_a_query_that_is_too_long_is_refused() -> None:
    hooks = new_hooks(max_body=2_000)
    hooks.status_callback(lambda event: None)
    async with serving(hooks) as served:
        url = f"{path('status_callback')}?a="
        assert (await served.client.post(url + "x" * 1_998, json=LONG)).status_code == 200
        assert (await served.client.post(url + "x" * 1_999, json=LONG)).status_code == 414


async def test_a_dial_event_is_handled_once() -> None:
    hooks = new_hooks()
    seen: list[DialEvent] = []
    hooks.dial_event(seen.append)
    async with serving(hooks) as served:
        url = f"{path('dial_event')}?{query(DIAL)}"
        statuses = [
            (await served.client.head(url)).status_code,
            (await served.client.get(url)).status_code,
            (await served.client.get(url)).status_code,
        ]
    assert statuses == [200, 200, 200]
    assert seen == [DialEvent.from_query(query(DIAL))]


class Session:
    """What is fed, as far as it matters."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[Any] = []
        self.error = error

    def notify(self, event: Any) -> bool:
        self.told.append(event)
        if self.error is not None:
            raise self.error
        return True


async def test_each_callback_is_forwarded_whatever_becomes_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hooks = new_hooks()
    good, closed, odd, broken = (
        Session(),
        Session(ConfigurationError("the session is closed")),
        Session(InvalidRequest("event", "x", "no")),
        Session(KeyError("a defect")),
    )
    for session in (closed, odd, broken, good):
        hooks.forward_to(session)
    async with serving(hooks) as served:
        assert (await served.client.post(path("status_callback"), json=LONG)).status_code == 200

        @hooks.status_callback
        def fails(event: StatusCallback) -> None:
            raise OSError("the database is gone")

        assert (await served.client.post(path("status_callback"), json=LONG)).status_code == 500
        nothing_told = LONG | {"Status": "", "EventType": "other"}
        await served.client.post(path("status_callback"), json=nothing_told)
    assert [len(session.told) for session in (good, odd, broken, closed)] == [2, 2, 2, 1]
    assert type(good.told[0]) is StatusCallback
    assert good.told[0] == good.told[1]
    assert "no longer forwarding status callbacks" in caplog.text
    assert "the database is gone" in caplog.text
    assert "a defect" in caplog.text


def test_urls() -> None:
    hooks = new_hooks(secret=[OTHER, SECRET], base_url="https://app.example/exotel/")
    hooks.status_callback(print)
    hooks.passthru("crm-check")(lambda request: None)
    start = f"https://app.example/exotel/{OTHER}"
    assert hooks.url("status_callback") == f"{start}/status_callback"
    assert hooks.url("passthru", "crm-check") == f"{start}/passthru/crm-check"
    hooks.rotate(SECRET)
    assert hooks.url("status_callback").split("/")[4] == SECRET
    with pytest.raises(ConfigurationError, match="nothing is registered for connect/x"):
        hooks.url("connect", "x")
    without = ExotelWebhooks(SECRET)
    without.status_callback(print)
    with pytest.raises(ConfigurationError, match="base_url"):
        without.url("status_callback")


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: ExotelWebhooks("short"), "16 to 128"),
    (lambda: ExotelWebhooks("with a space, and long"), "16 to 128"),
    (lambda: ExotelWebhooks("ünïcödé-ünïcödé-ünïcödé"), "16 to 128"),
    (lambda: ExotelWebhooks([]), "16 to 128"),
    (lambda: ExotelWebhooks([SECRET, "short"]), "16 to 128"),
    (lambda: new_hooks(base_url="app.example"), "base_url"),
    (lambda: new_hooks(base_url="https://u:p4ssw0rd@app.example"), "credentials"),
    (lambda: new_hooks(base_url="https://app.example/?a=b"), "base_url"),
    (lambda: new_hooks(allowed_addresses=[]), "refuse everybody"),
    (lambda: new_hooks(allowed_addresses=["10.0.0.1/8"]), "host bits"),
    (lambda: new_hooks(allowed_addresses="10.0.0.1"), "several"),
    (lambda: new_hooks(allowed_addresses=["nowhere"]), "nowhere"),
    (lambda: new_hooks(trusted_proxies=["10.0.0.1"]), "allowed_addresses"),
    (lambda: new_hooks(max_body=0), "max_body"),
    (lambda: new_hooks(body_timeout=0), "body_timeout"),
    (lambda: new_hooks(event_timeout=-1), "event_timeout"),
    (lambda: new_hooks(answer_timeout=float("nan")), "answer_timeout"),
    (lambda: new_hooks().passthru("a/b"), "passthru: name it"),
    (lambda: new_hooks().passthru(".."), "passthru: name it"),
    (lambda: new_hooks().greeting(print), "greeting: name it"),  # type: ignore[arg-type]
    (lambda: new_hooks().gather("a", fallback="hm"), "must be GatherPlan"),  # type: ignore[arg-type]
    (lambda: new_hooks().greeting("a", fallback="http://x.example/a.wav"), "Play"),
    (lambda: new_hooks().sms("a")(None), "must be a function"),  # type: ignore[type-var]
    (lambda: new_hooks().status_callback("x"), "must be a function"),  # type: ignore[type-var]
    (lambda: new_hooks().status_callback(None), "must be a function"),  # type: ignore[type-var]
    (lambda: new_hooks().dial_event(None), "must be a function"),  # type: ignore[type-var]
    (lambda: new_hooks().heartbeat(None), "must be a function"),  # type: ignore[type-var]
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_makes_no_sense_is_refused_at_once(make: Callable[[], object], words: str) -> None:
    with pytest.raises((ConfigurationError, InvalidRequest), match=words) as caught:
        make()
    assert not {"short", "p4ssw0rd", SECRET} & set(str(caught.value).split())
    assert "p4ssw0rd" not in str(caught.value)


def test_each_url_has_one_handler() -> None:
    hooks = new_hooks()
    hooks.forward_to(Session())
    hooks.status_callback(print)
    hooks.passthru("a")(lambda request: None)
    hooks.passthru("b")(lambda request: None)
    hooks.forward_to(Session())
    with pytest.raises(ConfigurationError, match="already"):
        hooks.status_callback(print)
    with pytest.raises(ConfigurationError, match="already"):
        hooks.passthru("a")(lambda request: None)


def test_without_the_extra_it_says_which_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_multipart.multipart", None)
    with pytest.raises(ConfigurationError, match=r"exotel-async\[webhooks\]"):
        new_hooks()


def test_no_repr_shows_a_secret() -> None:
    hooks = new_hooks()
    assert SECRET not in repr(hooks)
    assert all(SECRET not in repr(value) for value in vars(hooks).values())


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_the_access_log_shows_neither_secret_nor_numbers(
    http: str, caplog: pytest.LogCaptureFixture
) -> None:
    if http == "httptools":
        pytest.importorskip("httptools")
    hooks = new_hooks()
    hooks.passthru("crm")(lambda request: None)
    hooks.status_callback(lambda event: None)
    hooks.forward_to(Session(KeyError("a defect")))
    caplog.set_level(logging.INFO)
    async with serving(hooks, http=http, access_log=True) as served:
        await served.client.get(f"{path('passthru', 'crm')}?{query(PASSTHRU)}")
        await served.client.get(f"{path('passthru', 'other')}?{query(PASSTHRU)}")
        await served.client.get(f"/x{path('passthru', 'crm')}?{query(PASSTHRU)}")
        await served.client.post(f"{path('passthru', 'crm')}?{query(PASSTHRU)}")
        await served.client.get(f"{path('passthru', 'crm')}?CallSid=")
        for payload in (LONG, {}):
            await served.client.post(f"{path('status_callback')}?attempt=ab12", json=payload)
    lines = [r.getMessage() for r in caplog.records if r.name == "uvicorn.access"]
    shown = [line.partition('"')[2] for line in lines]
    assert shown == [
        'GET /-/passthru/crm HTTP/1.1" 200',
        'GET /- HTTP/1.1" 404',
        'GET /- HTTP/1.1" 404',
        'POST /-/passthru/crm HTTP/1.1" 405',
        'GET /-/passthru/crm HTTP/1.1" 400',
        'POST /-/status_callback HTTP/1.1" 200',
        'POST /-/status_callback HTTP/1.1" 400',
    ]
    ours = [r.getMessage() for r in caplog.records if r.name == "exotel_async"]
    assert ours == [
        "A request of Exotel's came to '/x/.../passthru/crm', where nothing is served. "
        "The right URL is https://app.example/exotel/.../passthru/crm",
        "A request for passthru/crm is not one of Exotel's: no CallSid",
        "A status callback could not be forwarded",
        "A request for status_callback is not one of Exotel's: no CallSid",
    ]
    served_by = ("uvicorn", "exotel_async")
    told = [r for r in caplog.records if r.name.startswith(served_by)]
    assert not any("ab12" in logging.Formatter().format(record) for record in told)


HANDSHAKE = (
    "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TARGETS = [
    path("passthru", "crm"),
    path("passthru", "other"),
    f"{path('passthru', 'crm')}?{query(PASSTHRU)}",
    f"/x{path('status_callback')}?secret={SECRET}",
    f"/%{ord(SECRET[0]):02x}{SECRET[1:]}/passthru/crm",
    f"/{SECRET}%2Fpassthru%2Fcrm",
]


def mounted(hooks: ExotelWebhooks) -> Any:
    return Starlette(routes=[Mount("/exotel", hooks)])


@pytest.mark.parametrize("prefix", ["", "/exotel"])
@pytest.mark.parametrize("ws", ["websockets", "websockets-sansio", "wsproto", "none"])
@pytest.mark.filterwarnings("ignore:.*(websockets|ws_handler)")  # uvicorn gives up its first way
async def test_the_log_of_a_websocket_handshake_shows_neither_secret_nor_numbers(
    ws: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = new_hooks()
    hooks.passthru("crm")(lambda request: None)
    caplog.set_level(logging.INFO)
    served_app = mounted(hooks) if prefix else hooks
    async with serving(served_app, ws=ws, access_log=True) as served:
        for target in TARGETS:
            handshake = HANDSHAKE.format(target=prefix + target)
            answer = await served.raw(handshake.encode() if ws != "none" else no_keep(handshake))
            assert b" 101 " not in answer.partition(b"\r\n")[0]
    assert SECRET[1:] not in caplog.text
    assert PASSTHRU["CallFrom"].lstrip("+0") not in caplog.text
    shown = [r.getMessage().partition('"')[2] for r in caplog.records if '"' in r.getMessage()]
    assert len(shown) == len(TARGETS)
    if ws != "none":
        assert set(shown) == {f'WebSocket {prefix}/-" 403'}


def no_keep(handshake: str) -> bytes:
    """Ask a server without WebSockets, which answers it as any other request, to hang up."""
    return handshake.replace("Connection: Upgrade", "Connection: close").encode()


async def test_a_websocket_is_closed_and_other_scopes_are_left_alone() -> None:
    hooks, sent = new_hooks(), []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is to be received")

    for scope in (
        {"type": "websocket", "path": "/"},
        {"type": "websocket", "path": path("status_callback"), "raw_path": None},
        {"type": "websocket", "path": "", "query_string": b"a=b"},
    ):
        sent.clear()
        await hooks(scope, receive, send)
        assert sent == [{"type": "websocket.close"}]
        assert SECRET not in f"{scope}"
        assert not scope["query_string"]
    await hooks({"type": "something new"}, receive, send)
    assert sent == [{"type": "websocket.close"}]


async def test_a_client_that_leaves_during_its_handshake_is_no_error() -> None:
    async def send(_: object) -> None:
        raise OSError("it has gone")

    async def receive() -> Any:
        raise AssertionError("nothing is to be received")

    await new_hooks()({"type": "websocket", "path": "/"}, receive, send)
