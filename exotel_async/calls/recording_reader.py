"""Downloading and streaming recordings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exotel_async.models import Call

if TYPE_CHECKING:
    from exotel_async.calls.open_recording import Recording
    from exotel_async.http.pipeline import Pipeline

LARGEST: Final = 2**30
"""The default limit on the size of a recording, in bytes: 1 GiB."""


class RecordingReader:
    """The methods of `exotel.calls` for recordings."""

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

        Only reading a call that is given by its SID is a request to the API and counts in its rate
        limit. The pre-signed link is tried first, without credentials; if that is refused, the
        plain link, with HTTP Basic if it leads to Exotel. The recording is written to a file of its
        own next to `path`, whose name ends in `.part`, and renamed when it is complete. Otherwise
        `path` stays as it is, and the `.part` file is removed, unless the process is killed. Of
        several downloads to one path, the last to finish remains. Only the owner may read the file
        (mode 0600). Four downloads run at a time.

        A link or a redirect to a loopback, link-local, private or reserved address is followed only
        to the session's own host, or if that host has such an address itself, as an emulator does.
        Names are resolved for this check. They are not checked again when the connection is made, a
        moment later; a name that this computer cannot resolve is left to the proxy, if there is
        one.

        Args:
            call: the call, read recently: pre-signed links are valid for minutes, and a recording
                comes up to fifteen minutes after the end. Or its SID: it is read first. Or the link
                to a recording, as Exotel sent it to you.
            path: where to write it. An existing regular file is replaced.
            max_size: bytes it may have, 1 GiB by default. None: no limit.
            idle_timeout: seconds of waiting in which at least as many KiB must arrive, or the
                attempt ends: 30 KiB in 30 s. None: the seconds of `Timeouts.read`, 30 by default. A
                recording that comes faster may take any time.

        Returns:
            The path.

        Raises:
            InvalidRequest: `call` or `path` is invalid, a link is not http(s) or leads to a private
                address, or a limit is not above 0.
            NotFound: there is no such call; or the link that was given instead of a call leads to
                nothing, or to nothing yet.
            RecordingNotReady: it may still come: the call is in progress, or ended less than 15
                minutes ago.
            NoRecording: there is none, and none will come: the call ended longer ago than that, or
                no one answered.
            APIError: it was refused, redirected to a forbidden address, or could not be fetched
                after all retries.
            RequestTimeout: the connection was lost, stalled, or was too slow, each time.
            ConnectionFailed: its host was not reached.
            DecodeError: the response is a page of text, is compressed although that was not
                requested, or is larger than `max_size`.
            OSError: it could not be written. IsADirectoryError, FileExistsError: `path` exists and
                is not a regular file.
        """
        # Imported on first use: few programs fetch recordings.
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
        """Open the recording of a call, to stream it.

        Use it as ``async with exotel.calls.open_recording(call) as recording`` and ``async for
        chunk in recording``; `recording.content_type` and `recording.size` are what its host
        states. It is fetched as by `download_recording`, from the same links and under the same
        rules. It is retried until the first bytes have arrived; if it breaks off later, open it
        again. It counts as one of the four downloads that run at a time until its block is left,
        however slowly it is read.

        Args:
            call: the call, its SID, or the link to a recording: see `download_recording`.
            max_size: bytes it may have, 1 GiB by default. None: no limit.
            idle_timeout: seconds of waiting in which at least as many KiB must arrive. None: the
                seconds of `Timeouts.read`, 30 by default. Time that the program takes does not
                count.

        Raises:
            InvalidRequest: as `download_recording`, for the arguments. Its other errors are raised
                when the block is entered, or by the ``async for``.
        """
        from exotel_async.calls.download_recording import RecordingFetcher  # noqa: PLC0415
        from exotel_async.calls.open_recording import Recording  # noqa: PLC0415

        fetcher = RecordingFetcher(
            self._pipeline, call, self._read, max_size=max_size, idle_timeout=idle_timeout
        )
        return Recording(self._pipeline, fetcher.fetch)
