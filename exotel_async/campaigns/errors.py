"""What a ledger raises."""

from __future__ import annotations

from exotel_async.errors import ExotelError


class LedgerUnavailable(ExotelError):
    """The ledger's database cannot be read or written now. Nothing of the operation was written.

    The disk is full, the file may not be written, the server is gone: once that is over, the same
    `Ledger` goes on.
    """


class LedgerBusy(LedgerUnavailable):
    """Somebody else has locked the ledger's database for longer than the operation may wait.

    Nothing of the operation was written.
    """
