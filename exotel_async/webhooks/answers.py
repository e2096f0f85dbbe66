"""Short answers: which way a call goes, one number to dial, the text of a message."""

from __future__ import annotations

from typing import Self

from attrs import field, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.phone import normalize_number
from exotel_async.webhooks.fields import masked
from exotel_async.webhooks.response import TEXT, Reply, document, reply
from exotel_async.webhooks.rules import length, some_text


def _case(case: str | None) -> str | None:
    return None if case is None else some_text("case", case)


@frozen(kw_only=True)
class Passthru:
    """Which way a call goes from a Passthru applet; see its three constructors (7.1, 7.2).

    Attributes:
        diverts: whether it goes the way of "anything but 200".
        case: the case of the Switch-case applet that follows.
    """

    diverts: bool = False
    case: str | None = field(default=None, converter=_case)

    def __attrs_post_init__(self) -> None:
        if self.diverts and self.case is not None:
            raise InvalidRequest(
                "case", self.case, "a case is selected only where the call goes on"
            )

    @classmethod
    def proceed(cls) -> Self:
        """Go on by the branch "URL returns OK (200)"."""
        return cls()

    @classmethod
    def divert(cls) -> Self:
        """Go on by the other branch, "URL returns anything else"; it is answered with 302."""
        return cls(diverts=True)

    @classmethod
    def select(cls, case: str) -> Self:
        """Go on by one branch of the Switch-case applet that comes next.

        Args:
            case: its name, exactly as it is in the flow.

        Raises:
            InvalidRequest: it is empty, or has control characters.
        """
        return cls(case=some_text("case", case))

    def render(self) -> Reply:
        """Return 200, or 302; a case is JSON in it, as `text/plain`."""
        if self.case is not None:
            return document({"select": self.case}, content_type=TEXT)
        return reply(status=302 if self.diverts else 200)


def _number(number: str) -> str:
    return normalize_number(number)


@frozen
class DialWhom:
    """The one number to dial; answers the "dial whom" URL of a Connect applet (7.3).

    How several are written there is not known: see `ConnectPlan`, which answers the dynamic URL.

    Args:
        number: the number; separators are taken out.

    Raises:
        InvalidRequest: it is no phone number.
    """

    number: str = field(converter=_number, repr=masked)

    def render(self) -> Reply:
        """Return 200, `text/plain`, the bare number."""
        return reply(self.number, content_type=TEXT)


def _message(text: str) -> str:
    return some_text("text", text)


@frozen
class SmsText:
    """The message an SMS applet sends (7.6). In India it must fit a registered template (DLT).

    Args:
        text: the message.

    Raises:
        InvalidRequest: it is empty, or has control characters.
    """

    text: str = field(converter=_message, repr=length)

    def render(self) -> Reply:
        """Return 200, `text/plain` without a charset, the message. A HEAD gets the same headers."""
        return reply(self.text, content_type=TEXT)
