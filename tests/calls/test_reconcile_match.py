"""What a call has to show before it is told from that of another dial."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from exotel_async import Call, CallOutcomeUnknown, Direction
from exotel_async.calls.reconcile_match import DialSignature, Match, folded
from exotel_async.masking import mask_number
from tests.conftest import AGENT, CUSTOMER, EXOPHONE

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def dialled(**changes: Any) -> CallOutcomeUnknown:
    dial: dict[str, Any] = {"from_": AGENT, "to": CUSTOMER, "caller_id": EXOPHONE}
    return CallOutcomeUnknown("lost", **({"sent_at": NOW, "lost_at": NOW} | dial | changes))


def call(**changes: Any) -> Call:
    shown: dict[str, Any] = {
        "sid": "x",
        "direction": Direction.OUTBOUND_API,
        "from_": AGENT,
        "to": CUSTOMER,
        "exophone": EXOPHONE,
        "created_at": NOW,
    }
    return Call(**(shown | changes))


@pytest.mark.parametrize(
    ("raw", "expected"), [({"CustomField": ""}, Match.DOUBTFUL), ({}, Match.ALIKE)]
)
def test_a_record_that_shows_that_it_has_no_custom_field_is_doubtful(
    raw: dict[str, str], expected: Match
) -> None:
    """Where records do not show custom fields at all, that it is missing says nothing."""
    signature = DialSignature(dialled(custom_field="order 7"))
    assert signature.match(call(raw=raw), None) is expected
    assert DialSignature(dialled()).match(call(raw=raw), None) is Match.ALIKE


@pytest.mark.parametrize(
    ("to", "expected"),
    [(EXOPHONE, Match.ALIKE), (None, Match.ALIKE), ("08030000009", Match.DOUBTFUL)],
)
def test_a_call_to_a_flow_shows_the_exophone_as_its_second_party_or_nothing(
    to: str | None, expected: Match
) -> None:
    assert DialSignature(dialled(to=None)).match(call(to=to), None) is expected


@pytest.mark.parametrize("missing", ["from_", "to", "created_at", None])
def test_a_call_shows_enough_by_both_parties_and_its_time(missing: str | None) -> None:
    shown = call() if missing is None else call(**{missing: None})
    assert DialSignature(dialled()).shows_enough(shown) is (missing is None)


def test_a_call_to_a_flow_need_not_show_a_second_party() -> None:
    signature = DialSignature(dialled(to=None))
    assert signature.shows_enough(call(to=None))
    assert not signature.shows_enough(call(from_=None, to=None))


@pytest.mark.parametrize("direction", [Direction.INBOUND, Direction.OUTBOUND_DIAL])
def test_what_was_not_made_by_the_api_is_doubtful_whatever_it_carries(
    direction: Direction,
) -> None:
    signature = DialSignature(dialled(custom_field="order 7"))
    for custom_field in ("order 7", None):
        assert signature.match(call(direction=direction), custom_field) is Match.DOUBTFUL
    other = call(direction=direction, to="+919812300003")
    assert signature.match(other, "order 7") is Match.ANOTHER


@pytest.mark.parametrize("changes", [{}, {"to": None}, {"from_": "sip:alice@pbx.example"}])
def test_a_dial_knows_whether_its_parties_are_masked(changes: dict[str, Any]) -> None:
    error = dialled(**changes)
    assert not DialSignature(error).is_masked
    error.caller_id = mask_number(error.caller_id)
    assert DialSignature(error).is_masked


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({}, Match.ALIKE),
        ({"from_": None}, Match.DOUBTFUL),
        ({"to": None}, Match.DOUBTFUL),
        ({"from_": "+919812300003"}, Match.ANOTHER),
        ({"to": "+919812300003"}, Match.ANOTHER),
        ({"from_": None, "to": "+919812300003"}, Match.ANOTHER),
        ({"exophone": "08030000009"}, Match.DOUBTFUL),
        ({"parent_sid": "y"}, Match.DOUBTFUL),
    ],
    ids=str,
)
def test_one_wrong_party_makes_it_another_and_one_that_is_hidden_doubtful(
    shown: dict[str, Any], expected: Match
) -> None:
    assert DialSignature(dialled()).match(call(**shown), None) is expected


@pytest.mark.parametrize(
    ("given", "shown", "expected"),
    [
        ("order 7", "order 7", Match.MARKED),
        ("order 7", "Order  7", Match.MARKED),
        ("order 7", "order-7", Match.DOUBTFUL),
        ("order_7", "order7", Match.DOUBTFUL),
        ("order 7", "order 8", Match.ANOTHER),
        ("order 7", None, Match.ALIKE),
        ("", "order 7", Match.ANOTHER),
        (None, "order 7", Match.ANOTHER),
        ("--", "order 7", Match.ALIKE),
        ("order 7", "??", Match.ALIKE),
    ],
)
def test_the_custom_field_marks_a_call_or_makes_it_another(
    given: str | None, shown: str | None, expected: Match
) -> None:
    assert DialSignature(dialled(custom_field=given)).match(call(), shown) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Order\t 7\n", "order 7"),
        ("{ &quot;a&quot; : &quot;B c&quot; }", '{"a":"b c"}'),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("a , b", "a,b"),
    ],
)
def test_a_custom_field_is_folded_to_its_words(text: str, expected: str) -> None:
    assert folded(text) == expected
