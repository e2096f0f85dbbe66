"""The program that `exotel-async demo` starts, kills and starts again: it runs one campaign.

It gets its assignment as one line on stdin, which stays open. When stdin closes, the parent process
is gone, and this one ends as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import threading
from typing import Self

from attrs import asdict, field, frozen

from exotel_async.cli.terminal import one_line


@frozen(kw_only=True)
class Assignment:
    """What the program is to do. Environment variables are ignored.

    Attributes:
        base_url, account_sid, api_key, api_token: the emulator, and its credentials.
        limit: requests a minute.
        burst: how many of them may be sent at once.
        folder: deleted when the parent process is gone.
        ledger: the path of the ledger, in that folder.
        campaign: the name of the campaign.
        channels: the number of channels.
        poll_interval: seconds, as `Dialer` takes it.
    """

    base_url: str
    account_sid: str
    api_key: str
    api_token: str = field(repr=False)
    limit: int
    burst: int
    folder: str
    ledger: str
    campaign: str
    channels: int
    poll_interval: float

    @classmethod
    def read(cls, line: str) -> Self:
        """Decode an assignment from a line."""
        return cls(**json.loads(line))

    def line(self) -> str:
        """Encode the assignment as a line."""
        return json.dumps(asdict(self)) + "\n"


async def _run(assignment: Assignment) -> None:
    from exotel_async import AsyncExotel, RateLimit, TokenBucket  # noqa: PLC0415
    from exotel_async.campaigns import Dialer  # noqa: PLC0415

    async with (
        AsyncExotel(
            account_sid=assignment.account_sid,
            api_key=assignment.api_key,
            api_token=assignment.api_token,
            base_url=assignment.base_url,
            rate_limit=TokenBucket(RateLimit(assignment.limit, burst=assignment.burst)),
            exophone_rate_limit=TokenBucket(),
            http_client="httpx",
        ) as exotel,
        Dialer(
            exotel,
            assignment.ledger,
            channels=assignment.channels,
            poll_interval=assignment.poll_interval,
        ) as dialer,
        dialer.run(assignment.campaign) as outcomes,
    ):
        async for _ in outcomes:
            pass


def _end_with_parent(folder: str) -> None:
    """End the process and delete the folder when stdin closes, whatever runs at that moment."""

    def watch() -> None:
        while os.read(0, 1):  # no more input is expected
            pass
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    """Run the campaign to its end. An error is reported as one line on stderr."""
    # A terminal's Ctrl-C reaches this process, too; the parent process decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("exotel_async").addHandler(logging.NullHandler())
    try:
        assignment = Assignment.read(sys.stdin.readline())
        _end_with_parent(assignment.folder)
        asyncio.run(_run(assignment))
    except Exception as error:  # noqa: BLE001 - it is reported
        print(one_line(f"{type(error).__name__}: {error}"), file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
