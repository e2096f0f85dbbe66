"""What a campaign is made of, and what each of its dials is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async import IST, CallbackEvent, InvalidRequest, RecordingChannels
from exotel_async.calls.connect_many_plan import DialPlan
from exotel_async.campaigns import Campaign, Reached, Retries, Retry, Schedule
from exotel_async.campaigns.campaign import target_of
from tests.conftest import AGENT, CUSTOMER, EXOPHONE

OTHER = "+914430000000"
URL = "https://app.example/calls?key=secret"


def made(**arguments: Any) -> Campaign:
    return Campaign("diwali", **{"caller_ids": EXOPHONE, **arguments})


def sent(campaign: Campaign, **arguments: Any) -> dict[str, str]:
    """What a dial of the campaign sends."""
    passed: dict[str, Any] = {"number": CUSTOMER, "caller_id": EXOPHONE}
    passed |= {"custom_field": None, "status_callback": None}
    plan = DialPlan(
        account_sid="acme1", to=None, flow=None, caller_id=None, options={}, max_live=None
    )
    order = plan.order(target_of(campaign, **(passed | arguments)))
    assert order.legs == campaign.legs
    return dict(order.request.form)


def test_a_dial_to_a_flow_has_what_the_campaign_says() -> None:
    campaign = made(
        flow=926,
        time_limit=120,
        ring_timeout=timedelta(seconds=40),
        record=True,
        status_callback=URL,
        options={"recording_channels": "dual", "extra": {"New": "1"}},
    )
    assert campaign.legs == 1
    assert sent(campaign, custom_field="a1", status_callback=f"{URL}&attempt=a1") == {
        "From": CUSTOMER,
        "CallerId": EXOPHONE,
        "Url": "http://my.exotel.com/acme1/exoml/start_voice/926",
        "TimeLimit": "120",
        "TimeOut": "40",
        "Record": "true",
        "RecordingChannels": "dual",
        "CustomField": "a1",
        "StatusCallback": f"{URL}&attempt=a1",
        "MaxRetries": "0",
        "New": "1",
    }


def test_a_dial_to_an_agent_rings_the_contact_first() -> None:
    campaign = made(
        agent=AGENT,
        max_retries=None,
        status_callback=URL,
        status_callback_events=iter(["TERMINAL"]),
        options={"wait_url": "https://app.example/wait.wav", "stream_url": "wss://app.example"},
    )
    assert campaign.legs == 2
    form = sent(campaign, status_callback=URL)
    assert (form["From"], form["To"]) == (CUSTOMER, AGENT)
    assert form["StatusCallbackEvents[0]"] == "terminal"
    assert form["WaitUrl"] == "https://app.example/wait.wav"
    assert form["StreamUrl"] == "wss://app.example"
    assert "MaxRetries" not in form
    assert sent(campaign, status_callback=URL, agent="sip:agent7f3a")["To"] == "sip:agent7f3a"
    with pytest.raises(InvalidRequest, match=r"agent=.*0002.: is rung only"):
        sent(made(flow=926), agent=AGENT)


def test_a_dial_to_a_bot_goes_straight_to_its_stream() -> None:
    campaign = made(stream_url="wss://bot.example", options={"sample_rate": 16000})
    form = sent(campaign)
    assert form["StreamUrl"] == "wss://bot.example?sample-rate=16000"
    assert form["MaxRetries"] == "0"
    assert "To" not in form


@pytest.mark.parametrize(
    ("caller_ids", "meant"),
    [
        ("080-3000 0000", (EXOPHONE,)),
        ([EXOPHONE, OTHER, "0803 000 0000"], (EXOPHONE, OTHER)),
        (iter([OTHER]), (OTHER,)),
    ],
)
def test_caller_ids_are_one_or_several(caller_ids: Any, meant: tuple[str, ...]) -> None:
    assert made(flow=926, caller_ids=caller_ids).caller_ids == meant


def test_what_it_is_unless_told_otherwise() -> None:
    campaign = made(flow=926)
    assert (campaign.schedule, campaign.retries) == (Schedule(), Retries())
    assert (campaign.reached, campaign.weight, campaign.channels) == (Reached(), 1, None)


def test_its_repr_shows_no_secret_and_no_whole_number() -> None:
    options = {"wait_url": URL}
    shown = repr(made(agent=AGENT, status_callback=URL, custom_field="diabetes", options=options))
    shown += repr(made(stream_url="wss://bot.example?key=secret"))
    assert [word for word in ("secret", "diabetes", AGENT[1:]) if word in shown] == []


lengths = (
    st.none()
    | st.integers(1, 14_400)
    | st.timedeltas(timedelta(seconds=1), timedelta(hours=4)).map(
        lambda length: length - timedelta(microseconds=length.microseconds)
    )
)
KINDS: list[dict[str, Any]] = [
    {"flow": 926},
    {"flow": "http://my.exotel.com/acme1/exoml/start_voice/926"},
    {"agent": AGENT},
    {"agent": "sip:agent7f3a", "options": {"wait_url": URL, "stream_begin": None}},
    {
        "stream_url": "wss://bot.example",
        "ring_timeout": None,
        "options": {"sample_rate": 8000, "extra": {"A": "b"}},
    },
]
WITH: list[dict[str, Any]] = [
    {},
    {"status_callback": URL},
    {"status_callback": URL, "status_callback_events": [CallbackEvent.TERMINAL, "answered"]},
    {"record": True},
    {"record": False, "custom_field": "order \u0967"},
]
SCHEDULES = [
    Schedule(),
    Schedule(end=datetime(2026, 11, 30, tzinfo=IST), hours={"mon-sat": "10:00-13:00"}),
    Schedule(holidays=["2026-11-08"], time_zone="Europe/Berlin"),
]
campaigns = st.builds(
    lambda kind, more, rest: made(**{**rest, **kind, **more}),
    st.sampled_from(KINDS),
    st.sampled_from(WITH),
    st.fixed_dictionaries(
        {
            "schedule": st.sampled_from(SCHEDULES),
            "retries": st.sampled_from([Retries(), Retries(busy=Retry(3, 600))]),
            "reached": st.sampled_from([Reached(), Reached(talk_time=30)]),
            "channels": st.none() | st.integers(2, 100),
            "throttle": st.none() | st.integers(1, 200),
            "weight": st.integers(1, 10),
            "time_limit": lengths,
            "ring_timeout": lengths,
            "max_retries": st.none() | st.integers(0, 3),
            "check_dnd": st.booleans(),
            "caller_ids": st.sampled_from([EXOPHONE, [EXOPHONE, OTHER]]),
        }
    ),
)


@settings(max_examples=60, deadline=None)
@given(campaigns)
def test_a_campaign_comes_back_from_json(campaign: Campaign) -> None:
    again = Campaign.from_dict(json.loads(json.dumps(campaign.to_dict())))
    assert again == campaign
    assert again.to_dict() == campaign.to_dict()
    arguments = {"status_callback": campaign.status_callback, "custom_field": "a1"}
    assert sent(again, **arguments) == sent(campaign, **arguments)


def test_words_of_options_come_back_as_the_same_dial() -> None:
    channels = {"recording_channels": RecordingChannels.DUAL}
    campaign = made(flow=926, record=True, options=channels)
    channels.clear()
    again = Campaign.from_dict(json.loads(json.dumps(campaign.to_dict())))
    assert again == campaign
    assert sent(again)["RecordingChannels"] == "dual"


ODD: list[Any] = [
    None,
    True,
    -1,
    1.5,
    10**400,
    "",
    "x",
    "\ud800",
    "9-5",
    "2026-11-08",
    [],
    [None],
    [{}],
    {},
]
ODD += [{"mon": 9}, {"sample_rate": {}}, {"extra": [1]}, {"wait_url": []}, {"call_type": 3}]
WHOLE = made(
    agent=AGENT,
    schedule=SCHEDULES[1],
    retries=Retries(busy=Retry(3, 600)),
    reached=Reached(talk_time=30),
    options={"wait_url": URL},
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_is_wrong_in_json_is_an_invalid_request(data: st.DataObject) -> None:
    spoilt = inner = WHOLE.to_dict()
    name = data.draw(st.sampled_from(sorted(inner)))
    while isinstance(inner[name], dict) and data.draw(st.booleans()):
        inner = inner[name]
        name = data.draw(st.sampled_from(sorted(inner)))
    inner[name] = data.draw(st.sampled_from(ODD))
    with suppress(InvalidRequest):
        assert isinstance(Campaign.from_dict(spoilt), Campaign)


ONE_OF = "give one of flow, agent and stream_url"
BAD: list[tuple[Mapping[str, Any], str]] = [
    ({}, f"flow=None: {ONE_OF}"),
    ({"flow": 926, "agent": AGENT}, f"flow=926: {ONE_OF}"),
    ({"flow": 926, "agent": AGENT, "stream_url": "wss://bot.example"}, ONE_OF),
    ({"flow": "my flow"}, "flow='my flow': must be a flow's id, like 926"),
    ({"flow": ""}, "flow='': must be a flow's id, like 926"),
    ({"agent": "98123x"}, "agent='***23x': must"),
    ({"agent": 919812300002}, "agent=********0002: must be text"),
    ({"agent": "0" + EXOPHONE[1:]}, "agent='*******0000': must be the party rung second, not the"),
    ({"agent": OTHER, "caller_ids": [EXOPHONE, OTHER]}, "must be the party rung second, not the"),
    ({"stream_url": "https://bot.example"}, "must be a complete URL that begins with ws:// or wss"),
    ({"flow": 926, "caller_ids": []}, "caller_ids=[]: must be one ExoPhone or more"),
    ({"flow": 926, "caller_ids": None}, "caller_ids=None: must be one ExoPhone or more"),
    ({"flow": 926, "caller_ids": "x"}, "caller_ids='x': must be one phone number"),
    ({"flow": 926, "caller_ids": [8030000000]}, "caller_ids=******0000: must be text"),
    ({"flow": 926, "schedule": "09:00-21:00"}, "schedule='09:00-21:00': must be a Schedule"),
    ({"flow": 926, "retries": Retry(3, 60)}, "must be a Retries"),
    ({"flow": 926, "reached": 30}, "reached=30: must be a Reached"),
    ({"flow": 926, "channels": 0}, "channels=0: must be a whole number of 1 or more"),
    ({"agent": AGENT, "channels": 1}, "channels=1: must be a whole number of 2 or more"),
    ({"flow": 926, "throttle": 0}, "throttle=0: must be a whole number of 1 or more"),
    ({"flow": 926, "weight": 0}, "weight=0: must be a whole number of 1 or more"),
    ({"flow": 926, "weight": None}, "weight=None: must be a whole number of 1 or more"),
    ({"flow": 926, "time_limit": 14_401}, "time_limit=14401: must be 1 to 14400 whole seconds"),
    ({"flow": 926, "ring_timeout": 0}, "ring_timeout=0: must be 1 to 14400 whole seconds"),
    (
        {"stream_url": "wss://bot.example", "ring_timeout": 30},
        "ring_timeout=30 s: is not",
    ),
    ({"flow": 926, "record": "yes"}, "record='yes': must be True or False"),
    ({"flow": 926, "max_retries": -1}, "max_retries=-1: must be a whole number of 0 or more"),
    ({"flow": 926, "status_callback": "app.example"}, "must be a complete URL that begins with"),
    ({"flow": 926, "status_callback_events": "terminal"}, "is used only with status_callback"),
    ({"flow": 926, "status_callback": URL, "status_callback_events": ["x"]}, "must be one of"),
    ({"flow": 926, "custom_field": "x" * 129}, "must be a string of at most 128 characters"),
    ({"flow": 926, "check_dnd": None}, "check_dnd=None: must be True or False"),
    ({"flow": 926, "check_dnd": 1}, "check_dnd=1: must be True or False"),
    ({"flow": 926, "options": None}, "options='NoneType': must be a mapping"),
    ({"flow": 926, "options": {"wait": URL}}, "options='wait': is not an option of a dial"),
    ({"flow": 926, "options": {"record": True}}, "options='record': is an argument of Campaign"),
    (
        {"flow": 926, "options": {"wait_url": URL}},
        "options='wait_url': is not for a call to a flow",
    ),
    ({"flow": 926, "options": {"stream_url": "wss://b.example"}}, "has stream_url only with an"),
    ({"flow": 926, "options": {"recording_channels": "dual"}}, "is used only with record=True"),
    ({"agent": AGENT, "options": {"extra": {"To": "1"}}}, "extra='To': is sent already"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_nonsense_is_refused_in_words(arguments: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        made(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a\nb\0", "x" * 129, 7, None])
def test_a_name_is_a_short_text(name: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^name="):
        Campaign(name, flow=926, caller_ids=EXOPHONE)
