"""What the ledger's statements have in common on both databases."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Text, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

_UNWRITABLE: Final = re.compile("[\0\ud800-\udfff]")


def writable(said: str) -> str:
    """Return a text of others as both databases take it: without NUL, and halves of characters."""
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", said)


class _Listing(TypeDecorator[Sequence[Any]]):
    """Many values as one parameter: an array, or JSON on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, element: type[BigInteger | Text]) -> None:
        super().__init__()
        self.element = element

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        is_postgres = dialect.name == "postgresql"
        return dialect.type_descriptor(ARRAY(self.element) if is_postgres else Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        if dialect.name == "postgresql" or value is None:
            return value
        return json.dumps(value, ensure_ascii=False)


class _Among(FunctionElement[Any]):
    """Whether a column is one of many values, however many: it is the same statement.

    It has no type, for of a boolean SQLAlchemy would make `... = 1`, and SQLite use no index.
    """

    inherit_cache = True
    name = "among"


@compiles(_Among, "sqlite")
def _of_json(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({values})))"  # noqa: S608


@compiles(_Among, "postgresql")
def _of_array(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in element.clauses)
    return f"({column} = ANY({values}))"


def among(column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """Whether the column is one of the values of a parameter, which is a list."""
    element = BigInteger if isinstance(column.type, BigInteger) else Text
    return _Among(column, bindparam(parameter, type_=_Listing(element)))
