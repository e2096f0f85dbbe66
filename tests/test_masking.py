"""Numbers do not show, and what is no number does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import InvalidRequest
from exotel_async.masking import mask_number, redact


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+919812345678", "+********5678"),
        ("09812345678", "*******5678"),
        ("+91 98123-45678", "+** *****-*5678"),
        ("1234567", "*****67"),
        ("", ""),
    ],
)
def test_masks_all_but_the_last_digits(number: str, masked: str) -> None:
    assert mask_number(number) == masked
    assert mask_number(masked) == masked, "masked once, as in a pickle of a pickle"


@pytest.mark.parametrize(
    "text",
    [
        "at 2026-03-02 11:20:05",
        "HTTP 503, code 340030",
        "between 5 and 60 minutes",
        "127.0.0.1:8080",
        "",
    ],
)
def test_leaves_what_is_no_number(text: str) -> None:
    assert redact(text) == text


@given(
    before=st.text(alphabet="abc ,:/=<>\"'&", max_size=10),
    number=st.from_regex(r"\+?[1-9][0-9]{6,14}", fullmatch=True),
    after=st.text(alphabet="abc ,:/=<>\"'&", max_size=10),
)
def test_finds_a_number_in_any_text(before: str, number: str, after: str) -> None:
    shown = redact(before + number + after)
    assert number.lstrip("+") not in shown
    assert len(shown) == len(before + number + after)


def test_a_length_of_time_is_written_in_seconds() -> None:
    assert str(InvalidRequest("gap", timedelta(minutes=1.5), "is short")) == "gap=90 s: is short"
