"""The ExoPhone endpoints: listing them, showing one, and assigning a flow to it (VOICE_V1 8).

Buying and releasing are not emulated. Page numbers, the fields of an ExoPhone and its form
`+91…` are those of Exotel's own samples.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote

import attrs

from exotel_async.emulator.api_errors import Refusal, bad
from exotel_async.emulator.dial_request import check_flow_url, check_url, flow_of
from exotel_async.emulator.number_map import ByNumber
from exotel_async.emulator.numbers import e164, metadata
from exotel_async.emulator.pages import ApiRequest, Methods
from exotel_async.emulator.parameters import given
from exotel_async.emulator.rendering import Document
from exotel_async.emulator.settings import Settings

_LIST = "IncomingPhoneNumbers"
_PAGE_SIZE = 50
_WHOLE = re.compile(r"[0-9]{1,9}")


@attrs.define
class _Properties:
    """What was set on an ExoPhone, other than its flow."""

    friendly_name: str | None = None
    sms_url: str | None = None
    other_voice_url: str | None = None
    """Where its calls go while no flow is assigned."""


class ExoPhones:
    """Answers requests for ExoPhones. Their flows are kept in `Settings.exophone_flows`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._properties: ByNumber[_Properties] = ByNumber({})

    def endpoints(self) -> Mapping[str, Methods]:
        """Return the endpoints of `v2_beta`, by path."""
        return {
            _LIST: {"GET": self._list},
            f"{_LIST}/*": {"GET": self._show, "PUT": self._set},
        }

    def newer_endpoints(self) -> Mapping[str, Methods]:
        """Return the endpoint of `v2`. Its response is not known: here it is that of `v2_beta`."""
        return {"incoming-phone-numbers/*": {"GET": self._show}}

    def sid(self, number: str) -> str:
        """Return an ExoPhone's SID. Unlike in calls, it is not its number here (VOICE_V1 1.3)."""
        return sha256(f"{self._settings.account_sid}/{number}".encode()).hexdigest()[:32]

    def _list(self, request: ApiRequest) -> Document:
        query = dict(given(request.query_pairs, self._settings))
        page = _read(query, "Page", 0)
        size = _read(query, "PageSize", _PAGE_SIZE)
        if size == 0:
            if not self._settings.zero_parameters:
                raise bad("PageSize must be above 0")
            size = _PAGE_SIZE
        numbers = sorted(self._settings.exophones)
        first = page * size

        def uri(number: int) -> str:
            account = quote(self._settings.account_sid)
            path = f"/v2_beta/Accounts/{account}/{_LIST}?Page={number}&PageSize={size}"
            return self._settings.exophone_host + path

        return {
            "page": page,
            "page_size": size,
            "uri": uri(page),
            "first_page_uri": uri(0),
            "next_page_uri": uri(page + 1) if first + size < len(numbers) else None,
            "previous_page_uri": uri(page - 1) if page else None,
            "incoming_phone_numbers": [
                self._document(number) for number in numbers[first : first + size]
            ],
        }

    def _find(self, sid: str) -> str:
        """Return the number that has that SID. Raises Refusal, 404."""
        number = next((n for n in self._settings.exophones if self.sid(n) == sid), None)
        if number is None:
            raise Refusal(404, "The ExoPhone was not found")
        return number

    def _show(self, _: ApiRequest, sid: str) -> Document:
        return self._document(self._find(sid))

    def _set(self, request: ApiRequest, sid: str) -> Document:
        """Set the properties given. Raises Refusal, 400, and sets none, if a URL is not allowed."""
        number, form = self._find(sid), dict(request.fields)
        for name in ("VoiceUrl", "SMSUrl"):
            if form.get(name):
                check_url(name, form[name])
        voice = form.get("VoiceUrl")
        flow = flow_of(voice) if voice else None
        if voice and flow is not None:
            check_flow_url("VoiceUrl", voice, self._settings)
        elif voice and not self._settings.other_voice_urls:
            raise bad("VoiceUrl does not lead to a flow")
        props = self._properties.setdefault(number, _Properties())
        if flow is not None:
            self._settings.exophone_flows[number] = flow
        elif voice is not None:
            self._settings.exophone_flows.pop(number, None)
            props.other_voice_url = voice or None
        if "SMSUrl" in form:
            props.sms_url = form["SMSUrl"] or None
        props.friendly_name = form.get("FriendlyName", props.friendly_name)
        return self._document(number)

    def _document(self, number: str) -> Document:
        props = self._properties.get(number, _Properties())
        flow = self._settings.exophone_flows.get(number)
        account = quote(self._settings.account_sid)
        url = f"http://my.exotel.com/{account}/exoml/start_voice/{flow}"
        return {
            "sid": self.sid(number),
            "phone_number": e164(number),
            "friendly_name": number if props.friendly_name is None else props.friendly_name,
            "capabilities": {"voice": True, "sms": True},
            "country": "IN",
            "region": metadata(number, dnd=False)["Circle"],
            "voice_url": props.other_voice_url if flow is None else url,
            "sms_url": props.sms_url,
        }


def _read(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text):
        raise bad(f"{name} must be a whole number")
    return int(text)
