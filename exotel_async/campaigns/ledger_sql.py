"""Helpers for the ledger's SQL statements, for both databases."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Text, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

_UNWRITABLE: Final = re.compile("[\0\ud800-\udfff]")


def writable(said: str) -> str:
    """Return a text that both databases accept: NUL and lone surrogates are replaced."""
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", said)


class _Listing(TypeDecorator[Sequence[Any]]):
    """Many values as one JSON parameter: psycopg takes ten times as long for an array."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)


class _Among(FunctionElement[Any]):
    """Whether a column equals one of many values. Their number does not change the SQL.

    It has no type: for a boolean, SQLAlchemy would add `= 1`, and SQLite would not use an index.
    """

    inherit_cache = True
    name = "among"

    @property
    def column(self) -> ColumnElement[Any]:
        """The column."""
        return next(iter(self.clauses))


@compiles(_Among, "sqlite")
def _of_json(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({values})))"  # noqa: S608


@compiles(_Among, "postgresql")
def _of_items(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in element.clauses)
    number = "::bigint" if isinstance(element.column.type, BigInteger) else ""
    # Not `= ANY(...)`: if the table seems small, each row would be compared with each value.
    items = f"SELECT value{number} FROM json_array_elements_text(CAST({values} AS json))"  # noqa: S608
    return f"({column} IN ({items}))"


def among(column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """Return the condition that a column is one of the values of a list parameter."""
    return _Among(column, bindparam(parameter, type_=_Listing()))
