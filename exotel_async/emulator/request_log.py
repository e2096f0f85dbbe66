"""What the emulator has seen: every request, every download, and the totals."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from exotel_async.emulator.faults import Fault


@attrs.define(kw_only=True, eq=False)
class ReceivedRequest:
    """One request as it came. The Authorization header is not kept."""

    method: str
    path: str
    query: Mapping[str, str]
    """Of a name given twice, the last."""
    body: bytes = attrs.field(repr=False)
    arrived: float
    """Emulator seconds since the start."""
    form: Mapping[str, str] = attrs.field(factory=dict)
    """The fields of a form; of a name given twice, the last."""
    exophones: bool = False
    """Whether it was for ExoPhones, which have a rate window of their own."""
    counted: bool = False
    """Whether it counted against the rate: it had the account's credentials."""
    refused: bool = False
    """Whether the rate window refused it."""
    status: int | None = None
    """What it was answered; None while it is not, and when a fault kept the answer back."""
    reason: str | None = None
    """What the answer says if it is an error, unless a fault made it one."""
    fault: Fault | None = None
    """The fault it met."""


@attrs.define(kw_only=True, eq=False)
class Download:
    """One request for a recording. It is not among the requests for the API."""

    sid: str
    """What the path has for one: the name of the file, but for a second recording's number."""
    authorization: bool
    """Whether an Authorization header came."""
    signed: bool
    """Whether the URL carried a signature."""
    status: int | None = None
    """What it was answered; None while it is not, and when a fault kept the answer back."""


@attrs.frozen(kw_only=True)
class Statistics:
    """Totals since the start or the last reset."""

    requests: int
    """All that came for the API, ExoPhones included."""
    accepted: int
    """Those answered with 2xx."""
    refused: int
    """Those a rate window answered with 429."""
    busiest_window: int
    """The most authenticated requests for Voice that arrived in any `per` seconds, refused ones
    included."""
    calls: Mapping[str, int]
    """How many calls have each status now."""
