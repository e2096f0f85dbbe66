"""The response to a Connect applet with a dynamic URL: whom to dial, and how (VOICE_V1 7.3b)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, Self, cast

from attrs import field, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.masking import masked
from exotel_async.models import RecordingChannels
from exotel_async.phone import is_sip, normalize_exophone, normalize_party, same_number
from exotel_async.webhooks.enums import HoldMusic
from exotel_async.webhooks.prompts import Playback
from exotel_async.webhooks.response import Response, document
from exotel_async.wire.validation import (
    choice,
    flag,
    length_of_time,
    refuse,
    segment,
    several,
    url,
    whole,
)

_MAX_AT_ONCE: Final = 10  # the highest known to be in use; one integrator says 5
_MAX_HEADERS: Final = 3
_LONGEST_HEADERS: Final = 200  # bytes, of all headers together as sent
_HEADER_PART: Final = r"[^&=\s\x00-\x20\x7f-\x9f\ud800-\udfff]+"
_WORD: Final = r"[a-z]+(_[a-z]+)*"


def _all_masked(numbers: tuple[str, ...]) -> str:
    return f"({', '.join(map(masked, numbers))})"


def _parties(numbers: str | Iterable[str]) -> tuple[str, ...]:
    # `normalize_party` refuses what is not a string.
    return tuple(normalize_party(cast("str", number), "numbers") for number in several(numbers))


def _headers(params: Mapping[str, str] | None) -> dict[str, str] | None:
    if params is None:
        return None
    if not isinstance(params, Mapping):
        raise InvalidRequest("custom_params", type(params).__name__, "must be a mapping")
    parts = [part for pair in params.items() for part in pair]
    fine = all(isinstance(part, str) and re.fullmatch(_HEADER_PART, part) for part in parts)
    if not fine or not 1 <= len(params) <= _MAX_HEADERS:
        # The message must not show the values.
        rule = f"must be 1 to {_MAX_HEADERS} names and values, without &, = and spaces"
        raise InvalidRequest("custom_params", f"<{len(params)} of them>", rule)
    if len(_joined(params).encode()) > _LONGEST_HEADERS:
        rule = f"must be at most {_LONGEST_HEADERS} bytes in all"
        raise InvalidRequest("custom_params", f"<{len(params)} of them>", rule)
    return dict(params)


def _exophone(number: str | None) -> str | None:
    return None if number is None else normalize_exophone(number, "caller_id")


def _channels(channels: RecordingChannels | str | None) -> RecordingChannels | None:
    written = choice("recording_channels", channels, RecordingChannels)
    return None if written is None else RecordingChannels(written)


def _ring_timeout(length: timedelta | float | None) -> timedelta | None:
    return length_of_time("ring_timeout", length)


def _conversation_limit(length: timedelta | float | None) -> timedelta | None:
    return length_of_time("conversation_limit", length)


def _music(kind: HoldMusic | str | None) -> HoldMusic | None:
    if kind is None:
        return None
    if not isinstance(kind, str) or not re.fullmatch(_WORD, kind):
        raise _unknown_music(kind)
    return HoldMusic(kind)


def _truth(value: bool) -> bool:
    return flag("fetch_after_attempt", value) == "true"


def _json(extra: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if extra is None:
        return None
    try:
        # A deep copy, in plain JSON types.
        copy = json.loads(json.dumps(dict(extra), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        copy = None
    if not isinstance(copy, dict):
        raise InvalidRequest("extra", type(extra).__name__, "must be a mapping JSON can carry")
    return copy


@frozen
class ConnectPlan:
    """Whom a Connect applet dials, and how.

    Exotel's defaults apply to omitted arguments. If a response does not arrive within 5 seconds or
    cannot be read, Exotel requests the applet's fall-back URL; after that it dials nobody.
    The fields are those of Exotel's support article 3000096873.

    Args:
        numbers: the parties to ring, one after the other: phone numbers, preferably with country
            code, or SIP ids of agents (`sip:agent7f3a`), or SIP URIs. Not mixed: Exotel takes the
            two kinds in different shapes. That for SIP was confirmed only without other fields.
        trunk: the identifier of a SIP trunk to ring instead of numbers.
        custom_params: up to 3 SIP headers for the trunk, 200 bytes in all.
        caller_id: the ExoPhone the parties see.
        record: whether to record.
        recording_channels: both parties in one channel (`single`) or in one each (`dual`); only
            with `record=True`.
        ring_timeout: how long each party is rung: a timedelta or a number; whole seconds.
        conversation_limit: how long they may speak; the same.
        music_on_hold: what the caller hears meanwhile: `default_tone` or `operator_tone`.
        music_on_hold_url: your own audio for it. Which word Exotel then expects in `music_on_hold`
            is not documented, so any word is accepted there.
        playback: what is played when a party picks up.
        parallel_ringing: how many are rung at once, up to 10. Exotel's limit is not certain.
        fetch_after_attempt: whether Exotel requests the plan again after each failed attempt.
        event_url: where a `DialEvent` is sent for each step of each attempt.
        extra: fields this SDK does not know, added to the JSON of the response unchanged.

    Raises:
        InvalidRequest: an argument that Exotel would refuse or misinterpret, or nobody to dial: use
            `ConnectPlan.nobody()` for that.
    """

    numbers: tuple[str, ...] = field(default=(), converter=_parties, repr=_all_masked)
    trunk: str | None = field(default=None, kw_only=True)
    custom_params: Mapping[str, str] | None = field(
        default=None, converter=_headers, repr=False, hash=False, kw_only=True
    )
    caller_id: str | None = field(default=None, converter=_exophone, repr=masked, kw_only=True)
    record: bool | None = field(default=None, kw_only=True)
    recording_channels: RecordingChannels | None = field(
        default=None, converter=_channels, kw_only=True
    )
    ring_timeout: timedelta | None = field(default=None, converter=_ring_timeout, kw_only=True)
    conversation_limit: timedelta | None = field(
        default=None, converter=_conversation_limit, kw_only=True
    )
    music_on_hold: HoldMusic | None = field(default=None, converter=_music, kw_only=True)
    music_on_hold_url: str | None = field(default=None, repr=False, kw_only=True)
    playback: Playback | None = field(default=None, kw_only=True)
    parallel_ringing: int | None = field(default=None, kw_only=True)
    fetch_after_attempt: bool = field(default=False, converter=_truth, kw_only=True)
    event_url: str | None = field(default=None, repr=False, kw_only=True)
    extra: Mapping[str, Any] | None = field(
        default=None, converter=_json, repr=False, hash=False, kw_only=True
    )
    _is_for_nobody: bool = field(default=False, alias="_is_for_nobody", repr=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.trunk is None:
            refuse("is used only with trunk", custom_params=self.custom_params)
            self._check_numbers()
        else:
            segment("trunk", self.trunk)
            refuse("is used only without trunk", numbers=self.numbers or None)
        if flag("record", self.record) != "true":
            refuse("is used only with record=True", recording_channels=self.recording_channels)
        url("music_on_hold_url", self.music_on_hold_url)
        if self.music_on_hold is None:
            refuse("is used only with music_on_hold", music_on_hold_url=self.music_on_hold_url)
        elif self.music_on_hold_url is None and not self.music_on_hold.is_known:
            raise _unknown_music(self.music_on_hold)
        if self.playback is not None and not isinstance(self.playback, Playback):
            raise InvalidRequest("playback", type(self.playback).__name__, "must be Playback()")
        whole("parallel_ringing", self.parallel_ringing, 1, _MAX_AT_ONCE)
        url("event_url", self.event_url)
        for name in self.extra or ():
            if name in self._content():
                raise InvalidRequest("extra", name, "has an argument of its own")

    @classmethod
    def nobody(cls) -> Self:
        """Dial nobody: the call takes the branch "We didn't dial anyone"."""
        return cls(_is_for_nobody=True)

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the response."""
        content = {name: value for name, value in self._content().items() if value is not None}
        return content | dict(self.extra or {})

    def render(self) -> Response:
        """Return a 200, `application/json`, with the plan."""
        return document(self.document())

    def _content(self) -> dict[str, Any]:
        trunk, params, at_once = self.trunk, self.custom_params, self.parallel_ringing
        destination: Any = {"numbers": list(self.numbers)} if trunk is None else {"trunk": trunk}
        again: bool | None = self.fetch_after_attempt
        if self.numbers and is_sip(self.numbers[0]):
            # Confirmed only without other fields: a default is omitted.
            destination = [{"contact_uri": party} for party in self.numbers]
            again = again or None
        return {
            "fetch_after_attempt": again,
            "destination": destination,
            "custom_params": params and _joined(params),
            "outgoing_phone_number": self.caller_id,
            "record": self.record,
            "recording_channels": self.recording_channels,
            "max_ringing_duration": self.ring_timeout and int(self.ring_timeout.total_seconds()),
            "max_conversation_duration": self.conversation_limit
            and int(self.conversation_limit.total_seconds()),
            "music_on_hold": self.music_on_hold and self._music_on_hold(self.music_on_hold),
            "start_call_playback": self.playback and self.playback.document(),
            "parallel_ringing": at_once and {"activate": True, "max_parallel_attempts": at_once},
            "dial_passthru_event_url": self.event_url,
        }

    def _check_numbers(self) -> None:
        if not self.numbers and not self._is_for_nobody:
            rule = "must be at least one: ConnectPlan.nobody() is the plan that dials nobody"
            raise InvalidRequest("numbers", self.numbers, rule)
        if len({is_sip(party) for party in self.numbers}) > 1:
            rule = "must be all phone numbers or all SIP: Exotel takes them in different shapes"
            raise InvalidRequest("numbers", f"<{len(self.numbers)} parties>", rule)
        for number in self.numbers:
            if same_number(number, self.caller_id):
                raise InvalidRequest(
                    "numbers", number, "must be the party to ring, not the ExoPhone"
                )

    def _music_on_hold(self, kind: HoldMusic) -> dict[str, str]:
        address = self.music_on_hold_url
        return {"type": kind.value} if address is None else {"type": kind.value, "value": address}


def _joined(params: Mapping[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in params.items())


def _unknown_music(kind: object) -> InvalidRequest:
    known = " or ".join(repr(member.value) for member in HoldMusic)
    return InvalidRequest("music_on_hold", kind, f"must be {known} without audio of your own")
