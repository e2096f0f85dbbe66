"""The applets of Voice v1 as frozen values, put together by hand into the graph of a flow.

Their requests to the application, and its answers, are those of VOICE_V1 7.

An exit leads to another applet, to the name of one elsewhere in the flow, or nowhere (None): the
call is then hung up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, TypeAlias, Union

import attrs

Next: TypeAlias = Union["Applet", str, None]
"""What an exit leads to."""


def _one_or_more(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _copied(value: Mapping[str, Next]) -> dict[str, Next]:
    return dict(value)


def _check_http_url(_: object, field: attrs.Attribute[str], url: str) -> None:
    if re.match(r"https?://[^\s/?#]", url, re.IGNORECASE) is None:
        raise ValueError(f"{field.name}: {url!r} is not an http or https URL")


def _check_bot_url(_: object, field: attrs.Attribute[str], url: str) -> None:
    if re.match(r"wss?://[^\s/?#]", url, re.IGNORECASE) is None:
        raise ValueError(f"{field.name}: {url!r} is not a ws or wss URL")


_url = attrs.validators.optional(_check_http_url)
_bot_url = attrs.validators.optional(_check_bot_url)


@attrs.frozen(kw_only=True, repr=False)
class Applet:
    """Base of all applets."""

    own_exits: ClassVar[Sequence[str]] = ()
    """The names of its exits, except for keys and cases."""
    needs_caller: ClassVar[bool] = True
    """Whether it can run only while the caller is on the line."""

    name: str = ""
    """The name by which exits of other applets and a caller's script refer to it."""

    @property
    def kind(self) -> str:
        """The name of its class."""
        return type(self).__name__

    @property
    def label(self) -> str:
        """Its kind, and its name if it has one."""
        return f'{self.kind} "{self.name}"' if self.name else self.kind

    @property
    def exits(self) -> Mapping[str, Next]:
        """Where each of its exits leads."""
        return {name: getattr(self, name) for name in self.own_exits}

    def __repr__(self) -> str:
        # Without what it leads to: a flow may be deep.
        return f"<{self.label}>"

    def one_of(self, *names: str, optional: bool = False) -> None:
        """Raise ValueError unless exactly one of these fields, or none if optional, is given."""
        given = [name for name in names if getattr(self, name)]
        if len(given) > 1 or not (given or optional):
            raise ValueError(f"{self.label} takes one of {', '.join(names)}")


@attrs.frozen(kw_only=True, repr=False)
class Greeting(Applet):
    """Says or plays something: a text, audio files, or what the URL answers."""

    own_exits: ClassVar[Sequence[str]] = ("then",)

    text: str | None = None
    audio: Sequence[str] = attrs.field(default=(), converter=_one_or_more)
    """URLs. They are not fetched: how Exotel does is not documented, and it caches them."""
    url: str | None = attrs.field(default=None, validator=_url)
    then: Next = None

    def __attrs_post_init__(self) -> None:
        self.one_of("text", "audio", "url")


@attrs.frozen(kw_only=True, repr=False)
class Menu(Applet):
    """IVR Menu: says or plays a prompt, waits for one key, and takes the exit of that key.

    Without a key, or with one that has no exit, the prompt is repeated; after the last time,
    `otherwise` is taken. What the real one does with a wrong key is not known.
    """

    own_exits: ClassVar[Sequence[str]] = ("otherwise",)

    text: str | None = None
    audio: Sequence[str] = attrs.field(default=(), converter=_one_or_more)
    url: str | None = attrs.field(default=None, validator=_url)
    keys: Mapping[str, Next] = attrs.field(converter=_copied)
    """An exit for each key: a digit, `*` or `#`."""
    wait: int = 5
    """Seconds to wait for a key."""
    repeat: int = 0
    """How often the prompt is repeated."""
    otherwise: Next = None

    def __attrs_post_init__(self) -> None:
        self.one_of("text", "audio", "url")
        wrong = [key for key in self.keys if len(key) != 1 or key not in "0123456789*#"]
        if wrong:
            raise ValueError(f"{self.label} has keys that no telephone has: {', '.join(wrong)}")

    @property
    def exits(self) -> Mapping[str, Next]:
        """The keys, and `otherwise`."""
        return {**self.keys, "otherwise": self.otherwise}


@attrs.frozen(kw_only=True, repr=False)
class Gather(Applet):
    """Collects digits, as its own fields say, or as the JSON that the URL answers does."""

    own_exits: ClassVar[Sequence[str]] = ("then", "otherwise")

    url: str | None = attrs.field(default=None, validator=_url)
    text: str | None = None
    audio: Sequence[str] = attrs.field(default=(), converter=_one_or_more)
    max_digits: int | None = None
    finish_on_key: str | None = None
    wait: int = 5
    """Seconds without a key after which it ends."""
    repeat: int = 0
    """How often the prompt is repeated if there was no digit."""
    then: Next = None
    """Taken with digits."""
    otherwise: Next = None
    """Taken without digits, or if the URL gives no usable answer."""

    def __attrs_post_init__(self) -> None:
        self.one_of("text", "audio", "url")


