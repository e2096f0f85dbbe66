"""How much is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from benchmarks.page.figures import Figure, Figures
from benchmarks.traffic import KINDS, LOG, RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.traffic import Kind


@frozen(kw_only=True)
class Settings:
    """How much is measured.

    Attributes:
        per: W, the whole seconds in which the emulator's minute passes.
        kinds: the ways of counting.
        requests: lookups, all at once.
        batch: lookups that stand before the interactive ones.
        asked: interactive lookups.
        dials: dials, one in ten of which loses its response.
        rounds: of the comparison of CPU.
        waiting: tasks.
    """

    per: int
    kinds: Sequence[Kind]
    requests: int
    batch: int
    dials: int
    rounds: int
    asked: int = 9
    waiting: int = 10_000

    @classmethod
    def of(cls, per: int | None, *, quick: bool) -> Settings:
        """Choose them; `per` None is 10, quick 6."""
        if quick:
            return cls(
                per=per or 6,
                kinds=(KINDS[0], LOG),
                requests=300,
                batch=300,
                dials=50,
                rounds=40,
            )
        return cls(per=per or 10, kinds=KINDS, requests=800, batch=600, dials=200, rounds=300)

    def figures(self) -> Figures:
        """Return what the page says of them."""
        return {
            "window": Figure(self.per, "s for each minute of the service"),
            "requests": Figure(self.requests, "lookups sent at once"),
            "batch": Figure(self.batch, "lookups queued before the interactive ones"),
            "asked": Figure(self.asked, "interactive lookups"),
            "rate": Figure(RATE, "requests in each window"),
        }
