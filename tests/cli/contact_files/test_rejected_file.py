"""FILE.rejected.csv: what it says, and that it may be put right and dialled."""

from __future__ import annotations

import csv
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exotel_async import ExotelError
from exotel_async.cli.contact_files import (
    AmbiguousColumn,
    ContactFile,
    Rejected,
    RejectedFile,
    Taken,
    Unreadable,
)
from tests.cli.contact_files.support import (
    CAMPAIGN,
    FIRST,
    SECOND,
    THIRD,
    opened,
    reasons,
    taken,
    text_file,
    workbook,
)
from tests.cli.contact_files.test_odd_rows import TEXTS


def write(file: ContactFile) -> Path:
    """Write the rejected rows of a file."""
    with RejectedFile(file.path) as out:
        for result in file.read(CAMPAIGN):
            if isinstance(result, Rejected):
                out.add(result)
    return out.path


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def replaced(path: Path, old: str, new: str) -> None:
    """Put something right in the people's own columns, as with an editor."""
    head, *rows = rows_of(path)
    own = [row[:4] + [cell.replace(old, new) for cell in row[4:]] for row in rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *own])


LEADS = (
    "CRM Id;Name;Mobile\n"
    f"1;Asha;{FIRST}\n"
    "2;आशा;9.81231E+09\n"
    "3;=1+1;\n"
    f"4;Ravi;+91{FIRST}\n"
    '0005;"two\nlines";\'+9812300001\n'
)


def test_what_it_says(tmp_path: Path) -> None:
    path = write(opened(text_file(tmp_path, LEADS)))
    assert path == tmp_path / "leads.csv.rejected.csv"
    country = (
        "has + and ten digits, so its country code seems to be missing: for an Indian number, write"
        " +91 instead of +; for another one, put a space after the country code"
    )
    again = "'+919812300001"
    lost = "has lost digits: format the column as text and export it again"
    assert rows_of(path) == [
        ["line", "column", "cell", "reason", "CRM Id", "Name", "Mobile"],
        ["3", "Mobile", "9.81231E+09", lost, "2", "आशा", "9.81231E+09"],
        ["4", "Mobile", "", "no number", "3", "'=1+1", ""],
        ["5", "Mobile", again, "the same number as in line 2", "4", "Ravi", again],
        ["6", "Mobile", "'+9812300001", country, "'0005", "two\nlines", "'+9812300001"],
    ]  # fmt: skip
    assert path.read_bytes().startswith(b"\xef\xbb\xbfline,column,cell,reason,")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["leads.csv", path.name]


def test_there_is_none_without_a_rejected_row(tmp_path: Path) -> None:
    path = write(opened(text_file(tmp_path, f"Mobile\n{FIRST}\n")))
    assert not path.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["leads.csv"]


def test_it_comes_to_be_whole_or_not_at_all(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, LEADS))
    [bad, *_] = [result for result in file.read(CAMPAIGN) if isinstance(result, Rejected)]

    def interrupted() -> None:
        with RejectedFile(file.path) as out:
            out.add(bad)
            assert not out.path.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [entry.name for entry in tmp_path.iterdir()] == ["leads.csv"]


def test_one_that_somebody_is_putting_right_is_kept(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, LEADS))
    path = write(file)
    assert write(file) == path
    old = path.with_name("leads.csv.rejected.csv.old")
    assert not old.exists()  # it was the same
    replaced(path, "9.81231E+09", SECOND)
    mine = path.read_bytes()
    write(file)
    assert old.read_bytes() == mine


def test_it_is_put_right_and_dialled(tmp_path: Path) -> None:
    path = write(opened(text_file(tmp_path, LEADS)))
    replaced(path, "9.81231E+09", SECOND)
    replaced(path, "'+9812300001", f"'+91{THIRD}")
    file = opened(path, key="crm id")
    assert (file.number_column.name, file.found_by) == ("Mobile", "its header")
    found = [result.contact for result in file.read(CAMPAIGN) if isinstance(result, Taken)]
    assert [contact.number for contact in found] == [SECOND, f"+91{THIRD}"]
    assert [contact.key for contact in found] == ["2", "0005"]
    assert found[1].fields == {
        "CRM Id": "0005", "Name": "two\nlines", "Mobile": f"+91{THIRD}",
    }  # fmt: skip
    # The duplicate is still one, though the first is in another file.
    assert reasons(file) == {3: "no number", 4: "the same number as in line 2"}


@pytest.mark.parametrize(
    "text",
    [
        LEADS,
        f"Asha,{FIRST}\nRavi,{SECOND}\nMeena,9.8E+09\nOm,\nZo,{FIRST}\n",
        f"{FIRST}\n{SECOND}\n98123O0003\n{FIRST}\n",
        f"Name,Handset\nAsha,{FIRST}\nRavi,{SECOND}\nMeena,98123O0003\n",
        f'Name,Mobile\nAsha,{FIRST}\n"Ravi, {SECOND}\nMeena, M,{THIRD}\nTotal,{THIRD}\n',
        f"Mobile\n{FIRST}\n{SECOND}\n{int(FIRST) + int(SECOND)}\n9812310000\n18001234567\n",
        f"Helpline,{FIRST}\n\nName,Mobile\nAsha,{SECOND}\nName,Mobile\n",
        f"Mobile,Alt Mobile\n{FIRST},9.8E+09\n{SECOND},\n",
        f"reason,cell,line\nx,{FIRST},1\ny,{FIRST},2\n",
    ],
)
def test_as_long_as_nothing_is_put_right_nobody_in_it_is_dialled(tmp_path: Path, text: str) -> None:
    """And it stays so however often the rejected rows of rejected rows are read."""
    before = opened(text_file(tmp_path, text))
    first = write(before)
    rows = rows_of(first)
    again = opened(first)
    assert taken(again) == {}
    assert (
        list(reasons(again).values()) == [row[3] for row in rows[1:]]
        or len(reasons(again)) == len(rows) - 1
    )
    second = write(again)
    assert [row[4:] for row in rows_of(second)] == [row[4:] for row in rows]
    assert taken(opened(second)) == {}


