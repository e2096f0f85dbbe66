"""`POST Calls/connect`: its parameters, as strict as the evidence allows (VOICE_V1 1.1, 1.2)."""

from __future__ import annotations

import re
from collections.abc import Container
from urllib.parse import parse_qs, urlsplit

from exotel_async.emulator.api_errors import KYC_CODE, Refusal, bad
from exotel_async.emulator.calls import Dial, Event
from exotel_async.emulator.encoding import Pairs
from exotel_async.emulator.numbers import is_number, is_sip, national
from exotel_async.emulator.parameters import given
from exotel_async.emulator.settings import Settings

MAX_TIME_LIMIT = 14_400
"""Seconds a call lasts at most, which is the greatest `TimeLimit` (VOICE_V1 1.1)."""
_FLOW_PATH = re.compile(r"(?:/[^/]+)?/exoml/start(?:_voice)?/([^/]+)/?")
_DOCUMENTED_FLOW = re.compile(
    r"http://(?:my\.exotel\.com/[^/]+/exoml/start_voice|my\.exotel\.in/exoml/start)/[^/]+"
)
_CHOICES = {
    "CallType": ("trans", "promo"),
    "Record": ("true", "false"),
    "RecordingChannels": ("single", "dual"),
    "RecordingFormat": ("mp3", "mp3-hq"),
    "StartPlaybackToNew": ("Callee", "Both"),
    "StatusCallbackContentType": ("multipart/form-data", "application/json"),
}
_URLS = {
    "Url": ("http", "https"),
    "WaitUrl": ("http", "https"),
    "StartPlaybackValueNew": ("http", "https"),
    "StatusCallback": ("http", "https"),
    "StreamUrl": ("ws", "wss"),
}
_WHOLE = re.compile(r"0*[0-9]{1,9}")
_COUNT = re.compile(r"[0-9]{1,3}")
_LONGEST_STREAM_URL = 600
_LONGEST_STREAM_NAME = 32
_SAMPLE_RATES = {"8000", "16000", "24000"}
_EVENTS = re.compile(r"StatusCallbackEvents(?:\[\d*\])?")


def read_dial(pairs: Pairs, settings: Settings) -> Dial:
    """Read the parameters of a call. Raises Refusal, 400, for a missing one or an invalid value.

    Names are case-sensitive: a parameter whose name has another case counts as missing.
    """
    pairs = given(pairs, settings)
    form = dict(pairs)
    for name in ("From", "CallerId"):
        if name not in form:
            raise bad(f"{name} is a required parameter")
    if form.keys().isdisjoint({"To", "Url", "StreamUrl"}):
        raise bad("To, Url or StreamUrl is a required parameter")
    _check_numbers(form, settings)
    _check_choices(form, settings)
    _check_urls(form, settings)
    custom = form.get("CustomField")
    limit = settings.max_custom_field
    if custom is not None and limit is not None and len(custom) > limit:
        raise bad(f"CustomField is longer than {limit} characters")
    url = form.get("Url")
    to = form.get("To") if url is None else None
    stream_url = form["StreamUrl"] if to is None and url is None else None
    return Dial(
        from_=form["From"],
        to=to,
        caller_id=form["CallerId"],
        url=url,
        stream_url=stream_url,
        max_retries=_read_retries(form, settings),
        record=form.get("Record", "").lower() == "true",
        recording_format=form.get("RecordingFormat", "mp3"),
        ring_timeout=_whole(form, "TimeOut", settings.max_ring_timeout, settings),
        time_limit=_whole(form, "TimeLimit", MAX_TIME_LIMIT, settings),
        custom_field=custom,
        status_callback=form.get("StatusCallback"),
        events=_read_events(pairs, settings, ringing=stream_url is not None),
        json_callback=form.get("StatusCallbackContentType") == "application/json",
        parameters=form,
    )


def flow_of(url: str) -> str | None:
    """Return the id of the flow that a URL leads to; None if it does not lead to one."""
    match = _FLOW_PATH.fullmatch(urlsplit(url).path)
    return None if match is None else match[1]


def check_flow_url(name: str, url: str, settings: Settings) -> None:
    """Raise Refusal, 400, if a flow's URL is written in a way that the switches refuse."""
    parts = urlsplit(url)
    if parts.path.endswith("/") and not settings.flow_url_slash:
        raise bad(f"{name} ends in a slash")
    bare = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    if not settings.other_flow_urls and not _DOCUMENTED_FLOW.fullmatch(bare):
        raise bad(f"{name} is not the URL of a flow as it is documented")


