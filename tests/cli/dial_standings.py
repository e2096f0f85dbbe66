"""Campaigns as they stand while they are dialled, in each way there is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from attrs import evolve

from exotel_async import IST
from exotel_async.campaigns import CampaignState, CampaignStatistics
from exotel_async.cli.dial_display import DialProgress, Problem, Stopping
from tests.cli.test_progress import STANDING

NOW: Final = datetime(2026, 11, 30, 15, 28, tzinfo=IST)
MINUTE: Final = timedelta(minutes=1)

STATISTICS: Final = CampaignStatistics(
    name="leads",
    state=CampaignState.IN_PROGRESS,
    created=1_000,
    pending=580,
    in_progress=7,
    in_doubt=1,
    reached=290,
    not_reached=82,
    refused=14,
    unresolved=3,
    do_not_call=16,
    expired=5,
    canceled=2,
    attempts=512,
    statuses={"completed": 310, "busy": 101, "no-answer": 90, "failed": 4},
    talk_time=timedelta(hours=5, minutes=10),
    price=Decimal("412.500"),
)
assert 1_000 == 580 + 7 + 1 + 290 + 82 + 14 + 3 + 16 + 5 + 2

LIMITER: Final = evolve(STANDING.limiter, window_used=142)

RUNNING: Final = DialProgress(
    statistics=STATISTICS,
    limiter=LIMITER,
    budget=200,
    channels_in_use=7,
    channels=30,
    retries=14,
    next_retry_at=NOW + timedelta(seconds=130),
    now=NOW,
    elapsed=605.0,
    forecast=timedelta(hours=1, minutes=12),
)

STARTING: Final = evolve(
    RUNNING,
    statistics=CampaignStatistics(
        name="leads", state=CampaignState.CREATED, created=1_000, pending=1_000
    ),
    limiter=evolve(LIMITER, window_used=0),
    channels_in_use=0,
    channels=None,
    retries=0,
    next_retry_at=None,
    elapsed=0.0,
)

PROBLEMS: Final = (
    Problem(at=NOW - 9 * MINUTE, text="the oldest, which is not shown any more"),
    Problem(at=NOW - 3 * MINUTE, text="HTTP 503 from api.exotel.com", count=12),
    Problem(
        at=NOW - 2 * MINUTE,
        text="Exotel refused to dial +919812300001:\x1b[31m the number is not valid, and a long "
        "explanation of it that fits no terminal which anybody has on a desk these days, not one",
    ),
    Problem(at=NOW - MINUTE, text="no answer within 30 s"),
)

REASON: Final = "10 dials in a row were refused: the caller id is not one of the account's"

STANDINGS: Final[Mapping[str, DialProgress]] = {
    "starting": STARTING,
    "running": RUNNING,
    "one of each": evolve(
        STARTING,
        statistics=evolve(
            STARTING.statistics, created=2, pending=1, reached=1, attempts=1, statuses={"busy": 1}
        ),
        retries=1,
        next_retry_at=NOW,
    ),
    "huge": evolve(
        RUNNING,
        statistics=evolve(
            STATISTICS, created=1_234_567, pending=1_234_147, name="a campaign's name"
        ),
        forecast=timedelta(days=9, hours=3),
        next_retry_at=NOW + timedelta(days=2),
        ledger="/srv/ledgers/campaigns of 2026.db",
    ),
    "problems": evolve(RUNNING, problems=PROBLEMS, limiter=evolve(LIMITER, paused_for=41.4)),
    "paused": evolve(
        RUNNING, statistics=evolve(STATISTICS, state=CampaignState.PAUSED), forecast=None
    ),
    "paused by errors": evolve(
        RUNNING,
        statistics=evolve(STATISTICS, state=CampaignState.PAUSED, reason=REASON),
        forecast=None,
    ),
    "failed": evolve(
        RUNNING,
        statistics=evolve(STATISTICS, state=CampaignState.FAILED, reason="the balance is used up"),
        forecast=None,
    ),
    "canceled": evolve(
        RUNNING, statistics=evolve(STATISTICS, state=CampaignState.CANCELED), forecast=None
    ),
    "outside hours": evolve(
        RUNNING, opens_at=NOW + timedelta(hours=18, minutes=32), forecast=timedelta(hours=20)
    ),
    "before hours": evolve(RUNNING, opens_at=NOW + 2 * MINUTE),
    "stopping": evolve(
        RUNNING, stopping=Stopping(since=NOW - MINUTE, calls=7, until=NOW + 14 * MINUTE)
    ),
    "stopping without a limit": evolve(RUNNING, stopping=Stopping(since=NOW, calls=1)),
    "hours have ended": evolve(
        RUNNING,
        opens_at=NOW + timedelta(hours=18, minutes=32),
        stopping=Stopping(since=NOW, calls=1, by_hours=True),
    ),
    "outside hours with nobody in progress": evolve(
        STARTING,
        opens_at=NOW + timedelta(hours=18, minutes=32),
        stopping=Stopping(since=NOW, calls=0, by_hours=True),
    ),
    "waiting for prices": evolve(
        RUNNING,
        statistics=evolve(STATISTICS, pending=0, in_progress=0, in_doubt=0, reached=878),
        channels_in_use=0,
        retries=0,
        next_retry_at=None,
        forecast=timedelta(),
    ),
}
