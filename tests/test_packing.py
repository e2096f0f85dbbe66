"""What an error knows, as one line of text and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.models import CallStatus
from exotel_async.packing import pack, unpack

# Whole minutes, as zones have: of less than a second, Python reads back UTC.
zones = st.integers(-1_380, 1_380).map(lambda minutes: timezone(timedelta(minutes=minutes)))
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(), max_size=9),
    st.binary(max_size=9),
    st.decimals(allow_nan=False),
    st.dates(),
    st.timedeltas(),
    st.datetimes(),
    st.datetimes(timezones=zones),
)
hashable = atoms | st.tuples(atoms) | st.frozensets(atoms, max_size=2)
several = hashable | st.sets(hashable, max_size=2) | st.dictionaries(hashable, atoms, max_size=2)
values = several | st.lists(several, max_size=2) | st.tuples(several, several)


@given(st.text(max_size=9), values)
def test_comes_back_as_it_was(name: str, value: object) -> None:
    state = {name: value, "next": 1}
    packed = pack(state)
    assert packed.isascii()
    assert packed.isprintable()
    unpacked = unpack(packed)
    assert unpacked == state
    assert {name: type(value) for name, value in unpacked.items()} == {
        name: type(value) for name, value in state.items()
    }


@given(st.binary() | st.text().map(str.encode))
def test_what_was_not_packed_is_refused(body: bytes) -> None:
    try:
        unpacked = unpack(body.decode("latin-1"))
    except ValueError as error:
        assert str(error) == "not the packed values of an error"  # noqa: PT017
    else:
        assert unpacked == {}


def test_shows_no_number() -> None:
    assert "9812345678" not in pack({"to": "+919812345678"})
    odd = {"to": ["+919812345678", object()]}
    assert "9812345678" not in str(unpack(pack(odd)))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (CallStatus.BUSY, "busy"),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, {"at": datetime(2026, 1, 2, tzinfo=UTC)}),
        ((date(2026, 1, 2), [Decimal("1.50")]), (date(2026, 1, 2), [Decimal("1.50")])),
    ],
)
def test_words_of_an_enum_and_what_is_nested(value: object, plain: object) -> None:
    assert unpack(pack({"value": value})) == {"value": plain}
