"""The text of `--map`, and which columns it names."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.cli.contact_files import Unreadable, read_mapping, write_mapping
from tests.cli.contact_files.support import FIRST, SECOND, opened, taken, text_file


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("number=Mobile", {"number": "Mobile"}),
        (" Number = Mobile No. , key=B", {"number": "Mobile No.", "key": "B"}),
        ('number=Mobile,key="CRM Id"', {"number": "Mobile", "key": "CRM Id"}),
        ('number="Mobile, main",key=2', {"number": "Mobile, main", "key": "2"}),
        ('"number=Mobile, main",key=2', {"number": "Mobile, main", "key": "2"}),
        ('number="the ""new"" one"', {"number": 'the "new" one'}),
        ("number=a=b", {"number": "a=b"}),
        ("not-before=When,time_zone=Zone", {"not_before": "When", "time_zone": "Zone"}),
        ("", {}),
    ],
)
def test_read(text: str, mapping: dict[str, str]) -> None:
    assert read_mapping(text) == mapping


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Mobile", "'Mobile' is not FIELD=COLUMN, such as number=Mobile"),
        ("number=", "'number=' is not FIELD=COLUMN"),
        ("phone=Mobile", "'phone' is not one of number, alternatives, key, agent"),
        ("number=A,number=B", "'number' is given twice"),
        ('number="A" B', "'\"A\" B' has text after its closing quote"),
        ('number=""', "is not FIELD=COLUMN"),
        ('number="A', "a quote in 'number=\"A' is not closed"),
    ],
)
def test_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_mapping(text)


@given(st.text(alphabet='number=,"AB \n\x00', max_size=20) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        mapping = read_mapping(text)
    except ValueError:
        return
    assert all(mapping.values())


TWO_NUMBERS = f"Name;Mobile;Mobile\u00a0 Two;B;2\nAsha;{FIRST};{SECOND};9812300003;9812300004\n"


@pytest.mark.parametrize(
    ("column", "number"),
    [
        ("Mobile", FIRST),
        ("  mobile ", FIRST),
        ("MOBILE  two", SECOND),
        ("C", SECOND),
        ("c", SECOND),
        ("3", SECOND),
        ("B", "9812300003"),  # the header before the letter
        ("2", "9812300004"),
    ],
)
def test_a_column_is_named_by_header_letter_or_number(
    tmp_path: Path, column: str, number: str
) -> None:
    file = opened(text_file(tmp_path, TWO_NUMBERS), number=column)
    assert file.found_by == "--map"
    assert taken(file) == {2: (number,)}


@pytest.mark.parametrize(
    "column",
    ["Mobile", "CRM Id", "Mobile, main", 'the "usual" one', "$HOME", "it's", "`id`", "मोबाइल"],
)
def test_what_is_proposed_can_be_typed_in_a_shell(column: str) -> None:
    (typed,) = shlex.split(write_mapping("number", column))
    assert read_mapping(typed) == {"number": column}
    told = ["sh", "-c", f"printf %s {write_mapping('number', column)}"]
    assert subprocess.run(told, capture_output=True, text=True, check=True).stdout == typed


@pytest.mark.parametrize("column", ["Phone", "F", "0", "6", "-1", "\u00b2"])
def test_a_column_that_is_not_there(tmp_path: Path, column: str) -> None:
    with pytest.raises(Unreadable) as caught:
        opened(text_file(tmp_path, TWO_NUMBERS), number=column)
    assert str(caught.value) == (
        f"--map number={column}: {tmp_path / 'leads.csv'} has no such column; it has 'Name',"
        " 'Mobile', 'Mobile Two', 'B', '2'"
    )


def test_headers_that_are_named_are_found_below_a_title(tmp_path: Path) -> None:
    text = f"Leads;;\n;;\nWho;Dial;Id\nAsha;{FIRST};7\n"
    file = opened(text_file(tmp_path, text), number="dial", key="Id")
    assert taken(file) == {4: (FIRST,)}


def test_a_letter_among_the_people_is_no_header(tmp_path: Path) -> None:
    text = f"Who;Dial;Class\nAsha;{FIRST};A\nRavi;;B\nMeena;{SECOND};B\n"
    file = opened(text_file(tmp_path, text), number="B")
    assert taken(file) == {2: (FIRST,), 4: (SECOND,)}


def test_a_named_header_among_the_people_is_none(tmp_path: Path) -> None:
    text = f"Who;Handset;Kind\nAsha;{FIRST};Mobile\nRavi;{SECOND};Mobile\n"
    with pytest.raises(Unreadable, match=r"--map number=Mobile: .* has no such column"):
        opened(text_file(tmp_path, text), number="Mobile")
