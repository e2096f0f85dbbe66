"""Recordings of calls, served beside the API: with the account's credentials or a pre-signed URL.

Where a recording is and who may have it is known (VOICE_V1 2). What else its host answers, and that
it has no rate limit, are choices. Recordings of flows are mp3 as well, not WAV: every
`RecordingUrl` that was seen, those of Passthrus too, leads to an mp3.
"""

from __future__ import annotations

from collections.abc import Mapping

from exotel_async.emulator.api_errors import Refusal
from exotel_async.emulator.byte_range import Unsatisfiable, read_range
from exotel_async.emulator.call_store import CallBook
from exotel_async.emulator.calls import EmulatedCall, Recording
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.credentials import SIGNATURE, check_presigned, is_basic
from exotel_async.emulator.documents import CallDocuments
from exotel_async.emulator.encoding import read_query
from exotel_async.emulator.faults import Fault, Faults
from exotel_async.emulator.pages import not_allowed
from exotel_async.emulator.request_log import Download
from exotel_async.emulator.responses import Response, Scope, Sender, act, refuse
from exotel_async.emulator.settings import Settings

MAX_SECONDS = 60
"""Where the recording of a longer conversation is cut off; a second takes 1000 bytes."""
# MPEG-2 Layer III, 8 kbit/s, 16 kHz, mono: 576 samples in 36 bytes, all zero for silence.
_FRAME = b"\xff\xf3\x18\xc0" + bytes(32)
_FRAMES_PER_SECOND = 16_000 / 576


def silence(seconds: int) -> bytes:
    """Return a playable mp3 of that many seconds of silence."""
    return _FRAME * round(_FRAMES_PER_SECOND * min(seconds, MAX_SECONDS))


class Recordings:
    """Answers requests for recordings, and records each of them."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        book: CallBook,
        documents: CallDocuments,
        faults: Faults,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._book = book
        self._documents = documents
        self._faults = faults
        self.downloads: list[Download] = []

    async def serve(self, scope: Scope, sender: Sender) -> None:
        """Serve one request."""
        method, path = scope["method"], scope["path"]
        query = dict(read_query(scope["query_string"]))
        headers = dict(scope["headers"])
        authorization: bytes | None = headers.get(b"authorization")
        # A range is defined for GET only.
        wanted = headers.get(b"range", b"").decode("latin-1") if method == "GET" else ""
        download = Download(
            sid=path.rpartition("/")[2].removesuffix(".mp3").partition("-")[0],
            authorization=authorization is not None,
            signed=SIGNATURE in query,
        )
        self.downloads.append(download)
        fault: Fault | None = None
        try:
            self._authenticate(path, query, authorization)
            fault = self._faults.take_for_request(method, path)
            made = await act(
                fault, lambda: self._answer(method, path, download, wanted), json=False
            )
        except Refusal as refusal:
            made = refuse(refusal, json=False)
        if not await sender.withheld(fault):
            download.status = made.status  # before it is sent, as `App` does
            await sender.deliver(made, fault)

    def _authenticate(
        self, path: str, query: Mapping[str, str], authorization: bytes | None
    ) -> None:
        """Check the signature or the credentials. Raises Refusal: 400, 401 or 403."""
        if SIGNATURE in query:
            if authorization is not None:
                # As S3 does: it exposes a client that sends its credentials along a redirect.
                raise Refusal(400, "Only one authentication mechanism is allowed")
            now = self._clock.now()
            check_presigned(path, query, now=now, settings=self._settings)
        elif authorization is None or not is_basic(authorization, self._settings):
            raise Refusal(401, "Authentication is required")

    def _answer(self, method: str, path: str, download: Download, wanted: str) -> Response:
        """Return the recording, a part of it, or a redirect. Raises Refusal: 404, 405 or 416."""
        call = self._book.by_sid.get(download.sid)
        recording = None if call is None else self._find(call, path)
        if call is None or recording is None:
            raise Refusal(404, "The recording was not found")
        if method not in {"GET", "HEAD"}:
            raise not_allowed("GET")
        if call.age < call.timeline.ended + self._settings.recording_ready:
            raise Refusal(404, "The recording is not ready yet")
        if self._settings.recording_redirect and not download.signed:
            headers = {"Location": self._documents.presigned_url(call, recording)}
            return Response(status=302, content_type="text/plain", body=b"", headers=headers)
        return _part(silence(recording.seconds), wanted)

    def _find(self, call: EmulatedCall, path: str) -> Recording | None:
        """Return the one of the call's recordings that is at that path."""
        made = call.recordings or filter(None, [call.recording])
        return next((one for one in made if path == self._documents.recording_path(one)), None)


def _part(audio: bytes, wanted: str) -> Response:
    """Return all of it, or the requested range. Raises Refusal, 416."""
    size, headers = len(audio), {"Accept-Ranges": "bytes"}
    try:
        found = read_range(wanted, size)
    except Unsatisfiable:
        headers["Content-Range"] = f"bytes */{size}"
        raise Refusal(416, "The range is not satisfiable", headers=headers) from None
    if found is None:
        return Response(status=200, content_type="audio/mpeg", body=audio, headers=headers)
    headers["Content-Range"] = f"bytes {found[0]}-{found[-1]}/{size}"
    part = audio[found.start : found.stop]
    return Response(status=206, content_type="audio/mpeg", body=part, headers=headers)
