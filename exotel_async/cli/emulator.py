"""`emulator`: a local Exotel in the foreground, for programs in any language."""

from __future__ import annotations

import asyncio
import json
import logging
from errno import EACCES, EADDRINUSE
from shlex import quote
from typing import TYPE_CHECKING, Any

from attrs import asdict

from exotel_async import InvalidRequest
from exotel_async.cli.emulator_options import PORT, SEED, TOKEN
from exotel_async.cli.emulator_tls import how_to_trust
from exotel_async.cli.links import TUTORIAL
from exotel_async.cli.service import LIMIT
from exotel_async.cli.terminal import (
    Exit,
    end_on_sigterm,
    note,
    out,
    report_problem,
    say,
    show_json,
)
from exotel_async.emulator import Emulator, serve
from exotel_async.emulator.tls import UnusableSetting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Unusable(ValueError):
    """The configuration file, alone or combined with the options, is not usable."""


class _LogPrinter(logging.Handler):
    """Prints log messages of the emulator, such as a failed callback."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message to standard error."""
        note(record.getMessage())


def set_up(file: Path | None, given: Mapping[str, Any]) -> Emulator:
    """Create an emulator from a configuration file and the settings that override it.

    Args:
        file: the file, if there is one.
        given: the settings from the options of the command line.

    Raises:
        Unusable: the configuration is not valid. The text says what is wrong, and where.
    """
    from exotel_async.emulator.control.config import Config, load_config  # noqa: PLC0415

    try:
        config = Config() if file is None else load_config(file)
        emulator = Emulator(**{"port": PORT, "seed": SEED, **config.settings, **given})
    except OSError as error:
        raise Unusable(f"cannot read {file}: {error.strerror or error}") from None
    except ValueError as error:
        raise Unusable(str(error) if file is None else f"{file}: {error}") from None
    for fault, where in config.faults:
        emulator.faults.add(fault, **where)
    return emulator


def show_schema() -> Exit:
    """Print the JSON Schema of the configuration file."""
    from exotel_async.emulator.control.config import config_schema  # noqa: PLC0415

    out.out(json.dumps(config_schema(), indent=2), highlight=False)
    return Exit.OK


def emulate(emulator: Emulator, *, as_json: bool) -> Exit:
    """Serve until Ctrl-C, or SIGTERM, and print the totals.

    Args:
        emulator: the emulator to serve. A token that the user has chosen is not shown.
        as_json: whether to print its address and the totals as one line of JSON each.
    """
    own_token = emulator.api_token != TOKEN

    def welcome(_: object) -> None:
        if not emulator.loopback_only:
            note(f"Other computers can reach it: it listens at {emulator.host}.")
        if as_json:
            show_json(_address(emulator, own_token=own_token))
        else:
            _show(_welcome(emulator, own_token=own_token))

    async def run() -> None:
        end_on_sigterm()
        logging.getLogger("exotel_async.emulator").addHandler(_LogPrinter())
        await serve(emulator, on_ready=welcome)

    try:
        asyncio.run(run())
    except UnusableSetting as error:
        option = f"--{error.setting.replace('_', '-')}"
        problem = f"{option} {error.value}: {error.problem}"
        report_problem(problem, kind=InvalidRequest.__name__, as_json=as_json)
        return Exit.USAGE
    except ModuleNotFoundError as error:
        if error.name != "trustme":
            raise
        report_problem(f"--tls: {error}", kind=type(error).__name__, as_json=as_json)
        return Exit.FAILED
    except OSError as error:
        where = f"{emulator.host}:{emulator.port}"
        other = "--port" if error.errno in {EADDRINUSE, EACCES} else "--host"
        problem = f"cannot listen on {where}: {error.strerror or error}; try another {other}"
        report_problem(problem, kind=type(error).__name__, as_json=as_json)
        return Exit.FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("Stopped.")
    if emulator.base_url and as_json:
        show_json(asdict(emulator.statistics()))
    elif emulator.base_url:
        _show(_totals(emulator))
        note(f"Next: the tutorial, {TUTORIAL}")
    return Exit.OK


