"""Make the pictures of these pages: `python docs/pictures.py`. The second one needs Chromium.

They show the real display of a campaign, and the emulator's real page, of calls to an emulator.
"""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from exotel_async import IST
from exotel_async.emulator import (
    Caller,
    Connect,
    Dial,
    Emulator,
    Flow,
    Greeting,
    Menu,
    Scenario,
    Voicemail,
)

PICTURES: Final = Path(__file__).parent / "_static"
EXOPHONE: Final = "08030000000"
WIDTH, ROWS = 100, 40
_FRAME: Final = re.compile(r"(?:\x1b\[1A\x1b\[2K)+|\x1b\[\?25[lh]|\r\x1b\[2K")
_ARGUMENTS: Final = (
    f"dial leads.csv --flow 926 --caller-id {EXOPHONE} --channels 60 --retry busy:2:15m"
)


def main() -> None:
    """Make both."""
    (PICTURES / "live-view.svg").write_text(live_view(), encoding="utf-8")
    asyncio.run(emulators_page(PICTURES / "emulator.png"))


def live_view(seconds: float = 50) -> str:
    """Run a campaign at a terminal, and return, as SVG, what it shows after `seconds`."""
    morning = datetime(2026, 11, 30, 10, 58, tzinfo=IST)
    scenario = Scenario(busy=0.15, no_answer=0.25, failed=0.03, talk=(20, 90))
    with Emulator(speed=10, now=morning, scenario=scenario) as emulator:
        shown = at_a_terminal(emulator, seconds)
    frames = [frame for frame in _FRAME.split(shown.replace("\r\n", "\n")) if "budget" in frame]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold]$[/] exotel-async {_ARGUMENTS}", highlight=False)
    console.print(Text.from_ansi(frames[-1].rstrip()))
    svg = console.export_svg(title="exotel-async dial", unique_id="live-view")
    # A picture loads nothing from elsewhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def at_a_terminal(emulator: Emulator, seconds: float) -> str:
    """Return what `exotel-async dial` writes to a terminal, for `seconds` from its first frame."""
    output = bytearray()
    ours, terminal = pty.openpty()
    with tempfile.TemporaryDirectory() as folder:
        people = [f"Customer {n},+91{9812300000 + n}" for n in range(1, 401)]
        Path(folder, "leads.csv").write_text("\n".join(["Name,Mobile", *people]), encoding="utf-8")
        variables = {
            "EXOTEL_SUBDOMAIN": emulator.base_url,
            "EXOTEL_ACCOUNT_SID": emulator.account_sid,
            "EXOTEL_API_KEY": emulator.api_key,
            "EXOTEL_API_TOKEN": emulator.api_token,
            "COLUMNS": str(WIDTH),
            "LINES": str(ROWS),
            "TERM": "xterm-256color",
        }
        with subprocess.Popen(
            [sys.executable, "-m", "exotel_async", *_ARGUMENTS.split()],
            cwd=folder,
            env=os.environ | variables,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        ) as dialling:
            os.close(terminal)
            while b"budget" not in output:  # however long it takes to start
                output += os.read(ours, 65_536)
            ends_at = time.monotonic() + seconds
            while (left := ends_at - time.monotonic()) > 0:
                if select.select([ours], [], [], left)[0]:
                    output += os.read(ours, 65_536)
            dialling.kill()
    os.close(ours)
    return output.decode(errors="replace")


async def emulators_page(file: Path) -> None:
    """Take a picture of the emulator's page, with people who call in and are called."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("the picture of the emulator's page needs Chromium")
    sales = Connect(name="sales", numbers=["09812300009"], then=Voicemail(name="message"))
    keys = {"1": sales, "2": Greeting(name="hours", text="We are open from ten to six.")}
    line = Flow("line", start=Menu(name="menu", text="Press 1 for sales, 2 for hours", keys=keys))
    async with Emulator(
        speed=10,
        scenario=Scenario.all_answered(talk=3_600),
        flows=[line],
        exophone_flows={EXOPHONE: "line"},
        manual=["+919812300002"],
    ) as emulator:
        for minutes in (9, 7, 4):
            past = Dial(from_="+919812300001", to="+919812300002", caller_id=EXOPHONE)
            emulator.add_call(past, ago=timedelta(minutes=minutes))
        call = await emulator.incoming_call(
            "+919812300007", EXOPHONE, caller=Caller(keys={"menu": "1"})
        )
        await emulator.until_ringing(call.sid, "09812300009")
        await asyncio.sleep(3)  # they talk
        picture = await asyncio.create_subprocess_exec(
            browser,
            *("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,940"),
            f"--screenshot={file}",
            f"{emulator.base_url}/_emulator/page/calls/{call.sid}",
            stderr=subprocess.DEVNULL,
        )
        await picture.wait()


if __name__ == "__main__":
    main()