def check_account(dial: Dial, settings: Settings, whitelist: Container[str]) -> None:
    """Check that the account may make a call. Raises Refusal: 402 or 403 (VOICE_V1 5.2).

    A number on the whitelist may be called even if it is on the DND register (NDNC; VOICE_V1 8).
    """
    if settings.balance_exhausted:
        raise Refusal(402, "Insufficient balance to make this call")
    if not settings.kyc:
        raise Refusal(403, "The account is not KYC compliant as per TRAI regulations", KYC_CODE)
    called = [national(number) for number in (dial.from_, dial.to) if number is not None]
    for number in called:
        if number in settings.ndnc and number not in whitelist:
            raise Refusal(403, "The number is registered under TRAI NDNC")
    if settings.verified_numbers is not None:
        for number in called:
            if number not in settings.verified_numbers:
                raise Refusal(403, "A trial account may call verified numbers only")


def _check_numbers(form: dict[str, str], settings: Settings) -> None:
    for name in ("From", "To"):
        if name in form and not is_number(form[name]) and not is_sip(form[name]):
            raise bad(f"{name} is not a valid number")
    if national(form["CallerId"]) not in settings.exophones:
        raise bad("CallerId is not one of the account's ExoPhones")


def _check_choices(form: dict[str, str], settings: Settings) -> None:
    for name, choices in _CHOICES.items():
        if name not in form:
            continue
        value = form[name]
        if name == "Record" and settings.any_case_record:
            value = value.lower()
        if value not in choices:
            raise bad(f"{name} must be one of {', '.join(choices)}")
    if form.get("CallType") == "promo" and not settings.promo_calls:
        raise bad("CallType promo is no longer supported")


def _check_urls(form: dict[str, str], settings: Settings) -> None:
    for name, schemes in _URLS.items():
        if name in form:
            check_url(name, form[name], schemes)
    if "StreamUrl" in form and ("Url" in form or "To" not in form) and settings.strict_streams:
        _check_stream(form)
    if "Url" not in form:
        return
    if flow_of(form["Url"]) is None:
        raise bad("Url does not lead to a flow")
    check_flow_url("Url", form["Url"], settings)
    if "To" in form and not settings.url_beside_to:
        raise bad("To is not for a call to a flow")


def check_url(name: str, url: str, schemes: tuple[str, ...] = ("http", "https")) -> None:
    """Raise Refusal, 400, unless it is a URL with one of these schemes."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise bad(f"{name} is not a valid URL") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise bad(f"{name} is not a valid URL")


def _whole(form: dict[str, str], name: str, most: int | None, settings: Settings) -> int | None:
    """Return a number of seconds, 1 or more; None if it is not given, or 0."""
    text = form.get(name)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text):
        raise bad(f"{name} must be a whole number of seconds")
    if most is not None and int(text) > most:
        raise bad(f"{name} must not be above {most}")
    if int(text) == 0 and not settings.zero_parameters:
        raise bad(f"{name} must be above 0")
    return int(text) or None


def _check_stream(form: dict[str, str]) -> None:
    """Raise Refusal, 400, for a call to a stream that is not as documented (VOICE_V1 1.1)."""
    if "Url" in form:
        raise bad("StreamUrl is not for a call to a flow")
    if form.get("StreamType") != "bidirectional":
        raise bad("StreamType must be bidirectional")
    if len(form["StreamUrl"]) > _LONGEST_STREAM_URL:
        raise bad(f"StreamUrl is longer than {_LONGEST_STREAM_URL} characters")
    if len(form.get("StreamName", "")) > _LONGEST_STREAM_NAME:
        raise bad(f"StreamName is longer than {_LONGEST_STREAM_NAME} characters")
    rates = parse_qs(urlsplit(form["StreamUrl"]).query, True).get("sample-rate", [])
    if len(rates) > 1 or not _SAMPLE_RATES.issuperset(rates):
        raise bad("sample-rate of StreamUrl must be 8000, 16000 or 24000")


def _read_retries(form: dict[str, str], settings: Settings) -> int:
    """Return how often to dial the first party again, as the switch says (VOICE_V1 1.1)."""
    if settings.default_max_retries is None:
        return 0
    text = form.get("MaxRetries", str(settings.default_max_retries))
    if not _COUNT.fullmatch(text):
        raise bad("MaxRetries must be a whole number")
    return int(text)


def _read_events(pairs: Pairs, settings: Settings, *, ringing: bool) -> frozenset[Event]:
    """Return the subscribed events. A switch decides on keys without brackets (VOICE_V1 1.2)."""
    given = [(name, value) for name, value in pairs if _EVENTS.fullmatch(name)]
    if not given:
        return frozenset()
    words = {value for name, value in given if name.endswith("]")}
    known = set(Event) if ringing else {Event.TERMINAL, Event.ANSWERED}
    if not words <= known:
        raise bad(f"StatusCallbackEvents must be {' or '.join(sorted(known, reverse=True))}")
    bare = [value for name, value in given if not name.endswith("]")]
    match settings.array_mode:
        case "strict":
            bare = []
        case "last":
            bare = bare[-1:]
        case "lenient":
            bare = [word for value in bare for word in value.split(",")]
    # An unbracketed value that is not an event is ignored: that is how commas were seen to fail.
    return frozenset(Event(word) for word in words | (set(bare) & known))
