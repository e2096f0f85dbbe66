"""What the emulator has recorded: every request, every download, and the totals."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from exotel_async.emulator.faults import Fault


@attrs.define(kw_only=True, eq=False)
class ReceivedRequest:
    """One request as it arrived. The Authorization header is not kept."""

    method: str
    path: str
    query: Mapping[str, str]
    """The parameters of the query; if a name is repeated, its last value."""
    body: bytes = attrs.field(repr=False)
    arrived: float
    """Emulator seconds since the start."""
    form: Mapping[str, str] = attrs.field(factory=dict)
    """The fields of a form; if a name is repeated, its last value."""
    exophones: bool = False
    """Whether it was for ExoPhones, which have a rate window of their own."""
    counted: bool = False
    """Whether it counted against the rate: it had the account's credentials."""
    refused: bool = False
    """Whether the rate window refused it."""
    status: int | None = None
    """Of the response; None until it is sent, and if a fault withheld it."""
    reason: str | None = None
    """The message of the response if it is an error, unless a fault made it one."""
    fault: Fault | None = None
    """The fault it met."""


@attrs.define(kw_only=True, eq=False)
class Download:
    """One request for a recording. It is not among the requests for the API."""

    sid: str
    """As read from the path: the file's name, without the number that a second recording has."""
    authorization: bool
    """Whether an Authorization header came."""
    signed: bool
    """Whether the URL carried a signature."""
    status: int | None = None
    """Of the response; None until it is sent, and if a fault withheld it."""


@attrs.frozen(kw_only=True)
class Statistics:
    """Totals since the start or the last reset."""

    requests: int
    """All requests for the API, ExoPhones included."""
    accepted: int
    """Those answered with 2xx."""
    refused: int
    """Those a rate window answered with 429."""
    busiest_window: int
    """The most authenticated requests for Voice that arrived in any `per` seconds, refused ones
    included."""
    calls: Mapping[str, int]
    """How many calls have each status now."""
