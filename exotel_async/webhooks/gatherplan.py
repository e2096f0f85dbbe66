"""The answer to a Gather applet: what it says, and how it takes the caller's input (7.4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from attrs import field, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.webhooks.prompts import Play, Prompt, Speak, as_prompt, kind_and_value
from exotel_async.webhooks.response import Reply, document
from exotel_async.webhooks.rules import length_of_time, whole
from exotel_async.wire.validation import refuse

_KEYS: Final = "0123456789*#"


def _prompt(prompt: Prompt) -> Speak | Play:
    return as_prompt("prompt", prompt)


def _repeat_prompt(prompt: Prompt | None) -> Speak | Play | None:
    return None if prompt is None else as_prompt("repeat_prompt", prompt)


def _max_digits(digits: int | None) -> int | None:
    return whole("max_digits", digits, 1)


def _repeats(repeats: int | None) -> int | None:
    return whole("repeats", repeats, 0)


def _timeout(timeout: timedelta | float | None) -> timedelta | None:
    return length_of_time("timeout", timeout)


def _key(key: str | None) -> str | None:
    if key is None or (isinstance(key, str) and len(key) <= 1 and key in _KEYS):
        return key
    raise InvalidRequest("finish_on_key", key, f"must be one of {_KEYS}, or '' for no key")


@frozen
class GatherPlan:
    """What a Gather applet says, and how it takes the caller's input.

    What is left out is as Exotel has it: a `timeout` of 5 seconds, no repetition.

    Args:
        prompt: what the caller hears: a text, or `Play` with one audio file.
        max_digits: after so many keys the input is complete.
        finish_on_key: the key that completes it; `""` is said to mean that none does.
        timeout: how long Exotel waits for a key: a timedelta or seconds, whole ones.
        repeats: how often the prompt is repeated for a caller who presses nothing.
        repeat_prompt: what the caller hears then instead; only with `repeats`.

    Raises:
        InvalidRequest: an argument Exotel would refuse.
    """

    prompt: Speak | Play = field(converter=_prompt)
    max_digits: int | None = field(default=None, converter=_max_digits, kw_only=True)
    finish_on_key: str | None = field(default=None, converter=_key, kw_only=True)
    timeout: timedelta | None = field(default=None, converter=_timeout, kw_only=True)
    repeats: int | None = field(default=None, converter=_repeats, kw_only=True)
    repeat_prompt: Speak | Play | None = field(default=None, converter=_repeat_prompt, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.repeats:
            refuse("is heard only with repeats", repeat_prompt=self.repeat_prompt)

    def document(self) -> dict[str, Any]:
        """Return what the answer's JSON says."""
        content = {
            "gather_prompt": _written(self.prompt),
            "max_input_digits": self.max_digits,
            "finish_on_key": self.finish_on_key,
            "input_timeout": self.timeout and int(self.timeout.total_seconds()),
            "repeat_menu": self.repeats,
            "repeat_gather_prompt": self.repeat_prompt and _written(self.repeat_prompt),
        }
        return {name: value for name, value in content.items() if value is not None}

    def render(self) -> Reply:
        """Return 200, `application/json`, the plan."""
        return document(self.document())


def _written(prompt: Speak | Play) -> dict[str, str]:
    kind, value = kind_and_value(prompt)
    return {kind: value}
