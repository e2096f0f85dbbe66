"""Endpoints of calls: make them, look at them, and bring them to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import timedelta

import attrs

from exotel_async.emulator.calls import Dial, EmulatedCall
from exotel_async.emulator.control.endpoint import (
    Body,
    Endpoint,
    Input,
    QueryParameter,
    Refused,
    Result,
    of_type,
)
from exotel_async.emulator.control.pages import PAGE, a_page_of, page_by_key, page_of
from exotel_async.emulator.control.views import (
    Call,
    CallRecording,
    CallTranscript,
    Rung,
    recordings_of,
)
from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.numbers import checked_number
from exotel_async.emulator.operations import Operations
from exotel_async.emulator.request_log import Statistics

NO_CALL = {404: "There is no such call."}


@attrs.frozen(kw_only=True)
class IncomingCall:
    """A call that is to come in."""

    from_: str
    exophone: str
    caller: Caller | None = None
    """What the caller does; null: as `/callers` says."""


@attrs.frozen(kw_only=True)
class AddedCall:
    """A call that is added without a dial; it sends no callbacks, and goes through no flow."""

    dial: Dial
    ago: float = 0.0
    """How long ago it was dialled, in seconds of the emulator's clock."""


@attrs.frozen(kw_only=True)
class Finish:
    """How calls are brought to their end."""

    settle: bool = True
    """Whether durations, prices and end times are shown at once as well."""


def call_of(emulator: Operations, asked: Input) -> EmulatedCall:
    """Return the call that `{sid}` names. Raises Refused, 404."""
    sid = asked.path["sid"]
    call = emulator.calls.get(sid)
    if call is None:
        raise Refused(404, f"there is no call {sid!r}", field="sid")
    return call


def _calls(emulator: Operations, asked: Input) -> Result:
    return page_by_key(emulator.calls, asked, Call.of)


async def _call(emulator: Operations, asked: Input) -> Result:
    call, wait = call_of(emulator, asked), asked.query["wait"]
    if wait:
        try:
            async with asyncio.timeout(wait):
                await call.over()
        except TimeoutError:
            pass  # it is shown as it is
    return Result(value=Call.of(call))


def _add(emulator: Operations, asked: Input) -> Result:
    added: AddedCall = asked.body
    try:
        call = emulator.add_call(added.dial, ago=timedelta(seconds=added.ago))
    except OverflowError:
        raise Refused(422, f"{added.ago:g} is further than dates go", field="ago") from None
    return _created(call)


async def _come_in(emulator: Operations, asked: Input) -> Result:
    coming: IncomingCall = asked.body
    try:
        checked_number(coming.from_)
    except ValueError as error:
        raise Refused(422, str(error), field="from") from None
    try:
        call = await emulator.incoming_call(coming.from_, coming.exophone, caller=coming.caller)
    except ValueError as error:
        raise Refused(409, str(error), field="exophone") from None
    return _created(call)


def _created(call: EmulatedCall) -> Result:
    return Result(value=Call.of(call), location=f"/calls/{call.sid}")


def _forget(emulator: Operations, asked: Input) -> Result:
    emulator.forget(call_of(emulator, asked).sid)
    return Result()


def _transcript(emulator: Operations, asked: Input) -> Result:
    return Result(value=CallTranscript.of(call_of(emulator, asked).transcript))


def _recording(emulator: Operations, asked: Input) -> Result:
    return Result(content=emulator.recording(call_of(emulator, asked).sid))


def _recordings(emulator: Operations, asked: Input) -> Result:
    found = [
        CallRecording(sid=call.sid, file=one.file, seconds=one.seconds)
        for call in emulator.calls.values()
        for one in recordings_of(call)
    ]
    return page_of(found, asked)


async def _finish(emulator: Operations, asked: Input) -> Result:
    await emulator.finish_calls(settle=asked.body.settle)
    return Result(value=emulator.statistics())


def _rung(emulator: Operations, asked: Input) -> Result:
    number = asked.path["number"]
    return Result(value=Rung(number=number, rung=emulator.rung(number)))


_DIAL = {"from": "09812300001", "to": "09812300002", "caller_id": "08030000000"}

ENDPOINTS: Collection[Endpoint] = [
    Endpoint(
        method="GET",
        path="/calls",
        name="get_calls",
        about="Every call, in the order they were accepted.",
        act=_calls,
        query=PAGE,
        returns=a_page_of(Call),
    ),
    Endpoint(
        method="POST",
        path="/calls",
        name="add_call",
        about="Add a call without a dial. It sends no callbacks, and goes through no flow.",
        act=_add,
        takes=Body.of(AddedCall, {"dial": _DIAL, "ago": 3600}),
        returns=of_type(Call),
        status=201,
    ),
    Endpoint(
        method="GET",
        path="/calls/{sid}",
        name="get_call",
        about="The current state of one call.",
        act=_call,
        query=[
            QueryParameter(
                name="wait",
                about="Wait for its end first, at most this many real seconds.",
                type=float,
                default=0.0,
                minimum=0,
                maximum=3600,
            )
        ],
        returns=of_type(Call),
        refusals=NO_CALL,
    ),
    Endpoint(
        method="DELETE",
        path="/calls/{sid}",
        name="forget_call",
        about="Remove a call from the API. It still counts as rung, and sends its callbacks.",
        act=_forget,
        status=204,
        refusals=NO_CALL,
    ),
    Endpoint(
        method="GET",
        path="/calls/{sid}/transcript",
        name="get_transcript",
        about="The path of a call through its flow so far.",
        act=_transcript,
        returns=of_type(CallTranscript),
        refusals=NO_CALL,
    ),
    Endpoint(
        method="GET",
        path="/calls/{sid}/recording",
        name="get_recording",
        about="What a download of a call's recording returns, whether ready or not.",
        act=_recording,
        returns=lambda _: {},
        media_type="audio/mpeg",
        refusals=NO_CALL,
    ),
    Endpoint(
        method="GET",
        path="/recordings",
        name="get_recordings",
        about="The recordings of all calls.",
        act=_recordings,
        query=PAGE,
        returns=a_page_of(CallRecording),
    ),
    Endpoint(
        method="POST",
        path="/incoming_calls",
        name="call_in",
        about="Make a call come in, and start the flow assigned to that ExoPhone.",
        act=_come_in,
        takes=Body.of(
            IncomingCall,
            {"from": "09812300002", "exophone": "08030000000", "caller": {"keys": ["1"]}},
        ),
        returns=of_type(Call),
        status=201,
        refusals={409: "No flow is assigned to that ExoPhone."},
    ),
    Endpoint(
        method="POST",
        path="/finish_calls",
        name="finish_calls",
        about="End every call in progress now, as it would end, and send its status callbacks.",
        act=_finish,
        takes=Body.of(Finish, {"settle": True}, required=False),
        returns=of_type(Statistics),
    ),
    Endpoint(
        method="GET",
        path="/rung/{number}",
        name="get_rung",
        about="How often a number, however written, was rung.",
        act=_rung,
        returns=of_type(Rung),
    ),
]
