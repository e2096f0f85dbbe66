"""What is unknown or contradictory about the wire, as switches: each with the rule it is about.

The defaults are those of VOICE_V1 10. The table of all of them is
`docs/reference/emulator-switches.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import attrs

T = TypeVar("T")
Validator = Callable[[Any, Any, Any], object]


def switch(default: T, section: str, *, source: str, validator: Validator | None = None) -> T:
    """A setting for something that is not known for sure, and the section of VOICE_V1.md on it.

    `source` begins with a mark of VOICE_V1.md and says what evidence there is.
    """
    field: T = attrs.field(default=default, metadata=evidence(section, source), validator=validator)
    return field


def evidence(section: str, source: str) -> Mapping[str, str]:
    """Return the metadata that makes a field a switch."""
    return {"section": section, "source": source}


@attrs.define(kw_only=True, eq=False, slots=False)
class Switches:
    """Switches of the wire. They may be changed while the emulator runs."""

    echo_numbers: Literal["national", "e164", "as-sent"] = switch(
        "national", "1.3", source="doc, contradicted by portal: 0 in front, or `+91`"
    )
    """How `From` and `To` are written in responses: Exotel's pages disagree."""
    callback_numbers: Literal["national", "e164", "as-sent"] = switch(
        "e164", "6.2", source="inferred from the samples of callbacks"
    )
    """How `From` and `To` are written in status callbacks."""
    flow_to: Literal["exophone", "null"] = switch(
        "exophone", "1.3", source="portal: its own pages contradict each other; live: the ExoPhone"
    )
    """`To` of a call to a flow: Exotel's pages disagree."""
    unreached_second: Literal["second-leg", "completed"] = switch(
        "second-leg",
        "1.3",
        source="live: captures of 2026 and two call screens; contradicted by a text of support",
    )
    """`Status` of a call between two numbers whose second party is not reached, if it is dialled
    from now on: the status of the second leg, `failed` for a `canceled` one; or `completed`, as
    support says that the first leg decides."""
    inbound_to: Literal["agent", "exophone"] = switch(
        "agent", "1.3", source="live: captures of 2026; notes of earlier date have the ExoPhone"
    )
    """`To` of an incoming call that has reached an agent: that agent, or the ExoPhone. Without an
    agent it is the ExoPhone."""
    late_details: bool = switch(True, "2", source="live: a comment, and captures of 2026")
    """`Details` show the second leg and the talk time only once EndTime and Duration show. Before,
    the second leg's status and the talk time are null."""
    amounts: Literal["text", "number"] = switch(
        "text", "2", source="live: text; portal: text on one page, numbers on another"
    )
    """`Duration` and `Price` in JSON: seen as text, also documented as numbers."""
    array_mode: Literal["strict", "last", "lenient"] = switch(
        "strict",
        "1.2",
        source="inferred: the server seems to be PHP; code: each spelling is in use",
    )
    """`StatusCallbackEvents` without brackets: ignored; the last value kept, as PHP does;
    or repeated keys and commas all understood."""
    max_ring_timeout: int | None = switch(60, "1.1", source="doc: support 48278 alone")
    """The greatest `TimeOut` allowed: support article 48278 says 60, others nothing."""
    max_custom_field: int | None = switch(128, "1.1", source="portal; no limit in older documents")
    """The most characters allowed in `CustomField`: in Exotel's portal only."""
    strict_streams: bool = switch(True, "1.1", source="portal: agentstream/connect-voice-ai")
    """Calls straight to a stream get 400 for a `StreamUrl` of more than 600 characters, with
    another `sample-rate` or beside a `Url`, a `StreamName` of more than 32 characters, another
    `StreamType` than `bidirectional`. What Exotel does with those is not known. False: all are
    accepted."""
    default_max_retries: int | None = switch(None, "1.1", source="doc: support 48259 alone")
    """How often the first party is dialled again, after it failed or did not answer, by a dial
    without `MaxRetries`; one page has 3. None: never, whatever `MaxRetries` says, because no
    other page mentions it."""
    query_parameters: Literal["merge", "ignore", "refuse"] = switch(
        "merge",
        "1.1",
        source="inferred: the server seems to be PHP; code: a few clients send them so",
    )
    """Parameters of a dial in the query of its URL. "merge": they are accepted; if one is in the
    body too, the body's value counts. "ignore": they have no effect. "refuse": 400, except for
    the harmless `details`."""
    empty_parameters: bool = switch(True, "1.1", source="code: published clients send them")
    """An empty parameter of a dial or in a query (`Record=`, `Status=`) counts as not given.
    False: 400."""
    zero_parameters: bool = switch(True, "1.1", source="unknown: no least value is documented")
    """`TimeLimit`, `TimeOut` and `PageSize` of 0 count as not given. False: 400."""
    url_beside_to: bool = switch(
        True, "1.1", source="code: Exotel's samples for Node, PHP and Ruby"
    )
    """A dial with `To` and `Url` leads to the flow: `Url` decides. False: 400."""
    other_flow_urls: bool = switch(
        True, "1.1", source="doc, contradicted by code: `my.in.exotel.com` for Mumbai"
    )
    """A flow's URL may have any host, and `https`, and the path of either kind. False:
    400 except for `http://my.exotel.com/{sid}/exoml/start_voice/{app_id}` and
    `http://my.exotel.in/exoml/start/{app_id}`."""
    flow_url_slash: bool = switch(True, "1.1", source="code: published clients send it")
    """A flow's URL may end in a slash. False: 400."""
    promo_calls: bool = switch(
        True, "1.1", source="doc: no longer supported, support 48259; code: still sent"
    )
    """`CallType=promo` is accepted. False: 400."""
    any_case_record: bool = switch(True, "1.1", source="code: Python's clients send `True`")
    """`Record` may be written in any case: `True`, `TRUE`. False: 400 for these."""
    other_voice_urls: bool = switch(True, "8", source="unknown: no page says what else it may be")
    """The `VoiceUrl` of an ExoPhone may lead elsewhere than to a flow; incoming calls then find no
    flow. False: 400."""
    backward_ranges: bool = switch(True, "3", source="unknown: only an end in the future gives 400")
    """A `DateCreated` that ends before it begins finds nothing. False: 400."""
    status_operator: bool = switch(True, "3", source="code: one client prepares `eq:completed`")
    """`Status` may have `eq:` in front. False: 400."""
    bare_durations: bool = switch(True, "3", source="doc: with an `s`; unknown what comes without")
    """`Duration` may lack the `s`: `gte:10`. False: 400."""
    next_uri_json: bool = switch(True, "3", source="doc: with `.json`; code: one client without")
    """Page URIs carry `.json` when the request did; one client saw them without."""
    end_cursor: Literal["", "missing"] | None = switch(
        None, "3", source="unknown: readers take all alike"
    )
    """What a page URI is if there is no such page: unknown; readers treat all of these alike.
    "missing": the key is left out."""
    exophone_host: str = switch("http://twilix.exotel.com", "8", source="doc: exophones")
    """What page URIs of ExoPhones begin with: a host that clients should not send requests to."""
    cursors: Literal["position", "offset"] = switch(
        "position", "3", source="unknown: they are opaque"
    )
    """What the opaque cursors of pages contain: a position between two calls, or the number of rows
    before it. With an offset, a call that becomes listed during a read shifts the others, so that
    rows appear twice."""
    bulk_live: bool = switch(
        False, "3", source="doc: call-details-bulk, older and newest copy contradict each other"
    )
    """`Calls` lists calls in progress, as older documents have it. The newest says not:
    developer.exotel.com/api/call-details-bulk."""
    total_counts_live: bool = switch(
        False, "3", source="unknown: no page says what it counts beside the calls that are listed"
    )
    """`Total` of `Calls` counts calls in progress, whether or not they are listed."""
    bulk_details: bool = switch(
        True, "3", source="live, nearly: several published clients in production"
    )
    """`details=true` works on `Calls`: undocumented, but used in production."""
    bulk_extra_columns: bool = switch(False, "3", source="code: a published client")
    """`PhoneNumber`, `CustomField` and `CallType` on rows of `Calls`, as some have seen."""
    foreign_number_status: int = switch(
        404, "4", source="unknown: asked by visitors of the portal, and not answered"
    )
    """The status of a lookup of a number that is not Indian: unknown."""

    recording_redirect: bool = switch(False, "2", source="unknown: clients are to follow redirects")
    """`RecordingUrl` redirects to the pre-signed URL with 302, instead of returning the recording.
    How it is served is unknown; clients should follow redirects."""
    callback_encoding: Literal["multipart", "urlencoded"] = switch(
        "multipart", "6.2", source="doc: multipart; portal: urlencoded on one page"
    )
    """The body of status callbacks by default; `StatusCallbackContentType=application/json`
    overrides it."""
    unrecorded_url: Literal[""] | None = switch(
        "", "6.2", source="live: a strict reader in production demands text"
    )
    """`RecordingUrl` of a call without a recording, in status callbacks as JSON."""
    undialled_leg: Literal[""] | None = switch(
        None, "6.2", source="doc, portal: null or empty; live: a strict reader demands text"
    )
    """`Status` of a leg that was not dialled, or not yet, in status callbacks as JSON."""
