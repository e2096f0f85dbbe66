"""The pages of the account itself: what it is, has, may call, and how much of it is in use.

Applications ask for them when their settings are saved, to see whether the credentials are right
(VOICE_V1 0, 8).
"""

from __future__ import annotations

from collections.abc import Mapping

from exotel_async.emulator.api_errors import bad
from exotel_async.emulator.call_store import CallBook
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.numbers import is_number, national
from exotel_async.emulator.pages import Asked, Methods
from exotel_async.emulator.parameters import merged
from exotel_async.emulator.rendering import Document
from exotel_async.emulator.settings import Settings
from exotel_async.emulator.whitelist import Whitelist

_STREAMS = 100
"""The `ThrottleLimit` of an account without a limit of channels: Exotel's sample (VOICE_V1 8)."""


class AccountPages:
    """Answers what is asked of the account."""

    def __init__(
        self, settings: Settings, clock: Clock, book: CallBook, whitelist: Whitelist
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._book = book
        self._whitelist = whitelist

    def pages(self) -> Mapping[str, Methods]:
        """Those of Voice."""
        whitelist = {"POST": self._add_to_whitelist}
        return {
            "": {"GET": self._account},
            "Balance": {"GET": self._balance},
            "IncomingPhoneNumbers": {"GET": self._exophones},
            "ActiveStreams": {"GET": self._streams},
            "CustomerWhitelist": whitelist,
            # As all of Exotel's samples write it.
            "CustomerWhitelist/": whitelist,
            "CustomerWhitelist/*": {"GET": self._whitelisted},
        }

    def _account(self, _: Asked) -> Document:
        """What a real one says is not known: programs were seen to look at its 200 only."""
        return {"Account": {"Sid": self._settings.account_sid, "Status": "active"}}

    def _balance(self, _: Asked) -> Document:
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

    def _exophones(self, _: Asked) -> Document:
        """`PhoneNumber` is all that is known of one; its form is that of `PhoneNumberSid`."""
        numbers = sorted(self._settings.exophones)
        return {
            "IncomingPhoneNumbers": [
                {"IncomingPhoneNumber": {"PhoneNumber": number}} for number in numbers
            ]
        }

    def _streams(self, _: Asked) -> Document:
        """The calls to a stream that have been answered."""
        limit, calls = self._settings.channels, self._book.live()
        return {
            "Stream": {
                "ActiveStreamCount": sum(call.streams for call in calls),
                "ThrottleLimit": _STREAMS if limit is None else limit,
            }
        }

    def _add_to_whitelist(self, asked: Asked) -> Document:
        """`Number` holds one or more, with commas between. What the answer says is not known."""
        form = dict(merged(asked.query_pairs, asked.fields, self._settings))
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

    def _whitelisted(self, _: Asked, number: str) -> Document:
        """Of the documented words `Blacklist`, and the types `Customer` and `Agent`, never come:
        nobody unsubscribes here, and who has called in is not whitelisted by that."""
        left = self._whitelist.seconds_left(number)
        if not left:
            return {"Result": {"Status": "Neutral", "Type": "", "Expiry": -1}}
        return {"Result": {"Status": "Whitelist", "Type": "API", "Expiry": round(left)}}