def _address(emulator: Emulator, *, own_token: bool) -> Mapping[str, Any]:
    return {
        "base_url": emulator.base_url,
        "ca_file": emulator.ca_file,
        "account_sid": emulator.account_sid,
        "api_key": emulator.api_key,
        "api_token": None if own_token else emulator.api_token,
        "exophones": sorted(emulator.exophones),
        "rate": emulator.rate,
        "window": emulator.window.value,
        "speed": emulator.speed,
    }


def _welcome(emulator: Emulator, *, own_token: bool) -> Sequence[str]:
    url, account, key = emulator.base_url, emulator.account_sid, emulator.api_key
    token = "<the token you gave>" if own_token else emulator.api_token
    api = f"{url}/v1/Accounts/{account}"
    span = "a minute" if emulator.per == 60 else f"in {emulator.per:g} seconds of its clock"
    a_minute = emulator.rate * 60 / emulator.per * emulator.speed
    lines = [
        f"A local Exotel Voice v1 listens at {url}. Ctrl-C ends it.",
        f"It rings no phone, and allows {emulator.rate} requests {span} ({emulator.window.value}).",
    ]
    if emulator.speed != 1 or emulator.per != 60:
        if emulator.speed != 1:
            lines += [f"Its clock runs {emulator.speed:g} times as fast as yours."]
        per = f"{emulator.per / emulator.speed:.6g}"
        lines += [
            "To use the whole limit, set",
            f"  in the SDK: rate_limit=RateLimit({emulator.rate}, per={per})",
            f"  for the commands of exotel-async: --rate {a_minute:.0f}",
        ]
    elif emulator.rate != LIMIT:
        lines += [f"Set for the commands of exotel-async: --rate {emulator.rate}"]
    curl = "curl"
    if emulator.ca_file is not None:
        lines += ["", *how_to_trust(emulator.ca_file)]
        curl = f"curl --cacert {quote(emulator.ca_file)}"
    lines += [
        "",
        "For programs that use exotel_async, and for the commands of exotel-async:",
        f"  export EXOTEL_SUBDOMAIN={url}",
        f"  export EXOTEL_ACCOUNT_SID={account}",
        f"  export EXOTEL_API_KEY={key}",
        f"  export EXOTEL_API_TOKEN='{token}'",
        "For any other client, with that key and token as HTTP Basic:",
        f"  {api}",
        "",
    ]
    if emulator.exophones:
        exophone = min(emulator.exophones)
        lines += [
            f"The ExoPhone to call from is {exophone}. A dial with curl:",
            f"  {curl} -u '{key}:{token}' {api}/Calls/connect.json \\",
            f"    -d From=09812300001 -d To=09812300002 -d CallerId={exophone}",
        ]
    lines += [
        f"To watch it, and to play its phones, in a browser: {url}/_emulator/",
        f"Its control API, to inspect and change it: {url}/_emulator/docs",
        "",
    ]
    if emulator.exophones:
        lines += [
            "Next, in another terminal: paste the exports above, and place a first call:",
            f"  exotel-async call +919812300001 +919812300002 --caller-id {exophone} --wait",
        ]
    return [
        *lines,
        "A first program, a callback and a campaign are in the tutorial:",
        f"  {TUTORIAL}",
    ]


def _totals(emulator: Emulator) -> Sequence[str]:
    totals = emulator.statistics()
    calls = ", ".join(f"{count} {status}" for status, count in sorted(totals.calls.items()))
    number = sum(totals.calls.values())
    span = "minute" if emulator.per == 60 else f"{emulator.per:g} seconds"
    return [
        f"requests  {totals.requests}, {totals.refused} of them refused (429); "
        f"at most {totals.busiest_window} in any {span} of its clock",
        f"calls     {number}{f' ({calls})' if calls else ''}",
    ]


def _show(lines: Sequence[str]) -> None:
    for line in lines:
        say(line)
