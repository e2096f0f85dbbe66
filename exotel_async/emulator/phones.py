"""The phones of a call: their state, and what a person who plays one by hand can do with it."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

import attrs

from exotel_async.emulator.flows.caller import TELEPHONE_KEYS
from exotel_async.emulator.numbers import national

Role = Literal["caller", "first", "second", "agent"]
PhoneState = Literal["ringing", "connected", "ended"]
Awaited = Literal["keys", "message"]

_NAMES: dict[Role, str] = {
    "caller": "the caller",
    "first": "the first party",
    "second": "the second party",
    "agent": "the agent",
}
T = TypeVar("T")


def _report_change(handset: Handset, _: object, value: T) -> T:
    handset.changed()
    return value


def check_keys(keys: str) -> None:
    """Raise ValueError if there are none, or some that a telephone does not have."""
    if not keys or not TELEPHONE_KEYS.issuperset(keys):
        raise ValueError(f"keys: a telephone has 0 to 9, * and #, it cannot press {keys!r}")


@attrs.frozen(kw_only=True)
class Phone:
    """One party's phone at one moment of a call."""

    number: str = attrs.field(repr=False)
    """As it was dialled, or as it called in."""
    role: Role
    """The party of a flow is its `caller`, whichever side dialled; it is connected with an `agent`.
    The two of a call without a flow are the `first` and the `second`."""
    state: PhoneState
    manual: bool
    """Whether a person plays it: see `Settings.manual`."""
    hears: str | None
    """The last text, or URL of an audio file, that was said or played to them."""
    waits_for: Awaited | None
    """What the flow now waits for from them: keys, or a message for a Voicemail."""


@attrs.define(eq=False)
class Handset:
    """One party's phone, as its call keeps it.

    What a person does with it takes effect at once. The methods for that raise ValueError if the
    phone cannot do it now.
    """

    number: str = attrs.field(repr=False)
    role: Role
    manual: bool
    on_action: Callable[[], None] = attrs.field(default=lambda: None, repr=False)
    """Called after a person did something, for the call to react to it."""
    changed: Callable[[], None] = attrs.field(default=lambda: None, repr=False)
    """Called when its state changes, or what a flow waits for from it."""
    state: PhoneState = attrs.field(default="ringing", on_setattr=_report_change)
    hears: str | None = None
    waits_for: Awaited | None = attrs.field(default=None, on_setattr=_report_change)
    answered: bool = False
    """Whether it was answered the last time it rang."""
    keys: str = ""
    """Keys pressed that no applet has read yet."""
    message: int = 0
    """The length in seconds of the message to be said to a Voicemail."""

    @property
    def hung_up(self) -> bool:
        """Whether a person plays it, and it is on the hook."""
        return self.manual and self.state == "ended"

    def ring(self) -> None:
        """Start ringing, perhaps not for the first time."""
        self.state, self.answered = "ringing", False

    def connect(self) -> None:
        """Mark it as answered, if it still rings."""
        if self.state == "ringing":
            self.state, self.answered = "connected", True

    def end(self) -> None:
        """Put it on the hook."""
        self.state, self.waits_for = "ended", None

    def view(self, *, over: bool) -> Phone:
        """Return its current state; `over`: the call has ended."""
        return Phone(
            number=self.number,
            role=self.role,
            state="ended" if over else self.state,
            manual=self.manual,
            hears=self.hears,
            waits_for=None if over else self.waits_for,
        )

    def answer(self) -> None:
        """Answer, as the person who plays it."""
        self._need("ringing", "answer")
        self.connect()
        self.on_action()

    def reject(self) -> None:
        """Reject the call, as the person who plays it."""
        self._need("ringing", "reject the call")
        self.end()
        self.on_action()

    def hang_up(self) -> None:
        """Hang up, as the person who plays it."""
        self._need("connected", "hang up")
        self.end()
        self.on_action()

    def press(self, keys: str) -> None:
        """Press keys, as the person who plays it."""
        check_keys(keys)
        self._need("connected", "press keys")
        if self.role != "caller":
            raise ValueError(f"{_NAMES[self.role]} cannot press keys: only a flow asks for them")
        self.keys += keys
        if self.waits_for == "keys":
            self.waits_for = None
        self.on_action()

    def speak(self, seconds: int) -> None:
        """Say a message to a Voicemail, as the person who plays it."""
        if seconds < 1:
            raise ValueError(f"seconds: a message is 1 second long or longer, not {seconds}")
        self._need("connected", "speak")
        if self.waits_for != "message":
            raise ValueError(f"{_NAMES[self.role]} cannot speak: no Voicemail waits for a message")
        self.message = seconds
        self.waits_for = None
        self.on_action()

    def _need(self, state: PhoneState, what: str) -> None:
        """Raise ValueError unless a person plays the phone, and it is in that state."""
        name = _NAMES[self.role]
        if not self.manual:
            raise ValueError(f"{name} cannot {what} by hand: `manual` does not have that number")
        if self.state != state:
            raise ValueError(f"{name} cannot {what}: the phone is {self.state}, not {state}")


@attrs.define(eq=False)
class Handsets:
    """The phones of one call: those it has rung, and its caller's.

    There are some if the call is in a flow, or a person plays one of them. Looking for one raises
    ValueError if there are none.
    """

    _all: list[Handset] = attrs.field(factory=list)
    _watchers: list[Future[None]] = attrs.field(factory=list)
    _over: bool = False

    def __iter__(self) -> Iterator[Handset]:
        return iter(self._all)

    def add(self, phone: Handset) -> None:
        """Add a phone that begins to ring; it replaces one of the same role and number."""
        self._all = [
            one for one in self._all if (one.role, one.number) != (phone.role, phone.number)
        ]
        self._all.append(phone)
        phone.changed = self._changed
        self._changed()

    def close(self) -> None:
        """End them all: the call is over."""
        for phone in self._all:
            phone.end()
        self._over = True
        self._changed()

    async def until(self, condition: Callable[[Handset], bool]) -> Handset:
        """Wait for a phone that meets the condition. Raises ValueError when the call ends."""
        self._need_some()
        while True:
            found = next(filter(condition, self._all), None)
            if found is not None:
                return found
            if self._over:
                raise ValueError("the call is over")
            changed = asyncio.get_running_loop().create_future()
            self._watchers.append(changed)
            await changed

    @property
    def talking(self) -> bool:
        """Whether an agent has answered and is talking to the caller."""
        return any(one.role == "agent" and one.state == "connected" for one in self._all)

    @property
    def caller(self) -> Handset:
        """The phone that a flow asks for keys and messages."""
        self._need_some()
        for one in self._all:
            if one.role == "caller":
                return one
        raise ValueError("nobody is asked for keys or a message in a call without a flow")

    def find(self, number: str, state: PhoneState) -> Handset:
        """Return the phone of that number, however written; of several, a manual one in `state`."""
        self._need_some()
        found = [one for one in self._all if national(one.number) == national(number)]
        if not found:
            raise ValueError("number: it is not that of a phone that this call has rung")
        usable = (one for one in found if one.manual and one.state == state)
        return next(usable, found[-1])

    def _need_some(self) -> None:
        if not self._all:
            raise ValueError("no phone of that call is played by hand: see `manual`")

    def _changed(self) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)
