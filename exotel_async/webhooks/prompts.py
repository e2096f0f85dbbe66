"""Prompts that a caller or an agent hears: spoken text, or audio (VOICE_V1 7.5, 7.7)."""

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
    """A text spoken to the caller; answers a Greeting or Menu.

    Exotel documents the response in its support article 48285.

    Args:
        text: what to say.

    Raises:
        InvalidRequest: it is empty, or contains control characters or a line that begins with a
            URL, which Exotel would play as audio: use `Play` for that.
    """

    text: str = field(converter=_spoken, repr=length)

    def render(self) -> Response:
        """Return a 200, `text/plain` without a charset, with the text. HEAD: same headers."""
        return response(self.text, content_type=TEXT)


@frozen
class Play:
    """Audio played to the caller, in order; answers a Greeting or Menu.

    Exotel caches audio by its URL: changed audio needs a new one. All of its pages allow WAV,
    8 kHz, mono; with 16 bit according to support article 84548, with 8 according to 3000100184.

    Args:
        urls: the URL of an audio file, or several.

    Raises:
        InvalidRequest: there is none, or one is not an http(s) URL.
    """

    urls: tuple[str, ...] = field(converter=_played, repr=lambda urls: f"<{len(urls)} URLs>")

    def render(self) -> Response:
        """Return a 200, `text/plain` without a charset, one URL per line. HEAD: same headers."""
        return response("\n".join(self.urls), content_type=TEXT)


Prompt = str | Speak | Play
"""A prompt where one text or one audio file is expected; a plain string is spoken."""


def as_prompt(argument: str, value: Prompt) -> Speak | Play:
    """Return a prompt as `Speak` or `Play`.

    Raises:
        InvalidRequest: it is not a prompt, or is more than one audio file.
    """
    if isinstance(value, str):
        return Speak(value)
    if not isinstance(value, Speak | Play):
        raise InvalidRequest(argument, type(value).__name__, "must be text, Speak() or Play()")
    if isinstance(value, Play) and len(value.urls) > 1:
        raise InvalidRequest(argument, value, "must be one audio file")
    return value


def kind_and_value(prompt: Speak | Play) -> tuple[str, str]:
    """Return Exotel's name for this kind of prompt, and the text or the URL."""
    return ("text", prompt.text) if isinstance(prompt, Speak) else ("audio_url", prompt.urls[0])


def _content(content: Prompt) -> Speak | Play:
    return as_prompt("content", content)


def _listener(to: PlaybackTo | str) -> PlaybackTo:
    return PlaybackTo(one_of("to", to, PlaybackTo))


@frozen
class Playback:
    """A prompt played when a dialled party picks up; part of a `ConnectPlan`.

    It also answers the playback URL of a Connect applet (Exotel's support article 3000106202).

    Args:
        content: a text to speak, or `Play` with one audio file: 16-bit mono WAV.
        to: who hears it: both, or the party that picked up (the default).

    Raises:
        InvalidRequest: an argument that Exotel would refuse.
    """

    content: Speak | Play = field(converter=_content)
    to: PlaybackTo = field(default=PlaybackTo.CALLEE, converter=_listener)

    def document(self) -> dict[str, Any]:
        """Return the object `start_call_playback`."""
        kind, value = kind_and_value(self.content)
        return {"playback_to": self.to.value.lower(), "type": kind, "value": value}

    def render(self) -> Response:
        """Return a 200, `application/json`, with the object. HEAD: same headers."""
        return document({"start_call_playback": self.document()})
