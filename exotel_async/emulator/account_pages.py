"""The endpoints of the account itself: its status, balance, ExoPhones, streams and whitelist.

Applications call them when their settings are saved, to see whether the credentials are right
(VOICE_V1 0, 8).
"""

from __future__ import annotations

from collections.abc import Mapping

from exotel_async.emulator.api_errors import bad
from exotel_async.emulator.call_store import CallBook
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.numbers import is_number, national
from exotel_async.emulator.pages import ApiRequest, Methods
from exotel_async.emulator.parameters import merged
from exotel_async.emulator.rendering import Document
from exotel_async.emulator.settings import Settings
from exotel_async.emulator.whitelist import Whitelist

_STREAMS = 100
"""The `ThrottleLimit` of an account without a channel limit, as in Exotel's sample (VOICE_V1 8)."""


class AccountPages:
    """Serves the endpoints of the account itself."""

    def __init__(
        self, settings: Settings, clock: Clock, book: CallBook, whitelist: Whitelist
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._book = book
        self._whitelist = whitelist

    def endpoints(self) -> Mapping[str, Methods]:
        """Return the endpoints, which belong to Voice, by path."""
        whitelist = {"POST": self._add_to_whitelist}
        return {
            "": {"GET": self._account},
            "Balance": {"GET": self._balance},
            "IncomingPhoneNumbers": {"GET": self._exophones},
            "ActiveStreams": {"GET": self._streams},
            "CustomerWhitelist": whitelist,
            # All of Exotel's samples have the slash.
            "CustomerWhitelist/": whitelist,
            "CustomerWhitelist/*": {"GET": self._whitelisted},
        }

    def _account(self, _: ApiRequest) -> Document:
        """The real response is not known: programs were seen to check only for its 200."""
        return {"Account": {"Sid": self._settings.account_sid, "Status": "active"}}

    def _balance(self, _: ApiRequest) -> Document:
        settings = self._settings
        return {
            "Account": {
                "AccountSid": settings.account_sid,
                "BalanceData": {
                    "Balance": str(settings.balance),
                    "Currency": "INR",
                    "PricingPlan": "Emulated",
                    "DateUpdated": self._clock.text(self._clock.elapsed()),
                },
            }
        }

    def _exophones(self, _: ApiRequest) -> Document:
        """`PhoneNumber` is the only field known; it is written as `PhoneNumberSid` is."""
        numbers = sorted(self._settings.exophones)
        return {
            "IncomingPhoneNumbers": [
                {"IncomingPhoneNumber": {"PhoneNumber": number}} for number in numbers
            ]
        }

    def _streams(self, _: ApiRequest) -> Document:
        """Count the calls to a stream that have been answered and are in progress."""
        limit, calls = self._settings.channels, self._book.live()
        return {
            "Stream": {
                "ActiveStreamCount": sum(call.streams for call in calls),
                "ThrottleLimit": _STREAMS if limit is None else limit,
            }
        }

    def _add_to_whitelist(self, request: ApiRequest) -> Document:
        """`Number` holds one or more, separated by commas. The real response is not known."""
        form = dict(merged(request.query_pairs, request.fields, self._settings))
        for name in ("VirtualNumber", "Number"):
            if not form.get(name):
                raise bad(f"{name} is required")
        if national(form["VirtualNumber"]) not in self._settings.exophones:
            raise bad("VirtualNumber is not one of the account's ExoPhones")
        numbers = [number.strip() for number in form["Number"].split(",")]
        if not all(map(is_number, numbers)):
            raise bad("Number is not a valid number")
        self._whitelist.add(numbers)
        return {"Result": {"Message": "Success"}}

    def _whitelisted(self, _: ApiRequest, number: str) -> Document:
        """The documented status `Blacklist` and the types `Customer` and `Agent` never occur:
        nobody unsubscribes here, and a number is not whitelisted by calling in."""
        left = self._whitelist.seconds_left(number)
        if not left:
            return {"Result": {"Status": "Neutral", "Type": "", "Expiry": -1}}
        return {"Result": {"Status": "Whitelist", "Type": "API", "Expiry": round(left)}}
