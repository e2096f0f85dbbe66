"""Requests of applets: what a flow asks you while a call is in it (wire notes 7).

They are GETs, with the call's data as their query. Not every field comes with every request: it
depends on where in the flow the applet stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from attrs import field, frozen

from exotel_async.webhooks.body import read_query
from exotel_async.webhooks.fields import call_sid, keys_pressed, masked, other_party, party
from exotel_async.wire.converter import text


@frozen(kw_only=True)
class AppletRequest:
    """What every request of an applet has.

    Attributes:
        sid: the call's SID.
        from_: who is on the phone with the flow: the caller, or in a call the API has made, who was
            rung. Numbers come in several spellings: `same_number` compares.
        to: the ExoPhone.
        raw: the whole query, nested by the brackets in its names. Of a name that comes twice the
            last value counts.
    """

    sid: str
    from_: str | None = field(default=None, repr=masked)
    to: str | None = field(default=None, repr=masked)
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)


@frozen(kw_only=True)
class GreetingRequest(AppletRequest):
    """A Greeting or Menu applet asks what to say (7.5). Answer with `Speak` or `Play`.

    Attributes:
        dialled_number: the last party dialled.
        custom_field: what was passed as `custom_field`; only calls made by the API have one.
    """

    dialled_number: str | None = field(default=None, repr=masked)
    custom_field: str | None = field(default=None, repr=False)

    @classmethod
    def from_query(cls, query: str | bytes) -> Self:
        """Read a request: the query as it came, percent-encoded, without a `?`.

        Raises:
            InvalidWebhook: this is no request of an applet. Its text shows nothing of the query.
        """
        raw = read_query(query)
        return cls(
            sid=call_sid(raw),
            from_=party(raw),
            to=other_party(raw),
            raw=raw,
            dialled_number=text(raw.get("DialWhomNumber")),
            custom_field=text(raw.get("CustomField")),
        )


@frozen(kw_only=True)
class WhisperRequest(AppletRequest):
    """A Connect applet asks what to play when a party picks up (7.7). Answer with `Playback`.

    Attributes:
        dialled_number: the party that is dialled; may be None.
    """

    dialled_number: str | None = field(default=None, repr=masked)

    @classmethod
    def from_query(cls, query: str | bytes) -> Self:
        """Read a request: the query as it came, percent-encoded, without a `?`.

        Raises:
            InvalidWebhook: this is no request of an applet. Its text shows nothing of the query.
        """
        raw = read_query(query)
        return cls(
            sid=call_sid(raw),
            from_=party(raw),
            to=other_party(raw),
            raw=raw,
            dialled_number=text(raw.get("DialWhomNumber")),
        )


@frozen(kw_only=True)
class SmsRequest(AppletRequest):
    """An SMS applet asks what to write (7.6). Answer with `SmsText`.

    Attributes:
        digits: the keys the caller pressed before, without the quotes they come in.
    """

    digits: str | None = field(default=None, repr=False)

    @classmethod
    def from_query(cls, query: str | bytes) -> Self:
        """Read a request: the query as it came, percent-encoded, without a `?`.

        Raises:
            InvalidWebhook: this is no request of an applet. Its text shows nothing of the query.
        """
        raw = read_query(query)
        return cls(
            sid=call_sid(raw),
            from_=party(raw),
            to=other_party(raw),
            raw=raw,
            digits=keys_pressed(raw.get("digits")),
        )
