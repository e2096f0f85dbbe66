"""Switches for what is not known about flows (VOICE_V1 7), and how long things take in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import attrs

from exotel_async.emulator.number_map import ByNumber
from exotel_async.emulator.scenario import Outcome
from exotel_async.emulator.switches import switch

Cause = tuple[str, str]
"""`CauseCode` and `Cause` of a leg: a word and a number."""
RING_TIMEOUT: Cause = ("RING_TIMEOUT", "1003")
"""The phone rang up to the flow's limit; also seen for calls that the caller left."""
CAUSES: Mapping[Outcome, Cause] = {
    Outcome.COMPLETED: ("NORMAL_CLEARING", "16"),
    Outcome.NO_ANSWER: ("NO_ANSWER", "19"),
    Outcome.CANCELED: RING_TIMEOUT,
    Outcome.BUSY: ("USER_BUSY", "17"),
    Outcome.FAILED: ("CALL_REJECTED", "21"),
}


@attrs.define(kw_only=True, eq=False)
class FlowSettings:
    """How flows behave. May be changed while the emulator runs.

    Durations are seconds of the emulator's clock unless they say real seconds.
    """

    # Requests
    timeout: float = switch(
        5.0,
        "7.1",
        source="code: two published clients; weak: 15 for a Passthru",
        validator=attrs.validators.gt(0),
    )
    """Real seconds until a request to the application times out; this then takes as many emulator
    seconds of the call. People who build flows say 5; one page of Exotel's portal has 15 for a
    Passthru."""
    plain_charset: bool = switch(
        False, "7.5", source="doc: `text/plain`; users say nothing may follow"
    )
    """`text/plain; charset=…` is accepted for a prompt as well; users say Exotel refuses it."""
    json_type: bool = switch(False, "7.7", source="doc: of the whisper alone, support 3000106202")
    """JSON for Connect and Gather must come as `application/json`: documented for the whisper only,
    for which it is always required."""
    null_keys: bool = switch(True, "7.3b", source="unknown: pydantic and Jackson write them")
    """A key with `null` in the application's JSON counts as missing. False: an answer with a `null`
    in it is not usable."""
    bad_prompt: Literal["skip", "hang-up"] = switch(
        "skip", "7.5", source="unknown: no page says what a bad answer leads to"
    )
    """What a Greeting, a Menu or an SMS does if its URL gives no usable answer, which is not known:
    it says or sends nothing and continues, or the call ends."""

    bad_stream: Literal["skip", "hang-up"] = switch(
        "skip", "7.9", source="unknown: no page says what a bad answer leads to"
    )
    """What a Voicebot does if its URL gives no usable answer, which is not known: it streams
    nothing and continues, or the call ends."""

    # Parameters (VOICE_V1 7.1)
    tenant_id: str = "10001"
    """The `tenant_id` of these requests."""
    created: Literal["rfc", "plain"] = switch(
        "rfc", "7.1", source="live: the ERPNext fixtures; doc contradicts them"
    )
    """`Created` as it was captured, `Wed, 23 Feb 2022 12:31:59`, or as documented."""
    end_time: str = switch(
        "1970-01-01 05:30:00", "7.1", source="doc: support 48283; live: the ERPNext fixtures"
    )
    """`EndTime` of a call in progress; older captures have `0000-00-00 00:00:00`."""
    call_status: bool = switch(
        False, "7.1", source="doc: support 48283; live: the ERPNext fixtures have none"
    )
    """`CallStatus` is sent: documented as optional, and absent from captures."""
    bare_call_to: bool = switch(False, "7.1", source="live: one capture of 2016")
    """`CallTo` has no leading 0 where `To` has one, as in a capture of 2016."""
    digits_once: bool = switch(False, "7.4", source="code: one published client")
    """`digits` are sent only with the first request after they were pressed: a user saw that later
    ones may lack them."""
    insights: bool = switch(False, "7.1", source="live: a test of a published client")
    """`Legs[i][Insights]`, an add-on, is sent for answered legs; no value was seen for others."""
    voicebot_parameters: bool = switch(
        True, "7.9", source="unknown: no page says which parameters a Voicebot sends"
    )
    """A Voicebot's dynamic URL gets the parameters of a Passthru. False: none."""
    causes: Mapping[Outcome, Cause] = switch(
        attrs.Factory(lambda: dict(CAUSES)),
        "7.1",
        source="live: the ERPNext fixtures, the test harness; inferred: busy and failed",
    )
    """Why legs ended. The first three were seen; busy and failed have the words of Q.850, as those
    look like them. A phone that rings to its limit has RING_TIMEOUT instead of NO_ANSWER."""
    disconnected_by: tuple[str, str] | None = switch(
        None, "7.1", source="code: handlers read it; live: the ERPNext fixtures have none"
    )
    """The values of `Legs[i][DisconnectedBy]` for the caller and the agent; none were seen. None:
    it is not sent."""
    agent_emails: Mapping[str, str] = attrs.field(factory=dict, converter=ByNumber)
    """`AgentEmail` of dial events, by the agent's number; without one it is empty."""

    # Connect (VOICE_V1 7.3)
    dial_whom_separators: Collection[str] = switch(
        (",", "\n"), "7.3a", source="unknown: a comma is a guess, and so is one number a line"
    )
    """What separates the numbers of a dial-whom answer: any of these. Empty: the answer is one
    number."""
    dial_whom_json: bool = switch(True, "7.3a", source="live: nammayatri")
    """A dial-whom answer of type `application/json` may be a JSON string. False: with its quotes it
    is not a number."""
    sip_agents: bool = switch(
        True, "7.3b", source="code: two published clients contradict each other"
    )
    """A `sip:` address among `numbers` is rung; in one account it silently was not. As
    `contact_uri` it is always rung."""
    parallel_cap: int = switch(
        10,
        "7.3b",
        source="code: two integrators contradict each other",
        validator=attrs.validators.ge(1),
    )
    """How many phones ring at once at most: one integrator says 5, another 10."""
    child_legs: bool = switch(False, "3", source="code: one integrator")
    """Each agent that an incoming call rings has a call record of its own with `ParentCallSid`, as
    one integrator found; that it is `inbound` as well is a guess."""
    after_hangup: Literal["go-on", "stop"] = switch(
        "go-on", "7.1", source="live: Passthrus with `client-hangup` came; unknown what else does"
    )
    """A flow whose caller left during a Connect, a Voicemail or a Voicebot continues with applets
    that need no caller: Passthrus of such calls were captured (`CallType=client-hangup`), other
    applets were not."""

    # How long things take, and how far a flow may go
    speech: float = attrs.field(default=15.0, validator=attrs.validators.gt(0))
    """Characters said per second."""
    audio_seconds: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    """Length of an audio file."""
    key_seconds: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    """How long it takes to press a key."""
    max_steps: int = attrs.field(default=500, validator=attrs.validators.ge(1))
    """Applets and dial attempts after which a call is ended: a loop may take no time at all."""
