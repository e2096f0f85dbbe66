"""`python -m tests.campaigns.survival --kills 200 --contacts 2000`: all of it, with a table."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.campaigns.survival.killing import Ordeal, endure
from tests.support import postgres


def main() -> int:
    """Run it, and return how many things are wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.survival")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--contacts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ledger", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--signal", choices=["KILL", "TERM", "INT"], default="KILL")
    parser.add_argument(
        "--without-marks", action="store_true", help="lists of calls do not show custom fields"
    )
    given = parser.parse_args()
    ordeal = Ordeal(
        kills=given.kills,
        contacts=given.contacts,
        seed=given.seed,
        signal=signal.Signals[f"SIG{given.signal}"],
        records_show_marks=not given.without_marks,
    )
    folder = Path(tempfile.mkdtemp(prefix="survival-"))
    with ExitStack() as stack:
        ledger = None
        if given.ledger == "postgres":
            ledger = stack.enter_context(postgres.running()).new_database()
        outcome = asyncio.run(endure(ordeal, folder, ledger=ledger))
    print(outcome)
    for problem in outcome.verdict.problems[:50]:
        print(problem)
    print(f"The programs' log, and the ledger, are in {folder}")
    return min(1, len(outcome.verdict.problems))


if __name__ == "__main__":
    sys.exit(main())
