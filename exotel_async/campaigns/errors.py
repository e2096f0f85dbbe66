"""The errors of campaigns and their ledger."""

from __future__ import annotations

from exotel_async.campaigns.words import CampaignState
from exotel_async.errors import ExotelError, InvalidRequest


class LedgerUnavailable(ExotelError):
    """The ledger's database cannot be read or written now. Nothing of the operation was written.

    For instance, the disk is full, the file is read-only, or the server is down. Once that is
    fixed, the same `Ledger` continues.
    """


class LedgerBusy(LedgerUnavailable):
    """Another connection has locked the ledger's database for longer than the operation may wait.

    Nothing of the operation was written.
    """


class LedgerLost(ExotelError):
    """Another dialer has taken over the ledger, or its file was deleted, moved or replaced.

    This dialer places no more calls.
    """


class DialerStopped(ExotelError):
    """The dialer was stopped before the awaited result. The next dialer continues the work."""


class CampaignStopped(ExotelError):
    """A campaign was paused or has failed because of errors. Its contacts are not dialled any more.

    Attributes:
        name: the name of the campaign.
        why: Exotel's message, with numbers masked.
    """

    def __init__(self, name: str, state: CampaignState, why: str) -> None:
        super().__init__(f"the campaign {name!r} is {state.value}: {why}. `resume` continues it")
        self.name = name
        self.why = why
        self._state = state.value

    @property
    def state(self) -> CampaignState:
        """The state of the campaign."""
        return CampaignState(self._state)


def no_such(name: str) -> InvalidRequest:
    """Return the error for a campaign that does not exist."""
    return InvalidRequest("name", name, "there is no such campaign in the ledger")
