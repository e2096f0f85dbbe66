"""A ledger in a SQLite file."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from exotel_async.campaigns.errors import LedgerBusy, LedgerLost, LedgerUnavailable
from exotel_async.campaigns.tables import VERSION_TABLE
from exotel_async.errors import ConfigurationError, ExotelError
from exotel_async.masking import redact

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_BUSY_MS: Final = 200  # then the thread checks for other operations
_OWNER_ONLY: Final = 0o600
# Page caches for writing and reading. The indexes of a million contacts are larger.
_CACHE_KIB: Final = 24_576
_CACHE_TO_READ_KIB: Final = 4096
# Adding many contacts changes the same pages repeatedly: so copy them from the log into the file
# less often than by default.
_PAGES_IN_LOG: Final = 8000
_LONGEST_LOG: Final = 64 << 20  # bytes

_HAS_TABLE: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_RIGHTS: Final = "SQLite must be able to write to the file and, even to read it, to its folder"
_PASSING: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: f"it cannot be written: {_RIGHTS}",
    sqlite3.SQLITE_PERM: f"it cannot be written: {_RIGHTS}",
    sqlite3.SQLITE_CANTOPEN: f"it cannot be opened: {_RIGHTS}",
    sqlite3.SQLITE_IOERR: "it cannot be read or written: an error of the disk",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
}


class SQLite:
    """Connections to one file, and the lock of its one dialer."""

    def __init__(self, path: Path) -> None:
        # The real path: it stays valid if the working directory changes, and is the same for links.
        self.path: Path = Path(os.path.realpath(path))
        self._lock: int | None = None
        self._file: tuple[int, int] | None = None
        """The device and inode of the file that is written to."""

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Return whether the file has a ledger, without creating or changing it."""
        try:
            if not self.path.exists():
                return False
        except OSError as error:
            raise LedgerUnavailable(f"{self}: {error.strerror}") from None
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
                return connection.execute(_HAS_TABLE, (VERSION_TABLE,)).fetchone() is not None
        except sqlite3.Error as error:
            raise (self.failure(error) or error) from None

    def connect(self, *, to_read: bool) -> Connection:
        """Return a connection for the calling thread. The file is created if missing."""
        self.check_file()
        engine = create_engine(
            URL.create("sqlite", database=str(self.path)),
            poolclass=NullPool,
            connect_args={"timeout": _BUSY_MS / 1000, "isolation_level": None},
            hide_parameters=True,
        )
        cache = _CACHE_TO_READ_KIB if to_read else _CACHE_KIB
        event.listen(engine, "connect", lambda new, _: self._set_up(new, cache))
        event.listen(engine, "begin", _begin_to_read if to_read else _begin_to_write)
        # Open only a missing file here: closing an existing one would drop all locks that this
        # process has on it, and others would remove the log that it writes to.
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
        except FileExistsError:
            pass
        except OSError as error:
            raise LedgerUnavailable(f"{self}: {error.strerror}") from None
        connection = engine.connect()
        if not to_read:
            self._file = self._identity()
        return connection

    def _set_up(self, connection: sqlite3.Connection, cache: int) -> None:
        # WAL lets others read during a write.
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise ConfigurationError(f"{self}: SQLite cannot keep a write-ahead log on that disk")
        for setting in (
            # Commits survive a power loss, for which a plain fsync does not suffice on macOS.
            "synchronous = FULL",
            "fullfsync = ON",
            "foreign_keys = ON",
            "secure_delete = ON",
            f"cache_size = -{cache}",
            f"wal_autocheckpoint = {_PAGES_IN_LOG}",
            f"journal_size_limit = {_LONGEST_LOG}",
        ):
            connection.execute(f"PRAGMA {setting}")

    def serialize(self, connection: Connection, campaign_id: int) -> None:
        """Do nothing: in SQLite, only one transaction writes at a time."""

    def insert(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        rows: Iterable[tuple[Any, ...]],
    ) -> None:
        """Insert rows without SQLAlchemy, which would double the time.

        Each statement inserts many, as the thread waits for the GIL after each.
        """
        row = f"({', '.join('?' * len(columns))})"
        start = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "  # noqa: S608
        most = _driver(connection).getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(columns)
        left = iter(rows)
        while some := list(islice(left, most)):
            statement = start + ", ".join([row] * len(some))
            connection.exec_driver_sql(statement, tuple(chain.from_iterable(some)))

    def failure(self, error: Exception) -> ExotelError | None:
        """Return the error that users get for one of the database; None: it is not one of these."""
        original = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(original, sqlite3.Error):
            return None
        code = getattr(original, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return LedgerBusy(f"{self}: another process or thread has locked it")
        if self.path.is_dir():
            return ConfigurationError(f"{self} is a folder: give a file in it")
        if code == sqlite3.SQLITE_NOTADB:
            return ConfigurationError(f"{self} is not a SQLite database")
        if code in _PASSING:
            return LedgerUnavailable(f"{self}: {_PASSING[code]}")
        return ExotelError(f"{self}: {redact(str(original))}")

    def tidy(self) -> None:
        """Remove deleted data from the log, except what other connections are reading."""
        try:
            connection = self.connect(to_read=False)
            try:
                # PASSIVE copies most of it without blocking writers, who wait only for TRUNCATE.
                for how in ("PASSIVE", "TRUNCATE"):
                    connection.connection.cursor().execute(f"PRAGMA wal_checkpoint({how})")
            finally:
                connection.close()
                connection.engine.dispose()
        except (sqlite3.Error, DBAPIError) as error:
            raise (self.failure(error) or error) from None

    def acquire_lock(self) -> bool:
        """Take the lock of the file's one dialer. It is freed when the process dies.

        Raises:
            LedgerLost: the file that is written to is no longer the one at the path.
        """
        if self._lock is not None:
            self.check_file()
            return True
        path = f"{self.path}.lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
        except OSError as error:
            raise LedgerUnavailable(f"{path}: {error.strerror}") from None
        try:
            is_taken = _is_locked(lock)
        except OSError as error:
            os.close(lock)
            raise LedgerUnavailable(f"{path}: {error.strerror}") from None
        if not is_taken:
            os.close(lock)
            return False
        self._lock = lock
        try:
            self.check_file()
        except ExotelError:
            self.release_lock()
            raise
        return True

    def check_file(self) -> None:
        """Check that the dialer with the lock writes to the file that is at the path.

        Raises:
            LedgerLost: it does not.
        """
        if self._lock is not None and self._identity() != self._file:
            what = "was deleted, moved or replaced while a dialer was using it"
            advice = "put it back before you dial again, or everybody is dialled again"
            raise LedgerLost(f"{self} {what}: {advice}")

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerUnavailable(f"{self}: {error.strerror}") from None
        return found.st_dev, found.st_ino

    def release_lock(self) -> None:
        """Free the lock for another dialer."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def release_after_fork(self) -> None:
        """Give up the lock in a forked child, so that only the parent holds it."""
        self.release_lock()


def _begin_to_read(connection: Connection) -> None:
    _driver(connection).execute("BEGIN")


def _begin_to_write(connection: Connection) -> None:
    # Take the write lock at once: SQLite cannot wait for it in a transaction that began by reading.
    _driver(connection).execute("BEGIN IMMEDIATE")


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver


def _is_locked(file: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # Windows raises the latter
        return False
    return True
