"""Looks numbers up in the DND register (NDNC) before their first dial.

Exotel itself refuses calls to numbers on the register, with 403. The lookup only saves these dials,
and shows before the campaign which contacts it would lose. Results are remembered in the ledger.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exotel_async.calls.wait_state import is_transient
from exotel_async.campaigns.clock import to_ms
from exotel_async.campaigns.errors import LedgerUnavailable
from exotel_async.campaigns.order import number_of
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import ExotelError
from exotel_async.models import Dnd
from exotel_async.phone import identity_of
from exotel_async.wire import requests, responses

if TYPE_CHECKING:
    from exotel_async.campaigns.entries import ClaimedContact
    from exotel_async.campaigns.running import RunningCampaign
    from exotel_async.campaigns.state import DialerState
    from exotel_async.limiter.protocol import Permit

REMEMBERED: Final = timedelta(days=30)
"""How long a result is valid: people put their numbers on the register and take them off."""

_AGAIN: Final = 5.0
"""Seconds until a number is looked up again after a failed lookup."""
_INDIA: Final = "India "  # begins the identities of Indian numbers; the register has no others

logger: Final = logging.getLogger("exotel_async")


class DndRegister:
    """Finds out whether the numbers of claimed contacts are on the register."""

    def __init__(self, state: DialerState) -> None:
        self._state = state

    async def recall(self, running: RunningCampaign, contacts: Sequence[ClaimedContact]) -> None:
        """Load the remembered results for contacts that were claimed."""
        if not running.campaign.check_dnd or not contacts:
            return
        running.forget_listed()
        since = to_ms(self._state.clock.now() - REMEMBERED)
        identities = {contact.id: identity_of(number_of(contact)) or "" for contact in contacts}
        known = await self._state.ledger.remembered(sorted(set(identities.values())), since)
        for contact_id, identity in identities.items():
            if not identity.startswith(_INDIA):
                running.listed[contact_id] = False
            elif identity in known:
                running.listed[contact_id] = known[identity]

    def is_unknown(self, running: RunningCampaign, contact: ClaimedContact) -> bool:
        """Return whether a number has to be looked up before it is dialled."""
        return running.campaign.check_dnd and contact.id not in running.listed

    async def look_up(
        self, running: RunningCampaign, contact: ClaimedContact, permit: Permit
    ) -> None:
        """Look up a contact's number, which uses the permit. The dial needs another one."""
        state, number = self._state, number_of(contact)
        options = SendOptions(priority=Priority.BULK)
        try:
            known = await state.parts.pipeline.send(
                requests.lookup_number(number), responses.read_number, options, permit=permit
            )
        except ExotelError as error:
            logger.info("A number could not be looked up in the DND register: %s", error)
            if is_transient(error):
                running.hold_up(asyncio.get_running_loop().time() + _AGAIN)
            else:
                running.listed[contact.id] = False  # Exotel itself checks the dial
        else:
            is_listed = running.listed[contact.id] = known.dnd is Dnd.YES
            identity = identity_of(number) or number
            try:
                await state.ledger.remember(identity, is_listed, state.clock.now_ms())
            except LedgerUnavailable as error:
                state.ledger_failed(error)
        running.add([contact])
