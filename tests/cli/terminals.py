"""Commands at a terminal, where a person types."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import define

from tests.cli.support import COMMAND, TOKEN
from tests.conftest import SOON
from tests.support import fork_server


@define(eq=False)
class Terminal:
    """A terminal, and the command that runs at it."""

    process: fork_server.Process
    master: int
    _came: bytes = b""
    _read: int = 0

    @property
    def codes(self) -> str:
        """All that was printed, and echoed."""
        return self._came.decode(errors="replace")

    @property
    def seen(self) -> str:
        """The same without what moves the cursor and colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.codes)

    @property
    def shows_a_cursor(self) -> bool:
        """Whether the cursor is there, and was not left hidden."""
        return self._came.rfind(b"\x1b[?25h") >= self._came.rfind(b"\x1b[?25l")

    async def until(self, text: str) -> str:
        """Wait until something is printed. Returns what was printed since the last time."""
        async with asyncio.timeout(SOON):
            while text not in self.seen[self._read :]:
                more = await asyncio.to_thread(self._more)
                assert more, f"{text!r} never came: {self.seen}"
                self._came += more
        end = self.seen.index(text, self._read) + len(text)
        told, self._read = self.seen[self._read : end], end
        return told

    def types(self, line: str) -> None:
        """Type a line."""
        os.write(self.master, f"{line}\n".encode())

    def close(self) -> None:
        """Go away, as a window that is closed."""
        os.close(self.master)
        self.master = -1

    async def end(self) -> int:
        """Wait for the end of the command. Returns its exit code."""
        async with asyncio.timeout(SOON):
            code = await self.process.wait()
            while more := await asyncio.to_thread(self._more):
                self._came += more
        assert TOKEN not in self.seen
        assert "Traceback" not in self.seen
        return code

    def _more(self) -> bytes:
        try:
            return os.read(self.master, 65536)
        except OSError:  # nobody has the other end open any more
            return b""


@asynccontextmanager
async def at_a_terminal(
    *arguments: str, env: Mapping[str, str], cwd: Path, columns: int = 60
) -> AsyncIterator[Terminal]:
    """Run a command at a terminal; it is gone when the block ends."""
    import pty  # noqa: PLC0415 - not on every system

    master, slave = pty.openpty()
    shown = {**env, "TERM": "xterm", "COLUMNS": str(columns)}
    process = await fork_server.start_at(slave, COMMAND[-1], arguments, env=shown, cwd=str(cwd))
    os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if terminal.master >= 0:
            terminal.close()
