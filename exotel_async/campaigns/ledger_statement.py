"""Statements that are executed for each dial: compiled once, and passed directly to the driver.

For a single row, SQLAlchemy takes several times as long to execute a statement as the database.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from attrs import frozen
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

_Processor = Callable[[Any], Any] | None
Parameters = Mapping[str, Any]


@frozen
class _Compiled:
    """A statement compiled for one database."""

    sql: str
    order: Sequence[str] | None
    """The parameters' names in positional order; None: the driver takes them by name."""
    literals: Parameters
    """The values of parameters that the statement itself contains."""
    processors: Mapping[str, _Processor]
    """Functions that convert each parameter for the driver."""
    make_row: Callable[[Sequence[Any]], Any]

    def bound(self, parameters: Parameters) -> Any:
        values = {**self.literals, **parameters}
        for name, process in self.processors.items():
            if process is not None:
                values[name] = process(values[name])
        return values if self.order is None else [values[name] for name in self.order]


class Statement:
    """A statement for both databases, with named parameters."""

    def __init__(self, clause: ClauseElement, sets: Sequence[str] | None = None) -> None:
        """Store a statement. It is compiled when it is first executed.

        Args:
            clause: the statement.
            sets: for an INSERT or UPDATE, the columns whose values are parameters; None: the
                columns that the statement names.
        """
        self._clause: Final = clause
        self._sets: Final = None if sets is None else list(sets)
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, parameters: Parameters) -> list[Any]:
        """Execute it, and return the rows as named tuples of the driver's values."""
        compiled = self._of(connection.dialect)
        with driver_cursor(connection) as cursor:
            cursor.execute(compiled.sql, compiled.bound(parameters))
            return [compiled.make_row(row) for row in cursor.fetchall()]

    def execute(self, connection: Connection, *parameters: Parameters) -> None:
        """Execute it once for each mapping of parameters."""
        compiled = self._of(connection.dialect)
        with driver_cursor(connection) as cursor:
            if len(parameters) == 1:
                cursor.execute(compiled.sql, compiled.bound(parameters[0]))
            else:
                cursor.executemany(compiled.sql, [compiled.bound(one) for one in parameters])

    def _of(self, dialect: Dialect) -> _Compiled:
        known = self._compiled.get(dialect.name)
        if known is None:
            known = self._compiled[dialect.name] = _compile(self._clause, dialect, self._sets)
        return known


@contextmanager
def driver_cursor(connection: Connection) -> Iterator[Any]:
    """Open a cursor of the driver. If the connection is lost, SQLAlchemy's is invalidated."""
    driver = connection.connection
    cursor: Any = driver.cursor()
    try:
        yield cursor
    except Exception as error:
        lost: Any = error
        if connection.dialect.is_disconnect(lost, driver.driver_connection, cursor):
            # Otherwise SQLAlchemy would try a rollback, and raise its failure instead.
            connection.invalidate(error)
        raise
    finally:
        cursor.close()


def _compile(clause: ClauseElement, dialect: Dialect, sets: list[str] | None) -> _Compiled:
    named: dict[str, Any] = {} if sets is None else {"column_keys": sets}
    compiled = clause.compile(dialect=dialect, **named)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - for the type checker
    columns = [column.name for column in getattr(clause, "exported_columns", ())]
    row: Any = namedtuple("Row", columns)  # type: ignore[misc]  # noqa: PYI024
    return _Compiled(
        sql=str(compiled),
        order=compiled.positiontup,
        literals={
            name: compiled.params[name]
            for bound, name in compiled.bind_names.items()
            if not bound.required
        },
        processors={
            name: bound.type.dialect_impl(dialect).bind_processor(dialect)
            for bound, name in compiled.bind_names.items()
        },
        make_row=row._make,
    )
