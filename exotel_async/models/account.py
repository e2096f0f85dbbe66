"""What an account has besides its calls: a balance, ExoPhones, and metadata of numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import field, frozen

from exotel_async.masking import masked
from exotel_async.models.value import Value
from exotel_async.models.words import Dnd, NumberType, WhitelistStatus, WhitelistType


@frozen(kw_only=True)
class NumberMetadata(Value):
    """What Exotel knows about an Indian phone number.

    Attributes:
        phone_number: the number, as Exotel writes it: with a leading 0.
        circle: code of the telecom circle, such as `KA`.
        circle_name: its name, sometimes a whole list of territories.
        type: mobile or landline.
        operator: code of the operator. Its meaning has changed over the years: see the name.
        operator_name: the operator's name.
        dnd: whether it is on the DND register (NDNC).
        raw: the complete original data.
    """

    phone_number: str | None = field(default=None, repr=masked)
    circle: str | None = None
    circle_name: str | None = None
    type: NumberType | None = None
    operator: str | None = None
    operator_name: str | None = None
    dnd: Dnd | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)


@frozen(kw_only=True)
class WhitelistEntry(Value):
    """A number's state on the account's whitelist.

    Attributes:
        status: whether it is whitelisted, blacklisted or neither.
        type: the reason; None where Exotel gives none, such as for a neutral number.
        expires_in: how long it keeps the status, from the response on; None: for ever.
        raw: the complete original data.
    """

    status: WhitelistStatus
    type: WhitelistType | None = None
    expires_in: timedelta | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)


@frozen(kw_only=True)
class Balance(Value):
    """The balance of an account.

    Attributes:
        account_sid: the account.
        amount: the balance, in `currency`.
        currency: code of the currency, such as `INR`.
        pricing_plan: name of the account's plan.
        updated_at: when the balance last changed; aware, in the session's time zone.
        raw: the complete original data.
    """

    account_sid: str | None = None
    amount: Decimal
    currency: str | None = None
    pricing_plan: str | None = None
    updated_at: datetime | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)


_FLOW_PATH: Final = r"(?:/[^/]+)?/exoml/start(?:_voice)?/([^/]+)"


@frozen(kw_only=True)
class ExoPhone(Value):
    """An ExoPhone: a number of the account.

    Attributes:
        sid: its identifier, which the API takes instead of the number. It may look like one.
        phone_number: the number itself, such as `+918030000000`.
        friendly_name: its display name.
        country: code of its country, such as `IN`.
        region: code of its telecom circle, such as `KA`.
        voice: whether it can make and receive calls.
        sms: whether it can send and receive SMS.
        voice_url: what incoming calls are connected to; see `flow`.
        sms_url: where incoming SMS are sent.
        raw: the complete original data.
    """

    sid: str
    phone_number: str | None = None
    friendly_name: str | None = None
    country: str | None = None
    region: str | None = None
    voice: bool | None = None
    sms: bool | None = None
    voice_url: str | None = field(default=None, repr=False)
    sms_url: str | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)

    @property
    def flow(self) -> str | None:
        """Id of the flow for its calls. None if there is none, or `voice_url` leads elsewhere.

        It is a `str`, even if it is numeric.
        """
        try:
            path = urlsplit(self.voice_url or "").path
        except ValueError:
            return None
        found = re.fullmatch(_FLOW_PATH, path)
        return found and found[1]


@frozen(kw_only=True)
class ExoPhonePage(Value):
    """One page of ExoPhones.

    Attributes:
        exophones: the ExoPhones on it.
        next_page: number of the next page, counted from 0; None on the last one.
        raw: the complete original data.
    """

    exophones: tuple[ExoPhone, ...]
    next_page: int | None = None
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)
