"""An export to an SQLite database: calls, and the state in the same transaction."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from exotel_async import Call
from exotel_async.cli.export_columns import COLUMNS, NAMES, raw_json, values_of
from exotel_async.cli.export_sink import Refusal, State, open_private, part_path, put_in_place
from exotel_async.wire.converter import converter

_APPLICATION_ID: Final = 0x45584F54
"""`application_id` of such a database: EXOT."""
_PATIENCE: Final = 30.0  # seconds to wait for a program that reads the database
_LEAVES: Final = ("-journal", "-wal", "-shm")
"""Suffixes of the files that SQLite keeps beside a database."""
_VOLATILE_KEY: Final = "PreSignedRecordingUrl"
"""The key of a record whose value differs each time it is read."""
_NAMES: Final = (*NAMES, "raw")
_SCHEMA: Final = (
    f"PRAGMA application_id = {_APPLICATION_ID}",
    "CREATE TABLE export (state TEXT NOT NULL)",
    f"CREATE TABLE calls ({', '.join(f'{c.name} {c.kind}' for c in COLUMNS)}, raw TEXT NOT NULL)",
    "CREATE INDEX calls_created_at ON calls (created_at)",
)
_UPSERT: Final = (
    f"INSERT INTO calls ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))}) "  # noqa: S608
    f"ON CONFLICT (sid) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in _NAMES[1:])}"
)


@frozen
class UpdateCounts:
    """How many calls an update has added or changed."""

    new: int = 0
    changed: int = 0

    def __add__(self, other: UpdateCounts) -> UpdateCounts:
        return UpdateCounts(self.new + other.new, self.changed + other.changed)

    def __str__(self) -> str:
        return f"{self.new:,} new, {self.changed:,} changed"


class Database:
    """Writes FILE.part, and brings a complete FILE up to date."""

    state: State

    def __init__(self, target: Path) -> None:
        self._target = target
        self._part = part_path(target)
        self._connection: sqlite3.Connection | None = None
        self._updated: tuple[int, int] | None = None
        """Device and inode of the file that is being updated."""

    @property
    def files(self) -> Sequence[Path]:
        """All files that it may write, replace or remove."""
        mains = self._target, self._part
        return *mains, *(main.with_name(f"{main.name}{leaf}") for main in mains for leaf in _LEAVES)

    @property
    def invalid_state(self) -> Refusal:
        """The error for a state from which the export cannot continue."""
        if self._part.exists():
            return Refusal(
                f"{self._part} cannot be read as an unfinished export: --force starts again"
            )
        return Refusal(f"{self._target} already exists and was not made by an export")

    def unfinished(self) -> State | None:
        """Read the state of an unfinished export; return None if there is none."""
        if not self._part.exists():
            return None
        try:
            with _reading(self._part) as connection:
                if _is_empty(connection):  # the process died before it wrote anything
                    return None
                return _state_in(connection)
        except ValueError:
            raise self.invalid_state from None

    def finished(self) -> State:
        """Read the state of the complete database.

        Raises:
            Refusal: no export has made it.
        """
        try:
            with _reading(self._target) as connection:
                return _state_in(connection)
        except ValueError:
            raise self.invalid_state from None

    def begin(self, state: State) -> None:
        """Start from the beginning."""
        if self._part.exists():
            with suppress(sqlite3.DatabaseError):  # not a database, so no export is writing it
                self._open(self._part, exclusive=True)
        self.discard()
        # Its journals get the same permissions.
        os.close(open_private(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        self._open(self._part, exclusive=True)
        self._set_up(state)

    def resume(self, state: State) -> None:
        """Continue an unfinished export."""
        self._open(self._part, exclusive=True)
        self.state = state

    def update(self, state: State) -> None:
        """Open the complete database to update it while other programs read it."""
        self._updated = self._identity()
        self._open(self._target, exclusive=False)
        self.state = state

    def add(self, calls: Sequence[Call], state: State) -> None:
        """Write calls and the state in one transaction."""
        with self._open_one as connection:
            connection.executemany(_UPSERT, map(_row, calls))
            connection.execute("UPDATE export SET state = ?", (state.dumps(),))
        self.state = state

    def upsert(self, calls: Sequence[Call]) -> UpdateCounts:
        """Write those calls that are new or have changed, and return how many there were.

        Raises:
            Refusal: the file is not the one that was opened.
        """
        marks = ", ".join("?" * len(calls))
        query = f"SELECT sid, raw FROM calls WHERE sid IN ({marks})"  # noqa: S608
        with self._updating() as connection:
            known = {
                sid: _read(text)
                for sid, text in connection.execute(query, [call.sid for call in calls])
            }
            new = [call for call in calls if call.sid not in known]
            again = (_with_details(call, known[call.sid]) for call in calls if call.sid in known)
            changed = [call for call in again if _differs(call, known[call.sid])]
            connection.executemany(_UPSERT, map(_row, [*new, *changed]))
            added = UpdateCounts(len(new), len(changed))
            state = evolve(self.state, records=self.state.records + added.new)
            connection.execute("UPDATE export SET state = ?", (state.dumps(),))
        self.state = state
        return added

    def save_token(self, changes: str | None) -> None:
        """Save the token with which the next update continues.

        Raises:
            Refusal: the file is not the one that was opened.
        """
        state = evolve(self.state, changes=changes)
        with self._updating() as connection:
            connection.execute("UPDATE export SET state = ?", (state.dumps(),))
        self.state = state

    def newest(self) -> datetime | None:
        """Return when the newest call was created; None if there are no calls.

        Raises:
            Refusal: the stored time is not valid; or the file is not the one that was opened.
        """
        with self._updating() as connection:
            (text,) = connection.execute("SELECT max(created_at) FROM calls").fetchone()
        try:
            newest = None if text is None else datetime.fromisoformat(text)
        except (ValueError, TypeError):
            raise self.invalid_state from None
        if newest is not None and newest.utcoffset() is None:
            raise self.invalid_state
        return newest

    @contextmanager
    def _updating(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction on the database being updated.

        Raises:
            Refusal: the file was deleted or replaced, so that what is written would be lost.
        """
        moved = Refusal(f"{self._target} was deleted or replaced during the update")
        if self._identity() != self._updated:
            raise moved
        try:
            with self._open_one as connection:
                yield connection
        except sqlite3.Error:
            if self._identity() != self._updated:  # SQLite reports a disk I/O error
                raise moved from None
            raise
        if self._identity() != self._updated:
            raise moved

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._target.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def finish(self) -> None:
        """Mark the export complete, and rename FILE.part to FILE."""
        whole = evolve(self.state, whole=True)
        with self._open_one as connection:
            connection.execute("UPDATE export SET state = ?", (whole.dumps(),))
        self.close()
        for leaf in _LEAVES:
            # Those of a replaced database would be taken for this one's.
            self._target.with_name(f"{self._target.name}{leaf}").unlink(missing_ok=True)
        put_in_place(self._part, self._target, replaces=whole.replaces)
        self.state = whole

    def discard(self) -> None:
        """Remove all that the unfinished export has written."""
        self.close()
        self._part.unlink(missing_ok=True)
        for leaf in _LEAVES:
            self._part.with_name(f"{self._part.name}{leaf}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the database in its current state."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _open_one(self) -> sqlite3.Connection:
        assert self._connection is not None  # noqa: S101 - it is open
        return self._connection

    def _open(self, path: Path, *, exclusive: bool) -> None:
        # It is used by one thread at a time, but not always by the same one.
        patience = 0.0 if exclusive else _PATIENCE
        connection = _connect(path, patience)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            if exclusive:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("BEGIN EXCLUSIVE")
                connection.commit()
            else:
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            connection.close()
            raise _lock_error(path, error) from None
        self._connection = connection

    def _set_up(self, state: State) -> None:
        with self._open_one as connection:
            connection.execute("BEGIN")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO export VALUES (?)", (state.dumps(),))
        self.state = state


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database to find out what it contains.

    Raises:
        Refusal: another export has locked it.
        ValueError: it is not a database, or not one made by an export.
    """
    try:
        with closing(_connect(path, 1.0)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        # No code or a generic one: its tables are not those of an export.
        if getattr(error, "sqlite_errorcode", None) in {None, sqlite3.SQLITE_ERROR}:
            raise ValueError("another database") from error
        raise _lock_error(path, error) from None
    except sqlite3.DatabaseError as error:
        raise ValueError("no database") from error


def _connect(path: Path, patience: float) -> sqlite3.Connection:
    """Open an existing database. One created by SQLite itself could be read by all users."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience, check_same_thread=False
    )


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


