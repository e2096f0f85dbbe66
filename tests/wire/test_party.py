"""Which numbers and addresses are the same party, in whatever way the service writes them."""

from __future__ import annotations

import pytest

from exotel_async.masking import mask_number
from exotel_async.wire.party import Party, ending


@pytest.mark.parametrize(
    ("given", "shown", "same"),
    [
        ("+919812300001", "+919812300001", True),
        ("+919812300001", "09812300001", True),
        ("+919812300001", "9812300001", True),
        ("+919812300001", "0091 98123-00001", True),
        ("09812300001", "+91 (98123) 00001", True),
        ("+919812300001", "09812300002", False),
        ("+919812300001", "09812300101", False),
        ("+919812300001", "08812300001", False),
        # Seven digits are a subscriber's number; the ends of fewer are the same by chance.
        ("02214567890", "4567890", True),
        ("4567890", "02214567890", True),
        ("02214567890", "567890", False),
        ("567890", "02214567890", False),
        ("04567", "02214567", False),
        ("4567", "4567", True),
        ("4567", "04567", True),
        # What cannot be told.
        ("+919812300001", None, None),
        ("+919812300001", "", None),
        ("+919812300001", "XXXXXX0001", None),
        ("+919812300001", "sip:alice@pbx.example", None),
        ("sip:alice@pbx.example", None, None),
        ("sip:alice@pbx.example", "09812300001", None),
        # SIP: the user counts, and not where the service reaches it.
        ("sip:alice@pbx.example", "sip:alice@pbx.example", True),
        ("sip:alice@pbx.example", "SIP:Alice@10.0.0.1:5060", True),
        ("sip:alice@pbx.example", "sip:alice", True),
        ("sip:alice@pbx.example", "sip:alice@pbx.example;transport=tcp@x", True),
        ("sip:alice@pbx.example", "sip:blice@pbx.example", False),
        ("sip:alice@pbx.example", "sip:lice@pbx.example", False),
    ],
)
def test_a_party_is_known_by_its_last_digits_or_its_user(
    given: str, shown: str | None, same: bool | None
) -> None:
    assert Party(given).is_shown_as(shown) is same


@pytest.mark.parametrize(
    ("given", "shown", "same"),
    [
        ("+919812300001", "09812300001", True),
        ("+919812300001", "09812310001", True),  # it cannot be seen under the stars
        ("+919812300001", "09812301001", False),
        ("+919812300000", "0", True),
        ("sip:4567890123@pbx.example", "sip:4567890123@10.0.0.1", True),
        ("sip:4567890123@10.0.0.1:5060", "sip:4567890123@pbx.example", True),
        ("sip:4567890123@pbx.example", "sip:4567891123@10.0.0.1", False),
        ("sip:4567890123@pbx.example", "sip:567890123@pbx.example", False),
        ("sip:desk.4567890123@pbx.example", "sip:desk.4567890123@10.0.0.1", True),
        ("sip:desk.4567890123@pbx.example", "sip:desks4567890123@10.0.0.1", False),
        ("sip:*70@pbx.example", "sip:*70@10.0.0.1", True),
        ("sip:alice@pbx.example", "sip:bob@pbx.example", False),
    ],
)
def test_of_a_masked_party_what_is_left_has_to_be_the_same(
    given: str, shown: str, same: bool
) -> None:
    party = Party(mask_number(given))
    assert party.is_masked is ("*" in mask_number(given))
    assert party.is_shown_as(shown) is same


@pytest.mark.parametrize(
    ("party", "expected"),
    [
        ("+919812300123", "23"),
        ("0981 230 01 23", "23"),
        ("98123001-2-3", "23"),
        (mask_number("+919812300123"), "23"),
        ("7", "07"),
        ("SIP:alice12@pbx.example", "sip:"),
    ],
)
def test_a_party_has_the_same_ending_however_it_is_written(party: str, expected: str) -> None:
    assert ending(party) == expected
