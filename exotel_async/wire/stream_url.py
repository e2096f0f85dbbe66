"""URLs of voice bots, and the sample rate they carry (VOICE_V1 1.1)."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

from exotel_async.errors import InvalidRequest
from exotel_async.wire.validation import length, url

LONGEST_STREAM_URL: Final = 600
"""Characters, including the sample rate."""
_RATES: Final = {8000: "8000", 16000: "16000", 24000: "24000"}
_ONE_OF_THEM: Final = "must be 8000, 16000 or 24000"


def bot_url(stream_url: object, sample_rate: object = None) -> str:
    """Return the URL of a bot, with the sample rate in it.

    Raises:
        InvalidRequest: it is not a `ws` or `wss` URL, is too long, or has another sample rate.
    """
    whole = url("stream_url", stream_url or "", schemes=("ws", "wss")) or ""
    # The messages do not show the URL: it may contain a key.
    if "#" in whole:
        rule = "must have no fragment (#...): a WebSocket has none"
        raise InvalidRequest("stream_url", length(whole), rule)
    query = urlsplit(whole).query
    pairs = parse_qsl(query, keep_blank_values=True)
    given = [value for name, value in pairs if name == "sample-rate"]
    if len(given) > 1:
        raise InvalidRequest("stream_url", length(whole), "must have sample-rate once at most")
    if given and given[0] not in _RATES.values():
        rule = f"sample-rate in it {_ONE_OF_THEM}"
        raise InvalidRequest("stream_url", length(whole), rule)
    if sample_rate is not None:
        if type(sample_rate) is not int or sample_rate not in _RATES:
            raise InvalidRequest("sample_rate", sample_rate, _ONE_OF_THEM)
        rate = _RATES[sample_rate]
        if given not in ([], [rate]):
            rule = f"must be the one in stream_url, {given[0]}, or left out"
            raise InvalidRequest("sample_rate", sample_rate, rule)
        if not given:
            joint = "?" if "?" not in whole else "&" if query else ""
            whole = f"{whole}{joint}sample-rate={rate}"
    if len(whole) > LONGEST_STREAM_URL:
        rule = f"must be at most {LONGEST_STREAM_URL} characters, its sample-rate included"
        raise InvalidRequest("stream_url", length(whole), rule)
    return whole
