"""`EXOTEL_LOG`: what it writes to the terminal, seen in processes of their own."""

from __future__ import annotations

import os
import re
import sys

import anyio
import pytest

from exotel_async import AsyncExotel, ConfigurationError
from exotel_async.emulator import Emulator
from exotel_async.webhooks import ExotelWebhooks

PROGRAM = """
import asyncio, logging, sys
from exotel_async import AsyncExotel
{first}
async def main():
    for _ in range(2):
        async with AsyncExotel(base_url=sys.argv[1]) as exotel:
            await exotel.numbers.lookup("+919812300001")
asyncio.run(main())
"""


async def written(emulator: Emulator, level: str | None, first: str = "") -> str:
    """Run the program, and return what it has written to the terminal."""
    environment = os.environ | {
        "EXOTEL_ACCOUNT_SID": emulator.account_sid,
        "EXOTEL_API_KEY": emulator.api_key,
        "EXOTEL_API_TOKEN": emulator.api_token,
        "EXOTEL_LOG": level or "",
    }
    program = [sys.executable, "-c", PROGRAM.format(first=first), emulator.base_url]
    run = await anyio.run_process(program, env=environment)
    return run.stderr.decode()


@pytest.mark.parametrize("level", ["debug", " Debug "])
async def test_debug_writes_a_line_for_each_request(emulator: Emulator, level: str) -> None:
    lines = (await written(emulator, level)).splitlines()
    line = r"\d\d:\d\d:\d\d exotel_async DEBUG: GET Numbers/\+\*{8}0001.json: 200 in [0-9.]+ s"
    assert len(lines) == 2
    for each in lines:
        assert re.fullmatch(line, each)


@pytest.mark.parametrize("level", [None, "info"])
async def test_less_writes_less(emulator: Emulator, level: str | None) -> None:
    assert await written(emulator, level) == ""


async def test_what_the_program_has_set_up_is_used(emulator: Emulator) -> None:
    first = "logging.basicConfig(format='its own: %(message)s')"
    lines = (await written(emulator, "debug", first)).splitlines()
    assert [line.partition(" GET")[0] for line in lines] == ["its own:"] * 2


async def test_logging_that_is_set_up_later_is_used_as_well(emulator: Emulator) -> None:
    first = "hooks = AsyncExotel(); logging.basicConfig(format='its own: %(message)s')"
    lines = (await written(emulator, "debug", first)).splitlines()
    assert [line.partition(" GET")[0] for line in lines] == ["its own:"] * 2


async def test_a_level_that_the_program_sets_later_stays(emulator: Emulator) -> None:
    first = "hooks = AsyncExotel(); logging.getLogger('exotel_async').setLevel('ERROR')"
    assert await written(emulator, "debug", first) == ""


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_LOG", "loud")
    rule = "EXOTEL_LOG: must be one of debug, info, warning, error"
    with pytest.raises(ConfigurationError, match=rule):
        AsyncExotel(account_sid="a", api_key="k", api_token="t")
    with pytest.raises(ConfigurationError, match=rule):
        ExotelWebhooks("a-secret-of-the-path")
