"""Phone numbers: what is taken out, what is refused, and which spellings are one number."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.errors import InvalidRequest
from exotel_async.masking import mask_number
from exotel_async.phone import (
    identity_of,
    normalize_exophone,
    normalize_number,
    normalize_party,
    normalize_shown,
    same_number,
)


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
        ("00919812300001", "+919812300001"),
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
    "uri",
    [
        "sip:agent7f3a",
        "SIP:asha-1",
        "sip:asha@example.com",
        "SIP:asha@10.0.0.1:5060",
        "sip:a@example.com;transport=tls",
    ],
)
def test_a_party_may_be_a_sip_uri(uri: str) -> None:
    for read in (normalize_party, normalize_shown):
        assert read(uri, "from_") == uri
        assert read("+91 98123 00001", "from_") == "+919812300001"


@pytest.mark.parametrize(
    "uri",
    ["sip:", "sip:@b", "sip:a@", "sip:a b@c", "sip:a b", "sip:a@b\n", "sip:a@b,sip:c@d",
     "sip:a,sip:b", "sip://agent7f3a", "sip:<a>", "sip:a@" + "b" * 255],
)  # fmt: skip
def test_a_broken_sip_uri_is_refused(uri: str) -> None:
    for read in (normalize_party, normalize_shown):
        with pytest.raises(InvalidRequest, match="from_="):
            read(uri, "from_")


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        ("9812300001.0", "is a decimal number (it ends in .0 or has an exponent): read the column"),
        ("9812300001-2", "looks like two numbers, or a number and an extension: pass one number"),
        ("+91 09812300001", "must not have a 0 after the country code: leave it out"),
        ("+91 98123 0000", "is not in the Indian numbering plan: after +91, 91 or 0 come ten"),
        ("nan", "must be one phone number: 3 to 15 digits, or + and 7 to 15 with the country"),
    ],
)
def test_an_error_shows_the_number_masked_and_says_the_rule(number: str, rule: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        normalize_number(number, "to")
    assert str(caught.value) == f"to={mask_number(number)!r}: {caught.value.rule}"
    assert caught.value.rule.startswith(rule)


MOBILE = ["+919812300001", "919812300001", "09812300001", "9812300001", "+91 98123-00001",
          "00919812300001", "0919812300001", "+9109812300001", "+91 (0)98123 00001",
          "+91 0 98123 00001", " 098123\u00a000001"]  # fmt: skip
LANDLINE = ["+918030000000", "918030000000", "08030000000", "8030000000", "(080) 3000 0000",
            "00918030000000", "0918030000000", "+91 080 3000 0000"]  # fmt: skip
TOLL_FREE = ["18001234567", "018001234567", "+9118001234567", "9118001234567", "1800 123 4567",
             "009118001234567", "09118001234567", "+91 0 1800 123 4567"]  # fmt: skip
AGENT = ["sip:agent7f3a", "SIP:agent7f3a"]
SERIES = ["01400000001", "+911400000001", "1400000001"]  # ExoPhones are among these


@pytest.mark.parametrize("forms", [MOBILE, LANDLINE, TOLL_FREE, AGENT, SERIES])
def test_the_forms_of_one_number_are_the_same_and_no_other_is(forms: list[str]) -> None:
    others = {*MOBILE, *LANDLINE, *TOLL_FREE, *AGENT, *SERIES} - {*forms}
    for a in forms:
        assert all(same_number(a, b) for b in forms)
        assert not any(same_number(a, b) for b in others)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("9198123000", "09198123000", True),
        ("+14155550100", "+1 415 555 0100", True),
        ("112", "112", True),
        ("sip:asha@example.com", "sip:asha@example.com", True),
        ("sip:agent-1", "sip:agent1", False),
        ("sip:agent7f3a", "sip:agent7f3a@example.com", False),
        ("sip:9812300001", "9812300001", False),
        ("+919812300001", "+919812300002", False),
        ("+14155550100", "4155550100", False),
        ("+14155550100", "14155550100", False),
        ("+18001234567", "18001234567", False),
        ("+14155550100", "0014155550100", False),
        ("+449812300001", "+919812300001", False),
        ("9118001234", "+9118001234", False),
        ("9118001234", "09118001234", True),
        ("23456789", "02223456789", False),
        ("112", "0112", False),
        ("9812300001.0", "98123000010", False),
        ("9812300001-2", "98123000012", False),
        ("********0001", "********0001", False),
        ("anonymous", "anonymous", False),
        ("null", "null", False),
        ("", "", False),
        ("   ", "   ", False),
        (None, None, False),
        (None, "9812300001", False),
    ],
)
def test_same_number(a: str | None, b: str | None, *, same: bool) -> None:
    assert same_number(a, b) is same
    assert same_number(b, a) is same


# Numbers, and what gets in between, before and after them.
WRITTEN = st.lists(
    st.sampled_from(
        ["+91", "91", "0", "00", "98123", "00001", "9812300001", "080", "3000", "2", "12", "1800",
         "123", "sip:", "agent7f3a", "E9", " ", "-", ".", "(", ")", "+", "/", ",", "x", ".0",
         "\u00a0", "\u2013", "\u200b", "\u0967", "@", "\n"]
    ),
    max_size=7,
).map("".join)  # fmt: skip
ANYTHING = WRITTEN | st.text(max_size=30) | st.text(alphabet="+0123456789 -.()\u00a0", max_size=24)


@given(ANYTHING)
def test_what_comes_out_is_digits_and_stays(written: str) -> None:
    try:
        sent = normalize_number(written)
    except InvalidRequest as error:
        assert error.rule  # noqa: PT017
        return
    assert re.fullmatch(r"\+?[0-9]{3,15}", sent)
    assert normalize_number(sent) == normalize_exophone(written, "caller_id") == sent
    # Nothing is guessed, nothing gets lost.
    digits = "".join(char for char in written if char in "+0123456789")
    assert sent == digits or (sent[:3] == "+91" and digits in {f"0{sent[1:]}", f"00{sent[1:]}"})
    assert same_number(written, sent)
    assert same_number(written, written)


@given(st.from_regex(r"(\+91|0?0?91|0)?[5-9][0-9]{8,10}\n?", fullmatch=True))
def test_the_usual_spellings_which_are_read_at_once_mean_what_they_mean_elsewhere(
    written: str,
) -> None:
    spaced = f" {written}"
    try:
        sent = normalize_number(written)
    except InvalidRequest:
        with pytest.raises(InvalidRequest):
            normalize_number(spaced)
    else:
        assert sent == normalize_number(spaced)
        assert identity_of(written) == identity_of(spaced) is not None


@given(ANYTHING, ANYTHING)
def test_whatever_is_read_or_compared_nothing_else_is_raised(one: str, other: str) -> None:
    assert same_number(one, other) is same_number(other, one)
    for read in (normalize_number, normalize_exophone, normalize_party, normalize_shown):
        with contextlib.suppress(InvalidRequest):
            assert same_number(read(one, "to"), one)


@given(
    # With more digits behind them, ten from 91 on may be an ExoPhone with its country code.
    st.from_regex(r"([678][0-9]|9[02-9])[0-9]{8}", fullmatch=True),
    st.sampled_from(["", "0", "91", "+91", "091", "0091"]),
    st.sampled_from([[5, 5], [4, 3, 3], [3, 3, 4], [4, 6], [2, 4, 4], [10]]),
    st.sampled_from([" ", "-", ".", " - ", "\u00a0", "\u2011", "\u200b"]),
    st.sampled_from(["-2", ".0", " 123", "/2", " (2)", "x2", "-0002", ",2"]),
)
def test_how_a_number_is_grouped_does_not_matter_and_what_follows_it_does(
    national: str, prefix: str, sizes: list[int], separator: str, more: str
) -> None:
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    groups = [national[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    written = separator.join([*([prefix] if prefix else []), *groups])
    sent = normalize_number(written)
    assert sent == ("+91" if len(prefix) > 2 else prefix) + national
    assert same_number(sent, national)
    with pytest.raises(InvalidRequest):
        normalize_exophone(written + more, "caller_id")


@given(st.text(alphabet="0123456789 -.()+,eEx/", max_size=200), st.integers(0, 60))
def test_long_texts_are_refused_as_fast_as_short_ones(text: str, times: int) -> None:
    """A pattern that tries every way to part a text would take years for these."""
    with contextlib.suppress(InvalidRequest):
        normalize_number((text + "1 -") * times + "1 " * 5_000)
