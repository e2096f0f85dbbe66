"""A fuzzer over the running application: whatever comes, the server has no error of its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exotel_async.webhooks import ConnectPlan, ExotelWebhooks, GatherPlan, Playback
from tests.webhooks.payloads import DIAL, HEARTBEAT, LONG, PASSTHRU, SID, as_form, as_json, query
from tests.webhooks.serving import OTHER, SECRET, Served, new_hooks, path, serving
from tests.webhooks.test_properties import bodies, fields, names, told

NAMED = ["passthru", "connect", "dial_whom", "gather", "greeting", "whisper", "sms", "voicebot"]
POSTED = [path("status_callback"), path("heartbeat")]
KNOWN = [*POSTED, path("dial_event"), *(path(kind, "main") for kind in NAMED)]
METHODS = ["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "get", "FOO"]
QUERIES = [query(PASSTHRU), query(DIAL), f"CallSid={SID}", "CallSid=", ""]
TYPES = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]

printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
targets = st.one_of(
    st.sampled_from(KNOWN),
    st.builds(path, st.sampled_from(NAMED), st.text(max_size=8).map(quote)),
    st.builds("/{}{}".format, st.sampled_from([SECRET, OTHER]), printable),
    printable.map("/{}".format),
)
more = fields.map(lambda pairs: urlencode(pairs, errors="replace"))
queries = st.one_of(
    st.sampled_from(QUERIES), st.builds("{}&{}".format, st.sampled_from(QUERIES), more), printable
)
headers = st.lists(
    st.tuples(
        st.sampled_from(["Accept", "X-Forwarded-For", "Exotel-Version", "Cookie", "Range"]),
        st.sampled_from(["1.0", "::1", "text/html, */*;q=0.8"]) | printable,
    ),
    max_size=3,
)
contents = st.one_of(
    st.tuples(st.sampled_from(TYPES), bodies),
    st.tuples(st.just(TYPES[0]), st.dictionaries(names, told, max_size=6).map(LONG.__or__)).map(
        lambda pair: (pair[0], as_json({k: repr(v) for k, v in pair[1].items()}))
    ),
    st.tuples(
        st.just(TYPES[0]), st.dictionaries(names, told, max_size=6).map(HEARTBEAT.__or__)
    ).map(lambda pair: (pair[0], as_json({k: repr(v) for k, v in pair[1].items()}))),
    st.tuples(st.just(TYPES[1]), more.map(lambda text: as_form(LONG) + b"&" + text.encode())),
    st.tuples(printable, st.binary(max_size=40)),
)


@pytest.fixture
def hooks() -> ExotelWebhooks:
    hooks = new_hooks()
    hooks.status_callback(lambda event: (event.key, event.to_call(), repr(event)))
    hooks.dial_event(lambda event: (event.key, repr(event)))
    hooks.heartbeat(lambda event: (event.key, repr(event)))
    hooks.passthru("main")(lambda request: None)
    hooks.connect("main")(lambda request: ConnectPlan.nobody())
    hooks.dial_whom("main")(lambda request: "+919812300003")
    hooks.gather("main")(lambda request: GatherPlan("Your PIN?"))
    hooks.greeting("main")(lambda request: f"Welcome {request.sid}")
    hooks.whisper("main")(lambda request: Playback("A call"))
    hooks.sms("main")(lambda request: "Thank you")
    hooks.voicebot("main")(lambda request: "wss://bot.example")
    return hooks


@pytest.fixture
async def served(hooks: ExotelWebhooks) -> AsyncIterator[Served]:
    async with serving(hooks) as served:
        yield served


@pytest.mark.slow(4)
@settings(
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(METHODS),
    target=targets,
    asked=queries,
    told=headers,
    content=st.none() | contents,
)
async def test_no_request_is_answered_with_an_error_of_ours(
    served: Served,
    caplog: pytest.LogCaptureFixture,
    method: str,
    target: str,
    asked: str,
    told: list[tuple[str, str]],
    content: tuple[str, bytes] | None,
) -> None:
    caplog.set_level(logging.WARNING)
    lines = [f"{method} {target}?{asked} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in told]
    body = b""
    if content is not None:
        content_type, body = content
        lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    answer = await served.raw(request)
    status = int(answer.split(b" ", 2)[1])
    assert status in {200, 400, 404, 405, 415}, answer
    if SECRET not in target:
        assert status in {400, 404}  # 400 is the server's, for what is no HTTP
    assert not [record for record in caplog.records if record.exc_info], caplog.text
    assert "Exception in ASGI application" not in caplog.text


async def test_the_fuzzer_reaches_the_handlers(served: Served) -> None:
    """What it is made of gets through where nothing is spoiled."""
    statuses = dict[object, int]()
    for target in KNOWN[len(POSTED) :]:
        statuses[target] = (await served.client.get(f"{target}?{QUERIES[0]}")).status_code
    for target, payload in zip(POSTED, (LONG, HEARTBEAT), strict=True):
        for content_type in TYPES[:2]:
            body = as_json(payload) if content_type == TYPES[0] else as_form(payload)
            got = await served.client.post(
                target, content=body, headers={"content-type": content_type}
            )
            statuses[target, content_type] = got.status_code
    assert set(statuses.values()) == {200}
