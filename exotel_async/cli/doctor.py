"""`doctor`: checks the setup with one cheap request, and reports what is wrong in one line."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import define

from exotel_async import (
    AsyncExotel,
    Balance,
    ConnectionFailed,
    ExotelError,
    RetryPolicy,
    Timeouts,
)
from exotel_async.cli.shared_limiter import clear_pauses, clock, shared_limiter
from exotel_async.cli.terminal import Exit, note, one_line, report_problem, say, show_json
from exotel_async.http.base_url import is_loopback, is_this_computer
from exotel_async.http.http_client import find_library, new_client

if TYPE_CHECKING:
    from exotel_async.cli.service import Service

_TOLERATED: Final = 30.0
"""Seconds by which a clock may be off; one of them is due to the Date header's resolution."""
_PATIENCE: Final = 5.0


class _Paused(Exception):
    """The account's requests are paused, so that nothing can be checked until they continue."""


@define
class _Answer:
    """How long the service took to respond, and how far its clock is ahead of ours."""

    began: float = 0.0
    took: float = 0.0
    ahead: float | None = None

    async def begin(self, _: Any) -> None:
        """Record when the request is sent (a hook of the HTTP client)."""
        self.began = time.monotonic()

    async def note(self, response: Any) -> None:
        """Read the Date header of the response (a hook of the HTTP client)."""
        self.took = time.monotonic() - self.began
        try:
            shown = parsedate_to_datetime(response.headers["date"])
            self.ahead = shown.timestamp() - time.time()
        except (KeyError, ValueError, OverflowError):
            self.ahead = None


def doctor(service: Service, *, clear_pause: bool, as_json: bool) -> Exit:
    """Check credentials, host and clock; print one line.

    Args:
        service: which Exotel to use.
        clear_pause: whether to end the account's pause first, and report that in another line.
        as_json: whether to print the result as JSON.
    """

    def failed(problem: str, kind: str) -> Exit:
        report_problem(problem, kind=kind, as_json=as_json)
        return Exit.FAILED

    answer = _Answer()
    try:
        # With --json, standard output has only the line with the result.
        asked = _ask(service, answer, clear_pause=clear_pause, tell=note if as_json else say)
        balance, others = asyncio.run(asked)
    except _Paused as pause:
        return failed(str(pause), "Paused")
    except ConnectionFailed as error:
        return failed(asyncio.run(_problem(service.url, error)), type(error).__name__)
    except ExotelError as error:
        return service.failed(error, as_json=as_json)
    ahead = answer.ahead or 0.0
    off = abs(ahead) > _TOLERATED
    # On this computer, only an emulator can have a clock that differs.
    if off and not is_loopback(service.hostname):
        return failed(
            f"credentials and host are right, but this computer's clock is {_off(ahead)} "
            f"{service.host}: set it, because dates in requests depend on it",
            "ClockOff",
        )
    if as_json:
        show_json(
            {
                "host": service.host,
                "account_sid": os.environ["EXOTEL_ACCOUNT_SID"].strip(),
                "seconds": round(answer.took, 3),
                "clock_offset": None if answer.ahead is None else round(answer.ahead, 1),
                "balance": balance.to_dict(),
                "sharing_processes": others,
            }
        )
        return Exit.OK
    if answer.ahead is None:
        checked = "clock not checked (no Date in the response)"
    elif off:
        checked = (
            f"this computer's clock is {_off(ahead)} that of an emulator on it, "
            "whose clock need not be right (--speed makes it run fast)"
        )
    else:
        checked = "clock right"
    shared = ""
    if others is not None:
        count = "1 other process" if others == 1 else f"{others} other processes"
        shared = f"; budget shared through EXOTEL_RATE_LIMIT_URL, with {count} at the moment"
    say(
        f"all is well: {service.host} answered in {answer.took:.1f} s; account "
        f"{os.environ['EXOTEL_ACCOUNT_SID'].strip()}, balance {balance.amount:,.2f} "
        f"{one_line(balance.currency or '')}; {checked}{shared}"
    )
    return Exit.OK


async def _ask(
    service: Service, answer: _Answer, *, clear_pause: bool, tell: Callable[[str], None]
) -> tuple[Balance, int | None]:
    """Return the balance, and the number of other processes that share the budget (`_others`)."""
    async with (
        new_client(
            find_library(),
            # As in a session's own client.
            proxied=not is_this_computer(service.hostname),
            event_hooks={"request": [answer.begin], "response": [answer.note]},
        ) as client,
        service.session(
            http_client=client,
            retry=RetryPolicy.never(),
            timeout=Timeouts(connect=_PATIENCE, read=2 * _PATIENCE, exchange=3 * _PATIENCE),
        ) as exotel,
    ):
        if clear_pause:
            tell(await clear_pauses(exotel))
        others = await _others(exotel)  # fails at once, while a request would wait for the server
        return await exotel.account.balance(), others


async def _others(exotel: AsyncExotel) -> int | None:
    """Return how many other processes share the budget; None if it is not shared."""
    limiter = shared_limiter(exotel)
    if limiter is None:
        return None
    account = await limiter.account()
    if account.paused_until is not None and account.paused_for > _PATIENCE:
        raise _Paused(
            f"the account's requests are paused until {clock(account.paused_until)}, because "
            "Exotel asked for it: wait, or end the pause with exotel-async doctor --clear-pause"
        )
    return len(account.processes)


async def _problem(url: str, error: ConnectionFailed) -> str:
    """Find the step at which connecting fails: name, port or TLS. No request is sent."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if error.proxy is not None:
        return str(error)
    context = ssl.create_default_context() if parts.scheme == "https" else None
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except socket.gaierror:
        reason = "its name is not known (DNS): check the network and the name"
    except ConnectionRefusedError:
        reason = f"it refuses connections on port {port}"
    except ssl.SSLCertVerificationError as refused:
        reason = f"its TLS certificate is not trusted ({refused.verify_message})"
    except ssl.SSLError as refused:
        reason = f"no TLS on port {port} ({refused.reason})"
    except TimeoutError:
        reason = f"no answer on port {port}: a firewall may block it"
    except OSError as refused:
        reason = os.strerror(refused.errno) if refused.errno else str(refused)
    else:
        writer.close()
        return str(error)
    return f"{parts.netloc} cannot be reached: {reason}"


def _off(ahead: float) -> str:
    minutes, seconds = divmod(round(abs(ahead)), 60)
    hours, minutes = divmod(minutes, 60)
    length = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
    return f"{length} {'behind' if ahead > 0 else 'ahead of'}"
