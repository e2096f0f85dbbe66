"""Bracketed names: what nests, what does not, and what it may cost."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.errors import InvalidWebhook
from exotel_async.webhooks.body import (
    DEEPEST,
    HEARTBEAT_FACTOR,
    MAX_FIELDS,
    check_size,
    nest,
    rows,
)


@pytest.mark.parametrize(
    ("fields", "nested"),
    [
        ([], {}),
        ([("a", "1")], {"a": "1"}),
        ([("a", "1"), ("a", "2")], {"a": "2"}),
        ([("a[b]", "1")], {"a": {"b": "1"}}),
        ([("a[0]", "1"), ("a[1]", "2")], {"a": ["1", "2"]}),
        ([("a[1]", "2"), ("a[0]", "1")], {"a": ["1", "2"]}),
        ([("a[1]", "2")], {"a": {"1": "2"}}),
        ([("a[00]", "2")], {"a": {"00": "2"}}),
        ([("a[0]", "1"), ("a[b]", "2")], {"a": {"0": "1", "b": "2"}}),
        ([("a[]", "1"), ("a[]", "2")], {"a": ["1", "2"]}),
        ([("a[1]", "1"), ("a[]", "2")], {"a": {"1": "1", "2": "2"}}),
        ([("a[0][b][c]", "1"), ("a[0][b][d]", "2")], {"a": [{"b": {"c": "1", "d": "2"}}]}),
        # Plain once and nested once: the last one counts.
        ([("a", "1"), ("a[b]", "2")], {"a": {"b": "2"}}),
        ([("a[b]", "2"), ("a", "1")], {"a": "1"}),
        ([("a[b]", "1"), ("a[b][c]", "2")], {"a": {"b": {"c": "2"}}}),
        # Brackets that do not match are letters.
        ([("a[b", "1")], {"a[b": "1"}),
        ([("a]b[", "1")], {"a]b[": "1"}),
        ([("[b]", "1")], {"[b]": "1"}),
        ([("a[b]c", "1")], {"a[b]c": "1"}),
        ([("a[b[c]]", "1")], {"a[b[c]]": "1"}),
        ([("a]", "1"), ("", "2")], {"a]": "1", "": "2"}),
        ([("a[ ]", "1"), ("a[\n]", "2")], {"a": {" ": "1", "\n": "2"}}),
    ],
)
def test_nesting(fields: list[tuple[str, str]], nested: dict[str, Any]) -> None:
    assert nest(fields) == nested


def test_as_deep_as_it_may_be() -> None:
    value: Any = nest([("a" + "[b]" * (DEEPEST - 1), "x")])
    for _ in range(DEEPEST):
        (value,) = value.values()
    assert value == "x"


@pytest.mark.parametrize("depth", [DEEPEST, 1000, 100_000])
@pytest.mark.parametrize("bracket", ["[b]", "[]", "["])
def test_too_deep(depth: int, bracket: str) -> None:
    with pytest.raises(InvalidWebhook, match="deeper"):
        nest([("a" + bracket * depth, "x")])


def test_too_many() -> None:
    assert len(nest((f"a{n}", "x") for n in range(MAX_FIELDS))) == MAX_FIELDS
    endless = ((f"a{n}", "x") for n in iter(int, 1))
    with pytest.raises(InvalidWebhook, match="more than"):
        nest(endless)


def test_an_index_costs_no_more_than_a_word() -> None:
    tracemalloc.start()
    nested = nest([(f"a[{10**n}][b]", "x") for n in range(400)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(nested["a"]) == 400
    assert peak < 3_000_000


def test_free_indices_are_found_in_no_time() -> None:
    most = MAX_FIELDS * HEARTBEAT_FACTOR
    taken = [(f"a[{n}]", "x") for n in range(most // 2, most)]
    started = time.process_time()  # whatever else the machine does
    nested = nest([*taken, *[("a[]", "x")] * (most // 2)], most=most)
    assert time.process_time() - started < 1
    assert len(nested["a"]) == most


@given(st.lists(st.tuples(st.text("ab01[]", max_size=12), st.text(max_size=3)), max_size=12))
def test_no_field_is_lost_but_to_a_later_one(fields: list[tuple[str, str]]) -> None:
    try:
        nested = nest(fields)
    except InvalidWebhook:
        return
    assert isinstance(nested, dict)
    if fields:
        assert fields[-1][1] in leaves(nested)


names = st.text("abcXYZ_-é0", min_size=1, max_size=4)
trees = st.dictionaries(
    names,
    st.recursive(
        st.text(max_size=5),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(names.map("k".__add__), inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


@pytest.mark.slow
@given(trees)
def test_any_tree_comes_back_from_its_bracketed_names(tree: dict[str, Any]) -> None:
    fields = [(name, value) for key, item in tree.items() for name, value in written(key, item)]
    if any(name.count("[") >= DEEPEST for name, _ in fields):
        with pytest.raises(InvalidWebhook):
            nest(fields)
    else:
        assert nest(fields) == tree


def written(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(name, value)]
    items = enumerate(value) if isinstance(value, list) else value.items()
    return [field for key, item in items for field in written(f"{name}[{key}]", item)]


def leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value if isinstance(value, list) else value.values()
    return [leaf for item in inner for leaf in leaves(item)]


def test_documents_are_held_to_the_same_limits() -> None:
    check_size({})
    check_size({"a": [{"b": "c"}] * (MAX_FIELDS // 2 - 1)})
    for document in (
        {"a": [0] * MAX_FIELDS},
        {str(n): 0 for n in range(MAX_FIELDS + 1)},
        {"a": {"b": [0] * (MAX_FIELDS - 1)}},
    ):
        with pytest.raises(InvalidWebhook, match="more than"):
            check_size(document)


@pytest.mark.parametrize(("levels", "fine"), [(DEEPEST, True), (DEEPEST + 1, False)])
def test_documents_may_be_as_deep(levels: int, *, fine: bool) -> None:
    document: Any = {}
    for _ in range(levels - 1):
        document = {"a": document}
    if fine:
        check_size(document)
    else:
        with pytest.raises(InvalidWebhook, match="deeper"):
            check_size(document)


def test_rows_are_read_in_order() -> None:
    assert list(rows([{"a": 1}, "x", {"a": 2}])) == [(0, {"a": 1}), (2, {"a": 2})]
    assert list(rows({"10": {"a": 1}, "9": {"a": 2}, "x": {}, "100": {}, "٣": {}})) == [
        (9, {"a": 2}),
        (10, {"a": 1}),
    ]
    assert list(rows("text")) == list(rows(None)) == []
