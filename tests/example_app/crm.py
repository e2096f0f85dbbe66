"""What the shop knows: its customers, their orders, and who looks after them."""

from __future__ import annotations

import attrs

from exotel_async import same_number


@attrs.frozen
class Customer:
    """Somebody who has bought something."""

    name: str
    number: str
    pin: str
    manager: str | None = None
    """The number of the one who looks after them; those who have one are important."""


@attrs.define
class Crm:
    """A database, as far as a test needs one."""

    customers: list[Customer]
    is_down: bool = False

    async def find(self, number: str | None) -> Customer | None:
        """Look a caller up; numbers come in several spellings. Raises OSError when it is down."""
        if self.is_down:
            raise OSError("the CRM does not answer")
        return next((c for c in self.customers if same_number(c.number, number)), None)


@attrs.define
class CallLog:
    """What has become of calls, by their SIDs."""

    ended: dict[str, str] = attrs.field(factory=dict)
    """The status a call has ended with."""
    orders: dict[str, str] = attrs.field(factory=dict)
    """The order a call was about."""
    agents: list[tuple[str, str]] = attrs.field(factory=list)
    """Each step of dialling an agent: the step and the agent's number."""
    voicemails: list[str] = attrs.field(factory=list)
    """Where recordings are."""
    ends: list[str] = attrs.field(factory=list)
    """The SID of each call that has ended, each time it was told so."""
