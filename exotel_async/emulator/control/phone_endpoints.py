"""Endpoints of phones played by people: their state; answer, reject, press, speak and hang up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import attrs

from exotel_async.emulator.control.call_endpoints import NO_CALL, call_of
from exotel_async.emulator.control.endpoint import (
    Body,
    Endpoint,
    Input,
    QueryParameter,
    Refused,
    Result,
    of_type,
)
from exotel_async.emulator.operations import Operations
from exotel_async.emulator.phones import Phone, check_keys

_WAIT = QueryParameter(
    name="wait",
    about="How many real seconds at most.",
    type=float,
    default=60.0,
    minimum=0,
    maximum=3600,
)
_PHONES = of_type(Sequence[Phone])


@attrs.frozen(kw_only=True)
class OnePhone:
    """One of the call's phones."""

    number: str
    """However written."""


@attrs.frozen(kw_only=True)
class Keys:
    """What the caller presses."""

    keys: str = attrs.field(validator=lambda _, __, keys: check_keys(keys))
    """Digits, `*` and `#`."""


@attrs.frozen(kw_only=True)
class Message:
    """What the caller says to a Voicemail."""

    seconds: int = attrs.field(validator=attrs.validators.ge(1))
    """Seconds of the emulator's clock."""


def _phones(emulator: Operations, asked: Input) -> Result:
    return Result(value=emulator.phones(call_of(emulator, asked).sid))


async def _until_ringing(emulator: Operations, asked: Input) -> Result:
    sid = call_of(emulator, asked).sid
    return await _wait_for(emulator.until_ringing(sid, asked.path["number"]), asked)


async def _until_asked(emulator: Operations, asked: Input) -> Result:
    return await _wait_for(emulator.until_asked(call_of(emulator, asked).sid), asked)


async def _wait_for(phone: Awaitable[Phone], asked: Input) -> Result:
    try:
        async with asyncio.timeout(asked.query["wait"]):
            return Result(value=await phone)
    except TimeoutError:
        raise Refused(409, "it did not come to that in time", field="wait") from None
    except ValueError as error:
        raise Refused(409, str(error)) from None


def _answer(emulator: Operations, sid: str, body: OnePhone) -> None:
    emulator.answer(sid, body.number)


def _reject(emulator: Operations, sid: str, body: OnePhone) -> None:
    emulator.reject(sid, body.number)


def _press(emulator: Operations, sid: str, body: Keys) -> None:
    emulator.press(sid, body.keys)


def _speak(emulator: Operations, sid: str, body: Message) -> None:
    emulator.speak(sid, body.seconds)


def _hang_up(emulator: Operations, sid: str, body: OnePhone) -> None:
    emulator.hang_up(sid, body.number)


def _action(
    name: str,
    about: str,
    play: Callable[[Operations, str, Any], None],
    takes: type,
    example: object,
) -> Endpoint:
    """Return the endpoint of something a person does; it answers the state of the phones then."""

    def act(emulator: Operations, asked: Input) -> Result:
        sid = call_of(emulator, asked).sid
        try:
            play(emulator, sid, asked.body)
        except ValueError as error:
            raise Refused(409, str(error)) from None
        return Result(value=emulator.phones(sid))

    return Endpoint(
        method="POST",
        path=f"/calls/{{sid}}/{name.replace('_', '-')}",
        name=name,
        about=about,
        act=act,
        takes=Body.of(takes, example),
        returns=_PHONES,
        refusals={**NO_CALL, 409: "No phone played by a person can do that now."},
    )


_NUMBER = {"number": "09812300001"}

ENDPOINTS: Collection[Endpoint] = [
    Endpoint(
        method="GET",
        path="/calls/{sid}/phones",
        name="get_phones",
        about="The current state of a call's phones: those it has rung, and its caller's.",
        act=_phones,
        returns=_PHONES,
        refusals=NO_CALL,
    ),
    Endpoint(
        method="GET",
        path="/calls/{sid}/ringing/{number}",
        name="until_ringing",
        about="Wait until a phone of that number, however written, rings in the call.",
        act=_until_ringing,
        query=[_WAIT],
        returns=of_type(Phone),
        refusals={**NO_CALL, 409: "The call ended before that, or the wait did."},
    ),
    Endpoint(
        method="GET",
        path="/calls/{sid}/asked",
        name="until_asked",
        about="Wait until the call's flow waits for keys or a message of its caller.",
        act=_until_asked,
        query=[_WAIT],
        returns=of_type(Phone),
        refusals={**NO_CALL, 409: "The call ended before that, or the wait did."},
    ),
    _action(
        "answer",
        "A person answers a ringing phone. The setting `manual` says which phones people play.",
        _answer,
        OnePhone,
        _NUMBER,
    ),
    _action(
        "reject", "A person rejects the call their phone rings for.", _reject, OnePhone, _NUMBER
    ),
    _action(
        "press",
        "The caller presses keys; those not asked for yet are kept for the next prompt.",
        _press,
        Keys,
        {"keys": "1"},
    ),
    _action(
        "speak",
        "The caller leaves a message at the Voicemail that waits for one.",
        _speak,
        Message,
        {"seconds": 10},
    ),
    _action("hang_up", "A person ends the call they are on.", _hang_up, OnePhone, _NUMBER),
]
