"""Cells as people have them: the numbers that are dialled for each, or why nobody is."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async.cli.contact_files import Rejected, Taken
from exotel_async.cli.contact_files.cells import BadCell, Cell, numbers_of
from exotel_async.phone import identity_of, normalize_number, same_number
from tests.cli.contact_files.support import CAMPAIGN, opened, text_file, workbook

LOST = "has lost digits"
ROUNDED = "ends in zeros, as if it had lost digits"
NONE = "no number"
TEXT = "is text, not a phone number"
MORE = "has other text beside a phone number"
LETTER = "has a letter in place of a digit"
MASKED = "is masked"
EXTENSION = "has an extension"
SHORT_SECOND = "has a second number that is abbreviated"
TWO = "looks like two numbers"
AMOUNT = "is an amount"
DATE = "is a date"
NEGATIVE = "is a negative number"
FRACTION = "is a decimal number"
LONG = "has more than 15 digits"
SCRIPTS = "mixes digits of two scripts"
PLACEHOLDER = "is a placeholder"
TOLL_FREE = "is the toll-free number"
PLAN = "is not in the Indian numbering plan"
FORM = "must be one phone number"
TRUNK = "must not have a 0 after the country code"
SHORT_CODE = "short codes are not dialled"
NO_STD = "write a landline with its STD code"
NO_COUNTRY = "has + and ten digits"
OURS = "is an ExoPhone or the agent of this campaign"

ONE, TWO_NUMBERS = ("9812300001",), ("9812300001", "9812300002")
WITH_COUNTRY = ("+919812300001",)

# What stands in a cell, in a text file and in a workbook alike.
TEXTS: list[tuple[str, tuple[str, ...] | str]] = [
    # One number, as people and programs write it.
    ("9812300001", ONE),
    ("98123 00001", ONE),
    ("  98123-00001\t", ONE),
    ("\u00a098123\u00a000001\u00a0", ONE),
    ("\u200b9812300001\u200d", ONE),
    ("\ufeff9812300001", ONE),
    ("98123\t00001", ONE),
    ("98123.00001", ONE),
    ("98 12 30 00 01", ONE),
    ("9812300001.", ONE),
    ("9812300001,", ONE),
    ("9812300001;", ONE),
    ("09812300001", ("09812300001",)),
    ("919812300001", ("919812300001",)),
    ("91-98123-00001", ("919812300001",)),
    ("+919812300001", WITH_COUNTRY),
    ("+91 98123 00001", WITH_COUNTRY),
    ("+91-98123-00001", WITH_COUNTRY),
    ("(+91)98123 00001", WITH_COUNTRY),
    ("+(91) 98123 00001", WITH_COUNTRY),
    ("00919812300001", WITH_COUNTRY),
    ("0919812300001", WITH_COUNTRY),
    ("'+91 98123 00001", WITH_COUNTRY),
    ("\u2019+919812300001", WITH_COUNTRY),
    ("'9812300001'", ONE),
    ("\u201c9812300001\u201d", ONE),
    ('="9812300001"', ONE),
    ("=9812300001", ONE),
    ("=+919812300001", WITH_COUNTRY),
    ("\u202a+91 98123 00001\u202c", WITH_COUNTRY),
    ("98123\u201100001", ONE),
    # Landlines and other countries.
    ("080-30001234", ("08030001234",)),
    ("(080) 3000 1234", ("08030001234",)),
    ("011 4000 1234", ("01140001234",)),
    ("1140001234", ("1140001234",)),
    ("+14155550100", ("+14155550100",)),
    ("+44 20 7946 0018", ("+442079460018",)),
    ("+971 50 123 4567", ("+971501234567",)),
    ("+6561234567", ("+6561234567",)),
    ("+960 334 5678", ("+9603345678",)),
    # Digits of other scripts.
    ("\u096f\u096e\u0967\u0968\u0969\u0966\u0966\u0966\u0966\u0967", ONE),  # Devanagari
    ("\u0be8" * 4, SHORT_CODE),  # Tamil
    ("\u09ef\u09ee\u09e7\u09e8\u09e9\u09e6\u09e6\u09e6\u09e6\u09e7", ONE),  # Bengali
    ("\u0c6f\u0c6e\u0c67\u0c68\u0c69 \u0c66\u0c66\u0c66\u0c66\u0c67", ONE),  # Telugu
    (
        "\uff0b\uff19\uff11 \uff19\uff18\uff11\uff12\uff13\uff10\uff10\uff10\uff10\uff11",
        WITH_COUNTRY,
    ),
    ("98123\u09ea0001", SCRIPTS),  # a Bengali 4, which looks like an 8
    ("9812300001\u00b2", FORM),  # a footnote
    # Labels.
    ("tel:+919812300001", WITH_COUNTRY),
    ("Mob: 98123 00001", ONE),
    ("MOB.9812300001", ONE),
    ("Mobile No. - 98123 00001", ONE),
    ("Ph: 080 3000 1234", ("08030001234",)),
    ("M: 9812300001", ONE),
    ("whatsapp:+919812300001", WITH_COUNTRY),
    ("\u092e\u094b. 9812300001", ONE),
    ("98123 00001 (M)", ONE),
    ("M9812300001", MORE),
    ("No 9812300001", MORE),
    ("Fax: 080 3000 1234", MORE),
    ("98123 00001 (Asha)", MORE),
    ("98123 00001 wife", MORE),
    ("do not call 9812300001", MORE),
    ("Mobile 1 9812300001", TWO),
    # Several numbers: the others are alternatives.
    ("98123 00001 / 98123 00002", TWO_NUMBERS),
    ("9812300001,9812300002", TWO_NUMBERS),
    ("9812300001;9812300002", TWO_NUMBERS),
    ("9812300001|9812300002", TWO_NUMBERS),
    ("98123 00001\n98123 00002", TWO_NUMBERS),
    ("98123 00001\r\n98123 00002", TWO_NUMBERS),
    ("98123 00001 or 98123 00002", TWO_NUMBERS),
    ("98123 00001 & 98123 00002", TWO_NUMBERS),
    ("98123 00001 AND 98123 00002", TWO_NUMBERS),
    ("Mob: 98123 00001, Ph: 080 3000 1234", ("9812300001", "08030001234")),
    ("9812300001, 9812300002, 9812300003", (*TWO_NUMBERS, "9812300003")),
    ("9812300001 / +91 98123 00001", ONE),
    ("98123 00001/2", SHORT_SECOND),
    ("080-30001234/35/36", SHORT_SECOND),
    ("9812300001 9812300002", TWO),
    ("9812300001-9812300002", TWO),
    ("98123 00001 / abc", TEXT),
    ("98123\n00001", SHORT_CODE),
    ("98123,00001", SHORT_CODE),
    # Numbers that a spreadsheet has changed.
    ("9812300001.0", ONE),
    ("9812300001.00", ONE),
    ("9812300001,0", ONE),
    ("919812300001.0", ("919812300001",)),
    ("9.812300001E+09", ONE),
    ("9.812300001e9", ONE),
    ("9,812300001E+09", ONE),
    ("9.19812300001E+11", ("919812300001",)),
    ("9.81231E+09", LOST),
    ("9.8E+09", LOST),
    ("9.19812E+11", LOST),
    ("1E+10", LOST),
    ("9.8123000015E+09", LOST),
    ("9812310000", ROUNDED),
    ("9812310000.0", ROUNDED),
    ("9.812310000E+09", ROUNDED),
    ("919812000000", ROUNDED),
    ("09812000000", ("09812000000",)),
    ("98123 10000", ("9812310000",)),
    ("+919812310000", ("+919812310000",)),
    ("#####", NONE),
    # Nothing.
    ("-", NONE),
    ("\u2014", NONE),
    ("N/A", NONE),
    ("na", NONE),
    ("#N/A", NONE),
    ("#REF!", NONE),
    ("NULL", NONE),
    ("nan", NONE),
    ("None", NONE),
    ("TBD", NONE),
    ("0", NONE),
    ("''", NONE),
    ("Not available", NONE),
    # What nobody answers, or should.
    ("0000000000", PLACEHOLDER),
    ("9999999999", PLACEHOLDER),
    ("+91 99999 99999", PLACEHOLDER),
    ("1234567890", PLACEHOLDER),
    ("9876543210", PLACEHOLDER),
    ("9000000000", PLACEHOLDER),
    ("1800 123 4567", TOLL_FREE),
    ("18601234567", TOLL_FREE),
    ("+91 1800 123 456", TOLL_FREE),
    ("080-3000-0000", OURS),
    ("+91 80 3000 0000", OURS),
    ("9812300001 / 080 30000000", OURS),
    ("112", SHORT_CODE),
    ("56161", SHORT_CODE),
    # Too short, too long, of nowhere.
    ("981230000", NO_STD),
    ("30001234", NO_STD),
    ("98123000011", PLAN),
    ("+91 981230000", PLAN),
    ("+9198123000011", PLAN),
    ("+91 98123000011", TWO),
    ("1012345678", PLAN),
    ("5000000000", PLACEHOLDER),
    ("14155550100", PLAN),
    ("0014155550100", PLAN),
    ("1404000123", PLAN),
    ("+9812300001", NO_COUNTRY),
    ("+98-12300001", NO_COUNTRY),
    ("+91 (0)98123 00001", TRUNK),
    ("++919812300001", FORM),
    ("9812300001234567", LONG),
    ("234123412346", PLAN),  # Aadhaar
    ("1767225600000", PLAN),  # milliseconds
    # Letters.
    ("98123O0001", LETTER),
    ("981230000l", LETTER),
    ("9B12300001", LETTER),
    ("98123 XXXXX", MASKED),
    ("98******01", MASKED),
    ("xxxxxx0001", MASKED),
    ("080 3000 1234 ext 12", EXTENSION),
    ("08030001234x12", EXTENSION),
    ("tel:+91-98123-00001;ext=12", EXTENSION),
    ("will call back", TEXT),
    ("asha@example.com", TEXT),
    ("sip:asha", TEXT),
    ("=SUM(B2:B9)", TEXT),
    ("x", TEXT),
    ("or", TEXT),
    (" & or /", TEXT),
    # Something else.
    ("29/11/2026", DATE),
    ("2026-11-29", DATE),
    ("2026-11-29 10:00:00", DATE),
    ("29 Nov 2026", DATE),
    ("\u20b9 9812300001", AMOUNT),
    ("Rs. 9812300001", AMOUNT),
    ("9,812,300,001", AMOUNT),
    ("98,12,30,001.00", AMOUNT),
    ("98%", AMOUNT),
    ("-9812300001", NEGATIVE),
    ("(9812300001)", FORM),
    ("77.59456789", FRACTION),
    ("981230.5", FRACTION),
    ("12.9715987,77.5945678", FRACTION),
]

# What is a number, a date or a truth value in a workbook.
VALUES: list[tuple[Cell, tuple[str, ...] | str]] = [
    (9812300001, ONE),
    (9812300001.0, ONE),
    (919812300001, ("919812300001",)),
    (8030001234, ("8030001234",)),
    (9812310000, ROUNDED),
    (9812300001.5, FRACTION),
    (-9812300001, NEGATIVE),
    (98123000011, PLAN),
    (14155550100, PLAN),
    (18001234567, TOLL_FREE),
    (9999999999, PLACEHOLDER),
    (9812300001234567, LONG),
    (9.8e20, LONG),
    (0, NONE),
    (112, SHORT_CODE),
    (30001234, NO_STD),
    (True, "is TRUE or FALSE"),
    (dt.date(2026, 11, 29), DATE),
    (dt.datetime(2026, 11, 29, 10, 5), DATE),  # noqa: DTZ001 - there are no zones in workbooks
]


def check(path: Path, out: tuple[str, ...] | str) -> None:
    file = opened(path)
    assert file.found_by == "its header"
    [result] = file.read(CAMPAIGN)
    if isinstance(out, tuple):
        assert isinstance(result, Taken), result
        assert (result.contact.number, *result.contact.alternatives) == out
    else:
        assert isinstance(result, Rejected), result
        assert out in result.reason
    assert result.line == 2


@pytest.mark.parametrize(("cell", "out"), TEXTS)
def test_a_text_in_a_csv_file(tmp_path: Path, cell: str, out: tuple[str, ...] | str) -> None:
    written = io.StringIO()
    csv.writer(written).writerows([["Name", "Mobile"], ["Asha", cell]])
    check(text_file(tmp_path, written.getvalue()), out)


@pytest.mark.parametrize(("cell", "out"), [*TEXTS, *VALUES])
def test_a_cell_of_a_workbook(tmp_path: Path, cell: Cell, out: tuple[str, ...] | str) -> None:
    check(workbook(tmp_path, [["Name", "Mobile"], ["Asha", cell]]), out)


def test_there_are_more_than_a_hundred() -> None:
    cells = [cell for cell, _ in TEXTS]
    assert len(set(cells)) == len(cells) > 100


# Spellings of a mobile number, and what is dialled for them.
DIGITS = (
    st.integers(6_000_000_000, 9_999_999_999)
    .map(str)
    .filter(
        lambda digits: (
            not digits.endswith("0000") and len(set(digits)) > 1 and digits != "9876543210"
        )
    )
)
SPELLINGS = st.sampled_from(
    [
        *("{a}{b}", "{a} {b}", "{a}-{b}", "0{a}{b}", "0{a} {b}", "91{a}{b}", "+91{a}{b}"),
        *("+91 {a} {b}", "+91-{a}-{b}", "(+91) {a} {b}", "0091{a}{b}", "091{a}{b}", "'{a}{b}"),
        *("'+91{a}{b}", '="{a}{b}"', "tel:+91{a}{b}", "Mob: {a} {b}", "{a}{b}.0", "{a}{b}.00"),
        *("\u00a0{a}\u00a0{b}", "\u200e{a}{b}"),
    ]
)
ZEROS = st.sampled_from("0\u0966\u09e6\u0a66\u0ae6\u0b66\u0be6\u0c66\u0ce6\u0d66\uff10")


@given(DIGITS, SPELLINGS, ZEROS)
def test_all_spellings_are_one_number(digits: str, spelling: str, zero: str) -> None:
    cell = spelling.format(a=digits[:5], b=digits[5:])
    for ascii_digit in "0123456789":
        cell = cell.replace(ascii_digit, chr(ord(zero) + int(ascii_digit)))
    [number] = numbers_of(cell)
    assert same_number(number, digits)


@given(DIGITS)
def test_a_number_of_a_spreadsheet(digits: str) -> None:
    assert numbers_of(float(digits)) == (digits,)
    assert numbers_of(float(f"91{digits}")) == (f"91{digits}",)
    assert numbers_of(f"{digits[0]}.{digits[1:]}E+09") == (digits,)


@given(DIGITS, st.integers(0, 8))
def test_an_exponent_with_fewer_digits_is_refused(digits: str, kept: int) -> None:
    with pytest.raises(BadCell, match=LOST):
        numbers_of(f"{digits[0]}.{digits[1 : kept + 1]}E+09".replace(".E", "E"))


@given(DIGITS, DIGITS, st.sampled_from([" / ", "/", ", ", ";", "\n", " or ", " & ", "|"]))
def test_two_numbers(first: str, second: str, between: str) -> None:
    assert numbers_of(first + between + second) == tuple(dict.fromkeys([first, second]))


@given(st.from_regex(r"(0|00|91|091|1|180)?[0-9]{3,14}", fullmatch=True), st.booleans())
def test_without_a_country_only_indias_numbers_are_taken(digits: str, as_number: bool) -> None:
    try:
        numbers = numbers_of(int(digits) if as_number else digits)
    except BadCell:
        return
    for number in numbers:
        known = identity_of(number)
        assert known is not None
        assert re.fullmatch("India (?!18[06]0)[0-9]{10}", known)
        assert normalize_number(known.replace("India ", "+91"))


def is_in_order(digits: str, text: str) -> bool:
    rest = iter(text)
    return all(digit in rest for digit in digits)


TEXT_LIKE_NUMBERS = st.text(
    st.one_of(
        st.sampled_from("0123456789012345678901234567890123456789+-()./,; eExXoOlM:'\"=%\n\t"),
        st.characters(),
    ),
    max_size=24,
)


@settings(max_examples=400)
@given(
    st.one_of(
        st.text(),
        TEXT_LIKE_NUMBERS,
        st.floats(),
        st.integers(),
        st.booleans(),
        st.datetimes(),
        st.dates(),
        st.times(),
        st.timedeltas(),
    )
)
def test_no_cell_gives_digits_that_are_not_in_it(cell: Cell) -> None:
    try:
        numbers, reason = numbers_of(cell), ""
    except BadCell as error:
        numbers, reason = (), str(error)
    assert not re.search("[0-9]{7}|[^ -~]", reason)
    written = str(int(cell)) if isinstance(cell, float) and numbers else str(cell)
    digits = "".join(str(int(char)) for char in written if char.isdecimal())
    for number in numbers:
        assert re.fullmatch(r"\+?[0-9]{7,15}", number)
        assert is_in_order(number.removeprefix("+"), digits)
