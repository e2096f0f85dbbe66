"""Statements that are executed for each dial: compiled once, and given to the driver as they are.

For one row, SQLAlchemy takes several times as long to execute a statement as the database does.
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
    """A statement in the words of one database."""

    sql: str
    order: Sequence[str] | None
    """The parameters' names, in their order; None: the driver takes them by name."""
    literals: Parameters
    """Values that the statement itself has."""
    processors: Mapping[str, _Processor]
    """How each parameter becomes what the driver takes."""
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
        """Keep a statement. It is compiled when it is executed first.

        Args:
            clause: the statement.
            sets: of an INSERT or an UPDATE, the columns whose values are parameters; None: those
                that it names.
        """
        self._clause: Final = clause
        self._sets: Final = None if sets is None else list(sets)
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, parameters: Parameters) -> list[Any]:
        """Return the rows that it has: named tuples of the driver's own values."""
        compiled = self._of(connection.dialect)
        with driver_cursor(connection) as cursor:
            cursor.execute(compiled.sql, compiled.bound(parameters))
            return [compiled.make_row(row) for row in cursor.fetchall()]

    def execute(self, connection: Connection, *parameters: Parameters) -> None:
        """Execute it, once with each of these."""
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
    """Open a cursor of the driver. SQLAlchemy is told if the connection is lost meanwhile."""
    driver = connection.connection
    cursor: Any = driver.cursor()
    try:
        yield cursor
    except Exception as error:
        lost: Any = error
        if connection.dialect.is_disconnect(lost, driver.driver_connection, cursor):
            # Else a rollback is tried, and its failure raised instead.
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
