"""Responses to applets: the branch to take, a number to dial, an SMS, a Gather prompt, a bot URL.

They follow VOICE_V1 7.1, 7.2, 7.3a, 7.4, 7.6, 7.9.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, Self

from attrs import field, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.masking import masked
from exotel_async.phone import normalize_number
from exotel_async.webhooks.prompts import Play, Prompt, Speak, as_prompt, kind_and_value
from exotel_async.webhooks.response import TEXT, Response, document, response
from exotel_async.wire.stream_url import bot_url
from exotel_async.wire.validation import length, length_of_time, refuse, some_text, whole


@frozen(kw_only=True)
class Passthru:
    """The branch a call takes after a Passthru applet; see its three constructors.

    Exotel documents it in its support articles 48283 (Passthru) and 3000052018 (Switch-case).

    Attributes:
        diverts: whether the call takes the branch "URL returns anything else".
        case: the case of the Switch-case applet that follows.
    """

    diverts: bool = False
    case: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.case is not None:
            some_text("case", self.case)
            if self.diverts:
                rule = "a case can be selected only when the call proceeds"
                raise InvalidRequest("case", self.case, rule)

    @classmethod
    def proceed(cls) -> Self:
        """Take the branch "URL returns OK (200)"."""
        return cls()

    @classmethod
    def divert(cls) -> Self:
        """Take the other branch, "URL returns anything else"; the response is a 302."""
        return cls(diverts=True)

    @classmethod
    def select(cls, case: str) -> Self:
        """Take one branch of the Switch-case applet that comes next.

        Args:
            case: the name of the case, exactly as in the flow.

        Raises:
            InvalidRequest: it is empty, or contains control characters.
        """
        return cls(case=some_text("case", case))

    def render(self) -> Response:
        """Return 200 or 302; a case is sent as JSON with the content type `text/plain`."""
        if self.case is not None:
            return document({"select": self.case}, content_type=TEXT)
        return response(status=302 if self.diverts else 200)


@frozen
class DialWhom:
    """The one number to dial; answers the "dial whom" URL of a Connect applet.

    Exotel documents it in its support article 3000088074. How it expects several numbers is not
    known: to dial several, answer the dynamic URL with a `ConnectPlan`.

    Args:
        number: the number; separators are removed.

    Raises:
        InvalidRequest: it is not a phone number.
    """

    number: str = field(converter=normalize_number, repr=masked)

    def render(self) -> Response:
        """Return a 200, `text/plain`, with the bare number."""
        return response(self.number, content_type=TEXT)


@frozen
class SmsText:
    """The message an SMS applet sends. In India it must match a registered template (DLT).

    Exotel documents the response in its support article 76228.

    Args:
        text: the message.

    Raises:
        InvalidRequest: it is empty, or contains control characters.
    """

    text: str = field(repr=length)

    def __attrs_post_init__(self) -> None:
        some_text("text", self.text)

    def render(self) -> Response:
        """Return a 200, `text/plain` without a charset, with the message. HEAD: same headers."""
        return response(self.text, content_type=TEXT)


@frozen
class VoicebotStream:
    """The bot a Voicebot applet connects the call to; answers its dynamic URL.

    Args:
        stream_url: the bot's `ws` or `wss` URL, of at most 600 characters.
        sample_rate: 8000, 16000 or 24000 Hz; it is added to the URL. Exotel's default is 8000.

    Raises:
        InvalidRequest: an argument that Exotel would refuse.
    """

    stream_url: str = field(repr=length)
    sample_rate: int | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        self.document()

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the response."""
        return {"url": bot_url(self.stream_url, self.sample_rate)}

    def render(self) -> Response:
        """Return a 200, `application/json`, with the URL that includes the sample rate."""
        return document(self.document())


_KEYS: Final = "0123456789*#"


def _prompt(prompt: Prompt) -> Speak | Play:
    return as_prompt("prompt", prompt)


def _repeat_prompt(prompt: Prompt | None) -> Speak | Play | None:
    return None if prompt is None else as_prompt("repeat_prompt", prompt)


def _timeout(timeout: timedelta | float | None) -> timedelta | None:
    return length_of_time("timeout", timeout)


@frozen
class GatherPlan:
    """What a Gather applet says, and how it collects the caller's input.

    Exotel's defaults apply to omitted arguments: a `timeout` of 5 seconds, no repetition (its
    support article 3000084635).

    Args:
        prompt: what the caller hears: a text, or `Play` with one audio file.
        max_digits: the number of keys after which the input is complete.
        finish_on_key: the key that completes the input; `""` is reported to mean that none does.
        timeout: how long Exotel waits for a key: a timedelta or a number; whole seconds.
        repeats: how often the prompt is repeated for a caller who presses nothing.
        repeat_prompt: the prompt to use for repetitions instead; only with `repeats`.

    Raises:
        InvalidRequest: an argument that Exotel would refuse.
    """

    prompt: Speak | Play = field(converter=_prompt)
    max_digits: int | None = field(default=None, kw_only=True)
    finish_on_key: str | None = field(default=None, kw_only=True)
    timeout: timedelta | None = field(default=None, converter=_timeout, kw_only=True)
    repeats: int | None = field(default=None, kw_only=True)
    repeat_prompt: Speak | Play | None = field(default=None, converter=_repeat_prompt, kw_only=True)

    def __attrs_post_init__(self) -> None:
        whole("max_digits", self.max_digits, 1)
        key = self.finish_on_key
        if key is not None and not (isinstance(key, str) and len(key) <= 1 and key in _KEYS):
            raise InvalidRequest("finish_on_key", key, f"must be one of {_KEYS}, or '' for no key")
        whole("repeats", self.repeats, 0)
        if not self.repeats:
            refuse("is heard only with repeats", repeat_prompt=self.repeat_prompt)

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the response."""
        content = {
            "gather_prompt": _written(self.prompt),
            "max_input_digits": self.max_digits,
            "finish_on_key": self.finish_on_key,
            "input_timeout": self.timeout and int(self.timeout.total_seconds()),
            "repeat_menu": self.repeats,
            "repeat_gather_prompt": self.repeat_prompt and _written(self.repeat_prompt),
        }
        return {name: value for name, value in content.items() if value is not None}

    def render(self) -> Response:
        """Return a 200, `application/json`, with the plan."""
        return document(self.document())


def _written(prompt: Speak | Play) -> dict[str, str]:
    kind, value = kind_and_value(prompt)
    return {kind: value}
