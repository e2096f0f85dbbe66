"""The person on the line: a script of what they press and say, and when they hang up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from exotel_async.emulator.flows.applets import Applet
from exotel_async.emulator.scenario import Behaviour, Outcome

Keys = Sequence[str] | Mapping[str, str | Sequence[str]]


TELEPHONE_KEYS = frozenset("0123456789*#")
_not_negative = attrs.validators.ge(0)
_length = attrs.validators.optional(_not_negative)


def _read_keys(keys: Keys) -> Keys:
    if isinstance(keys, str):
        return (keys,)
    return dict(keys) if isinstance(keys, Mapping) else tuple(keys)


def _check_keys(_: object, __: object, keys: Keys) -> None:
    for given in keys.values() if isinstance(keys, Mapping) else [keys]:
        for text in [given] if isinstance(given, str) else given:
            if not TELEPHONE_KEYS.issuperset(text):
                raise ValueError(f"keys: a telephone has 0 to 9, * and #, not {text!r}")


@attrs.frozen(kw_only=True)
class Caller:
    """What the party of a flow does. Durations are emulator seconds.

    By default they answer as the scenario says, press nothing, say nothing, and stay on the line
    until the flow ends.
    """

    outcome: Outcome | None = attrs.field(
        default=None, converter=attrs.converters.optional(Outcome)
    )
    """Whether they answer a call that the API dialled; None leaves it to the scenario."""
    ring: int | None = attrs.field(default=None, validator=_length)
    """How long their phone rings then; None leaves it to the scenario."""
    keys: Keys = attrs.field(default=(), converter=_read_keys, validator=_check_keys)
    """What they press: one entry each time they are prompted, repeats included, and then nothing.
    Given by name or kind of the applet (`{"pin": "1234#", "Menu": ["9", "1"]}`), a text is pressed
    each time they are prompted there. `""` presses nothing."""
    speaks: int = attrs.field(default=0, validator=_not_negative)
    """How long they speak to a Voicemail; 0 leaves no message."""
    talk: int | None = attrs.field(default=None, validator=_length)
    """They end a conversation after that long; None leaves it to the agent, or to the bot."""
    patience: int | None = attrs.field(default=None, validator=_length)
    """They hang up when a Connect has rung that long in total; None: never."""
    manual: bool = False
    """A person plays them, whatever `Settings.manual` says, and the other fields are ignored: see
    `Emulator.answer`, `press`, `speak` and `hang_up`."""
    hangs_up_at: str | None = None
    """The name or kind of an applet at whose beginning they hang up; at a Voicemail once they have
    spoken, at a Connect as soon as a phone rings."""

    @property
    def behaviour(self) -> Behaviour | None:
        """How their phone behaves; None leaves it to the scenario."""
        if self.outcome is None and self.ring is None:
            return None
        return Behaviour(self.outcome or Outcome.COMPLETED, ring=self.ring)


class Script:
    """A caller's script, and how far one call has played it."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self._asked: Counter[str] = Counter()

    def presses(self, applet: Applet) -> str:
        """Return what they press this time."""
        keys = self.caller.keys
        if not isinstance(keys, Mapping):
            return self._next("", keys)
        found = next((word for word in (applet.name, applet.kind) if word in keys), None)
        if found is None:
            return ""
        given = keys[found]
        return given if isinstance(given, str) else self._next(found, given)

    def leaves_at(self, applet: Applet) -> bool:
        """Return whether they hang up at this applet."""
        wanted = self.caller.hangs_up_at
        return wanted is not None and wanted in {applet.name, applet.kind}

    def _next(self, where: str, entries: Sequence[str]) -> str:
        number = self._asked[where]
        self._asked[where] += 1
        return entries[number] if number < len(entries) else ""
