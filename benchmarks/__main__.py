"""Tables of what is reached, with a yes or no each; `--help` lists the benchmarks."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import (
    emulator_speed,
    imports,
    interactive,
    lookups,
    overhead,
    overstated,
    records,
    restart,
    sync,
    tables,
    waiters,
    walks,
    webhooks,
    windows,
)

if TYPE_CHECKING:
    from benchmarks.tables import Target

_CAMPAIGNS = ("budget", "lists", "beside", "retries")
_PLAIN = {
    "overhead": overhead.report,
    "sync": sync.report,
    "records": records.report,
    "lookups": lookups.report,
    "webhooks": webhooks.report,
    "emulator": emulator_speed.report,
}
_PARTS = ("windows", "overstated", "restart", "interactive", "waiters")


def main() -> int:
    """Run what the command line asks for. 1 if a target is not reached."""
    options = _parser().parse_args()
    tables.console.print(f"$ python -m benchmarks {shlex.join(sys.argv[1:])}", markup=False)
    tables.console.print(tables.machine(), markup=False)
    if options.benchmark in _PLAIN:
        reached = _PLAIN[options.benchmark](quick=options.quick)
        tables.targets(reached)
    elif options.benchmark == "imports":
        reached = imports.report(options.before, quick=options.quick)
        tables.targets(reached)
    elif options.benchmark == "walks":
        reached = walks.report()
        tables.targets(reached)
    elif options.benchmark == "page":
        from benchmarks.page import command  # noqa: PLC0415 - it needs the extra `bench`

        command.run(options.window, options.from_, quick=options.quick)
        reached = []
    elif options.benchmark == "shared":
        from benchmarks import shared  # noqa: PLC0415 - it needs the extra `bench`

        reached = shared.report(options.window, quick=options.quick)
        if not options.quick:
            reached += overstated.report_shared(options.window)
        tables.targets(reached)
    elif options.benchmark == "campaigns":
        from benchmarks import campaigns  # noqa: PLC0415 - it needs the extra `campaigns`

        parts = options.only or _CAMPAIGNS
        reached = campaigns.report(options.window, options.contacts, parts, quick=options.quick)
        tables.targets(reached)
    else:
        reached = [target for part in options.only or _PARTS for target in _limiter(part, options)]
    return 0 if all(target.reached for target in reached) else 1


def _limiter(part: str, options: argparse.Namespace) -> list[Target]:
    quick: bool = options.quick
    seeds: int = options.seeds or (1 if quick else 5)
    match part:
        case "windows":
            long = not quick if options.long is None else options.long
            reached = windows.report(options.window, seeds, quick=quick, long=long)
        case "overstated":
            reached = overstated.report()
        case "restart":
            reached = restart.report(options.window, seeds)
        case "interactive":
            reached = interactive.report(options.window, quick=quick)
        case _:
            reached = waiters.report(quick=quick)
    tables.targets(reached)
    return reached


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    benchmarks = parser.add_subparsers(dest="benchmark", required=True)
    limiter = benchmarks.add_parser("limiter", help="rate, refusals, waits, cost of waiting")
    limiter.add_argument(
        "--only", action="append", choices=_PARTS, help="one part; may be given several times"
    )
    limiter.add_argument("--seeds", type=int, help="runs of windows and restart; else 5, quick 1")
    limiter.add_argument(
        "--long",
        action=argparse.BooleanOptionalAction,
        help="50 windows in a row as well; by default, unless --quick",
    )
    cost = benchmarks.add_parser("overhead", help="CPU for each request against bare httpx")
    threads = benchmarks.add_parser("sync", help="CPU for each dial from threads against asyncio")
    starts = benchmarks.add_parser("imports", help="CPU of imports and of starts")
    starts.add_argument(
        "--before",
        metavar="SOURCE",
        help="compare `exotel-async --help` with that of another: a folder, or git+file://...@commit",
    )
    listing = benchmarks.add_parser("records", help="budget, memory and CPU of lists of calls")
    asking = benchmarks.add_parser("lookups", help="requests for many calls by SID, and for ends")
    hooks = benchmarks.add_parser("webhooks", help="callbacks a second, and memory")
    ceiling = benchmarks.add_parser("emulator", help="requests a second, and starts")
    benchmarks.add_parser("walks", help="changes of folder in one call")
    budget = benchmarks.add_parser(
        "shared", help="one budget for many processes, on a Valkey; needs pip install -e '.[bench]'"
    )
    page = benchmarks.add_parser(
        "page", help="write docs/benchmarks.md: ours beside others; needs pip install -e '.[bench]'"
    )
    page.add_argument("--window", type=int, metavar="SECONDS", help="W; else 10, quick 6")
    page.add_argument(
        "--from",
        dest="from_",
        type=Path,
        metavar="FILE",
        help="write it again from benchmarks/measured.json, without measuring",
    )
    many = benchmarks.add_parser(
        "campaigns", help="budget, ledger, long lists, who is beside them; needs '.[test]'"
    )
    many.add_argument(
        "--only",
        action="append",
        choices=_CAMPAIGNS,
        help="one part; may be given several times",
    )
    many.add_argument("--contacts", type=int, help="of the budget's campaign; else 1000, quick 500")
    # A shorter window asks too much of the processor: the dialer's own work does not scale.
    for one, window in ((limiter, 6.0), (budget, 6.0), (many, 15.0)):
        one.add_argument("--window", type=float, default=window, metavar="SECONDS", help="W")
    for one in (
        limiter,
        budget,
        many,
        cost,
        threads,
        starts,
        listing,
        asking,
        hooks,
        ceiling,
        page,
    ):
        one.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
