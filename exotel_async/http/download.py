"""Download of a file from another host: redirects are followed here, incomplete files discarded.

Whether the account's credentials are sent is decided at each hop: see `urls`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import stat
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from anyio import to_thread
from attrs import evolve

from exotel_async.config import RetryPolicy
from exotel_async.http.receive import Bounds, Download, Sink
from exotel_async.http.retry import Facts, Retry, verdict
from exotel_async.http.transport import Transport
from exotel_async.http.urls import may_be_followed, redirected, takes_credentials
from exotel_async.wire.responses import retry_after

_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class PartialFile:
    """A file during its download: written next to its target, and renamed when it is complete.

    Its name is unique, TARGET.RANDOM.part, and only its owner may read it: it contains a
    conversation. Of several with one target, the last to be completed stays.

    Files are accessed in threads. Only cancellation by an anyio cancel scope waits for them.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path: Path | None = None
        self._file: IO[bytes] | None = None
        # A cancelled task does not wait for the thread that writes.
        self._lock = threading.Lock()
        self._is_wanted = False
        self.begun: bool = False
        """Whether there is something to clean up, or will be in a moment."""
        self.failure: Exception | None = None
        """The exception of the last write."""
        self.cannot_restart: Final = False

    async def check(self) -> None:
        """Check that its target is a regular file, or does not exist yet.

        Raises:
            IsADirectoryError: it is a directory.
            FileExistsError: it is a device, a pipe or a link, which renaming would replace.
            OSError: the file system reports an error.
        """
        await to_thread.run_sync(self._check)

    def got_headers(self, headers: Mapping[str, str]) -> None:
        """Do nothing: the headers are not stored."""

    async def write(self, chunk: bytes) -> None:
        """Append to the file, which is created with the first bytes.

        Raises:
            OSError: writing failed. It is kept in `failure`.
        """
        self.begun = self._is_wanted = True
        try:
            await to_thread.run_sync(self._write, chunk)
        except Exception as error:
            self.failure = error
            raise

    async def keep(self) -> None:
        """Move it to its target, atomically.

        Raises:
            OSError: that failed, or the target is no longer a regular file.
        """
        await to_thread.run_sync(self._keep)
        self.begun = False

    async def discard(self) -> None:
        """Delete it. The target is not touched."""
        if self.begun:
            await to_thread.run_sync(self._discard)
            self.begun = False

    def _check(self) -> None:
        try:
            mode = self._target.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return  # writing will show any problem
        name = str(self._target)
        if self._target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        if not stat.S_ISREG(mode):
            raise FileExistsError(errno.EEXIST, "It exists and is not a regular file", name)

    def _write(self, chunk: bytes) -> None:
        with self._lock:
            if self._file is None:
                if not self._is_wanted:
                    return
                # A new file, no link followed, mode 0600.
                descriptor, name = tempfile.mkstemp(
                    prefix=f"{self._target.name}.", suffix=".part", dir=self._target.parent
                )
                self._path, self._file = Path(name), open(descriptor, "wb")  # noqa: PTH123, SIM115
            self._file.write(chunk)

    def _keep(self) -> None:
        if self._file is not None and self._path is not None:
            self._file.close()
            self._check()
            self._path.replace(self._target)
            self._file = None

    def _discard(self) -> None:
        with self._lock:
            self._is_wanted = False
            if self._file is not None and self._path is not None:
                with suppress(OSError):  # flushing may fail like the write before
                    self._file.close()
                self._path.unlink(missing_ok=True)
                self._file = None


async def fetch(
    transport: Transport,
    link: str,
    sink: Sink,
    *,
    credentials: bool,
    bounds: Bounds,
    policy: RetryPolicy,
) -> tuple[Download, int]:
    """Fetch a file, starting over after each failed attempt; return the facts, and the attempts.

    If the sink cannot restart, there are no more attempts. A 429 counts as a normal attempt: it is
    not the API's. `credentials` is whether the account's credentials may be sent at all.

    Raises:
        OSError: writing failed.
    """
    clock = asyncio.get_running_loop().time
    began, tries = clock(), 0
    while True:
        result = await _follow(transport, link, sink, credentials=credentials, bounds=bounds)
        tries += 1
        if sink.failure is not None:
            raise sink.failure
        if result.is_complete:
            return result, tries
        await sink.discard()
        if result.refused or sink.cannot_restart:
            return result, tries
        broken = result.status == 200
        facts = Facts(
            must_not_repeat=False,
            written=result.written,
            # A 429 is not left to the limiter here, and an incomplete file is not a success.
            status=None if broken else 503 if result.status == 429 else result.status,
            retry_after=retry_after(result.headers, now=time.time()),
            tries=tries,
            elapsed=clock() - began,
        )
        judged = verdict(facts, policy, jitter=random.random())  # noqa: S311 - no secret
        if not isinstance(judged, Retry):
            return result, tries
        await asyncio.sleep(judged.after)


async def _follow(
    transport: Transport, link: str, sink: Sink, *, credentials: bool, bounds: Bounds
) -> Download:
    """Make one attempt, following redirects."""
    url, secure, result = link, False, Download()
    for _ in range(_MAX_REDIRECTS + 1):
        if not await may_be_followed(url, transport.origin):
            return evolve(result, refused=True, problem="it points into a private network")
        plain = url[:6].lower() != "https:"
        secure = secure or not plain
        # Once a hop used TLS, credentials are not sent unencrypted at a later one.
        offered = credentials and takes_credentials(url, transport.origin)
        result = await transport.download(
            url, sink, credentials=offered and not (secure and plain), bounds=bounds
        )
        location = result.headers.get("location")
        if result.status not in _REDIRECTS or location is None:
            return result
        following = redirected(url, location)
        if following is None:
            return evolve(result, problem="it leads to something that is not a web address")
        url = following
    return evolve(result, problem=f"it was redirected more than {_MAX_REDIRECTS} times")
