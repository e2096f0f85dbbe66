"""Files with settings: what they hold, what is wrong in them, and the schema they are held to."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from exotel_async.emulator import (
    Applet,
    Connect,
    Email,
    Emulator,
    Fault,
    Faults,
    Flow,
    Gather,
    Greeting,
    Hangup,
    Menu,
    Passthru,
    Settings,
    Sms,
    SwitchCase,
    Transfer,
    UniformLatency,
    Voicebot,
    Voicemail,
)
from exotel_async.emulator.control.config import config_schema, load_config, read_config
from exotel_async.emulator.control.fault_values import makers, read_fault, write_order
from exotel_async.emulator.control.field_docs import descriptions
from exotel_async.emulator.control.kinds import kinds_of_applets
from exotel_async.emulator.control.reading import BadInput, read
from exotel_async.emulator.control.writing import write
from exotel_async.emulator.settings import READ_AT_START

EXAMPLE = Path(__file__).parent / "example.toml"
SCHEMA = Draft202012Validator(config_schema())


def plain(document: object) -> Any:
    """As a JSON file would have it: a date is text there."""
    return json.loads(json.dumps(document, default=datetime.isoformat))


def fits(document: object) -> bool:
    """Whether the schema takes it."""
    valid: bool = SCHEMA.is_valid(plain(document))
    return valid


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(config_schema())


def test_the_schema_promises_no_port() -> None:
    """The command has one of its own, where a test takes any that is free."""
    assert "default" not in config_schema()["properties"]["port"]


def test_an_example_of_everything() -> None:
    assert fits(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))
    config = load_config(EXAMPLE)
    emulator = Emulator(**config.settings)
    assert emulator.now == datetime(2026, 1, 31, 9, tzinfo=timezone(timedelta(hours=5.5)))
    assert emulator.exophones == {"08030000000", "08030000001"}
    assert (emulator.max_ring_timeout, emulator.verified_numbers) == (None, None)
    assert emulator.flow_settings.dial_whom_separators == (";",)
    assert emulator.scenario.numbers["09812300001"].ring == 3
    assert emulator.callers["+919812300002"].keys == {"pin": "1234#", "Menu": ("9", "1")}
    assert emulator.exophone_flows == {"08030000000": "main", "08030000001": 926}
    (main, other) = emulator.flows
    assert other == Flow(926, start=Hangup())
    assert isinstance(main.start, Menu)
    assert main.start.keys["1"] == Connect(numbers=["09812300004"], no_answer=Voicemail())
    assert main.follow("bye") == Greeting(name="bye", text="Goodbye", then=Hangup())
    assert {type(applet) for applet in main.applets()} == set(kinds_of_applets().values())
    assert emulator.latency is not None
    before, after = emulator.latency(Random(1))
    assert 0.05 <= before <= 0.2
    assert 0 <= after <= 0.1
    assert config.faults == [
        (Fault.act_then_drop(reset=True), {"path": "Calls/connect", "times": None}),
        (Fault.answer(503, retry_after=2.5, body=b"\xff"), {"method": "GET", "after": 1}),
        (Fault.callback_late(3), {}),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"rate": 1, "rate": 2}', "it is not JSON: the key rate is there twice"),
        ('{"callers": {"09812300001": {}, "09812300001": {}}}', "key *******0001 is there twice"),
        ('{"speed": NaN}', "it is not JSON: NaN is not a JSON number"),
    ],
)
def test_json_that_readers_disagree_about_is_refused(
    tmp_path: Path, content: str, problem: str
) -> None:
    file = tmp_path / "a.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=re.escape(problem)):
        load_config(file)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(plain(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))))
    one, other = load_config(file), load_config(EXAMPLE)
    assert one.faults == other.faults
    assert write(one.settings) == write(other.settings)


def test_every_setting_can_be_written_and_read_back() -> None:
    """With its default, and as the example has it."""
    for settings in (Settings(), Settings(**load_config(EXAMPLE).settings)):
        document = {name: write(getattr(settings, name)) for name in attrs.fields_dict(Settings)}
        again = Settings(**read_config(plain(document)).settings)
        assert {name: write(getattr(again, name)) for name in document} == document
        assert fits(document)


def test_what_says_that_it_is_read_at_the_start_cannot_be_changed_later() -> None:
    told = {name for name, text in descriptions(Settings).items() if "ead at the start" in text}
    assert told <= READ_AT_START <= attrs.fields_dict(Settings).keys()


FLOW = [{"id": 926, "start": {"applet": "menu", "text": "Press", "keys": {}}}]


def flow(**start: object) -> Mapping[str, Any]:
    """A file with one flow of one menu."""
    return {"flows": [{"id": 926, "start": {**FLOW[0]["start"], **start}}]}  # type: ignore[dict-item]


BEYOND_A_SCHEMA = (
    *("not a date", "not an amount", "is a range", "shares", "no telephone has"),
    *("no applet named nowhere", "takes one of", "have one id", "is not a phone number"),
    *(
        "must not be empty",
        "must be a host's name",
        "a telephone has",
        "callback_retries",
        "is not an http or https URL",
    ),
)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "[] is not an object with settings"),
        ({"latency": {"09812300001": 1}}, "latency.*******0001: is not a key here; the keys are"),
        ({"rates": 1}, "rates: is not a key here; there is rate"),
        ({"sped": 1}, "sped: is not a key here; there are speed, "),
        ({"api-token": 1}, "api-token: is not a key here; there are api_token, api_key"),
        ({"xyz": 1}, "xyz: is not a key here; the keys are account_sid, amounts, "),
        ({"rate": "200"}, "rate: '200' is not a whole number"),
        ({"rate": True}, "rate: true is not a whole number"),
        ({"rate": 0}, "rate: must be >= 1: 0"),
        ({"port": 70000}, "port: must be <= 65535: 70000"),
        ({"speed": 0}, "speed: must be > 0.0: 0.0"),
        ({"kyc": "yes"}, "kyc: 'yes' is neither true nor false"),
        ({"account_sid": "a/b"}, "account_sid: 'a/b' must not be empty, or have a slash"),
        ({"hostnames": ["a b"]}, "hostnames: 'a b' must be a host's name or address"),
        ({"account_sid": ""}, "account_sid: '' must not be empty, or have"),
        ({"api_key": "a:b"}, "api_key: the value must not be empty, or have a colon"),
        ({"api_token": ""}, "api_token: the value must not be empty"),
        ({"api_token": 17}, "api_token: the value is not a text"),
        ({"now": "2026-01-01"}, "now: '2026-01-01' is not a date with its offset, like 2026-"),
        ({"balance": "much"}, "balance: 'much' is not an amount, like"),
        ({"window": "round"}, "window: 'round' is not one of 'sliding-log', "),
        ({"retry_after": "soon"}, "retry_after: 'soon' is not a number, and is not one of 'exact'"),
        ({"exophones": ["0803 000 0000"]}, "exophones: '**** *** 0000' is not a phone number"),
        ({"ndnc": ["hello"]}, "ndnc: 'hello' is not a phone number"),
        ({"callers": {"098123-00001": {}}}, "callers: '******-*0001' is not a phone number"),
        (
            {"scenario": {"numbers": {"+91 98123 00001": {}}}},
            "'+** ***** *0001' is not a phone number",
        ),
        ({"exophones": "08030000000"}, "exophones: '*******0000' is not a list"),
        ({"latency": {"before": [2, 1]}}, "latency: before is a range from low to high"),
        ({"latency": {"before": [2]}}, "latency.before: [2] is not a list of 2"),
        ({"scenario": {"busy": 2}}, "scenario: shares sum up to 1 at most"),
        ({"scenario": {"numbers": {"09812300001": {}, "09812300002": 3}}}, "*******0002: 3 is not"),
        ({"flow_settings": {"causes": {"gone": ["A", "1"]}}}, "causes.gone: 'gone' is not one of "),
        ({"callers": {"1": {"keys": [1]}}}, "callers.1.keys[0]: 1 is not a text"),
        (
            {"callers": {"1": {"keys": ["x"]}}},
            "callers.1: keys: a telephone has 0 to 9, * and #, not",
        ),
        (
            {"callers": {"1": {"keys": {"pin": "1 2"}}}},
            "keys: a telephone has 0 to 9, * and #, not",
        ),
        ({"callers": {"1": {"speaks": -1}}}, "callers.1: 'speaks' must be >= 0: -1"),
        ({"callers": {"1": {"patience": -1}}}, "callers.1: 'patience' must be >= 0: -1"),
        ({"scenario": {"numbers": {"1": {"ring": -1}}}}, "numbers.1: 'ring' must be >= 0: -1"),
        ({"scenario": {"retry_pause": -1}}, "scenario: 'retry_pause' must be >= 0: -1"),
        ({"flow_settings": {"timeout": 0}}, "flow_settings: 'timeout' must be > 0: 0.0"),
        ({"flow_settings": {"parallel_cap": 0}}, "flow_settings: 'parallel_cap' must be >= 1: 0"),
        ({"flow_settings": {"speech": 0}}, "flow_settings: 'speech' must be > 0: 0.0"),
        ({"callback_retries": [300, -1]}, "callback_retries: must be >= 0.0: -1.0"),
        (
            flow(text=None, url="ftp://x/"),
            "flows[0].start: url: 'ftp://x/' is not an http or https URL",
        ),
        (flow(text=None, url="menu"), "flows[0].start: url: 'menu' is not an http or https URL"),
        (flow(keys={"1": 5}), "flows[0].start.keys.1: 5 is not an applet, like {"),
        (flow(keys={"1": {"applet": "hang"}}), "keys.1.applet: 'hang' is not one of connect, "),
        (flow(keys={"1": {}}), "flows[0].start.keys.1.applet: is missing"),
        (flow(keys={"A": None}), "flows[0].start: Menu has keys that no telephone has: A"),
        (flow(repeats=1), "flows[0].start.repeats: is not a key here; there is repeat"),
        (flow(otherwise="nowhere"), "flows[0]: flow 926 has no applet named nowhere"),
        (flow(url="http://x"), "flows[0].start: Menu takes one of text, audio, url"),
        ({"flows": [*FLOW, *FLOW]}, "flows: two flows have one id: 926, 926"),
        ({"faults": {}}, "faults: {} is not a list"),
        ({"faults": [{"fault": "drop"}]}, "faults[0].fault: 'drop' is not one of drop_before, "),
        ({"faults": [{"fault": "answer"}]}, "faults[0].status: is missing"),
        ({"faults": [{"fault": "act_then_garbage", "kind": "x"}]}, "kind: 'x' is not one of "),
        ({"faults": [{"fault": "answer", "status": 99}]}, "faults[0]: 'status' must be >= 200: 99"),
        (
            {"faults": [{"fault": "act_then_drip", "pause": -1}]},
            "faults[0]: 'seconds' must be >= 0",
        ),
        ({"faults": [{"fault": "act_then_cut", "times": 0}]}, "faults[0].times: 0 is less than 1"),
        ({"faults": [{"fault": "act_then_cut", "time": 0}]}, "faults[0].time: is not a key here"),
    ],
)
def test_what_is_wrong_is_told_with_place_value_and_rule(document: object, problem: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_config(document)
    assert problem in str(caught.value)
    assert not caught.value.text.startswith(f"{caught.value.place}: ")  # it is told once
    assert fits(document) == any(word in problem for word in BEYOND_A_SCHEMA)


@pytest.mark.parametrize("length", [math.inf, -math.inf, math.nan])
def test_a_length_is_finite(length: float) -> None:
    """TOML can say otherwise."""
    with pytest.raises(BadInput, match=r"^recording_ready: .* is not a finite number$"):
        read_config({"recording_ready": length})
    assert write([length]) == [None], "JSON has none either"


SECRETS = "09812300001", "secret-5e1f"


@given(
    st.sampled_from(sorted(attrs.fields_dict(Settings))),
    st.recursive(
        st.sampled_from([*SECRETS, "", "applet", "menu", 0, 1, -1, 0.5, True, False, None]),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from([*SECRETS, "1", "applet", "keys", "id"]), inner)
        ),
        max_leaves=6,
    ),
)
def test_what_is_read_fits_the_schema_and_what_is_not_says_no_secret(
    name: str, value: object
) -> None:
    document = {name: value}
    wrong = None
    try:
        read_config(document)
    except BadInput as error:
        wrong = error
    if wrong is None:
        assert fits(document)
    else:
        assert wrong.place.startswith(name)
        assert SECRETS[0] not in str(wrong)
        assert name != "api_token" or SECRETS[1] not in str(wrong)


texts = st.text("ab€", min_size=1, max_size=3)
urls = texts.map("http://{}".format)


def exits(inner: st.SearchStrategy[Applet]) -> st.SearchStrategy[Applet]:
    """Applets that lead to those."""
    then = st.none() | inner
    many = st.lists(texts, min_size=1, max_size=2)
    return st.one_of(
        st.builds(Greeting, text=texts, then=then),
        st.builds(Menu, audio=many, keys=st.dictionaries(st.sampled_from("12*#"), then)),
        st.builds(Gather, url=urls, max_digits=st.none() | st.integers(1, 9), otherwise=then),
        st.builds(Passthru, url=urls, sync=st.booleans(), ok=then),
        st.builds(SwitchCase, cases=st.dictionaries(texts, then), otherwise=then),
        st.builds(Connect, numbers=many, record=st.booleans(), no_answer=then),
        st.builds(Voicemail, max_seconds=st.integers(1, 9), then=then),
        st.builds(Voicebot, url=urls, talk=st.integers(0, 9), then=then),
        st.builds(Sms, text=texts, to=st.none() | texts, then=then),
        st.builds(Email, to=many, subject=texts, then=then),
    )


@given(st.recursive(st.just(Hangup()) | st.builds(Transfer, flow=texts), exits, max_leaves=4))
def test_every_applet_can_be_written_and_read_back(start: Applet) -> None:
    one = Flow("1", start=start)
    document = plain(write(one))
    assert fits({"flows": [document]})
    assert read(document, Flow) == one


FAULTS = [
    Fault.drop_before(),
    Fault.act_then_drop(reset=True),
    Fault.act_then_cut(),
    Fault.act_then_status(500, retry_after=3),
    Fault.answer(400, message="No", body=b"\xff", content_type="text/plain"),
    Fault.too_many_requests(retry_after="soon"),
    Fault.too_many_requests(retry_after=datetime(2026, 1, 1, tzinfo=timezone.utc)),  # noqa: UP017
    Fault.act_then_garbage("html"),
    Fault.act_then_body(b"{}", status=201),
    Fault.act_then_stall(),
    Fault.act_then_drip(0.5),
    Fault.delay_before(2),
    Fault.delay_before(None),
    Fault.repeated_cursor(),
    Fault.repeated_rows(3),
    Fault.rows_without_details(),
    Fault.callback_lost(),
    Fault.callback_late(3),
    Fault.callback_duplicated(3),
    Fault.callback_reordered(),
]


def test_every_fault_can_be_written_and_read_back() -> None:
    faults, told = Faults(), set()
    where = {"method": "GET", "path": "Calls", "times": None, "after": 2}
    for number, fault in enumerate(FAULTS, start=1):
        assert faults.add(fault, **where) == number  # type: ignore[arg-type]
        document = plain(write_order(faults.orders[-1]))
        assert document.pop("id") == number
        told.add(document["fault"])
        assert fits({"faults": [document]})
        assert read_fault(document) == (fault, where)
    assert told == set(makers())


def test_a_fault_that_no_method_makes_is_shown_by_its_fields() -> None:
    faults = Faults()
    faults.add(Fault(delay=2, status=500))
    shown = write_order(faults.orders[0])
    assert (shown["fault"], shown["delay"], shown["status"]) == (None, 2, 500)


def test_a_latency_by_ranges() -> None:
    with pytest.raises(ValueError, match="after is a range"):
        UniformLatency(after=(2, 1))
