"""What the ledger's statements have in common on both databases."""

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
    """Return a text of others as both databases take it: without NUL, and halves of characters."""
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", said)


class _Listing(TypeDecorator[Sequence[Any]]):
    """Many values as one parameter, which is JSON: an array takes psycopg ten times as long."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)


class _Among(FunctionElement[Any]):
    """Whether a column is one of many values, however many: it is the same statement.

    It has no type, for of a boolean SQLAlchemy would make `... = 1`, and SQLite use no index.
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
    # Not `= ANY(...)`: where the table seems small, each row would be compared with each value.
    items = f"SELECT value{number} FROM json_array_elements_text(CAST({values} AS json))"  # noqa: S608
    return f"({column} IN ({items}))"


def among(column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """Whether the column is one of the values of a parameter, which is a list."""
    return _Among(column, bindparam(parameter, type_=_Listing()))
