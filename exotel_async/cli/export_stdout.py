"""An export to standard output: for a pipe, which keeps nothing to continue from."""

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
        # No buffer: what could not be written must not be tried again when the process ends.
        self._file = io.FileIO(sys.stdout.fileno(), "wb", closefd=False)

    @property
    def files(self) -> Sequence[Path]:
        """All that it may write, replace or remove: none."""
        return ()

    @property
    def spoilt(self) -> Refusal:
        """The error for a state from which the export cannot continue."""
        return Refusal("an export to standard output cannot be continued")

    def left(self) -> State | None:
        """Read how far an export came that did not end: none is known."""
        return None

    def done(self) -> State:
        """Read what is there already.

        Raises:
            Refusal: nobody can know.
        """
        raise self.spoilt

    def begin(self, state: State) -> None:
        """Start."""
        self._write(self._head)
        self.state = state

    def go_on(self, state: State) -> None:
        """Go on where it was left.

        Raises:
            Refusal: that is not possible.
        """
        raise self.spoilt

    def add(self, calls: Sequence[Call], state: State) -> None:
        """Write some calls."""
        self._write(self._render(calls).encode())
        self.state = state

    def finish(self) -> None:
        """All is written."""

    def discard(self) -> None:
        """What was written cannot be taken back."""

    def close(self) -> None:
        """It stays open for others."""

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
