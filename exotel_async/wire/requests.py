"""Building requests to Exotel Voice v1, as pure functions.

Every argument is checked here, before it costs a request of the budget. Paths end in `.json`,
otherwise the service responds in XML; names are in TitleCase, as the service silently ignores
others; arrays are written `StatusCallbackEvents[0]=…`, the spelling most production code relies on
(VOICE_V1 0, 1.1, 1.2). The arguments are those of `exotel.calls`, and are documented there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, Unpack
from urllib.parse import quote, urlencode

from exotel_async.errors import InvalidRequest
from exotel_async.masking import mask_number
from exotel_async.models import (
    CallbackContentType,
    CallbackEvent,
    CallType,
    DialOptions,
    PlaybackTo,
    RecordingChannels,
    RecordingFormat,
    StreamBegin,
    StreamOptions,
)
from exotel_async.phone import (
    normalize_exophone,
    normalize_number,
    normalize_party,
    same_number,
)
from exotel_async.wire.request import DIAL, Fields, Passed, Request, get_request, pairs
from exotel_async.wire.validation import (
    all_of,
    choice,
    flag,
    minutes,
    refuse,
    segment,
    several,
    short_text,
    url,
    whole,
    whole_seconds,
)

LONGEST_CUSTOM_FIELD: Final = 128
"""Characters. Documented on the newer pages only (VOICE_V1 1.1)."""
LONGEST_STREAM_NAME: Final = 32
"""Characters. Documented on the newer pages only (VOICE_V1 1.1)."""

_FLOW_ID: Final = r"(?!0+$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


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
    """Build the dial that connects two parties: `from_` is rung first, then `to`.

    Raises:
        InvalidRequest: an argument that Exotel would refuse or misinterpret.
    """
    form = _parties(from_, caller_id)
    form["To"] = normalize_party(to, "to")
    if same_number(form["To"], form["From"]):
        raise InvalidRequest("to", to, "must not be the party in from_", shown=mask_number(to))
    if same_number(form["To"], form["CallerId"]):
        rule = "must be the party rung second, not the ExoPhone"
        raise InvalidRequest("to", to, rule, shown=mask_number(to))
    form["WaitUrl"] = url("wait_url", wait_url)
    form["StartPlaybackToNew"] = choice("start_playback_to", start_playback_to, PlaybackTo)
    form["StartPlaybackValueNew"] = url("start_playback_url", start_playback_url)
    if start_playback_url is None:
        refuse("is used only with start_playback_url", start_playback_to=start_playback_to)
    return _dial(form, (from_, to, None, caller_id), **options)


def connect_to_flow(
    *,
    account_sid: str,
    flow: int | str,
    from_: str,
    caller_id: str,
    **options: Unpack[DialOptions],
) -> Request:
    """Build the dial that connects one party to a call flow.

    Raises:
        InvalidRequest: an argument that Exotel would refuse or misinterpret.
    """
    form = _parties(from_, caller_id)
    form["Url"] = flow_url(account_sid, flow)
    refuse_stream(options)
    return _dial(form, (from_, None, flow, caller_id), **options)


def connect_to_stream(
    *,
    from_: str,
    stream_url: str,
    caller_id: str,
    stream_name: str | None = None,
    sample_rate: int | None = None,
    **options: Unpack[StreamOptions],
) -> Request:
    """Build the dial that connects one party directly to a bot, over a WebSocket (VOICE_V1 1.1).

    Raises:
        InvalidRequest: an argument that Exotel would refuse or misinterpret.
    """
    from exotel_async.wire.stream_url import bot_url  # noqa: PLC0415

    form = _parties(from_, caller_id)
    form["StreamUrl"] = bot_url(stream_url, sample_rate)
    form["StreamType"] = "bidirectional"
    form["StreamName"] = short_text("stream_name", stream_name, LONGEST_STREAM_NAME)
    return _dial_request(form, (from_, None, None, caller_id), ringing=True, **options)


def get_call(
    sid: str,
    *,
    details: bool = False,
    recording_url_validity: timedelta | None = None,
    extra: Mapping[str, str] | None = None,
) -> Request:
    """Build the request for one call.

    Exotel refuses a `recording_url_validity` other than 5 to 60 whole minutes with a 4xx.

    Raises:
        InvalidRequest: an argument that Exotel would refuse.
    """
    query: Fields = {
        "details": "true" if flag("details", details) == "true" else None,
        "RecordingUrlValidity": minutes("recording_url_validity", recording_url_validity),
    }
    return get_request(f"Calls/{segment('sid', sid)}.json", query, extra)


def lookup_number(number: str, *, extra: Mapping[str, str] | None = None) -> Request:
    """Build the request for what Exotel knows about an Indian phone number.

    Raises:
        InvalidRequest: `normalize_number` does not take it, or `extra` is wrong.
    """
    # Not `normalize_number`: numbers that callers show but nobody can ring (140, 160) are allowed.
    digits = normalize_exophone(number, "number")
    return get_request(f"Numbers/{quote(digits, safe='')}.json", {}, extra)


def whitelist(
    numbers: str | Iterable[str], *, exophone: str, extra: Mapping[str, str] | None = None
) -> Request:
    """Build the request that adds numbers to the account's whitelist.

    It must not be sent twice: Exotel sends an SMS to each number (VOICE_V1 8).

    Raises:
        InvalidRequest: there is no number, or one of them or the ExoPhone is not valid; or `extra`
            is wrong.
    """
    # `normalize_number` refuses values that are not strings.
    written: Iterable[Any] = several(numbers)
    different = dict.fromkeys(normalize_number(number, "numbers") for number in written)
    if not different:
        raise InvalidRequest("numbers", numbers, "must be one phone number or more")
    form: Fields = {
        "VirtualNumber": normalize_exophone(exophone, "exophone"),
        "Number": ",".join(different),
    }
    # With a slash, as in all of Exotel's samples.
    return Request("POST", "CustomerWhitelist/", body=urlencode(pairs(form, extra)))


def whitelist_status(number: str, *, extra: Mapping[str, str] | None = None) -> Request:
    """Build the request for a number's status on the account's whitelist.

    Raises:
        InvalidRequest: `normalize_number` does not take it, or `extra` is wrong.
    """
    digits = normalize_number(number)
    return get_request(f"CustomerWhitelist/{quote(digits, safe='')}.json", {}, extra)


def balance(*, extra: Mapping[str, str] | None = None) -> Request:
    """Build the request for the account's balance.

    Raises:
        InvalidRequest: `extra` is wrong.
    """
    return get_request("Balance.json", {}, extra)


def _dial(
    form: Fields,
    passed: Passed,
    *,
    call_type: CallType | str | None = None,
    ring_timeout: timedelta | float | None = None,
    recording_format: RecordingFormat | str | None = None,
    status_callback_content_type: CallbackContentType | str | None = None,
    stream_url: str | None = None,
    stream_begin: StreamBegin | str | None = None,
    stream_type: str | None = None,
    **options: Unpack[StreamOptions],
) -> Request:
    if options.get("record") is not True:
        refuse("is used only with record=True", recording_format=recording_format)
    if options.get("status_callback") is None:
        refuse(
            "is used only with status_callback",
            status_callback_content_type=status_callback_content_type,
        )
    if stream_url is None:
        refuse("is used only with stream_url", stream_begin=stream_begin, stream_type=stream_type)

    form["CallType"] = choice("call_type", call_type, CallType)
    form["TimeOut"] = whole_seconds("ring_timeout", ring_timeout)
    form["RecordingFormat"] = choice("recording_format", recording_format, RecordingFormat)
    form["StatusCallbackContentType"] = choice(
        "status_callback_content_type", status_callback_content_type, CallbackContentType
    )
    form["StreamUrl"] = url("stream_url", stream_url, schemes=("wss",))
    form["StreamBegin"] = choice("stream_begin", stream_begin, StreamBegin)
    form["StreamType"] = short_text("stream_type", stream_type, 64)
    return _dial_request(form, passed, ringing=False, **options)


def _dial_request(
    form: Fields,
    passed: Passed,
    *,
    ringing: bool,
    time_limit: timedelta | float | None = None,
    record: bool | None = None,
    recording_channels: RecordingChannels | str | None = None,
    custom_field: str | None = None,
    status_callback: str | None = None,
    status_callback_events: Iterable[CallbackEvent | str] | None = None,
    max_retries: int | None = None,
    extra: Mapping[str, str] | None = None,
) -> Request:
    """Build the request of a dial in any mode; `ringing`: that event is available for callbacks."""
    if record is not True:
        refuse("is used only with record=True", recording_channels=recording_channels)
    if status_callback is None:
        refuse("is used only with status_callback", status_callback_events=status_callback_events)

    form["TimeLimit"] = whole_seconds("time_limit", time_limit)
    form["Record"] = flag("record", record)
    form["RecordingChannels"] = choice("recording_channels", recording_channels, RecordingChannels)
    form["CustomField"] = short_text("custom_field", custom_field, LONGEST_CUSTOM_FIELD)
    form["StatusCallback"] = url("status_callback", status_callback)
    for index, event in enumerate(
        all_of("status_callback_events", status_callback_events, CallbackEvent)
    ):
        if event == CallbackEvent.RINGING and not ringing:
            rule = "must be 'terminal' or 'answered'; 'ringing' comes with connect_to_stream only"
            raise InvalidRequest("status_callback_events", event, rule)
        form[f"StatusCallbackEvents[{index}]"] = event
    retries = whole("max_retries", max_retries, 0)
    form["MaxRetries"] = None if retries is None else str(retries)
    return Request("POST", DIAL, body=urlencode(pairs(form, extra)), passed=passed)


def _parties(from_: str, caller_id: str) -> Fields:
    first, exophone = normalize_party(from_, "from_"), normalize_exophone(caller_id, "caller_id")
    if same_number(first, exophone):
        # A likely mistake: with Twilio, From is the number that is shown.
        rule = "must be the party rung first; the ExoPhone is caller_id"
        raise InvalidRequest("from_", from_, rule, shown=mask_number(from_))
    return {"From": first, "CallerId": exophone}


def refuse_stream(options: DialOptions) -> None:
    """Raise InvalidRequest if options for a flow include a stream, which needs an applet there.

    Raises:
        InvalidRequest: a stream is among the options.
    """
    refuse(
        "is not for flows, which stream by an applet of their own; without one: connect_to_stream",
        stream_url=options.get("stream_url"),
        stream_begin=options.get("stream_begin"),
        stream_type=options.get("stream_type"),
    )


def flow_url(account_sid: str, flow: int | str) -> str | None:
    """Return the URL of a flow, in the form that dials and ExoPhones use.

    Raises:
        InvalidRequest: it is neither a flow's id nor a URL.
    """
    if isinstance(flow, str) and "://" in flow:
        return url("flow", flow)
    if isinstance(flow, int) and not isinstance(flow, bool) and 0 < flow < 10**15:
        flow = str(int(flow))
    if not isinstance(flow, str) or not re.fullmatch(_FLOW_ID, flow):
        raise InvalidRequest("flow", flow, "must be a flow's id, like 926, or a whole http(s) URL")
    # All documented samples use `http`; Exotel resolves the URL itself.
    app_id = segment("flow", flow)
    return f"http://my.exotel.com/{segment('account_sid', account_sid)}/exoml/start_voice/{app_id}"
