"""An export to standard output, such as a pipe; it cannot be continued."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from exotel_async import Call
from exotel_async.cli.export_sink import Refusal, State
from exotel_async.cli.export_text import Render


class StandardOutput:
    """Writes each page as soon as it is read."""

    state: State

    def __init__(self, render: Render, head: str = "") -> None:
        self._render = render
        self._head = head.encode()
        # Unbuffered: data that could not be written must not be written again at exit.
        self._file = io.FileIO(sys.stdout.fileno(), "wb", closefd=False)

    @property
    def files(self) -> Sequence[Path]:
        """All files that it may write, replace or remove: none."""
        return ()

    @property
    def invalid_state(self) -> Refusal:
        """The error for a state from which the export cannot continue."""
        return Refusal("an export to standard output cannot be continued")

    def unfinished(self) -> State | None:
        """Return None: an unfinished export is never known."""
        return None

    def finished(self) -> State:
        """Refuse to read an existing export.

        Raises:
            Refusal: always.
        """
        raise self.invalid_state

    def begin(self, state: State) -> None:
        """Write the head."""
        self._write(self._head)
        self.state = state

    def resume(self, state: State) -> None:
        """Refuse to continue.

        Raises:
            Refusal: always.
        """
        raise self.invalid_state

    def add(self, calls: Sequence[Call], state: State) -> None:
        """Write calls."""
        self._write(self._render(calls).encode())
        self.state = state

    def finish(self) -> None:
        """Do nothing: all is written."""

    def discard(self) -> None:
        """Do nothing: output cannot be taken back."""

    def close(self) -> None:
        """Do nothing: the stream stays open."""

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
