"""What of the wire is not known, or contradicted, as switches: each with the rule it stands for.

The defaults are those of VOICE_V1 10.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import attrs

T = TypeVar("T")


def switch(default: T, section: str) -> T:
    """A setting for something VOICE_V1 does not know for sure, with the section that says so."""
    field: T = attrs.field(default=default, metadata={"section": section})
    return field


@attrs.define(kw_only=True, eq=False, slots=False)
class Switches:
    """Switches of the wire. They may be changed while the emulator runs."""

    echo_numbers: Literal["national", "e164", "as-sent"] = switch("national", "1.3")
    """How `From` and `To` come back: Exotel's pages disagree."""
    callback_numbers: Literal["national", "e164", "as-sent"] = switch("e164", "6.2")
    """The same in status callbacks."""
    flow_to: Literal["exophone", "null"] = switch("exophone", "1.3")
    """`To` of a call to a flow: Exotel's pages disagree."""
    amounts: Literal["text", "number"] = switch("text", "2")
    """`Duration` and `Price` in JSON: seen as text, documented as numbers as well."""
    array_mode: Literal["strict", "last", "lenient"] = switch("strict", "1.2")
    """`StatusCallbackEvents` without brackets: dropped; the last value kept, as PHP does;
    or repeated keys and commas all understood."""
    max_ring_timeout: int | None = switch(60, "1.1")
    """The most `TimeOut` may be: support article 48278 says 60, others nothing."""
    max_custom_field: int | None = switch(128, "1.1")
    """The most characters of `CustomField`: in Exotel's portal only."""
    strict_streams: bool = switch(True, "1.1")
    """Calls straight to a stream get 400 for a `StreamUrl` of more than 600 characters, with
    another `sample-rate` or beside a `Url`, a `StreamName` of more than 32 characters, another
    `StreamType` than `bidirectional`. What Exotel does with those is not known. False: all are
    taken."""
    default_max_retries: int | None = switch(None, "1.1")
    """How often the first party is dialled again, after it failed or did not answer, by a dial
    without `MaxRetries`; one page has 3. None: never, whatever `MaxRetries` says, for no other page
    knows it."""
    next_uri_json: bool = switch(True, "3")
    """Page URIs carry `.json` when the request did; one client saw them without."""
    end_cursor: Literal["", "missing"] | None = switch(None, "3")
    """What stands for "no such page": unknown, and readers take them all alike. "missing": the
    key is left out."""
    exophone_host: str = switch("http://twilix.exotel.com", "8")
    """What page URIs of ExoPhones begin with: a host that no client is to ask."""
    cursors: Literal["position", "offset"] = switch("position", "3")
    """What the opaque cursors of pages hold: a place between two calls, or how many rows come
    before. With an offset a call that becomes listed in the middle of a read shifts the rest, so
    that rows come twice."""
    bulk_live: bool = switch(False, "3")
    """`Calls` lists calls in progress, as older documents have it. The newest says not:
    developer.exotel.com/api/call-details-bulk."""
    bulk_details: bool = switch(True, "3")
    """`details=true` works on `Calls`: undocumented, but used in production."""
    bulk_extra_columns: bool = switch(False, "3")
    """`PhoneNumber`, `CustomField` and `CallType` on rows of `Calls`, as some have seen."""
    foreign_number_status: int = switch(404, "4")
    """A lookup of a number that is not Indian: unknown."""

    recording_redirect: bool = switch(False, "2")
    """`RecordingUrl` leads on to the pre-signed one with 302, instead of to the recording itself.
    How it is served is unknown; clients are to follow redirects."""
    callback_encoding: Literal["multipart", "urlencoded"] = switch("multipart", "6.2")
    """The default body; `StatusCallbackContentType=application/json` overrides it."""