def _state_in(connection: sqlite3.Connection) -> State:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID:
        raise ValueError("not one of ours")
    states = connection.execute("SELECT state FROM export").fetchall()
    connection.execute(f"SELECT {', '.join(_NAMES)} FROM calls LIMIT 0")  # noqa: S608
    if len(states) != 1 or not isinstance(states[0][0], str):
        raise ValueError("not one state")
    return State.loads(states[0][0])


def _lock_error(path: Path, error: sqlite3.OperationalError) -> Exception:
    if "locked" in str(error):
        return Refusal(f"{path} is being written by another export")
    return error


def _row(call: Call) -> tuple[Any, ...]:
    return (*values_of(call), raw_json(call))


def _read(text: object) -> Mapping[str, Any]:
    """Decode a record stored in a database; return {} if it is not valid."""
    with suppress(ValueError, TypeError):
        record = json.loads(text) if isinstance(text, str) else None
        if isinstance(record, dict):
            return record
    return {}


def _with_details(call: Call, known: Mapping[str, Any]) -> Call:
    """Return a call with the details it had before, if a response lacks them this time."""
    details = known.get("Details")
    if call.details is not None or not details:
        return call
    return converter().structure({**call.raw, "Details": details}, Call)


def _differs(call: Call, known: Mapping[str, Any]) -> bool:
    return {**call.raw, _VOLATILE_KEY: None} != {**known, _VOLATILE_KEY: None}
