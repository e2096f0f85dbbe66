"""ExoPhones for sale: invented, one of each type in every circle (VOICE_V1 8).

Of the list of countries only the beginning is known. Nothing here can be bought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from exotel_async.emulator.api_errors import Refusal
from exotel_async.emulator.numbers import CIRCLES, e164
from exotel_async.emulator.pages import ApiRequest, Methods
from exotel_async.emulator.parameters import given
from exotel_async.emulator.rendering import Document
from exotel_async.emulator.settings import Settings

_PAGE = "AvailablePhoneNumbers"
_TYPES = {"Landline": "080400000", "Mobile": "095000000", "TollFree": "018000000"}
"""How the numbers of each type begin; two digits follow."""


class AvailableNumbers:
    """Serves the endpoints of the numbers for sale."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def endpoints(self) -> Mapping[str, Methods]:
        """Return the endpoints, which belong to `v2_beta`, by path."""
        return {_PAGE: {"GET": self._countries}, f"{_PAGE}/*/*": {"GET": self._numbers}}

    def _countries(self, _: ApiRequest) -> Document:
        uri = f"/v2_beta/Accounts/{quote(self._settings.account_sid)}/{_PAGE}"
        india = {"country_code": "IN", "country": "India", "uri": f"{uri}/IN"}
        return {"uri": uri, "countries": [india]}

    def _numbers(self, request: ApiRequest, country: str, kind: str) -> Sequence[Document]:
        """Apply the filters `InRegion`, `Contains` and `IncomingSMS`. Raises Refusal, 404."""
        if country != "IN" or kind not in _TYPES:
            raise Refusal(404, "There are no numbers of that country and type")
        query, texts = dict(given(request.query_pairs, self._settings)), kind == "Mobile"
        if query.get("IncomingSMS") == "true" and not texts:
            return []
        numbers = {circle: f"{_TYPES[kind]}{n:02}" for n, circle in enumerate(sorted(CIRCLES))}
        return [
            {
                "friendly_name": number,
                "phone_number": e164(number),
                "capabilities": {"voice": True, "sms": texts},
                "country": country,
                "region": circle,
                "number_type": kind,
                "rental_price": "499.000000",
            }
            for circle, number in numbers.items()
            if query.get("InRegion", circle) == circle and query.get("Contains", "") in e164(number)
        ]
