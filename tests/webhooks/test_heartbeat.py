"""Heartbeats of ExoPhones: what is known of them is read, wherever it stands."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import IST, InvalidWebhook
from exotel_async.emulator.encoding import Encoding, encode
from exotel_async.webhooks import Heartbeat, HeartbeatStatus, MemoryClaims
from exotel_async.webhooks.fastapi import heartbeat
from tests.webhooks.payloads import ENCODINGS, EXOPHONE_SIDS, HEARTBEAT, SID
from tests.webhooks.serving import Served, new_hooks, path, serving
from tests.webhooks.test_properties import bodies, content_types
from tests.wire.test_converter import JUNK

ONE, TWO = EXOPHONE_SIDS
TIME = datetime(2026, 3, 2, 11, 20, 5, tzinfo=IST)


def read(payload: object) -> Heartbeat:
    return Heartbeat.from_request(json.dumps(payload).encode(), "application/json")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_heartbeat_in_each_encoding(encoding: Encoding) -> None:
    content_type, body = encode(HEARTBEAT, encoding, boundary="----boundary7")
    event = Heartbeat.from_request(body, content_type)
    assert event == Heartbeat(
        status=HeartbeatStatus.CRITICAL, time=TIME, exophone_sids=(ONE, TWO), raw=HEARTBEAT
    )
    assert event.time is not None
    assert event.time.utcoffset() == timedelta(hours=5.5)
    assert event.raw == HEARTBEAT


@pytest.mark.parametrize("status", ["OK", "WARNING", "CRITICAL", "PAYLOAD_TOO_LARGE"])
def test_each_word_that_is_documented(status: str) -> None:
    event = read({"status_type": status})
    assert event.status is HeartbeatStatus[status]
    assert (event.time, event.exophone_sids) == (None, ())


def test_a_word_that_is_not() -> None:
    assert read({"status_type": "RESTING"}).status == "RESTING"


@pytest.mark.parametrize(
    ("payload", "sids"),
    [
        ({"a": [ONE, TWO, ONE]}, [ONE, TWO]),
        ({"a": [{"b": ONE, "c": "x"}, {"b": TWO}]}, [ONE, TWO]),
        ({"a": {"b": [[TWO], [ONE]]}}, [TWO, ONE]),
        ({"ExoPhone": ONE, "other": TWO}, [ONE]),
        ({"phone_numbers": {"first": ONE, "second": TWO}}, [ONE, TWO]),
        ({"a": [{"b": ONE, "account_sid": TWO}]}, [ONE]),
        ({"account": {"numbers": []}, "account_sid": ONE}, []),
        ({"account": {"sids": [ONE], "of": {"sids": [[{"sid": TWO}]]}}}, []),
        ({"account": {"sid": ONE, "exophones": [{"sid": TWO}]}}, [TWO]),
        ({"phones": {"account": {"sid": ONE}, "sid": TWO}}, [TWO]),
        ({"account_phone_sid": ONE}, []),
        ({"exophones": f"{ONE}, {TWO},x,"}, [ONE, TWO]),
        ({"a": [f"{TWO},{ONE}"], "b": f"{ONE},{TWO}"}, [TWO, ONE]),
        ({"a": ["+918030000000", "08030000000", "a sentence of words", 10**20, None, True]}, []),
        ({"a": ["91803000000091803000"]}, []),
        ({"a": ["averylongwordthatisnosid"]}, []),
    ],
)
def test_where_the_sids_may_stand(payload: dict[str, Any], sids: list[str]) -> None:
    assert read({"status_type": "WARNING"} | payload).exophone_sids == tuple(sids)


@pytest.mark.parametrize(
    ("payload", "time"),
    [
        ({"a": "2026-03-02T05:50:05Z"}, TIME),
        ({"a": "2026-03-02t05:50:05z"}, TIME),
        ({"a": "2026-03-02T11:20:05+05:30"}, TIME),
        ({"a": {"b": ["2026-03-02T05:50:05.250Z"]}}, TIME + timedelta(milliseconds=250)),
        ({"a": "2026-03-02T05:50:05.250000001Z"}, TIME + timedelta(milliseconds=250)),
        # The same moment, twice.
        ({"a": "2026-03-02T05:50:05Z", "b": "2026-03-02T11:20:05+05:30"}, TIME),
        ({"a": "2026-03-02T05:50:05Z", "b": "2026-03-02T05:50:06Z"}, None),
        ({"a": "2026-03-02 11:20:05"}, None),  # of no offset
        ({"a": "2026-02-30T05:50:05Z"}, None),
        ({"a": "0000-00-00T00:00:00Z"}, None),
        ({"a": "9999-12-31T23:59:59-23:59"}, None),
        ({"a": "Mon, 02 Mar 2026 11:20:05 +0530"}, None),
    ],
)
def test_its_one_time(payload: dict[str, Any], time: datetime | None) -> None:
    assert read({"status_type": "OK"} | payload).time == time


def test_the_zone_of_its_time_can_be_another() -> None:
    event = Heartbeat.from_request(
        json.dumps(HEARTBEAT).encode(), "application/json", time_zone=UTC
    )
    assert event.time is not None
    assert (event.time, event.time.utcoffset()) == (TIME, timedelta())


def test_it_may_stand_deeper() -> None:
    event = read({"data": [{"event": {"status_type": "WARNING"}}]})
    assert event.status is HeartbeatStatus.WARNING


@pytest.mark.parametrize(
    "payload",
    [{}, {"status": "OK"}, {"status_type": None}, {"status_type": {}}, [], [[]], ["OK"], "OK"],
)
def test_without_its_status_it_is_none(payload: object) -> None:
    with pytest.raises(InvalidWebhook):
        read(payload)


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({"data": {"status_type": "OK"}, "status_type": "CRITICAL"}, "CRITICAL"),
        ({"status_type": "WARNING", "data": [{"status_type": "CRITICAL"}]}, "WARNING"),
        ({"data": [{"status_type": "OK"}, {"status_type": "CRITICAL"}]}, "CRITICAL"),
        ({"a": {"status_type": "PAYLOAD_TOO_LARGE"}, "b": {"status_type": "WARNING"}}, None),
        ({"a": {"status_type": "WARNING"}, "b": {"status_type": "DOWN"}}, "WARNING"),
        ({"a": {"status_type": "OK"}, "b": {"status_type": "DOWN"}}, "DOWN"),
        ({"status_type": None, "b": {"status_type": "critical"}}, "CRITICAL"),
        ([{"status_type": "OK"}, {"status_type": "WARNING"}], "WARNING"),
    ],
)
def test_of_several_words_the_outermost_counts_and_then_the_worst(
    payload: object, status: str | None
) -> None:
    assert read(payload).status == (status or "PAYLOAD_TOO_LARGE")


def test_it_may_come_as_a_list() -> None:
    event = read([HEARTBEAT])
    assert event.status is HeartbeatStatus.CRITICAL
    assert (event.time, event.exophone_sids) == (TIME, (ONE, TWO))
    assert event.raw == {"": [HEARTBEAT]}
    assert Heartbeat.from_dict(event.to_dict(raw=True)) == event


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_that_of_a_large_account_is_read(encoding: Encoding) -> None:
    sids = [f"{number:032x}a" for number in range(3_000)]
    phones = [{"sid": sid, "number": f"{n:010}", "status": "x"} for n, sid in enumerate(sids)]
    content_type, body = encode(HEARTBEAT | {"a": phones}, encoding, boundary="----boundary7")
    assert Heartbeat.from_request(body, content_type).exophone_sids[2:] == tuple(sids)
    content_type, body = encode(HEARTBEAT | {"a": phones * 2}, encoding, boundary="----boundary7")
    with pytest.raises(InvalidWebhook, match="more than 16000 fields"):
        Heartbeat.from_request(body, content_type)


def ago(**length: float) -> str:
    return (datetime.now(UTC) - timedelta(**length)).isoformat()


def test_its_key_is_that_of_all_that_came() -> None:
    recent = HEARTBEAT | {"some_time": ago(minutes=1)}
    event = read(recent)
    assert event.key is not None
    assert event.key == read(recent).key
    assert event.key == pickle.loads(pickle.dumps(event)).key  # noqa: S301
    others = [
        recent | {"status_type": "WARNING"},
        recent | {"some_time": ago(minutes=2)},
        recent | {"some_exophones": [ONE]},
        recent | {"more": 1},
        recent | {"more": "2026-03-02T05:51:05Z"},
        {"data": recent},
    ]
    assert len({event.key, *(read(other).key for other in others)} - {None}) == 7


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"time": "EARLIER"},
        {"time": "LATER"},
        {"time": "0001-01-01T00:00:00Z"},
        {"time": "2026-02-30T05:50:05Z"},
        {"some_exophones": [{"sid": ONE, "date_created": "2026-03-02T05:50:05Z"}]},
        # Of the ExoPhone, again: it was created a moment ago.
        {"some_exophones": [{"sid": ONE, "date_created": "NOW"}]},
        {"exophone": {"sid": ONE, "date_created": "NOW"}},
        {"account": {"phones": [{"sid": ONE, "date_created": "NOW"}]}},
        {"account": {"x": [{"sid": ONE, "date_created": "NOW"}]}},
    ],
)
def test_one_without_a_time_of_its_own_is_like_the_next_one(payload: dict[str, Any]) -> None:
    written = json.dumps({"status_type": "CRITICAL"} | payload)
    for word, minutes in {"EARLIER": 6, "LATER": -6, "NOW": 0}.items():
        written = written.replace(word, ago(minutes=minutes))
    assert read(json.loads(written)).key is None


@pytest.mark.parametrize("word", ["+919812300001", "9812300001 is down", "A" * 200_000])
def test_a_word_not_known_is_shown_masked_and_cut(word: str) -> None:
    event = read({"status_type": word, "time": ago()})
    assert event.status == word
    assert "9812300" not in repr(event)
    assert len(repr(event)) < 300
    assert event.key is not None
    assert len(event.key) < 40
    assert word[:9] not in event.key


# Property tests


@pytest.mark.slow
@given(body=bodies, content_type=content_types)
def test_any_body(body: bytes, content_type: str | None) -> None:
    try:
        event = Heartbeat.from_request(body, content_type)
    except InvalidWebhook:
        return
    assert_sound(event)


@pytest.mark.slow
@given(
    st.dictionaries(
        st.sampled_from(["status_type", "time", "exophones", "account_sid", "data"])
        | st.text(max_size=9),
        JUNK
        | st.sampled_from([*EXOPHONE_SIDS, "OK", "null"])
        | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
        | st.lists(st.sampled_from(EXOPHONE_SIDS), max_size=3),
        max_size=6,
    )
)
def test_any_values(payload: dict[str, Any]) -> None:
    try:
        event = read({"status_type": "OK"} | payload)
    except InvalidWebhook:
        assert "status_type" in payload or len(json.dumps(payload)) > 60
        return
    assert_sound(event)
    assert set(event.exophone_sids) <= set(_strings(payload))


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []


def assert_sound(event: Heartbeat) -> None:
    """Every promise of a value holds."""
    assert isinstance(event.status, str)
    assert event.status
    repr(event)
    hash(event)
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301
    assert event.time is None or event.time.tzinfo is IST
    assert len(set(event.exophone_sids)) == len(event.exophone_sids)
    assert event.key is None or len(event.key) < 160
    assert event.key == event.key


# In an application


async def test_each_is_handled_once_and_forwarded_nowhere() -> None:
    hooks, handled, forwarded = new_hooks(claims=MemoryClaims()), list[Heartbeat](), list[Any]()

    class Calls:
        def notify(self, event: Any) -> None:
            forwarded.append(event)

    @hooks.heartbeat
    async def health(event: Heartbeat) -> None:
        handled.append(event)

    hooks.forward_to(Calls())
    assert hooks.url("heartbeat").endswith("/heartbeat")
    recent = HEARTBEAT | {"some_time": ago()}
    async with serving(hooks) as served:
        for payload in (recent, recent, HEARTBEAT, HEARTBEAT):
            answer = await served.client.post(path("heartbeat"), json=payload)
            assert (answer.status_code, answer.content) == (200, b"")
        assert (await served.client.post(path("heartbeat"), json={})).status_code == 400
        assert (await served.client.get(path("heartbeat"))).status_code == 405
    assert [event.raw for event in handled] == [recent, HEARTBEAT, HEARTBEAT]
    assert not forwarded


async def test_one_that_fails_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    hooks, attempts = new_hooks(), list[Heartbeat]()
    recent = HEARTBEAT | {"some_time": ago()}

    @hooks.heartbeat
    async def health(event: Heartbeat) -> None:
        attempts.append(event)
        if len(attempts) == 1:
            raise OSError("the pager is away")

    async with serving(hooks) as served:
        statuses = [
            (await served.client.post(path("heartbeat"), json=recent)).status_code for _ in range(3)
        ]
    assert statuses == [500, 200, 200]
    assert len(attempts) == 2
    assert "Handling heartbeat has failed; call -" in caplog.text
    assert SID not in caplog.text


async def test_it_may_be_longer_than_a_callback() -> None:
    hooks, app = new_hooks(), FastAPI()
    hooks.heartbeat(lambda event: None)
    hooks.status_callback(lambda event: None)
    headers = {"content-type": "application/json"}

    @app.post("/own")
    async def own(event: Annotated[Heartbeat, Depends(heartbeat)]) -> str:
        return event.status

    app.mount("/hooks", hooks)
    async with serving(app) as served:
        for url in (f"/hooks{path('heartbeat')}", "/own"):
            body = json.dumps(HEARTBEAT).encode().ljust(16 * 65_536)
            got = await served.client.post(url, content=body, headers=headers)
            assert got.status_code == 200
            assert await refused(served, url, 16 * 65_536 + 1) == b"413"
        assert await refused(served, f"/hooks{path('status_callback')}", 65_537) == b"413"


async def refused(served: Served, url: str, length: int) -> bytes:
    """The status of a body of which only the length is sent."""
    head = f"POST {url} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += "Connection: close\r\n"
    return (await served.raw(f"{head}Content-Length: {length}\r\n\r\n".encode())).split()[1]


async def test_a_route_of_ones_own_reads_it() -> None:
    app = FastAPI()

    @app.post("/health")
    async def health(event: Annotated[Heartbeat, Depends(heartbeat)]) -> list[str]:
        return list(event.exophone_sids)

    async with serving(app) as served:
        assert (await served.client.post("/health", json=HEARTBEAT)).json() == [ONE, TWO]
        assert (await served.client.post("/health", json={})).status_code == 400
