"""Where the headers are, and in which column the numbers are."""

from __future__ import annotations

from pathlib import Path

import pytest

from exotel_async.cli.contact_files import AmbiguousColumn, Unreadable
from exotel_async.cli.contact_files.columns import letter_of
from exotel_async.cli.contact_files.headers import Kind, kind_of
from tests.cli.contact_files.support import (
    FIRST,
    SECOND,
    THIRD,
    opened,
    reasons,
    taken,
    text_file,
    workbook,
)


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        (
            Kind.PHONE,
            "Mobile|MOBILE NO.|mobile_no|MobileNumber|Phone|Phone #|Ph.No|Tel.|Telephone|Cell"
            "|msisdn|WhatsApp|What's App Number|Contact No|ContactNumber|Customer Phone|phone1"
            "|CustomerPhone|Primary Mobile|Registered mobile number|Mobile Number (10 digits)"
            "|E164 phone|Phone 1 - Value|Phone (with country code)"
            "|मोबाइल|मोबाइल नंबर|फ़ोन|फोन नं|ফোন|மொபைல் எண்|ఫోన్ నంబర్",
        ),
        (
            Kind.SECOND,
            "Alternate Mobile|Alt. Phone No|Phone 2|phone2|Mobile No 2|Secondary number"
            "|Second Mobile|Other Phone|Alternative Contact No|2nd Mobile"
            "|वैकल्पिक मोबाइल|Other|Alternate",
        ),
        (
            Kind.OTHER_PHONE,
            "Office phone|Home phone|Landline|Father's Mobile|Emergency Contact Number|Shop Mobile",
        ),
        (Kind.VAGUE, "Number|Contact|No.|Customer Number|Contact Person"),
        (Kind.UNKNOWN, "Remarks|Notes|Handset|Reaches|To"),
        (
            Kind.OTHER,
            "Order No|Order ID|CRM Id|Pincode|PIN Code|Aadhaar No|Account Number|A/C No|Amount|Date"
            "|Mobile model|Phone brand|Phone verified|Contact Name|Sr No|S.No. sno|Invoice number"
            "|Customer id|Created time|Country code|Agent phone|Fax|Vehicle number|IMEI|Longitude",
        ),
    ],
)
def test_headers(kind: Kind, headers: str) -> None:
    found = {header: kind_of(header) for header in headers.split("|")}
    assert found == dict.fromkeys(found, kind)


