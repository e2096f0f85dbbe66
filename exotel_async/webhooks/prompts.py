"""What a caller or an agent is to hear: spoken text, or audio (VOICE_V1 7.5, 7.7)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from attrs import field, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.models import PlaybackTo
from exotel_async.webhooks.response import TEXT, Response, document, response
from exotel_async.wire.validation import length, one_of, several, some_text, web_address

_AUDIO_URL: Final = r"(?im)^\s*https?://"


def _spoken(text: str) -> str:
    if re.search(_AUDIO_URL, some_text("text", text)):
        raise InvalidRequest("text", length(text), "has a line Exotel would play as audio: Play()")
    return text


def _played(urls: str | Iterable[str]) -> tuple[str, ...]:
    found = tuple(web_address("urls", one) for one in several(urls))
    if not found:
        raise InvalidRequest("urls", found, "must be at least one URL")
    return found


@frozen
class Speak:
    """Have a text spoken to the caller; answers a Greeting or Menu.

    Exotel's rule for the answer is its support article 48285.

    Args:
        text: what to say.

    Raises:
        InvalidRequest: it is empty, has control characters, or a line that is a URL: Exotel would
            play that, see `Play`.
    """

    text: str = field(converter=_spoken, repr=length)

    def render(self) -> Response:
        """Return 200, `text/plain` without a charset, the text. A HEAD gets the same headers."""
        return response(self.text, content_type=TEXT)


@frozen
class Play:
    """Have audio played to the caller, in order; answers a Greeting or Menu.

    Exotel keeps audio by its URL: changed audio needs another one. WAV, 8 kHz, mono is what all
    of its pages allow; with 16 bit by support article 84548, with 8 by 3000100184.

    Args:
        urls: URL of an audio file, or several.

    Raises:
        InvalidRequest: there is none, or one is no http(s) URL.
    """

    urls: tuple[str, ...] = field(converter=_played, repr=lambda urls: f"<{len(urls)} URLs>")

    def render(self) -> Response:
        """Return 200, `text/plain` without a charset, a URL on each line. HEAD: as `Speak`."""
        return response("\n".join(self.urls), content_type=TEXT)


Prompt = str | Speak | Play
"""What is to be heard where one text or one audio file is asked for; plain text is spoken."""


def as_prompt(argument: str, value: Prompt) -> Speak | Play:
    """Return a prompt as one of its two values.

    Raises:
        InvalidRequest: it is none, or it is more than one audio file.
    """
    if isinstance(value, str):
        return Speak(value)
    if not isinstance(value, Speak | Play):
        raise InvalidRequest(argument, type(value).__name__, "must be text, Speak() or Play()")
    if isinstance(value, Play) and len(value.urls) > 1:
        raise InvalidRequest(argument, value, "must be one audio file")
    return value


def kind_and_value(prompt: Speak | Play) -> tuple[str, str]:
    """Return what Exotel calls such a prompt, and the text or the URL."""
    return ("text", prompt.text) if isinstance(prompt, Speak) else ("audio_url", prompt.urls[0])


def _content(content: Prompt) -> Speak | Play:
    return as_prompt("content", content)


def _listener(to: PlaybackTo | str) -> PlaybackTo:
    return PlaybackTo(one_of("to", to, PlaybackTo))


@frozen
class Playback:
    """What is played when a dialled party picks up; part of a `ConnectPlan`.

    It answers the URL of a Connect applet's playback as well (Exotel's support article 3000106202).

    Args:
        content: a text to speak, or `Play` with one audio file: 16-bit mono WAV.
        to: who hears it: both, or the party that picked up, which is what is meant without it.

    Raises:
        InvalidRequest: an argument Exotel would refuse.
    """

    content: Speak | Play = field(converter=_content)
    to: PlaybackTo = field(default=PlaybackTo.CALLEE, converter=_listener)

    def document(self) -> dict[str, Any]:
        """Return the object `start_call_playback`."""
        kind, value = kind_and_value(self.content)
        return {"playback_to": self.to.value.lower(), "type": kind, "value": value}

    def render(self) -> Response:
        """Return 200, `application/json`, the object. A HEAD gets the same headers."""
        return document({"start_call_playback": self.document()})
