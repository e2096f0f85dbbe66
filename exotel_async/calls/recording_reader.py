"""What `exotel.calls` can do with recordings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exotel_async.models import Call

if TYPE_CHECKING:
    from exotel_async.calls.open_recording import Recording
    from exotel_async.http.pipeline import Pipeline

LARGEST: Final = 2**30
"""Bytes a recording may have, unless it is said otherwise: 1 GiB."""


class RecordingReader:
    """What `exotel.calls` can do with recordings."""

    _pipeline: Pipeline

    async def _read(self, sid: str) -> Call:
        """Read a call."""
        raise NotImplementedError

    async def download_recording(
        self,
        call: Call | str,
        path: str | os.PathLike[str],
        *,
        max_size: int | None = LARGEST,
        idle_timeout: float | None = None,
    ) -> Path:
        """Download the recording of a call.

        Nothing but to read a call that is named by its SID is a request to the API and takes of its
        rate limit. The signed link comes first, without credentials; where that is refused, the
        plain one, with HTTP Basic if it leads to Exotel. It is written beside `path`, to a file of
        its own whose name ends in `.part`, and renamed when it is whole: else `path` stays as it
        is, and nothing of it stays, unless the process is killed. Of several downloads to one path
        the last to end is what stays. Only its owner may read the file (mode 0600). Four run at a
        time.

        A link or a redirect to a loopback, link-local, private or reserved address is followed only
        to the session's own host, or if that host has such an address itself, as an emulator does.
        Names are looked up for this. What a name leads to when the connection is made, a moment
        later, is not looked at again; a name that this computer does not know is left to the proxy,
        if there is one.

        Args:
            call: the call, read not long ago: signed links live for minutes, and a recording comes
                up to fifteen minutes after the end. Or its SID: it is read first. Or the link to a
                recording, as Exotel sent it to you.
            path: where to write it. A regular file that is there is replaced.
            max_size: bytes it may have, 1 GiB unless another number is given. None: no bound.
            idle_timeout: seconds of waiting in which a KiB must come for each of them, or the try
                ends: 30 KiB in 30 s. None: those of `Timeouts.read`, 30 by default. As long as a
                recording comes faster, there is no limit on the time it takes.

        Returns:
            The path.

        Raises:
            InvalidRequest: the call or the path is none, a link is none of http(s) or leads to a
                private address, or a bound is not above 0.
            NotFound: there is no such call; or nothing, or nothing yet, where the link leads that
                was given instead of a call.
            RecordingNotReady: it may come: the call is in progress, or ended less than 15 minutes
                ago.
            NoRecording: there is none, and none will come: it ended longer ago than that, or
                no one has answered.
            APIError: it was refused, redirected to where no link may lead, or could not be had
                after all retries.
            RequestTimeout: the connection was lost, or stalled, or was too slow, each time.
            ConnectionFailed: its host was not reached.
            DecodeError: what came is a page of text, is compressed, which was not asked for, or is
                larger than `max_size`.
            OSError: it could not be written. IsADirectoryError, FileExistsError: there is something
                at `path` that is no regular file.
        """
        # Few programs fetch recordings: the others do not import what that takes.
        from exotel_async.calls.download_recording import RecordingFetcher  # noqa: PLC0415

        fetcher = RecordingFetcher(
            self._pipeline, call, self._read, max_size=max_size, idle_timeout=idle_timeout
        )
        with self._pipeline.reports.operation("calls.download_recording"):
            return await fetcher.download(path)

    def open_recording(
        self,
        call: Call | str,
        *,
        max_size: int | None = LARGEST,
        idle_timeout: float | None = None,
    ) -> Recording:
        """Open the recording of a call, to pass it on as it comes.

        Use it as ``async with exotel.calls.open_recording(call) as recording`` and ``async for
        chunk in recording``; `recording.content_type` and `recording.size` are what its host says.
        It is fetched as `download_recording` does it, by the same links and under the same rules.
        Until its first bytes are there it is tried again; what breaks off later has to be opened
        anew. It is one of the four that run at a time until its block is left, however slowly it is
        read.

        Args:
            call: the call, its SID, or the link to a recording: see `download_recording`.
            max_size: bytes it may have, 1 GiB unless another number is given. None: no bound.
            idle_timeout: seconds of waiting in which a KiB must come for each of them. None: those
                of `Timeouts.read`, 30 by default. Time that the program takes does not count.

        Raises:
            InvalidRequest: as `download_recording`, for the arguments. What else that raises is
                raised when the block is entered, or by the ``async for``.
        """
        from exotel_async.calls.download_recording import RecordingFetcher  # noqa: PLC0415
        from exotel_async.calls.open_recording import Recording  # noqa: PLC0415

        fetcher = RecordingFetcher(
            self._pipeline, call, self._read, max_size=max_size, idle_timeout=idle_timeout
        )
        return Recording(self._pipeline, fetcher.fetch)
