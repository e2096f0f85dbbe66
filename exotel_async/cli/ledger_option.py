"""The option that says where campaigns are kept. It imports nothing that they need."""

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
    """Return what `--ledger` says. A URL is not shown: it may hold passwords in many places."""
    return "postgresql://..." if "://" in place else place
