"""Decompression of response bodies, piece by piece and with a size limit.

A few hundred bytes may expand to gigabytes.
"""

from __future__ import annotations

import zlib
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS
_ENCODINGS: Final = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
ACCEPTED: Final = "gzip, deflate"
"""The `Accept-Encoding` of requests: only encodings that need no optional package."""


class UnreadableBody(Exception):
    """A body is too long, or does not match its encoding. The text says which."""


class Inflater:
    """Decodes a body of at most `most` bytes."""

    def __init__(self, encoding: str, most: int) -> None:
        """Prepare for a body with that `Content-Encoding`; "" means none.

        It may have at most `most` bytes, encoded as well as decoded.

        Raises:
            UnreadableBody: it is encoded more than once, or in a way that was not requested.
        """
        layers = [layer.strip().lower() for layer in encoding.split(",")]
        layers = [layer for layer in layers if _ENCODINGS.get(layer, layer)]
        if len(layers) > 1:
            raise UnreadableBody("the answer is encoded more than once")
        kind = _ENCODINGS.get(layers[0]) if layers else ""
        if kind is None:
            raise UnreadableBody("the answer is encoded in a way that was not asked for")
        self._kind = kind
        self._most = most
        self._encoded_size = 0
        self._decoded_size = 0
        self._inflate = zlib.decompressobj(_GZIP) if kind == "gzip" else None

    def feed(self, data: bytes) -> bytes:
        """Decode the next bytes of the body.

        Raises:
            UnreadableBody: it is too long, or does not match its encoding.
        """
        self._encoded_size += len(data)
        if self._kind:
            data = self._inflated(data)
        self._decoded_size += len(data)
        if max(self._encoded_size, self._decoded_size) > self._most:
            raise UnreadableBody("the answer is longer than any of Exotel's")
        return data

    def end(self) -> None:
        """Check at the end of the body that it is complete.

        Raises:
            UnreadableBody: it is truncated.
        """
        if self._inflate is not None and not self._inflate.eof:
            raise UnreadableBody("the compressed answer broke off")

    def _inflated(self, data: bytes) -> bytes:
        if not data:
            return data
        if self._inflate is None:
            # "deflate" means raw deflate to some, zlib to others: the zlib header shows which.
            wrapped = data[0] & 0x0F == zlib.DEFLATED
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        try:
            # One byte above the limit is enough to detect a body that is too long.
            inflated = self._inflate.decompress(data, self._most - self._decoded_size + 1)
        except zlib.error:
            raise UnreadableBody("the answer is not compressed the way its header says") from None
        if self._inflate.unused_data:
            raise UnreadableBody("there is more after the end of the compressed answer")
        return inflated
