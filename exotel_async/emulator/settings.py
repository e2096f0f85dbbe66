"""All settings of an emulator, each with its meaning and the reason for its default.

Where a fact is unknown or contradictory there is a switch, and its default is that of VOICE_V1 10.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, MutableMapping
from datetime import datetime
from decimal import Decimal
from ipaddress import ip_address
from random import Random
from typing import Literal

import attrs

from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.flows.flow import Flow, check_flows, find_flow
from exotel_async.emulator.flows.settings import FlowSettings
from exotel_async.emulator.number_map import ByNumber
from exotel_async.emulator.numbers import checked_number, is_number, is_sip, masked, national
from exotel_async.emulator.rate_limit import RateWindow
from exotel_async.emulator.scenario import Scenario
from exotel_async.emulator.switches import Switches, evidence, switch

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.IGNORECASE)
EVERYBODY = "*"
"""Stands for every number in `manual`."""
Latency = Callable[[Random], tuple[float, float]]
"""Real seconds on the way in and on the way out, for one request for the API."""


READ_AT_START = frozenset(
    {"account_sid", "seed", "fixed_sids", "host", "port", "speed", "now"}
    | {"hostnames", "tls", "ca_file", "certfile", "keyfile"}
    | {"rate", "exophone_rate", "per", "window", "count_refusals", "leaky_burst"}
)
"""Changing one of these in a running emulator would have no effect, or only part of it."""

_above_zero = attrs.validators.gt(0.0)
_one_or_more = attrs.validators.ge(1)
_not_negative = attrs.validators.ge(0.0)


def _in_a_path(_: object, __: object, sid: str) -> None:
    if re.fullmatch(r"[^/?#%\\]+", sid) is None:
        raise ValueError(
            f"account_sid: {masked(sid)!r} must not be empty, or have a slash or one of ?#% in "
            "it: it stands in the path"
        )


def _in_basic(_: object, __: object, key: str) -> None:
    if not key or ":" in key:
        raise ValueError("api_key: the value must not be empty, or have a colon in it")


def _not_empty(_: object, __: object, token: str) -> None:
    if not token:
        raise ValueError("api_token: the value must not be empty")


def _numbers(numbers: Collection[str]) -> frozenset[str]:
    return frozenset(checked_number(number) for number in numbers)


def _manual(numbers: Collection[str]) -> frozenset[str]:
    """Convert numbers; a single one may be given as a string."""
    given = (numbers,) if isinstance(numbers, str) else numbers
    if not all(one == EVERYBODY or is_number(one) or is_sip(one) for one in given):
        raise ValueError('manual takes phone numbers and SIP addresses, or "*" for all of them')
    return frozenset(national(number) for number in given)


def _verified(numbers: Collection[str] | None) -> frozenset[str] | None:
    return None if numbers is None else _numbers(numbers)


def _flows(flows: Collection[Flow]) -> tuple[Flow, ...]:
    known = tuple(flows)
    check_flows(known)
    return known


def _path(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def _hostnames(names: Collection[str]) -> tuple[str, ...]:
    return tuple(_hostname(name) for name in names)


def _hostname(name: str) -> str:
    try:
        return str(ip_address(name.strip("[]")))
    except ValueError:
        if not is_hostname(name):
            raise ValueError(
                f"hostnames: {name!r} must be a host's name or address, without a port"
            ) from None
        return name.lower()


def is_hostname(name: str) -> bool:
    """Return whether certificates can have that name: letters, digits, hyphens and dots."""
    return _HOSTNAME.fullmatch(name) is not None


def _callers(callers: Mapping[str, Caller]) -> ByNumber[Caller]:
    return ByNumber(callers)


def _assigned(flows: Mapping[str, str | int]) -> ByNumber[str | int]:
    return ByNumber(flows)


def check_assigned(
    assigned: Mapping[str, str | int], exophones: Collection[str], flows: Collection[Flow]
) -> None:
    """Raise ValueError if an ExoPhone is not the account's, or its flow does not exist."""
    for exophone, flow in assigned.items():
        if national(exophone) not in exophones:
            raise ValueError(
                f"exophone_flows: {masked(exophone)} is not one of the account's ExoPhones"
            )
        if find_flow(flows, flow) is None:
            raise ValueError(
                f"exophone_flows: {masked(exophone)} is assigned to flow {flow}, which is not known"
            )


