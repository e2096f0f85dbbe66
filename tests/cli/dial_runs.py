"""What is told to dial, dry runs, and ends of runs, in each way there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from exotel_async.campaigns import (
    Campaign,
    CampaignState,
    CampaignStatistics,
    Reached,
    Retries,
    Retry,
    Schedule,
)
from exotel_async.cli import dial_app
from exotel_async.cli.dial_arguments import DialArguments
from exotel_async.cli.dial_assumed import Assumed
from exotel_async.cli.dial_dry_run import DryRun, Rejection
from exotel_async.cli.dial_forecast import forecast
from exotel_async.cli.dial_options import CallOptions, Target, Timing
from exotel_async.cli.dial_report import DialEnd, OpenCall
from exotel_async.cli.service import Service
from exotel_async.cli.terminal import Exit
from tests.cli.dial_standings import NOW, REASON, STATISTICS
from tests.cli.support import EXOPHONE

DONE: Final = evolve(
    STATISTICS,
    state=CampaignState.COMPLETED,
    pending=0,
    in_progress=0,
    in_doubt=0,
    reached=290 + 588,
    statuses={"completed": 310, "busy": 104, "no-answer": 94, "failed": 4},
)
OPEN_CALLS: Final = tuple(
    OpenCall(
        number=f"+9198123000{n:02}",
        key=f"crm-{n}" if n % 2 else f"+9198123000{n:02}",
        sid=None if n % 4 == 0 else f"c0ffee{n:02}d1a1c0ffeed1a1c0ffeed1a1",
    )
    for n in range(1, 14)
)

ENDS: Final[Mapping[str, DialEnd]] = {
    "all done": DialEnd(
        exit_code=Exit.OK, statistics=evolve(DONE, unresolved=0, reached=881), now=NOW, elapsed=4205
    ),
    "nobody": DialEnd(
        exit_code=Exit.OK,
        statistics=CampaignStatistics(name="leads", state=CampaignState.CREATED),
        now=NOW,
        elapsed=1,
    ),
    "canceled": DialEnd(
        exit_code=Exit.OK,
        statistics=evolve(DONE, unresolved=0, state=CampaignState.CANCELED, canceled=5),
        now=NOW,
        elapsed=4205,
    ),
    "canceled with some in doubt": DialEnd(
        exit_code=Exit.NOT_COMPLETED,
        statistics=evolve(
            DONE, reached=875, unresolved=1, in_doubt=2, state=CampaignState.CANCELED, canceled=5
        ),
        now=NOW,
        elapsed=4205,
    ),
    "unresolved": DialEnd(
        exit_code=Exit.NOT_COMPLETED, statistics=DONE, now=NOW, elapsed=4205, ledger="a b.db"
    ),
    "outside hours": DialEnd(
        exit_code=Exit.OUTSIDE_HOURS,
        statistics=evolve(STATISTICS, in_progress=0, pending=587),
        now=NOW,
        elapsed=4205,
        opens_at=NOW + timedelta(hours=18, minutes=32),
    ),
    "no more hours": DialEnd(
        exit_code=Exit.OUTSIDE_HOURS, statistics=STATISTICS, now=NOW, elapsed=1
    ),
    "interrupted": DialEnd(
        exit_code=Exit.INTERRUPTED,
        statistics=STATISTICS,
        now=NOW,
        elapsed=605,
        open_calls=OPEN_CALLS,
    ),
    "interrupted with no call left": DialEnd(
        exit_code=Exit.INTERRUPTED, statistics=STATISTICS, now=NOW, elapsed=605
    ),
    "stopped by errors": DialEnd(
        exit_code=Exit.FAILED,
        statistics=evolve(STATISTICS, state=CampaignState.PAUSED, reason=REASON),
        now=NOW,
        elapsed=605,
        problem=f"paused: {REASON}",
    ),
    "the ledger is lost": DialEnd(
        exit_code=Exit.FAILED,
        statistics=STATISTICS,
        now=NOW,
        elapsed=605,
        problem="/home/asha/campaigns.db was deleted",
        is_ledger_lost=True,
    ),
    "interrupted while paused": DialEnd(
        exit_code=Exit.INTERRUPTED,
        statistics=evolve(STATISTICS, state=CampaignState.PAUSED),
        now=NOW,
        elapsed=605,
        ledger="a b.db",
    ),
    "interrupted after it has failed": DialEnd(
        exit_code=Exit.INTERRUPTED,
        statistics=evolve(
            STATISTICS, state=CampaignState.FAILED, reason="HTTP 403: no KYC of +919812300001"
        ),
        now=NOW,
        elapsed=605,
    ),
    "interrupted after it was cancelled": DialEnd(
        exit_code=Exit.INTERRUPTED,
        statistics=evolve(STATISTICS, state=CampaignState.CANCELED, canceled=582, pending=0),
        now=NOW,
        elapsed=605,
    ),
    "outside hours while paused": DialEnd(
        exit_code=Exit.OUTSIDE_HOURS,
        statistics=evolve(STATISTICS, in_progress=0, pending=587, state=CampaignState.PAUSED),
        now=NOW,
        elapsed=4205,
        opens_at=NOW + timedelta(hours=18, minutes=32),
    ),
    "nothing was dialled": DialEnd(
        exit_code=Exit.FAILED,
        statistics=evolve(
            STATISTICS,
            pending=583,
            unresolved=0,
            attempts=0,
            statuses={},
            talk_time=timedelta(),
            price=Decimal(0),
            reason=None,
        ),
        now=NOW,
        elapsed=0,
        problem="the ledger\ncannot be opened: +919812300001",
    ),
}

CAMPAIGN: Final = Campaign(
    "leads",
    flow="http://my.exotel.com/acme1/exoml/start_voice/926",
    caller_ids="08030000000",
    schedule=Schedule(hours={"mon-fri": "10:00-13:00, 14:00-19:00", "sat": "10:00-13:00"}),
    retries=Retries(
        busy=Retry(3, timedelta(minutes=10), exponential=True),
        no_answer=Retry(2, timedelta(hours=3)),
        failed=Retry(1, timedelta(minutes=1)),
    ),
)


def dry_run(
    contacts: Mapping[str | None, int], campaign: Campaign = CAMPAIGN, **given: Any
) -> DryRun:
    """A dry run of that many contacts."""
    known = {"budget": 200, "now": NOW, **given}
    return DryRun(
        path="leads.csv",
        column="Mobile",
        found_by="its header",
        taken=sum(contacts.values()),
        campaign=campaign,
        forecast=forecast(contacts, campaign, **known),
    )


RICH: Final = Campaign(
    "दिवाली 2026",
    agent="+919812300009",
    caller_ids=["08030000000", "08030000001"],
    schedule=Schedule(
        hours="10:00-19:00",
        holidays=[date(2026, 12, day) for day in range(1, 9)],
        start=NOW - timedelta(days=1),
        end=datetime(2026, 12, 10, 12, tzinfo=NOW.tzinfo),
    ),
    retries=Retries(not_reached=Retry(1, timedelta(hours=1))),
    reached=Reached(30),
    channels=20,
    throttle=2,
    time_limit=600,
    ring_timeout=30,
    record=True,
    check_dnd=True,
)

DRY_RUNS: Final[Mapping[str, DryRun]] = {
    "plain": dry_run({None: 1_000}, channels=30, price=Decimal("0.80")),
    "rich": evolve(
        dry_run({None: 2_000, "Asia/Dubai": 300}, RICH, price=Decimal("0.60")),
        path="/home/anita/Documents/Campaigns of November/leads of week 2, final (2).xlsx",
        notes=[
            "the sheet “Leads” was read; the sheets “Old” and “Totals” were not",
            "3 numbers had lost digits to the format of the spreadsheet",
        ],
        duplicates=12,
        in_campaign=8,
        keys_with_other_number=[f"crm-{n}" for n in range(1, 8)],
        do_not_call=1,
        rejected=[
            Rejection(
                reason="+9198123 has too few digits for a mobile number",
                count=14,
                lines=range(4, 18),
            ),
            Rejection(reason="the cell is empty", count=1, lines=[3]),
            *(Rejection(reason=f"another reason, {n}", count=1, lines=[n]) for n in range(40, 50)),
        ],
    ),
    "over": dry_run({None: 5}, evolve(CAMPAIGN, schedule=Schedule(end=NOW))),
    "nobody": dry_run({}),
    "one": dry_run(
        {None: 1}, Campaign("x", stream_url="wss://a:b@bot.in/k?t=1", caller_ids="08030000000")
    ),
    "slow": dry_run({None: 40_000}, evolve(CAMPAIGN, throttle=1)),
    "beyond": dry_run(
        {None: 400_000}, evolve(CAMPAIGN, throttle=1, schedule=Schedule(hours="00:00-24:00"))
    ),
    "by the hour": dry_run({None: 40}, evolve(CAMPAIGN, channels=1, time_limit=14_400), budget=1),
    "by the day": dry_run(
        {None: 4}, channels=1, assumed=Assumed(ringing=timedelta(hours=3), talk=timedelta())
    ),
}


def dial_arguments(folder: Path, rows: Iterable[str]) -> DialArguments:
    """What is told to dial a list at all hours, with two channels."""
    file = folder / "leads.csv"
    file.write_text("".join(f"{row}\n" for row in ("Mobile", *rows)))
    work = dial_app.dial(
        file,
        caller_id=(EXOPHONE,),
        target=Target(flow="926"),
        timing=Timing(hours="00:00-24:00"),
        calls=CallOptions(channels=2, poll_interval=0.1),
        ledger=str(folder / "campaigns.db"),
        service=Service(rate=60_000),
    )
    assert isinstance(work, partial)
    arguments: DialArguments = work.args[0]
    return arguments
