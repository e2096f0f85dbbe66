"""Starts commands as processes of their own, without what every start of them costs.

Most of the time of a command's start goes into imports. A server process that has imported the
package, and all that it imports, forks for each command. What a fresh process imports, and what it
says when something is not installed, is tested with real ones.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import exotel_async

# Imported only when they are used.
_IMPORTED_LATE: Final = (
    *("anyio._backends._asyncio", "httpcore", "sqlite3"),
    *("rich.live", "rich.markdown", "rich.progress"),
    *("alembic.command", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql", "psycopg"),
)
_NOT_IMPORTED: Final = re.compile(r"\.(__init__|__main__|env|pytest_plugin|sync\..*)$")
"""Modules that act when they are imported: those of `sync` register what runs at the end."""
_LONGEST: Final = 1 << 20  # bytes of a command with its environment


class Process:
    """A command that was started: what of `asyncio.subprocess.Process` the tests use."""

    def __init__(self, pid: int, status: asyncio.StreamReader, way: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self.stop_reading: Callable[[], None] = lambda: None
        """Reads nothing more of what it writes to stdout: its next line finds the pipe closed."""
        self._end = asyncio.create_task(self._watch(status, way))

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end, and return how it ended."""
        return await asyncio.shield(self._end)

    async def _watch(self, status: asyncio.StreamReader, way: asyncio.StreamWriter) -> int:
        self.returncode = os.waitstatus_to_exitcode(int(await status.readline()))
        way.close()
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        """Read all it writes, and wait for its end."""
        assert self.stdout is not None
        assert self.stderr is not None
        if self.stdin is not None:
            self.stdin.close()
        out, err = await asyncio.gather(self.stdout.read(), self.stderr.read())
        await self.wait()
        return out, err


async def start(
    module: str,
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | None,
    stdin: int = asyncio.subprocess.DEVNULL,
) -> Process:
    """Start a module as a command, as `python -m` does, with pipes for what it writes.

    Args:
        module: its name.
        arguments: those of the command.
        env: its environment; `PYTHONWARNINGS` is the name of an action.
        cwd: where it runs.
        stdin: `asyncio.subprocess.DEVNULL` or `PIPE`.
    """
    out, err = os.pipe(), os.pipe()
    reading, writing = os.pipe() if stdin == asyncio.subprocess.PIPE else (_devnull(), None)
    process = await _started([module, *arguments, dict(env), cwd], (reading, out[1], err[1]))
    for given in (reading, out[1], err[1]):
        os.close(given)
    process.stdout, process.stop_reading = await _reader(out[0])
    process.stderr, _ = await _reader(err[0])
    process.stdin = None if writing is None else await _writer(writing)
    return process


async def start_at(
    terminal: int, module: str, arguments: Sequence[str], *, env: Mapping[str, str], cwd: str
) -> Process:
    """Start it with a terminal in place of pipes."""
    return await _started([module, *arguments, dict(env), cwd], (terminal,) * 3)


async def _started(order: Sequence[Any], streams: Sequence[int]) -> Process:
    *command, cwd = order
    sent = json.dumps([*command, cwd or str(Path.cwd())]).encode()
    assert len(sent) < _LONGEST
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(_server(), [sent], [*streams, theirs.fileno()])
    status, way = await asyncio.open_connection(sock=ours)
    return Process(int(await status.readline()), status, way)


async def _reader(end: int) -> tuple[asyncio.StreamReader, Callable[[], None]]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(end, "rb")
    )
    return reader, transport.close


async def _writer(end: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(end, "wb")
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


def _devnull() -> int:
    return os.open(os.devnull, os.O_RDONLY)


@functools.cache
def _server() -> socket.socket:
    """Return the way to the server of this process, which ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # no terminal, as the pipes are none
        )

    def finish() -> None:
        ours.close()
        server.wait()

    atexit.register(finish)
    return ours


# The other side


def _import_all() -> None:
    (folder,) = map(Path, exotel_async.__path__)
    found = (path.relative_to(folder.parent) for path in sorted(folder.rglob("*.py")))
    for name in (*_IMPORTED_LATE, *(".".join(path.with_suffix("").parts) for path in found)):
        if not _NOT_IMPORTED.search(name):
            importlib.import_module(name)


def _serve(orders: socket.socket) -> Sequence[str]:
    """Fork for each order; in the fork, return the module to run and its arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        order, given, _, _ = socket.recv_fds(orders, _LONGEST, 4)
        if not order:
            os._exit(0)
        if os.fork() == 0:
            orders.close()
            return _run(order, given)
        for end in given:
            os.close(end)


def _run(order: bytes, given: Sequence[int]) -> Sequence[str]:
    *told, status = given
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid != 0:
        for end in told:
            os.close(end)
        os.write(status, b"%d\n" % pid)
        os.write(status, b"%d\n" % os.waitpid(pid, 0)[1])
        os._exit(0)
    os.close(status)
    for place, end in enumerate(told):
        os.dup2(end, place)
        os.close(end)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    *arguments, env, cwd = json.loads(order)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    # What Python itself does as it starts: streams know whether their files can be sought.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
    sys.path[0] = cwd
    if sys.stdout.isatty():
        # As it is imported, the command line looks at the terminal.
        for name in [name for name in sys.modules if name.startswith("exotel_async.cli")]:
            del sys.modules[name]
    if "PYTHONWARNINGS" in env:
        warnings.simplefilter(env["PYTHONWARNINGS"])
    return list(arguments)


def _end(code: int) -> None:
    """End as Python does, but leave in memory what was imported, as `multiprocessing` does.

    To take all of it apart, page by page copied from the server, costs more than most commands.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what was left open is complained of
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _import_all()
    # Else each command looks at all of it when it ends, and so copies it.
    gc.collect()
    gc.freeze()
    command = _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.argv = list(command)
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            _end(end.code)
        raise