@pytest.mark.parametrize(
    ("text", "found_by", "letter"),
    [
        (f"Name,Mobile\nAsha,{FIRST}", "its header", "B"),
        (f"Mobile\n{FIRST}", "its header", "A"),
        (f"Name,Number\nAsha,{FIRST}", "its header", "B"),
        (f"Name,Handset\nAsha,{FIRST}", "its contents", "B"),
        (f"Asha,{FIRST}\nRavi,{SECOND}", "its contents", "B"),
        (f"{FIRST}\n{SECOND}", "the only column", "A"),
        (f"Reaches\n{FIRST}\n{SECOND}", "the only column", "A"),
        (f",{FIRST}\n,{SECOND}", "the only column", "B"),
        # The better of several.
        (f"Office phone,Mobile\n{SECOND},{FIRST}", "its header", "B"),
        (f"Number,Mobile\n{SECOND},{FIRST}", "its header", "B"),
        (f"Handset,Mobile\n{SECOND},{FIRST}", "its header", "B"),
        (f"Phone,Mobile\n,{FIRST}\n,{SECOND}", "its header", "B"),
        (f"Phone,Mobile\nYes,{FIRST}\nNo,{SECOND}", "its header", "B"),
        (f"Order No,Handset\n{SECOND},{FIRST}", "its contents", "B"),
        (f"No.,Number\n1,{FIRST}\n2,{SECOND}", "its header", "B"),
        (f"Alternate Mobile,Handset\n{SECOND},{FIRST}", "its contents", "B"),
        (f"Alternate Mobile,Name\n{FIRST},Asha", "its header", "A"),
        (f"Lat,Where,Who\n12.97159871,77.59456789,{FIRST}", "its contents", "C"),
        (f"1767225600,{FIRST}\n1767225601,{SECOND}", "its contents", "B"),
        (f"234123412346,560001,{FIRST}\n345234523457,560002,{SECOND}", "its contents", "C"),
        # Most cells, not all.
        (f"Who,Reaches\nA,{FIRST}\nB,9.8E+09\nC,{SECOND}\nD,N/A\nE,-\nF,", "its contents", "B"),
        # Of all columns with the right header none has a number: the reason is in each row.
        ("Name,Mobile\nAsha,9.81231E+09\nRavi,9.81231E+09", "its header", "B"),
        ("Name,Mobile", "its header", "B"),
    ],
)
def test_the_column_is_found(tmp_path: Path, text: str, found_by: str, letter: str) -> None:
    file = opened(text_file(tmp_path, text))
    assert (file.found_by, file.number_column.letter) == (found_by, letter)
    numbers = [numbers[0] for numbers in taken(file).values()]
    assert numbers == sorted({FIRST, SECOND} & set(numbers))


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        (f"Name,Mobile,Phone\nAsha,{FIRST},{SECOND}", "BC"),
        (f"Father's mobile,Mother's mobile\n{FIRST},{SECOND}", "AB"),
        (f"Asha,{FIRST},{SECOND}", "BC"),
        (f"Handset,Reaches\n{FIRST},{SECOND}", "AB"),
        (f"Office phone,Handset\n{FIRST},{SECOND}", "AB"),
    ],
)
def test_several_columns_may_hold_them(tmp_path: Path, text: str, letters: str) -> None:
    with pytest.raises(AmbiguousColumn) as caught:
        opened(text_file(tmp_path, text))
    candidates = caught.value.candidates
    assert "".join(column.letter for column in candidates) == letters
    assert [column.samples for column in candidates] == [(FIRST,), (SECOND,)]
    assert f"choose one with --map number={letters[0]}" in str(caught.value)
    assert FIRST not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "Order ID\n9812300001\n9812300002",
        "Name,Order no\nAsha,9812300001",
        "Account Number,Amount\n9812300001,9812300002",
        "Aadhaar\n234123412346",
        "234123412346\n345234523457",
        "560001\n560002",
        "1767225600\n1767225601",
        "1767225600000\n1767225601000",
        "2026-11-29\n2026-11-30",
        "1250.50\n1300.00",
        "77.59456789\n77.59456790",
        "Name,City\nAsha,Pune",
        "Name\nAsha\nRavi",
        "9.81231E+09\n9.81232E+09",
        f"{FIRST}\nAsha\nRavi\nMeena",
    ],
)
def test_no_column_holds_numbers(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unreadable, match="no column of phone numbers was found") as no:
        opened(text_file(tmp_path, text))
    assert not isinstance(no.value, AmbiguousColumn)


def test_lost_digits_are_why_no_column_is_found(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"'column B' has lost digits, as in 9\.81E"):
        opened(text_file(tmp_path, "Name,Reaches\nAsha,9.81231E+09\nRavi,9.81231E+09"))


def test_an_alternate_column_gives_alternatives(tmp_path: Path) -> None:
    text = f"Name,Alt No,Mobile,Phone 2,Office phone\nAsha,{SECOND},{FIRST},0{FIRST},{THIRD}\n"
    file = opened(text_file(tmp_path, text + f"Ravi,N/A,{THIRD},-,\n"))
    assert [column.name for column in file.alternative_columns] == ["Alt No", "Phone 2"]
    assert taken(file) == {2: (FIRST, SECOND), 3: (THIRD,)}


