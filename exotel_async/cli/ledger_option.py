"""The option for the ledger of campaigns, in a module that is cheap to import."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

DEFAULT_LEDGER: Final = "campaigns.db"
LEDGER_VARIABLE: Final = "EXOTEL_LEDGER"

LedgerPlace = Annotated[
    str,
    Parameter(
        name="--ledger",
        env_var=LEDGER_VARIABLE,
        help="Where campaigns are kept: a file, or a postgresql:// URL.",
    ),
]


def shown_place(place: str) -> str:
    """Return the ledger's place for display. A URL is hidden: it may contain passwords anywhere."""
    return "postgresql://..." if "://" in place else place
