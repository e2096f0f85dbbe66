"""Bodies that come compressed: taken apart piece by piece, and never beyond a bound.

A few hundred bytes may unfold to gigabytes.
"""

from __future__ import annotations

import zlib
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS
_ENCODINGS: Final = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
ACCEPTED: Final = "gzip, deflate"
"""What a request says it can read: what needs no package that may or may not be there."""


class UnreadableBody(Exception):
    """A body is too long, or is not encoded as it says. The text says which."""


class Inflater:
    """Gives back a body as it was before it was encoded, of `most` bytes at most."""

    def __init__(self, encoding: str, most: int) -> None:
        """Prepare for a body with that `Content-Encoding`; "" is none.

        It has `most` bytes at most, encoded as well as decoded.

        Raises:
            UnreadableBody: it is encoded more than once, or in a way that was not asked for.
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
        self._came = 0
        self._gave = 0
        self._inflate = zlib.decompressobj(_GZIP) if kind == "gzip" else None

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the body, and return what they were.

        Raises:
            UnreadableBody: it is longer than it may be, or not encoded as it says.
        """
        self._came += len(data)
        if self._kind:
            data = self._inflated(data)
        self._gave += len(data)
        if max(self._came, self._gave) > self._most:
            raise UnreadableBody("the answer is longer than any of Exotel's")
        return data

    def end(self) -> None:
        """Take note that the body has come to its end.

        Raises:
            UnreadableBody: it has broken off.
        """
        if self._inflate is not None and not self._inflate.eof:
            raise UnreadableBody("the compressed answer broke off")

    def _inflated(self, data: bytes) -> bytes:
        if not data:
            return data
        if self._inflate is None:
            # Of two ways to read the word, the header of a zlib stream tells which it is.
            wrapped = data[0] & 0x0F == zlib.DEFLATED
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        try:
            # One byte more than may come is enough to know.
            inflated = self._inflate.decompress(data, self._most - self._gave + 1)
        except zlib.error:
            raise UnreadableBody("the answer is not compressed the way its header says") from None
        if self._inflate.unused_data:
            raise UnreadableBody("there is more after the end of the compressed answer")
        return inflated
