"""What a ledger raises."""

from __future__ import annotations

from exotel_async.campaigns.words import CampaignState
from exotel_async.errors import ExotelError, InvalidRequest


class LedgerUnavailable(ExotelError):
    """The ledger's database cannot be read or written now. Nothing of the operation was written.

    The disk is full, the file may not be written, the server is gone: once that is over, the same
    `Ledger` continues.
    """


class LedgerBusy(LedgerUnavailable):
    """Somebody else has locked the ledger's database for longer than the operation may wait.

    Nothing of the operation was written.
    """


class LedgerLost(ExotelError):
    """Another dialer has taken over the ledger, or its file was deleted, moved or replaced.

    Nobody is dialled any more by this one.
    """


class DialerStopped(ExotelError):
    """The dialer was stopped before what was waited for. The next one continues it."""


class CampaignStopped(ExotelError):
    """A campaign was paused, or has failed, because of errors: nobody of it is dialled any more.

    Attributes:
        name: the campaign.
        why: what Exotel said, in words, numbers masked.
    """

    def __init__(self, name: str, state: CampaignState, why: str) -> None:
        super().__init__(f"the campaign {name!r} is {state.value}: {why}. `resume` continues it")
        self.name = name
        self.why = why
        self._state = state.value

    @property
    def state(self) -> CampaignState:
        """How the campaign stands."""
        return CampaignState(self._state)


def no_such(name: str) -> InvalidRequest:
    """Return the error for a campaign that is not there."""
    return InvalidRequest("name", name, "there is no such campaign in the ledger")
