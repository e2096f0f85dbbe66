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
    # Names of contacts may be in any script.
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    # A prepared statement would keep a plan that was made while the tables were empty.
    "prepare_threshold": None,
    # To notice within seconds that the server is gone.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_LOCK_MS: Final = 200  # then the thread checks for other operations
_SET_UP: Final = text(
    "SELECT current_setting('server_encoding'), set_config('lock_timeout', :lock, false),"
    # Commits must survive a crash, whatever the server's default is.
    " CASE WHEN current_setting('synchronous_commit') = 'off'"
    " THEN set_config('synchronous_commit', 'on', false) END,"
    # So that the lock of a machine that is gone is freed within seconds. The default is hours.
    " set_config('tcp_keepalives_idle', '5', false),"
    " set_config('tcp_keepalives_interval', '2', false),"
    " set_config('tcp_keepalives_count', '3', false)"
)
_BUSY: Final = frozenset({"55P03", "40P01", "40001"})  # locked, deadlock, serialization
_MISTAKES: Final = ("22", "23", "42", "0A")  # classes of SQLSTATE: data, constraints, syntax
_UNASKED: Final = frozenset({"DataError", "ProgrammingError"})  # psycopg's, without an SQLSTATE
_NO_PRIVILEGE: Final = "42501"

# Advisory locks have two keys of 32 bits: one of this package, and one for the schema or campaign.
_DIALER_LOCK: Final = 1163415628
_ADDING: Final = 1163415629
_TRY_LOCK: Final = text(f"SELECT pg_try_advisory_lock({_DIALER_LOCK}, hashtext(current_schema()))")
_HAS_LOCK: Final = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    " AND classid = :place AND granted"
).bindparams(place=_DIALER_LOCK)
_SERIALIZE: Final = text(f"SELECT pg_advisory_xact_lock({_ADDING}, :campaign_id)")


class Postgres:
    """Connections to one database, and the lock of its one dialer."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self._lock_connection: Connection | None = None

    def __str__(self) -> str:
        # The query of the URL may hold another password.
        return self._url.set(drivername="postgresql", query={}).render_as_string()

    def exists(self) -> bool:
        """Return whether the database has a ledger, without creating anything."""
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
        """Return a connection for the calling thread. Its commits are durable."""
        try:
            engine = create_engine(
                self._url,
                poolclass=NullPool,
                connect_args=dict(_OPTIONS),
                # Whatever the default of the server or role is.
                isolation_level="READ COMMITTED",
                hide_parameters=True,
            )
            connection = engine.connect()
        except ModuleNotFoundError:
            raise ConfigurationError(
                'PostgreSQL needs psycopg: pip install "exotel-async[postgres]"'
            ) from None
        encoding = connection.execute(_SET_UP, {"lock": str(_LOCK_MS)}).scalar()
        connection.commit()
        if encoding != "UTF8":
            connection.close()
            raise ConfigurationError(
                f"{self}: the encoding of the database is {encoding}; a ledger needs one in UTF8"
            )
        return connection

    def serialize(self, connection: Connection, campaign_id: int) -> None:
        """Keep others from adding to the campaign until the transaction ends."""
        connection.execute(_SERIALIZE, {"campaign_id": campaign_id % 2**31})

    def insert(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        rows: Iterable[tuple[Any, ...]],
    ) -> None:
        """Insert rows with COPY. All of them must be valid."""
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with driver_cursor(connection) as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def failure(self, error: Exception) -> ExotelError | None:
        """Return the error that users get for one of the database; None: it is not one of these."""
        original: Any = error.orig if isinstance(error, DBAPIError) else error
        if not hasattr(original, "sqlstate"):
            return None
        state: str | None = original.sqlstate
        if state in _BUSY:
            return LedgerBusy(f"{self}: another connection has locked it")
        # Only the first line, which says what is wrong: the others may show a statement's values.
        first, *_ = str(original).strip().split("\n")
        message = f"{self}: {redact(first)}"
        if state is None:  # the error is not from the server
            is_mistake = not _UNASKED.isdisjoint(one.__name__ for one in type(original).__mro__)
        else:
            is_mistake = state[:2] in _MISTAKES and state != _NO_PRIVILEGE
        if is_mistake:
            return ExotelError(message)
        return LedgerUnavailable(message)

    def tidy(self) -> None:
        """Do nothing: the server itself removes what was deleted."""

    def acquire_lock(self) -> bool:
        """Take the lock of the database's one dialer. It is freed when the process dies."""
        if self._has_lock():
            return True
        if self._lock_connection is None:
            self._lock_connection = self.connect(to_read=False)
        is_taken = bool(self._query(_TRY_LOCK))
        if not is_taken:
            self.release_lock()
        return is_taken

    def _has_lock(self) -> bool:
        if self._lock_connection is None:
            return False
        try:
            return bool(self._query(_HAS_LOCK))
        except SQLAlchemyError:
            self.release_lock()
            return False

    def check_file(self) -> None:
        """Do nothing: only a SQLite file can be replaced while a dialer uses it."""

    def release_lock(self) -> None:
        """Free the lock for another dialer."""
        connection, self._lock_connection = self._lock_connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()

    def release_after_fork(self) -> None:
        """Give up the lock in a forked child, so that only the parent holds it."""
        if self._lock_connection is None or self._lock_connection.invalidated:
            return
        driver: Any = self._lock_connection.connection.driver_connection
        if not driver.closed:
            # Closing the connection would end the parent's session: replace the socket instead.
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, driver.fileno())
            os.close(nothing)

    def _query(self, statement: Any) -> Any:
        assert self._lock_connection is not None  # noqa: S101 - for the type checker
        value = self._lock_connection.execute(statement).scalar()
        self._lock_connection.commit()
        return value
