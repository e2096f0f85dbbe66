"""What flows have sent: SMS and e-mail."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen(kw_only=True)
class SentSms:
    """An SMS that a flow has sent."""

    sid: str
    """The call's SID."""
    from_: str
    """The ExoPhone."""
    to: str
    text: str
    sent: float
    """Emulator seconds since the start."""


@attrs.frozen(kw_only=True)
class SentEmail:
    """An e-mail that a flow has sent."""

    sid: str
    """The call's SID."""
    to: Sequence[str]
    subject: str
    text: str
    sent: float
    """Emulator seconds since the start."""


@attrs.frozen
class Outbox:
    """All messages, in the order they were sent."""

    sms: list[SentSms] = attrs.field(factory=list)
    emails: list[SentEmail] = attrs.field(factory=list)

    def clear(self) -> None:
        """Remove all messages."""
        self.sms.clear()
        self.emails.clear()