def test_an_alternative_that_cannot_be_read_is_not_dropped(tmp_path: Path) -> None:
    text = f"Mobile,Alt Mobile\n{FIRST},{SECOND}\n{THIRD},9.8E+09\n"
    file = opened(text_file(tmp_path, text))
    assert list(taken(file)) == [2]
    assert "has lost digits" in reasons(file)[3]


def test_an_alternate_column_of_something_else(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, f"Mobile,Alternate\n{FIRST},Yes\n{SECOND},No\n"))
    assert taken(file) == {2: (FIRST,), 3: (SECOND,)}


def test_headers_below_a_title(tmp_path: Path) -> None:
    rows = [["Phone numbers"], [], ["for", "Pune"], ["Name", "Mobile"], ["Asha", FIRST]]
    file = opened(workbook(tmp_path, rows))
    assert file.notes == ("the headers are in line 4: rows above them are not dialled",)
    assert taken(file) == {5: (FIRST,)}
    assert reasons(file) == {}


def test_a_number_above_the_headers_is_not_dialled(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, f"Helpline,{FIRST}\n\nName,Mobile\nAsha,{SECOND}\n"))
    assert taken(file) == {4: (SECOND,)}
    assert reasons(file) == {1: "stands above the headers, which are in line 3"}


@pytest.mark.parametrize(
    "text",
    [
        f"Asha,{FIRST},Phone\nRavi,N/A,Phone\nMeena,{SECOND},Email\n",
        f"Asha,N/A,Pune\nRavi,{FIRST},Pune\nMeena,{SECOND},Pune\n",
    ],
)
def test_a_row_of_somebody_is_no_header(tmp_path: Path, text: str) -> None:
    file = opened(text_file(tmp_path, text))
    assert not file.has_header
    assert [len(taken(file)), list(reasons(file).values())] == [2, ["no number"]]


def test_names_of_columns(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, f'Mobile,Name,,Name,Name (2),"a\nb"\n{FIRST},Asha,x,y,z,w\n'))
    names = [column.name for column in file.columns]
    assert names == ["Mobile", "Name", "column C", "Name (2)", "Name (2) (2)", "a b"]


def test_each_column_can_be_told_by_its_name(tmp_path: Path) -> None:
    """Whoever is asked which column it is says one, and no other one is dialled."""
    text = f"B,PHONE,phone,Office\n{FIRST},{SECOND},{THIRD},{FIRST}\n"
    columns = opened(text_file(tmp_path, text), number="Office").columns
    assert [one.name for one in columns] == ["B", "PHONE", "phone (2)", "Office"]
    for column in columns:
        found = opened(text_file(tmp_path, text), number=column.name).number_column
        assert found == column


def test_letters() -> None:
    assert [letter_of(index) for index in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


@pytest.mark.parametrize(
    "header", ["Alternate Mobile", "Phone 2", "Alt No", "Alternate", "Other Phone", "Other No"]
)
@pytest.mark.parametrize("cell", ["", "N/A", "-"])
def test_an_alternate_column_that_is_used_from_far_down_on(
    tmp_path: Path, header: str, cell: str
) -> None:
    rows = [f"98123{n:05},{cell}" for n in range(1, 1_101)]
    text = "\n".join([f"Mobile,{header}", *rows, f"9812399999,{FIRST}", "9812388888,9812377777"])
    found = taken(opened(text_file(tmp_path, text)))
    assert found[1_103] == ("9812388888", "9812377777")
    assert 1_102 not in found  # its alternative is the number of the first row
    assert len(found) == 1_101


@pytest.mark.parametrize("header", ["Other", "Additional", "Extra"])
def test_a_header_that_says_too_little_needs_numbers_near_the_top(
    tmp_path: Path, header: str
) -> None:
    rows = [f"98123{n:05}," for n in range(1, 1_101)]
    file = opened(text_file(tmp_path, "\n".join([f"Mobile,{header}", *rows, "9812388888,VIP"])))
    assert file.alternative_columns == []
    assert len(taken(file)) == 1_101
