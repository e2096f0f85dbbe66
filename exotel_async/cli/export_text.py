"""An export to a text file: one line for each call, and a state file beside it.

After each page the lines are made durable first, then a state that counts them replaces the one
before. Whatever the file contains beyond the offset in the state is cut off when an export
continues.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import evolve

from exotel_async import Call
from exotel_async.cli.export_columns import NAMES, cells_of, raw_json
from exotel_async.cli.export_sink import (
    Refusal,
    State,
    open_private,
    part_path,
    put_in_place,
    sync_folder,
)
from exotel_async.cli.table_cells import csv_lines

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment,unused-ignore]

Render = Callable[[Sequence[Call]], str]


def as_jsonl(calls: Sequence[Call]) -> str:
    """Render each call as Exotel sent it, as one line of JSON."""
    return "".join(f"{raw_json(call)}\n" for call in calls)


def as_csv(calls: Sequence[Call]) -> str:
    """Render each call as a row of comma-separated values."""
    return csv_lines(map(cells_of, calls))


CSV_HEAD = ",".join(NAMES) + "\n"


class TextFile:
    """Writes FILE.part and FILE.part.state."""

    state: State

    def __init__(self, target: Path, render: Render, head: str = "") -> None:
        self._target = target
        self._part = part_path(target)
        self._state_file = self._part.with_name(f"{self._part.name}.state")
        self._render = render
        self._head = head.encode()
        self._file: io.FileIO | None = None

    @property
    def files(self) -> Sequence[Path]:
        """All files that it may write, replace or remove."""
        return self._target, self._part, self._state_file, self._new_state_file

    @property
    def invalid_state(self) -> Refusal:
        """The error for a state from which the export cannot continue."""
        return Refusal(
            f"{self._state_file} cannot be read as the state of an export: --force starts again"
        )

    def unfinished(self) -> State | None:
        """Read the state of an unfinished export; return None if there is none."""
        try:
            state = State.loads(self._state_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if not self._part.exists():
                return None
            raise Refusal(
                f"{self._part} exists, but {self._state_file}, which records its progress, "
                "does not: --force starts again"
            ) from None
        except ValueError:
            raise self.invalid_state from None
        return None if self._died_at_the_end(state) else state

    def finished(self) -> State:
        """Read the state of a complete file, if its process died just before removing the state."""
        with suppress(FileNotFoundError, ValueError):
            state = State.loads(self._state_file.read_text(encoding="utf-8"))
            if self._died_at_the_end(state):
                self._state_file.unlink()
                return state
        raise Refusal(f"{self._target} already exists: --force replaces it")

    def begin(self, state: State) -> None:
        """Start from the beginning."""
        if self._part.exists():
            self._open("r+b")  # fails if another process is writing it
        self.discard()
        self._note(state)
        self._open("xb")
        if self._head:
            self._append(self._head, state)

    def resume(self, state: State) -> None:
        """Continue an unfinished export."""
        # The process may have died before it wrote anything.
        self._open("r+b" if state.offset else "ab")
        assert self._file is not None  # noqa: S101 - just opened
        if self._file.seek(0, os.SEEK_END) < state.offset:
            self.close()
            raise Refusal(
                f"{self._part} is shorter than {self._state_file} says: --force starts again"
            )
        if state.offset:
            self._file.seek(state.offset - 1)
            if self._file.read(1) != b"\n":  # the offset is not at the end of a line
                self.close()
                raise self.invalid_state
        self._file.truncate(state.offset)
        self._file.seek(state.offset)
        self.state = state
        if not state.offset and self._head:
            self._append(self._head, state)

    def add(self, calls: Sequence[Call], state: State) -> None:
        """Write calls, then the state."""
        self._append(self._render(calls).encode(), state)

    def finish(self) -> None:
        """Mark the export complete, and rename FILE.part to FILE."""
        self._note(evolve(self.state, whole=True))
        self.close()
        put_in_place(self._part, self._target, replaces=self.state.replaces)
        self._state_file.unlink()

    def discard(self) -> None:
        """Remove all that the unfinished export has written."""
        self.close()
        # In this order: a state without its file is never continued from.
        self._part.unlink(missing_ok=True)
        self._state_file.unlink(missing_ok=True)
        self._new_state_file.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file in its current state."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _new_state_file(self) -> Path:
        return self._state_file.with_name(f"{self._state_file.name}.new")

    def _died_at_the_end(self, state: State) -> bool:
        return state.whole and not self._part.exists() and self._target.exists()

    def _open(self, mode: str) -> None:
        try:
            # Unbuffered: what is written has reached the system even if this process dies.
            self._file = io.FileIO(self._part, mode, opener=open_private)
        except FileNotFoundError:
            if mode != "r+b":
                raise
            raise Refusal(f"{self._part} no longer exists: --force starts again") from None
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                raise Refusal(f"{self._part} is being written by another export") from None

    def _append(self, data: bytes, state: State) -> None:
        assert self._file is not None  # noqa: S101 - it is open
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        os.fsync(self._file.fileno())
        self._note(evolve(state, offset=state.offset + len(data)))

    def _note(self, state: State) -> None:
        """Replace the stored state, durably."""
        # A file left by a dead process may be readable by other users.
        self._new_state_file.unlink(missing_ok=True)
        with open(self._new_state_file, "x", encoding="utf-8", opener=open_private) as file:
            file.write(state.dumps())
            file.flush()
            os.fsync(file.fileno())
        self._new_state_file.replace(self._state_file)
        sync_folder(self._state_file.parent)
        self.state = state