HEADERS = st.sampled_from(
    [
        *("Name", "Mobile", "Phone 2", "Alternate Mobile", "Number", "Contact", "Handset"),
        *("Country", "Order ID", "cell", "reason", ""),
    ]
)
ODD = st.sampled_from(
    [cell for cell, _ in TEXTS] + [f"98123000{number}" for number in range(11, 99)] + 30 * [""]
)


@settings(max_examples=60, derandomize=True)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.tuples(
            st.lists(HEADERS, min_size=width, max_size=width),
            st.lists(st.lists(ODD, min_size=width, max_size=width + 1), max_size=8),
        )
    )
)
def test_whatever_the_list_its_rejected_rows_are_not_dialled(
    tmp_path_factory: pytest.TempPathFactory, table: tuple[list[str], list[list[str]]]
) -> None:
    headers, rows = table
    path = tmp_path_factory.mktemp("lists") / "leads.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([headers, *rows])
    with suppress(Unreadable):
        out = write(opened(path))
        assert not out.exists() or taken(opened(out)) == {}


def test_a_number_column_without_a_header_is_found_again(tmp_path: Path) -> None:
    people = "".join(f"Asha,98123{number:05}\n" for number in range(11, 19))
    text = f"{people}Meena,98123O0003\nOm,9.8E+09\nZo,9812310000\n"
    path = write(opened(text_file(tmp_path, text)))
    replaced(path, "98123O0003", THIRD)
    file = opened(path)
    assert file.number_column.name == "column B"
    assert taken(file) == {2: (THIRD,)}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        # What is left of the column shows less than another one, of which nobody is dialled.
        (f"Ref,Handset\n1,{FIRST}\n2,{SECOND}\n{THIRD},98123O0004\n", "Handset"),
        (f"1,{FIRST}\n2,{SECOND}\n{THIRD},98123O0004\n", "column B"),
        (f"Phone,Mobile\n,{FIRST}\n,{SECOND}\n,{SECOND}\n,98123O0004\n", "Mobile"),
        (f"Alt No,Contact\n,{FIRST}\n,{SECOND}\n{THIRD},98123O0004\n", "Contact"),
        (f"1,{FIRST}\n2,{SECOND}\n3,9812300009\n{THIRD},\n", "column B"),
        (f"Ref,+91 Mobile\n1,{FIRST}\n{THIRD},{FIRST}\n", "+91 Mobile"),
    ],
)
def test_the_numbers_are_in_the_column_they_were_in(tmp_path: Path, text: str, name: str) -> None:
    before = opened(text_file(tmp_path, text))
    assert before.number_column.name == name
    after = opened(write(before))
    assert after.number_column.name == name
    assert taken(after) == {}


def test_where_the_numbers_were_may_not_be_known(tmp_path: Path) -> None:
    text = f"Alt No,Handset\n9.8E+09,{FIRST}\n{THIRD},{SECOND}\n"
    path = write(opened(text_file(tmp_path, text)))
    with pytest.raises(AmbiguousColumn):
        opened(path)
    assert taken(opened(path, number="handset", alternatives="Alt No")) == {}


def test_rows_whose_cells_have_moved_stay_rejected_in_a_workbook(tmp_path: Path) -> None:
    text = f"Name,Ref,Mobile\nAsha,1,{FIRST}\nRavi, K,{SECOND},{THIRD}\nMeena,1,98123O0004\n"
    rows = rows_of(write(opened(text_file(tmp_path, text))))
    path = workbook(tmp_path, [[cell.replace("O", "0") for cell in row] for row in rows])
    file = opened(path)
    assert taken(file) == {3: ("9812300004",)}
    assert "has 8 cells where the headers have 7" in reasons(file)[2]


def test_after_a_spreadsheet_has_saved_it_with_semicolons(tmp_path: Path) -> None:
    path = write(opened(workbook(tmp_path, [["Name", "Mobile"], ["Asha", "98123O0001"]])))
    assert path.name == "leads.xlsx.rejected.csv"
    text = path.read_text(encoding="utf-8-sig").replace(",", ";").replace("O", "0")
    path.write_text(f"{text};;;;;\n", encoding="utf-16")
    assert taken(opened(path)) == {2: (FIRST,)}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    bad = Rejected(2, "Mobile", "x", "is text", {"Mobile": "x"})
    out = RejectedFile(tmp_path / "none" / "leads.csv")
    with pytest.raises(ExotelError, match=r"leads.csv.rejected.csv cannot be written: No"), out:
        out.add(bad)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    file = opened(text_file(tmp_path, LEADS))
    mine = text_file(tmp_path, "mine", "mine.txt")
    (tmp_path / "leads.csv.rejected.csv").symlink_to(mine)
    path = write(file)
    assert not path.is_symlink()
    assert mine.read_text(encoding="utf-8") == "mine"
