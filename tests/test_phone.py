"""Phone numbers: what is taken out, what is refused, and which spellings are one number."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exotel_async.errors import InvalidRequest
from exotel_async.phone import normalize_number, normalize_party, same_number


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("+919812300001", "+919812300001"),
        ("+91 98123 00001", "+919812300001"),
        (" +91-98123-00001\n", "+919812300001"),
        ("(080) 3000.0000", "08030000000"),
        ("098123\u00a000001", "09812300001"),
        ("098123\u201100001", "09812300001"),
        ("\u202a+919812300001\u202c", "+919812300001"),
        ("\ufeff9812300001", "9812300001"),
        ("919812300001", "919812300001"),
        ("9812300001", "9812300001"),
        ("00919812300001", "00919812300001"),
        ("+14155550100", "+14155550100"),
        ("112", "112"),
        ("123456789012345", "123456789012345"),
    ],
)
def test_normalize_number(written: str, sent: str) -> None:
    assert normalize_number(written) == sent


@pytest.mark.parametrize(
    "written",
    [
        "",
        "   ",
        "+",
        "12",
        "+12345",
        "1234567890123456",
        "+1234567890123456",
        "9812300001 9812300002",
        "9812300001\n9812300002",
        "9812300001,9812300002",
        "98123O0001",
        "++919812300001",
        "91+9812300001",
        "+0919812300001",
        "+91 (0)98123 00001",
        "+91 ( 0 ) 98123 00001",
        "0000000000",
        "\u096f\u096e\u0967\u0968\u0969\u0966\u0966\u0966\u0966\u0967",
        "\uff0b919812300001",
        "9812300001\x00",
        "tel:+919812300001",
        "sip:asha@example.com",
        "nan",
        "\ud800",
        None,
        9812300001,
        ["9812300001"],
    ],
)
def test_nonsense_is_refused(written: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        normalize_number(written, "to")
    assert caught.value.argument == "to"
    assert caught.value.rule
    assert not re.search(r"\d{5}", str(caught.value))


@pytest.mark.parametrize(
    "uri", ["sip:asha@example.com", "SIP:asha@10.0.0.1:5060", "sip:a@example.com;transport=tls"]
)
def test_a_party_may_be_a_sip_uri(uri: str) -> None:
    assert normalize_party(uri, "from_") == uri
    assert normalize_party("+91 98123 00001", "from_") == "+919812300001"


@pytest.mark.parametrize(
    "uri", ["sip:", "sip:asha", "sip:a b@c", "sip:a@b\n", "sip:a@b,sip:c@d", "sip:a@" + "b" * 255]
)
def test_a_broken_sip_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest, match="from_="):
        normalize_party(uri, "from_")


FORMS = ["+919812300001", "919812300001", "09812300001", "9812300001", "+91 98123-00001"]


@pytest.mark.parametrize("a", FORMS)
@pytest.mark.parametrize("b", FORMS)
def test_the_forms_of_one_indian_number_are_the_same(a: str, b: str) -> None:
    assert same_number(a, b)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("08030000000", "+918030000000", True),
        ("9198123000", "09198123000", True),
        ("+14155550100", "+1 415 555 0100", True),
        ("sip:asha@example.com", "sip:asha@example.com", True),
        ("+919812300001", "+919812300002", False),
        ("+14155550100", "4155550100", False),
        ("+449812300001", "+919812300001", False),
        ("112", "0112", False),
        ("", "", False),
        (None, None, False),
        (None, "9812300001", False),
    ],
)
def test_same_number(a: str | None, b: str | None, *, same: bool) -> None:
    assert same_number(a, b) is same
    assert same_number(b, a) is same


@given(st.text(max_size=30) | st.text(alphabet="+0123456789 -.()\u00a0", max_size=24))
def test_what_comes_out_is_digits_and_stays(written: str) -> None:
    try:
        sent = normalize_number(written)
    except InvalidRequest:
        return
    assert re.fullmatch(r"\+?[0-9]{3,15}", sent)
    assert normalize_number(sent) == sent
    # Nothing is guessed, nothing gets lost.
    assert sent == "".join(char for char in written if char in "+0123456789")
    assert same_number(written, sent)


@given(
    st.text(alphabet="0123456789", min_size=3, max_size=15),
    st.lists(st.sampled_from([" ", "-", ".", "(", ")", "\u00a0", "\u2013", "\u200b"]), max_size=8),
    st.lists(st.integers(min_value=0, max_value=20), min_size=8, max_size=8),
)
def test_separators_anywhere_do_not_matter(
    digits: str, separators: list[str], places: list[int]
) -> None:
    assume(set(digits) != {"0"})
    written = list(digits)
    for separator, place in zip(separators, places, strict=False):
        written.insert(place, separator)
    assert normalize_number("".join(written)) == digits
