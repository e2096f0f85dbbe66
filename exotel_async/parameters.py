"""Requests out: what Exotel Voice v1 is asked, as pure functions.

Every argument is checked here, before it costs a request of the budget. Paths end in `.json`, for
without it the service answers in XML; names are TitleCase, for the service ignores others silently;
arrays are written `StatusCallbackEvents[0]=…`, the spelling most production code relies on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypedDict, Unpack
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from attrs import field, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.masking import redact
from exotel_async.models import (
    CallbackContentType,
    CallbackEvent,
    CallType,
    PlaybackTo,
    RecordingChannels,
    RecordingFormat,
    StreamBegin,
)
from exotel_async.phone import normalize_number, normalize_party, same_number

LONGEST_CALL: Final = 14_400
"""Seconds: the most `time_limit` may be. Documented."""
LONGEST_CUSTOM_FIELD: Final = 128
"""Characters. Documented on the newer pages only."""

# Patterns are compiled at their first use: that is a tenth of the time of the import.
_SEGMENT: Final = r"(?!\.$)[^\s/\\?#%\x00-\x20\x7f-\x9f\ud800-\udfff]{1,128}"
_FLOW_ID: Final = r"(?!0+$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_HTTP: Final = ("http", "https")
_CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]"
_NO_URL: Final = r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]"

_Pairs = tuple[tuple[str, str], ...]


@frozen
class Request:
    """One request, before it has a host, credentials or a place in the queue.

    Attributes:
        method: the HTTP method.
        path: the path below `/v1/Accounts/{account_sid}/`, percent-encoded.
        params: the query.
        body: the form, encoded: one string, for tens of thousands of them may wait in memory.
            None: no body. Neither it nor the query is in the repr.
    """

    method: str
    path: str = field(repr=lambda path: repr(redact(path)))
    params: _Pairs = field(default=(), repr=False)
    body: str | None = field(default=None, repr=False)

    @property
    def form(self) -> _Pairs:
        """The form fields of the body."""
        return tuple(parse_qsl(self.body or "", keep_blank_values=True))

    @property
    def dials(self) -> bool:
        """Whether it makes a call; all other requests only read."""
        return self.method == "POST"


class DialOptions(TypedDict, total=False):
    """What `connect` and `connect_to_flow` both take. None is the same as leaving it out.

    Attributes:
        call_type: `trans`, the one type there is.
        time_limit: the longest the whole call may last: a timedelta or seconds, at most 14400.
        ring_timeout: how long each party is rung: a timedelta or seconds. Exotel's limit is not
            certain; an old page says 60 seconds.
        record: whether to record the call.
        recording_channels: both parties in one channel or one each; only with `record=True`.
        recording_format: `mp3` or `mp3-hq`; only with `record=True`.
        custom_field: anything of up to 128 characters that is to come back with the call.
        status_callback: URL that is told how the call ends.
        status_callback_events: what it is told of, and then in full; without them it gets four
            fields when the call is over. Not documented for calls to a flow.
        status_callback_content_type: how it is told; without it as multipart.
        stream_url: `wss` URL the call's audio is streamed to (AgentStream).
        stream_begin: from which moment; only with `stream_url`.
        stream_type: `bidirectional`; not documented, but it works. Only with `stream_url`.
        extra: parameters this SDK does not know, sent last and as they are.
    """

    call_type: CallType | str | None
    time_limit: timedelta | float | None
    ring_timeout: timedelta | float | None
    record: bool | None
    recording_channels: RecordingChannels | str | None
    recording_format: RecordingFormat | str | None
    custom_field: str | None
    status_callback: str | None
    status_callback_events: Iterable[CallbackEvent | str] | None
    status_callback_content_type: CallbackContentType | str | None
    stream_url: str | None
    stream_begin: StreamBegin | str | None
    stream_type: str | None
    extra: Mapping[str, str] | None


def connect(
    *,
    from_: str,
    to: str,
    caller_id: str,
    wait_url: str | None = None,
    start_playback_to: PlaybackTo | str | None = None,
    start_playback_url: str | None = None,
    **options: Unpack[DialOptions],
) -> Request:
    """Build the dial that connects two parties: `from_` is rung first, and then `to`.

    Args:
        from_: the party rung first: a phone number, or a SIP URI.
        to: the number rung when the first party has answered.
        caller_id: the ExoPhone both of them see.
        wait_url: a WAV file the first party hears while the second is rung; cached by its URL.
        start_playback_to: who hears `start_playback_url`.
        start_playback_url: audio played when the second party answers.
        **options: see `DialOptions`.

    Raises:
        InvalidRequest: an argument that Exotel would refuse or take wrongly.
    """
    form = _parties(from_, caller_id)
    form["To"] = normalize_number(to, "to")
    if same_number(form["To"], form["From"]):
        raise InvalidRequest("to", to, "must not be the party in from_")
    if same_number(form["To"], form["CallerId"]):
        raise InvalidRequest("to", to, "must be the party rung second, not the ExoPhone")
    form["WaitUrl"] = _url("wait_url", wait_url)
    form["StartPlaybackToNew"] = _choice("start_playback_to", start_playback_to, PlaybackTo)
    form["StartPlaybackValueNew"] = _url("start_playback_url", start_playback_url)
    if start_playback_url is None:
        _refuse("is used only with start_playback_url", start_playback_to=start_playback_to)
    return _dial(form, **options)


def connect_to_flow(
    *,
    account_sid: str,
    flow: int | str,
    from_: str,
    caller_id: str,
    **options: Unpack[DialOptions],
) -> Request:
    """Build the dial that connects one party to a call flow.

    Args:
        account_sid: the account the flow belongs to.
        flow: the flow's id (its app id in the dashboard), or the whole URL of one.
        from_: the party rung: a phone number, or a SIP URI.
        caller_id: the ExoPhone it sees.
        **options: see `DialOptions`.

    Raises:
        InvalidRequest: an argument that Exotel would refuse or take wrongly.
    """
    form = _parties(from_, caller_id)
    form["Url"] = _flow_url(account_sid, flow)
    return _dial(form, **options)


def get_call(
    sid: str,
    *,
    details: bool = False,
    recording_url_validity: timedelta | None = None,
    extra: Mapping[str, str] | None = None,
) -> Request:
    """Build the request for one call.

    Args:
        sid: the call's SID.
        details: whether to tell its legs and talk time as well.
        recording_url_validity: how long the pre-signed recording link is to open: 5 to 60 whole
            minutes. Exotel answers other lengths with a 4xx.
        extra: parameters this SDK does not know.

    Raises:
        InvalidRequest: an argument that Exotel would refuse.
    """
    query: _Fields = {"details": "true" if _flag("details", details) == "true" else None}
    if recording_url_validity is not None:
        query["RecordingUrlValidity"] = _minutes("recording_url_validity", recording_url_validity)
    return _get(f"Calls/{_segment('sid', sid)}.json", query, extra)


def lookup_number(number: str, *, extra: Mapping[str, str] | None = None) -> Request:
    """Build the request for what Exotel knows about an Indian phone number.

    Raises:
        InvalidRequest: it is not a phone number, or `extra` is wrong.
    """
    return _get(f"Numbers/{quote(normalize_number(number), safe='')}.json", {}, extra)


def balance(*, extra: Mapping[str, str] | None = None) -> Request:
    """Build the request for the account's balance.

    Raises:
        InvalidRequest: `extra` is wrong.
    """
    return _get("Balance.json", {}, extra)


_Fields = dict[str, str | None]


def _dial(
    form: _Fields,
    *,
    call_type: CallType | str | None = None,
    time_limit: timedelta | float | None = None,
    ring_timeout: timedelta | float | None = None,
    record: bool | None = None,
    recording_channels: RecordingChannels | str | None = None,
    recording_format: RecordingFormat | str | None = None,
    custom_field: str | None = None,
    status_callback: str | None = None,
    status_callback_events: Iterable[CallbackEvent | str] | None = None,
    status_callback_content_type: CallbackContentType | str | None = None,
    stream_url: str | None = None,
    stream_begin: StreamBegin | str | None = None,
    stream_type: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> Request:
    if record is not True:
        _refuse(
            "is used only with record=True",
            recording_channels=recording_channels,
            recording_format=recording_format,
        )
    if status_callback is None:
        _refuse(
            "is used only with status_callback",
            status_callback_events=status_callback_events,
            status_callback_content_type=status_callback_content_type,
        )
    if stream_url is None:
        _refuse("is used only with stream_url", stream_begin=stream_begin, stream_type=stream_type)

    form["CallType"] = _choice("call_type", call_type, CallType)
    form["TimeLimit"] = _whole_seconds("time_limit", time_limit)
    form["TimeOut"] = _whole_seconds("ring_timeout", ring_timeout)
    form["Record"] = _flag("record", record)
    form["RecordingChannels"] = _choice("recording_channels", recording_channels, RecordingChannels)
    form["RecordingFormat"] = _choice("recording_format", recording_format, RecordingFormat)
    form["CustomField"] = _short_text("custom_field", custom_field, LONGEST_CUSTOM_FIELD)
    form["StatusCallback"] = _url("status_callback", status_callback)
    for index, event in enumerate(_events("status_callback_events", status_callback_events)):
        form[f"StatusCallbackEvents[{index}]"] = event
    form["StatusCallbackContentType"] = _choice(
        "status_callback_content_type", status_callback_content_type, CallbackContentType
    )
    form["StreamUrl"] = _url("stream_url", stream_url, schemes=("wss",))
    form["StreamBegin"] = _choice("stream_begin", stream_begin, StreamBegin)
    form["StreamType"] = _short_text("stream_type", stream_type, 64)
    return Request("POST", "Calls/connect.json", body=urlencode(_pairs(form, extra)))


def _get(path: str, query: _Fields, extra: Mapping[str, str] | None) -> Request:
    return Request("GET", path, params=_pairs(query, extra))


def _parties(from_: str, caller_id: str) -> _Fields:
    first, exophone = normalize_party(from_, "from_"), normalize_number(caller_id, "caller_id")
    if same_number(first, exophone):
        # Elsewhere (Twilio) From is the number that is shown.
        rule = "must be the party rung first; the ExoPhone is caller_id"
        raise InvalidRequest("from_", from_, rule)
    return {"From": first, "CallerId": exophone}


def _pairs(fields: _Fields, extra: Mapping[str, str] | None) -> _Pairs:
    """Leave out what was not given, and add what we do not know."""
    pairs = {name: value for name, value in fields.items() if value is not None}
    taken = {name.partition("[")[0] for name in pairs}
    if extra is not None and not isinstance(extra, Mapping):
        raise InvalidRequest("extra", extra, "must be a mapping of names to values")
    for name, value in (extra or {}).items():
        if not isinstance(name, str) or not name or not name.isprintable():
            raise InvalidRequest("extra", name, "names must be plain text")
        if name.partition("[")[0] in taken:
            raise InvalidRequest("extra", name, "is sent already, from its own argument")
        if not isinstance(value, str) or re.search(_CONTROL, value):
            raise InvalidRequest("extra", name, "its value must be a string of readable text")
        pairs[name] = value
    # A word of somebody's own enum would be sent by its name.
    return tuple((name, str.__str__(value)) for name, value in pairs.items())


def _flow_url(account_sid: str, flow: int | str) -> str | None:
    if isinstance(flow, str) and "://" in flow:
        return _url("flow", flow)
    if isinstance(flow, int) and not isinstance(flow, bool) and 0 < flow < 10**15:
        flow = str(int(flow))
    if not isinstance(flow, str) or not re.fullmatch(_FLOW_ID, flow):
        raise InvalidRequest("flow", flow, "must be a flow's id, like 926, or a whole http(s) URL")
    # `http` in every documented sample; Exotel resolves it itself.
    app_id = _segment("flow", flow)
    return f"http://my.exotel.com/{_segment('account_sid', account_sid)}/exoml/start_voice/{app_id}"


def _segment(argument: str, value: str) -> str:
    if not isinstance(value, str) or ".." in value or not re.fullmatch(_SEGMENT, value):
        raise InvalidRequest(argument, value, "must not be empty or have a /, ?, #, % or .. in it")
    return quote(str.__str__(value), safe="")


def _choice(argument: str, value: object, words: type[StrEnum]) -> str | None:
    return None if value is None else _one_of(argument, value, words)


def _one_of(argument: str, value: object, words: type[StrEnum]) -> str:
    for word in words:
        if isinstance(value, str) and value.casefold() == word.value.casefold():
            return word.value
    raise InvalidRequest(argument, value, f"must be one of {', '.join(map(repr, map(str, words)))}")


def _events(argument: str, events: object) -> Iterable[str]:
    if events is None:
        return ()
    # One word alone is meant as such, not as its letters.
    several = events if isinstance(events, Iterable) and not isinstance(events, str) else [events]
    return dict.fromkeys(_one_of(argument, event, CallbackEvent) for event in several)


def _flag(argument: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, bool):
        raise InvalidRequest(argument, value, "must be True or False")
    return "true" if value else "false"


def _whole_seconds(argument: str, value: object) -> str | None:
    if value is None:
        return None
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if (
        isinstance(length, bool)
        or not isinstance(length, int | float)
        or not 0 < length <= LONGEST_CALL
        or length != int(length)
    ):
        raise InvalidRequest(argument, value, f"must be 1 to {LONGEST_CALL} whole seconds")
    return str(int(length))


def _minutes(argument: str, value: object) -> str:
    low, high = timedelta(minutes=5), timedelta(minutes=60)
    if not isinstance(value, timedelta) or not low <= value <= high or value % timedelta(minutes=1):
        raise InvalidRequest(argument, value, "must be a timedelta of 5 to 60 whole minutes")
    return str(value // timedelta(minutes=1))


def _short_text(argument: str, value: object, longest: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest or re.search(_CONTROL, value):
        # The value itself stays out of the message: it may say who is called, and why.
        shown = f"<{len(value)} characters>" if isinstance(value, str) else type(value).__name__
        rule = f"must be a string of at most {longest} characters without control characters"
        raise InvalidRequest(argument, shown, rule)
    return value


def _url(argument: str, value: object, schemes: tuple[str, ...] = _HTTP) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and not re.search(_NO_URL, value):
        try:
            parts = urlsplit(value)
            if parts.scheme in schemes and parts.hostname and parts.port != 0:
                return value
        except ValueError:  # brackets or a port that are none
            pass
    # Path, query and user may hold secrets: the message shows the first letters only.
    shown = re.split(r"[/?#@]", value)[0][:16] + "..." if isinstance(value, str) else value
    raise InvalidRequest(argument, shown, f"must be a whole URL: {' or '.join(schemes)}://host...")


def _refuse(rule: str, **arguments: object) -> None:
    for argument, value in arguments.items():
        if value is not None:
            raise InvalidRequest(argument, value, rule)
