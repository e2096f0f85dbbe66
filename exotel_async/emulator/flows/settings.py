"""What is not known of flows (VOICE_V1 7), as switches, and how long things take in them."""

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
"""The phone rang as long as the flow lets it; seen of calls the caller left, too."""
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

    Lengths are seconds of the emulator's clock unless they say real seconds.
    """

    # Requests
    timeout: float = switch(
        5.0,
        "7.1",
        source="code: two published clients; weak: 15 for a Passthru",
        validator=attrs.validators.gt(0),
    )
    """Real seconds until a request to the application is given up; it then costs the call as many
    of the emulator's. People who build flows say 5; one page of Exotel's portal has 15 for a
    Passthru."""
    plain_charset: bool = switch(
        False, "7.5", source="doc: `text/plain`; users say nothing may follow"
    )
    """`text/plain; charset=…` does for a prompt as well: users say it does not."""
    json_type: bool = switch(False, "7.7", source="doc: of the whisper alone, support 3000106202")
    """JSON for Connect and Gather must come as `application/json`: said of the whisper only,
    which always must."""
    null_keys: bool = switch(True, "7.3b", source="unknown: pydantic and Jackson write them")
    """`null` in JSON that the application answers is as good as no key at all. False: an answer
    with a `null` in it is of no use."""
    bad_prompt: Literal["skip", "hang-up"] = switch(
        "skip", "7.5", source="unknown: no page says what a bad answer leads to"
    )
    """What a Greeting, a Menu or an SMS does whose URL gives no proper answer is not known: they
    say or send nothing and continue, or the call ends."""

    bad_stream: Literal["skip", "hang-up"] = switch(
        "skip", "7.9", source="unknown: no page says what a bad answer leads to"
    )
    """What a Voicebot does whose URL gives no proper answer is not known: it streams nothing and
    continues, or the call ends."""

    # Parameters (VOICE_V1 7.1)
    tenant_id: str = "10001"
    """What these requests have for `tenant_id`."""
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
    """`CallStatus` is sent: documented as what may be absent, and absent from captures."""
    bare_call_to: bool = switch(False, "7.1", source="live: one capture of 2016")
    """`CallTo` has no leading 0 where `To` has one, as in a capture of 2016."""
    digits_once: bool = switch(False, "7.4", source="code: one published client")
    """`digits` come with the first request after they were pressed only: a user saw that
    later ones may be without."""
    insights: bool = switch(False, "7.1", source="live: a test of a published client")
    """`Legs[i][Insights]` of answered legs, an add-on; of others no word was seen."""
    voicebot_parameters: bool = switch(
        True, "7.9", source="unknown: no page says which parameters a Voicebot sends"
    )
    """A Voicebot's dynamic URL gets the parameters of a Passthru. False: none."""
    causes: Mapping[Outcome, Cause] = switch(
        attrs.Factory(lambda: dict(CAUSES)),
        "7.1",
        source="live: the ERPNext fixtures, the test harness; inferred: busy and failed",
    )
    """Why legs ended. Seen were the first three; for busy and failed there are the words of Q.850,
    which those look like. A phone that rings to its limit has RING_TIMEOUT instead of NO_ANSWER."""
    disconnected_by: tuple[str, str] | None = switch(
        None, "7.1", source="code: handlers read it; live: the ERPNext fixtures have none"
    )
    """Words of `Legs[i][DisconnectedBy]`, for the caller and the agent: none was seen. None: it is
    not sent."""
    agent_emails: Mapping[str, str] = attrs.field(factory=dict, converter=ByNumber)
    """`AgentEmail` of dial events, by the agent's number; without one it is empty."""

    # Connect (VOICE_V1 7.3)
    dial_whom_separators: Collection[str] = switch(
        (",", "\n"), "7.3a", source="unknown: a comma is a guess, and so is one number a line"
    )
    """What may stand between the numbers of a dial-whom answer: each of these. Empty: it is one
    number."""
    dial_whom_json: bool = switch(True, "7.3a", source="live: nammayatri")
    """A dial-whom answer of type `application/json` may be a JSON string. False: its quotes make it
    no number."""
    sip_agents: bool = switch(
        True, "7.3b", source="code: two published clients contradict each other"
    )
    """`sip:` among `numbers` is rung; in one account it silently was not. As `contact_uri` it is
    always rung."""
    parallel_cap: int = switch(
        10,
        "7.3b",
        source="code: two integrators contradict each other",
        validator=attrs.validators.ge(1),
    )
    """How many phones ring at once at most: 5 by one account, 10 by another."""
    child_legs: bool = switch(False, "3", source="code: one integrator")
    """Each agent an incoming call rings has a record of its own with `ParentCallSid`, as one
    integrator found; that it is `inbound` as well is a guess."""
    after_hangup: Literal["go-on", "stop"] = switch(
        "go-on", "7.1", source="live: Passthrus with `client-hangup` came; unknown what else does"
    )
    """A flow whose caller left during a Connect, a Voicemail or a Voicebot continues with what
    needs no caller: captured are Passthrus of such calls (`CallType=client-hangup`), what else
    comes is not."""

    # How long things take, and how far a flow may go
    speech: float = attrs.field(default=15.0, validator=attrs.validators.gt(0))
    """Characters said in a second."""
    audio_seconds: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    """An audio file."""
    key_seconds: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    """Pressing a key."""
    max_steps: int = attrs.field(default=500, validator=attrs.validators.ge(1))
    """Applets and attempts to dial until a call is ended: a loop may take no time at all."""
