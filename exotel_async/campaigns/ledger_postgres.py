"""A ledger in a PostgreSQL database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from exotel_async.campaigns.errors import LedgerBusy, LedgerUnavailable
from exotel_async.campaigns.ledger_statement import driver_cursor
from exotel_async.campaigns.tables import VERSION_TABLE
from exotel_async.errors import ConfigurationError, ExotelError
from exotel_async.masking import redact

_OPTIONS: Final = {
    "application_name": "exotel-async",
    "connect_timeout": 5,
    # A prepared statement keeps the plan that was right for the tables while they were empty.
    "prepare_threshold": None,
    # Seconds until a server that is gone is noticed.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_LOCK_MS: Final = 200  # milliseconds; then the thread looks at what else is to be done
_SET_UP: Final = text(
    "SELECT set_config('lock_timeout', :lock, false),"
    # What is committed survives a crash, whatever is usual on that server.
    " CASE WHEN current_setting('synchronous_commit') = 'off'"
    " THEN set_config('synchronous_commit', 'on', false) END,"
    # A machine that is gone has its place no longer than a server is waited for. Usual are hours.
    " set_config('tcp_keepalives_idle', '5', false),"
    " set_config('tcp_keepalives_interval', '2', false),"
    " set_config('tcp_keepalives_count', '3', false)"
)
_BUSY: Final = frozenset({"55P03", "40P01", "40001"})  # locked, deadlock, serialization
_MISTAKES: Final = ("22", "23", "42", "0A")  # classes of SQLSTATE: of data, constraints, and syntax
_UNASKED: Final = frozenset({"DataError", "ProgrammingError"})  # psycopg's, without an SQLSTATE
_NO_PRIVILEGE: Final = "42501"

# Two keys of 32 bits: one of this package, and one of the tables' schema or of a campaign.
_DIALER_LOCK: Final = 1163415628
_ADDING: Final = 1163415629
_TRY_LOCK: Final = text(f"SELECT pg_try_advisory_lock({_DIALER_LOCK}, hashtext(current_schema()))")
_HAS_LOCK: Final = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    " AND classid = :place AND granted"
).bindparams(place=_DIALER_LOCK)
_SERIALIZE: Final = text(f"SELECT pg_advisory_xact_lock({_ADDING}, :campaign_id)")


class Postgres:
    """Connections to one database, and the place of its one dialer."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self._lock_connection: Connection | None = None

    def __str__(self) -> str:
        # Its query may hold another password.
        return self._url.set(drivername="postgresql", query={}).render_as_string()

    def is_made(self) -> bool:
        """Whether the database has a ledger. Nothing is made by that."""
        try:
            connection = self.connect(to_read=True)
            try:
                return inspect(connection).has_table(VERSION_TABLE)
            finally:
                connection.close()
                connection.engine.dispose()
        except SQLAlchemyError as error:
            raise (self.failure(error) or error) from None

    def connect(self, *, to_read: bool) -> Connection:
        """Return a connection of the calling thread. What it commits is durable."""
        try:
            engine = create_engine(
                self._url,
                poolclass=NullPool,
                connect_args=dict(_OPTIONS),
                # Whatever is usual on that server, or for that role.
                isolation_level="READ COMMITTED",
                hide_parameters=True,
            )
            connection = engine.connect()
        except ModuleNotFoundError:
            raise ConfigurationError(
                'PostgreSQL needs psycopg: pip install "exotel-async[postgres]"'
            ) from None
        connection.execute(_SET_UP, {"lock": str(_LOCK_MS)})
        connection.commit()
        return connection

    def serialize(self, connection: Connection, campaign_id: int) -> None:
        """Let nobody else add to the campaign until the transaction ends."""
        connection.execute(_SERIALIZE, {"campaign_id": campaign_id % 2**31})

    def insert(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        rows: Iterable[tuple[Any, ...]],
    ) -> None:
        """Insert rows; what is refused of them is a mistake of ours."""
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with driver_cursor(connection) as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def failure(self, error: Exception) -> ExotelError | None:
        """Return what an error of the database means to users; None: it is another one."""
        original: Any = error.orig if isinstance(error, DBAPIError) else error
        if not hasattr(original, "sqlstate"):
            return None
        state: str | None = original.sqlstate
        if state in _BUSY:
            return LedgerBusy(f"{self}: another connection has locked it")
        # Its first line names what is wrong; the others may have a statement's values.
        first, *_ = str(original).strip().split("\n")
        said = f"{self}: {redact(first)}"
        if state is None:  # the server was not asked
            is_mistake = not _UNASKED.isdisjoint(one.__name__ for one in type(original).__mro__)
        else:
            is_mistake = state[:2] in _MISTAKES and state != _NO_PRIVILEGE
        if is_mistake:
            return ExotelError(said)
        return LedgerUnavailable(said)

    def tidy(self) -> None:
        """Leave nothing of what was deleted: that is the server's to do."""

    def acquire_lock(self) -> bool:
        """Take the place of the database's one dialer. It is free again when the process dies."""
        if self._has_lock():
            return True
        if self._lock_connection is None:
            self._lock_connection = self.connect(to_read=False)
        is_taken = bool(self._asked(_TRY_LOCK))
        if not is_taken:
            self.release_lock()
        return is_taken

    def _has_lock(self) -> bool:
        if self._lock_connection is None:
            return False
        try:
            return bool(self._asked(_HAS_LOCK))
        except SQLAlchemyError:
            self.release_lock()
            return False

    def check_file(self) -> None:
        """See whether what is written is seen by all: on a server it is."""

    def release_lock(self) -> None:
        """Let another dialer have the place."""
        connection, self._lock_connection = self._lock_connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()

    def release_after_fork(self) -> None:
        """Have no part in the place, in a child of the process that has it."""
        if self._lock_connection is None or self._lock_connection.invalidated:
            return
        driver: Any = self._lock_connection.connection.driver_connection
        if not driver.closed:
            # To close the connection would end the parent's session.
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, driver.fileno())
            os.close(nothing)

    def _asked(self, question: Any) -> Any:
        assert self._lock_connection is not None  # noqa: S101 - for the type checker
        answer = self._lock_connection.execute(question).scalar()
        self._lock_connection.commit()
        return answer
