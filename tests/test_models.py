"""The values: open words, finality, equality, pickling, and what their repr keeps to itself."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timedelta
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.config import IST
from exotel_async.models import (
    AnsweredBy,
    Balance,
    Call,
    CallbackEvent,
    CallDetails,
    CallStatus,
    DialTarget,
    Direction,
    Dnd,
    Leg,
    NumberMetadata,
    NumberType,
    OpenEnum,
)

WORDS: list[type[OpenEnum]] = [CallStatus, Direction, AnsweredBy, NumberType, Dnd, CallbackEvent]
CANARY = "9876501234"

CALL = Call(
    sid="0a1b2c3d4e5f60718293a4b5c6d71a3j",
    status=CallStatus.COMPLETED,
    direction=Direction("outbound-carrier-pigeon"),
    from_=f"+91{CANARY}",
    to=f"0{CANARY}",
    exophone="08030000000",
    created_at=datetime(2026, 3, 2, 11, 20, 5, tzinfo=IST),
    duration=timedelta(seconds=65),
    price=Decimal("1.500"),
    recording_url=f"https://recordings.example/{CANARY}.mp3",
    presigned_recording_url="https://s3.example/?X-Amz-Signature=canary-signature",
    custom_field=f"order of {CANARY}",
    forwarded_from=CANARY,
    caller_name=f"Mr {CANARY}",
    details=CallDetails(talk_time=timedelta(seconds=41), legs=(Leg(id=1), Leg(id=2))),
    raw={"From": CANARY, "nested": {"list": [1]}},
)
VALUES = [
    CALL,
    NumberMetadata(phone_number=f"0{CANARY}", dnd=Dnd.NO, raw={"PhoneNumber": CANARY}),
    Balance(amount=Decimal("-12.50"), raw={"any": CANARY}),
]


@pytest.mark.parametrize("kind", WORDS)
def test_known_words_are_members_in_any_case(kind: type[OpenEnum]) -> None:
    for member in kind:
        assert member.is_known
        assert kind(member.value) is member
        assert kind(member.value.upper()) is member
        assert kind(member.value.lower()) is member
        assert member == member.value
        assert str(member) == f"{member}" == member.value
        assert pickle.loads(pickle.dumps(member)) is member  # noqa: S301
        assert copy.deepcopy(member) is member


@pytest.mark.parametrize(
    "word", ["on-hold", "", "NOT_ANSWERED", "_value_", "ünknown", "call cancelled"]
)
def test_an_unknown_word_stays_what_it_is(word: str) -> None:
    status = CallStatus(word)
    assert isinstance(status, CallStatus)
    assert not status.is_known
    assert not status.is_final
    assert status == word
    assert status.value == status.name == str(status) == f"{status}" == word
    assert hash(status) == hash(word)
    assert {status: 1}[CallStatus(word)] == 1
    assert repr(status) == f"<CallStatus {word!r}>"
    for again in (pickle.loads(pickle.dumps(status)), copy.deepcopy(status)):  # noqa: S301
        assert type(again) is CallStatus
        assert again == word
    assert word not in [member.value for member in CallStatus]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("cancelled", CallStatus.CANCELED),
        ("Cancelled", CallStatus.CANCELED),
        ("no_answer", CallStatus.NO_ANSWER),
        ("no answer", CallStatus.NO_ANSWER),
        ("NO_ANSWER", CallStatus.NO_ANSWER),
        ("in_progress", CallStatus.IN_PROGRESS),
    ],
)
def test_other_spellings_of_a_status_mean_the_same(word: str, meant: CallStatus) -> None:
    assert CallStatus(word) is meant
    assert Call(sid="x", status=CallStatus(word)).is_final is meant.is_final


def test_other_words_have_one_spelling() -> None:
    assert not Direction("outbound_api").is_known
    assert not AnsweredBy("not sure").is_known


def test_a_word_is_a_string() -> None:
    with pytest.raises(ValueError, match="7 is not a valid CallStatus"):
        CallStatus(7)  # type: ignore[arg-type]


def test_the_repr_of_a_known_word_names_the_member() -> None:
    assert repr(CallStatus.NO_ANSWER) == "<CallStatus.NO_ANSWER>"


@pytest.mark.parametrize(
    ("word", "final"),
    [
        ("queued", False),
        ("ringing", False),
        ("in-progress", False),
        ("completed", True),
        ("failed", True),
        ("busy", True),
        ("no-answer", True),
        ("canceled", True),
        ("on-hold", False),
    ],
)
def test_is_final(word: str, *, final: bool) -> None:
    assert Call(sid="x", status=CallStatus(word)).is_final is final


def test_a_call_of_which_nothing_is_known() -> None:
    call = Call(sid="x")
    assert not call.is_final
    assert call.talk_time is None
    assert call.legs == ()
    assert call.raw == {}


def test_details_show_through() -> None:
    assert CALL.talk_time == timedelta(seconds=41)
    assert [leg.id for leg in CALL.legs] == [1, 2]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_compare_hash_copy_and_pickle(value: Call | NumberMetadata | Balance) -> None:
    for again in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):  # noqa: S301
        assert again == value
        assert hash(again) == hash(value)
        assert again.raw == value.raw
    assert attrs.evolve(value, raw={}) == value


def test_a_target_hashes_whatever_its_options_and_tag() -> None:
    target = DialTarget(from_="+919812300001", options={"record": True}, tag=["row"])
    for again in (pickle.loads(pickle.dumps(target)), copy.deepcopy(target)):  # noqa: S301
        assert again == target
        assert {again} == {target}


def test_values_are_frozen_and_slotted() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        CALL.sid = "other"  # type: ignore[misc]
    assert not hasattr(CALL, "__dict__")


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_no_repr_shows_a_number_or_a_secret(value: object) -> None:
    for shown in (repr(value), str(value), f"{value}", repr([value])):
        assert CANARY not in shown
        assert "canary-signature" not in shown
        assert "order of" not in shown


def test_the_repr_shows_what_helps() -> None:
    shown = repr(CALL)
    for part in (CALL.sid, "08030000000", "<CallStatus.COMPLETED>", "1.500", "1234'"):
        assert part in shown
    assert "from_=None" in repr(Call(sid="x"))


@given(st.text())
def test_any_word_survives_a_pickle(word: str) -> None:
    for kind in WORDS:
        assert pickle.loads(pickle.dumps(kind(word))) == kind(word)  # noqa: S301