@attrs.define(kw_only=True, eq=False, slots=False)
class Settings(Switches):
    """Settings of an emulator. They may be changed while it runs, except those read at its start.

    Durations are seconds of the emulator's clock unless they say real seconds.
    """

    # The account
    account_sid: str = attrs.field(default="acme1", validator=_in_a_path)
    api_key: str = attrs.field(default="emulator-key", validator=_in_basic)
    api_token: str = attrs.field(default="emulator-token", repr=False, validator=_not_empty)
    exophones: Collection[str] = attrs.field(default=("08030000000",), converter=_numbers)
    """Numbers a call may show as its `CallerId`."""
    balance: Decimal = Decimal("1000.00")
    """What `Balance` shows, in rupees. Calls do not reduce it."""
    balance_exhausted: bool = False
    """Dials are answered with 402."""
    kyc: bool = True  # VOICE_V1 5.1
    """False: dials are answered with 403 and Code 340030."""
    ndnc: Collection[str] = attrs.field(default=(), converter=_numbers)  # VOICE_V1 5.2
    """Numbers on the DND register (NDNC): dials get 403 without a Code; lookups show it."""
    verified_numbers: Collection[str] | None = attrs.field(default=None, converter=_verified)
    """The only numbers that a trial account may ring; others get 403. None: not a trial account."""

    # Where and when; all read at the start
    host: str = "127.0.0.1"
    """The address to listen on. Anything but a loopback address, such as "0.0.0.0", lets other
    computers in. With "0.0.0.0" URLs begin with the first of `hostnames`."""
    port: int = attrs.field(
        default=0, validator=(attrs.validators.ge(0), attrs.validators.le(65535))
    )
    """0 takes any free port; `base_url` has it."""
    hostnames: Collection[str] = attrs.field(default=(), converter=_hostnames)
    """Further host names of the emulator: pages under `/_emulator/` accept them, besides
    `localhost`, `host` and all IP addresses, and a certificate made for `tls` names them."""
    speed: float = attrs.field(default=1.0, validator=_above_zero)
    """Emulator seconds per real second: for lifecycle, settling, rate window and dates alike."""
    now: datetime | None = None
    """The aware date at the start, for the dates shown. None: the real date."""

    # TLS, all read at the start (VOICE_V1 0: many clients know nothing but https)
    tls: bool = False
    """Serve https with a certificate made at the start, by an authority made for it only, for
    loopback names, `host`, `hostnames`, and the hosts of Exotel. It needs the extra `tls`."""
    ca_file: str | None = attrs.field(default=None, converter=_path)
    """With `tls`: the file for the certificate of that authority, for clients to trust. It is kept.
    None: a file in a directory that only this user can read, which is removed at the end; once the
    emulator has started, this is its path."""
    certfile: str | None = attrs.field(default=None, converter=_path)
    """Serve https with this certificate instead: a file in PEM, with the chain to its authority."""
    keyfile: str | None = attrs.field(default=None, converter=_path)
    """The private key of `certfile`, in PEM, without a password. None: it is in the same file."""

    # What happens
    seed: int = 0
    """The seed of all random draws: the same seed gives the same outcomes. Read at the start."""
    fixed_sids: bool = False
    """Derive SIDs from account, seed, parties and month, so that they recur in the next run and
    after a `reset`: for golden files. Otherwise no two calls ever have the same one, as at Exotel.
    Read at the start."""
    scenario: Scenario = attrs.field(factory=Scenario)
    latency: Latency | None = None
    manual: Collection[str] = attrs.field(default=(), converter=_manual)
    """Numbers whose phones a person plays, by `Emulator.answer`, `reject`, `press`, `speak` and
    `hang_up`, instead of the scenario; `"*"` means every number. A change applies to phones that
    begin to ring, and to incoming calls, from then on."""

    # Flows (VOICE_V1 7)
    flows: Collection[Flow] = attrs.field(default=(), converter=_flows)
    """The flows that calls can lead to. A dial whose `Url` names another flow just talks for a
    while. To change them assign a new list. Raises ValueError if one leads to a flow not in it."""
    exophone_flows: MutableMapping[str, str | int] = attrs.field(factory=dict, converter=_assigned)
    """By ExoPhone, the id of the flow for its incoming calls; an endpoint of the API changes it."""
    callers: MutableMapping[str, Caller] = attrs.field(factory=dict, converter=_callers)
    """By number, what the party of a dialled flow does; others behave like `Caller()`."""
    flow_settings: FlowSettings = attrs.field(factory=FlowSettings)

    # Rate limit (VOICE_V1 5.3); all but the two header switches are read at the start
    rate: int = attrs.field(default=200, validator=_one_or_more)
    exophone_rate: int = switch(
        50, "5.3", source="weak: advanced-config/rate-limiting.md", validator=_one_or_more
    )
    """How many requests for ExoPhones are admitted in `per` seconds: they have a window of their
    own, according to one weak page only."""
    per: float = attrs.field(default=60.0, validator=_above_zero)
    window: RateWindow = attrs.field(
        default=RateWindow.SLIDING_LOG,
        converter=RateWindow,
        metadata=evidence("5.3", "unknown: fixed or sliding"),
    )
    """How requests are counted against the rate: `RateWindow` explains each value."""
    count_refusals: bool = switch(False, "5.3", source="unknown: no page says whether they count")
    """Requests refused with 429 use up budget as well."""
    leaky_burst: int = switch(
        20, "5.3", source="unknown: no burst is documented", validator=_one_or_more
    )
    """How many requests a "leaky" window admits at once."""
    retry_after: float | Literal["exact"] | None = switch(
        None, "5.3", source="weak: 30, advanced-config/rate-limiting.md; no code has seen one"
    )
    """The `Retry-After` of a 429: that many real seconds, or "exact", the real seconds until there
    is room, rounded up. None: no header, because no live response with one is known."""
    rate_limit_headers: bool = switch(False, "5.3", source="weak: advanced-config/rate-limiting.md")
    """Responses have `X-RateLimit-Limit`, `-Remaining` and `-Reset` (epoch seconds when there is
    room)."""

    # Channels (VOICE_V1 5.4)
    channels: int | None = None
    """The most calls in progress at once; one between two numbers counts twice, from its dial on.
    None: no limit."""
    channels_status: int = switch(402, "5.4", source="unknown: 402 is by the table of statuses")
    """The status of a dial for which no channel is free: unknown; Exotel's table of statuses has
    402 for a plan's limit."""

    # Recordings (VOICE_V1 2)
    recording_ready: float = switch(
        60.0, "2", source="weak: 1 to 5 minutes", validator=_not_negative
    )
    """Seconds from a call's end until its recording can be downloaded: 1 to 5 minutes, on weak
    evidence. Its URL may show before."""

    # Status callbacks (VOICE_V1 6)
    callback_timeout: float = switch(15.0, "6.4", source="weak, on its own", validator=_above_zero)
    """Real seconds until an attempt to send a status callback is given up."""
    callback_retries: Collection[float] = switch(
        (),
        "6.4",
        source="weak: 300 and 900, on its own; code: other reports differ",
        validator=attrs.validators.deep_iterable(_not_negative),
    )
    """Pauses before the retries of a status callback that was not answered with 2xx. Exotel's
    portal says 300 and 900, on weak evidence."""

    def __attrs_post_init__(self) -> None:
        if self.tls and self.certfile is not None:
            raise ValueError("tls=True makes a certificate: leave certfile out, or tls")
        if self.keyfile is not None and self.certfile is None:
            raise ValueError(f"keyfile={self.keyfile} needs certfile, whose key it is")
        if self.ca_file is not None and not self.tls:
            raise ValueError(f"ca_file={self.ca_file} needs tls=True, whose authority it shows")
        check_assigned(self.exophone_flows, self.exophones, self.flows)


def host_in_urls(settings: Settings) -> str:
    """Return the host of `base_url`, and so of all URLs that are given out.

    If it listens at every address, 0.0.0.0 or ::, to which no request can be sent, it is the first
    of `hostnames`, or else a loopback address.
    """
    host = settings.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - nothing listens here
        host = next(iter(settings.hostnames), "::1" if ":" in host else "127.0.0.1")
    return f"[{host}]" if ":" in host else host


def is_manual(settings: Settings, number: str) -> bool:
    """Return whether a person plays the phone of that number."""
    return EVERYBODY in settings.manual or national(number) in settings.manual
