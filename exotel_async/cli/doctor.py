"""`doctor`: one cheap request, and one line on what is wrong."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from attrs import define

from exotel_async import (
    AsyncExotel,
    Balance,
    ConnectionFailed,
    ExotelError,
    RetryPolicy,
    Timeouts,
)
from exotel_async.cli.shared_limiter import cleared, clock, shared_limiter
from exotel_async.cli.terminal import Exit, complain, one_line, say
from exotel_async.http.base_url import is_loopback, is_this_computer
from exotel_async.http.transport import new_client

if TYPE_CHECKING:
    from exotel_async.cli.service import Service

_TOLERATED: Final = 30.0
"""Seconds a clock may be off; one of them is the rounding of the Date header."""
_PATIENCE: Final = 5.0


class _Paused(Exception):
    """The account's requests pause, and there is nothing to check before they go on."""


@define
class _Answer:
    """How long the service took to answer, and what its clock showed, against ours."""

    began: float = 0.0
    took: float = 0.0
    ahead: float | None = None

    async def begin(self, _: Any) -> None:
        """Note when the request leaves: a hook of the HTTP client."""
        self.began = time.monotonic()

    async def note(self, response: Any) -> None:
        """Read the Date header of an answer: a hook of the HTTP client."""
        self.took = time.monotonic() - self.began
        try:
            shown = parsedate_to_datetime(response.headers["date"])
            self.ahead = shown.timestamp() - time.time()
        except (KeyError, ValueError, OverflowError):
            self.ahead = None


def doctor(service: Service, *, clear_pause: bool) -> Exit:
    """Check credentials, host and clock; print one line.

    Args:
        service: where.
        clear_pause: whether to end the account's pause before, and say so in another line.
    """
    answer = _Answer()
    try:
        balance, shared = asyncio.run(_ask(service, answer, clear_pause=clear_pause))
    except _Paused as pause:
        complain(str(pause))
        return Exit.FAILED
    except ConnectionFailed as error:
        complain(asyncio.run(_problem(service.url, error)))
        return Exit.FAILED
    except ExotelError as error:
        return service.failed(error)
    if answer.ahead is None:
        checked = "clock not checked (no Date in the answer)"
    elif abs(answer.ahead) <= _TOLERATED:
        checked = "clock right"
    elif is_loopback(service.hostname):
        # Where only an emulator has a clock of its own.
        checked = f"this computer's clock is {_off(answer.ahead)} that of an emulator on it"
    else:
        complain(
            f"credentials and host are right, but this computer's clock is {_off(answer.ahead)} "
            f"{service.host}: set it, for dates in requests go by it"
        )
        return Exit.FAILED
    say(
        f"all is well: {service.host} answered in {answer.took:.1f} s; account "
        f"{os.environ['EXOTEL_ACCOUNT_SID'].strip()}, balance {balance.amount:,.2f} "
        f"{one_line(balance.currency or '')}; {checked}{shared}"
    )
    return Exit.OK


async def _ask(service: Service, answer: _Answer, *, clear_pause: bool) -> tuple[Balance, str]:
    async with (
        new_client(
            # As a session's own client.
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
            say(await cleared(exotel))
        shared = await _shared(exotel)  # at once, where a request would wait for the server
        return await exotel.account.balance(), shared


async def _shared(exotel: AsyncExotel) -> str:
    """Say with how many the budget is shared; "" where it is this process's own."""
    limiter = shared_limiter(exotel)
    if limiter is None:
        return ""
    account = await limiter.account()
    if account.paused_until is not None and account.paused_for > _PATIENCE:
        raise _Paused(
            f"the account's requests pause until {clock(account.paused_until)}, because Exotel has "
            "asked for it: wait, or end that by exotel-async doctor --clear-pause"
        )
    others = len(account.processes)
    count = "1 other process" if others == 1 else f"{others} other processes"
    return f"; budget shared through EXOTEL_RATE_LIMIT_URL, with {count} just now"


async def _problem(url: str, error: ConnectionFailed) -> str:
    """Say at which step connecting fails: name, port, or TLS. No request is made."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    known = getproxies()
    proxied = not is_this_computer(host) and not proxy_bypass(host)
    if proxied and not known.keys().isdisjoint({parts.scheme, "all"}):
        scheme = parts.scheme if parts.scheme in known else "all"
        return f"{error}, through the proxy in {scheme.upper()}_PROXY"
    context = ssl.create_default_context() if parts.scheme == "https" else None
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except socket.gaierror:
        reason = "its name is not known (DNS); is the network up, and the name right?"
    except ConnectionRefusedError:
        reason = f"it refuses connections on port {port}"
    except ssl.SSLCertVerificationError as refused:
        reason = f"its TLS certificate is not trusted ({refused.verify_message})"
    except ssl.SSLError as refused:
        reason = f"no TLS on port {port} ({refused.reason})"
    except TimeoutError:
        reason = f"no answer on port {port}; is a firewall in between?"
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