@attrs.frozen(kw_only=True, repr=False)
class Passthru(Applet):
    """Sends the call's parameters to the application; the status of the answer selects the exit."""

    own_exits: ClassVar[Sequence[str]] = ("ok", "otherwise")
    needs_caller: ClassVar[bool] = False

    url: str = attrs.field(validator=_check_http_url)
    sync: bool = True
    """False is "Make Passthru Async": the answer is not waited for, and `ok` is taken."""
    ok: Next = None
    """Status 200."""
    otherwise: Next = None
    """Any other status, no answer in time, or no connection."""


@attrs.frozen(kw_only=True, repr=False)
class SwitchCase(Applet):
    """Takes the exit that the answer to the last synchronous Passthru selects."""

    own_exits: ClassVar[Sequence[str]] = ("otherwise",)
    needs_caller: ClassVar[bool] = False

    cases: Mapping[str, Next] = attrs.field(converter=_copied)
    otherwise: Next = None

    def __attrs_post_init__(self) -> None:
        if "otherwise" in self.cases:
            raise ValueError(f"{self.label} cannot have a case named as its exit for all others")

    @property
    def exits(self) -> Mapping[str, Next]:
        """The cases, and `otherwise`."""
        return {**self.cases, "otherwise": self.otherwise}


@attrs.frozen(kw_only=True, repr=False)
class Connect(Applet):
    """Rings agents, and connects the caller with the one who answers.

    It rings `numbers`; or what `dial_whom_url` answers, a number as plain text; or what the JSON
    says that `url`, or else `fallback_url`, answers. That JSON has all the other options as well,
    so the fields from `ring_limit` to `events_url` are for the first two cases only.
    """

    own_exits: ClassVar[Sequence[str]] = ("then", "no_answer", "not_dialled")

    numbers: Sequence[str] = attrs.field(default=(), converter=_one_or_more)
    dial_whom_url: str | None = attrs.field(default=None, validator=_url)
    url: str | None = attrs.field(default=None, validator=_url)
    fallback_url: str | None = attrs.field(default=None, validator=_url)
    ring_limit: int | None = None
    """Seconds each agent's phone rings; None is the scenario's `ring_timeout`."""
    talk_limit: int | None = None
    """Seconds a conversation lasts at most."""
    record: bool = False
    parallel: int = 1
    """How many phones ring at once."""
    whisper_url: str | None = attrs.field(default=None, validator=_url)
    """URL that answers what the agent hears first."""
    events_url: str | None = attrs.field(default=None, validator=_url)
    """The "create popup" URL: receives the dial events of each attempt."""
    then: Next = None
    """Taken after the conversation ends."""
    no_answer: Next = None
    """Taken if no agent answers, or the caller leaves before."""
    not_dialled: Next = None
    """Taken if no number was dialled."""

    def __attrs_post_init__(self) -> None:
        self.one_of("numbers", "dial_whom_url", "url", optional=True)
        if self.fallback_url is not None and self.url is None:
            raise ValueError(f"{self.label} has a fallback_url without a url")
        own = (self.ring_limit, self.talk_limit, self.whisper_url, self.events_url)
        if self.url is not None and (any(own) or self.record or self.parallel > 1):
            raise ValueError(f"{self.label} has a url, whose answer says how to dial")


@attrs.frozen(kw_only=True, repr=False)
class Voicemail(Applet):
    """Records what the caller says. A later Passthru sends it as `RecordingUrl`."""

    own_exits: ClassVar[Sequence[str]] = ("then",)

    text: str | None = None
    audio: Sequence[str] = attrs.field(default=(), converter=_one_or_more)
    max_seconds: int = 120
    then: Next = None

    def __attrs_post_init__(self) -> None:
        self.one_of("text", "audio", optional=True)


@attrs.frozen(kw_only=True, repr=False)
class Voicebot(Applet):
    """Connects the caller with a bot: the one at `stream_url`, or the one whose URL `url` answers.

    No audio is streamed, and nothing connects to the bot: the transcript has its URL.
    """

    own_exits: ClassVar[Sequence[str]] = ("then",)

    stream_url: str | None = attrs.field(default=None, validator=_bot_url)
    url: str | None = attrs.field(default=None, validator=_url)
    talk: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    """Seconds until the bot ends the stream, unless the caller leaves before."""
    then: Next = None

    def __attrs_post_init__(self) -> None:
        self.one_of("stream_url", "url")


@attrs.frozen(kw_only=True, repr=False)
class Sms(Applet):
    """Sends an SMS: a text, or what the URL answers. See `Emulator.sms`."""

    own_exits: ClassVar[Sequence[str]] = ("then",)
    needs_caller: ClassVar[bool] = False

    text: str | None = None
    url: str | None = attrs.field(default=None, validator=_url)
    to: str | None = None
    """The recipient; None: the caller."""
    then: Next = None

    def __attrs_post_init__(self) -> None:
        self.one_of("text", "url")


@attrs.frozen(kw_only=True, repr=False)
class Email(Applet):
    """Sends an e-mail, without a request to the application. See `Emulator.emails`."""

    own_exits: ClassVar[Sequence[str]] = ("then",)
    needs_caller: ClassVar[bool] = False

    to: Sequence[str] = attrs.field(converter=_one_or_more)
    subject: str = ""
    text: str = ""
    then: Next = None


@attrs.frozen(kw_only=True, repr=False)
class Transfer(Applet):
    """Continues at the start of another flow."""

    needs_caller: ClassVar[bool] = False

    flow: str = attrs.field(converter=str)
    """Its id."""


@attrs.frozen(kw_only=True, repr=False)
class Hangup(Applet):
    """Ends the call."""
