"""The settings that the dials of one `connect_many` share, and the request for each dial."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.models import CallbackEvent, DialOptions, DialTarget, StreamOptions, TargetOptions
from exotel_async.phone import normalize_exophone, normalize_party
from exotel_async.wire import requests
from exotel_async.wire.stream_url import bot_url
from exotel_async.wire.validation import all_of, whole

if TYPE_CHECKING:
    from exotel_async.wire.request import Request

_FOR_EACH: Final = "for all, or by each DialTarget"
_TAKES_TWO: Final = "a call between two numbers takes two"

# The options of each kind of call.
_BETWEEN_TWO: Final = TargetOptions.__optional_keys__ - {"stream_name", "sample_rate"}
_TO_A_STREAM: Final = StreamOptions.__optional_keys__ | {
    "stream_url",
    "stream_name",
    "sample_rate",
}


@frozen(kw_only=True)
class DialOrder:
    """One dial, ready to be sent.

    Attributes:
        passed: the target, as it was passed.
        target: the same as a `DialTarget`; with the plan's settings if only a number was passed.
        request: the request.
        legs: how many legs its call has.
    """

    passed: DialTarget | str
    target: DialTarget
    request: Request
    legs: int


@frozen(kw_only=True)
class DialPlan:
    """The settings that all dials of one `connect_many` share, and how many may be in progress.

    Attributes:
        account_sid: the account the flows belong to.
        to, flow, caller_id, options: the defaults for targets that do not set them.
        max_live: legs that may be in progress at once; None: any number.
    """

    account_sid: str
    to: str | None
    flow: int | str | None
    caller_id: str | None
    options: TargetOptions
    max_live: int | None

    def __attrs_post_init__(self) -> None:
        _checked(self.options)
        events = self.options.get("status_callback_events")
        if events is not None:
            # An iterator would be used up by the first dial.
            given = all_of("status_callback_events", events, CallbackEvent)
            self.options["status_callback_events"] = tuple(given)
        whole("max_live", self.max_live, 1)
        if self.to is not None and self.flow is not None:
            raise InvalidRequest("flow", self.flow, f"give either to or flow, {_FOR_EACH}")
        if self.caller_id is not None:
            normalize_exophone(self.caller_id, "caller_id")
        stream_url = self.options.get("stream_url")
        if self.flow is not None:
            requests.flow_url(self.account_sid, self.flow)
            requests.refuse_stream(self.options)
        elif self.to is None and stream_url is not None:
            bot_url(stream_url, self.options.get("sample_rate"))
        if self.to is not None:
            normalize_party(self.to, "to")
            if self.max_live == 1:
                raise InvalidRequest("max_live", 1, _TAKES_TWO)

    def check(self, targets: object) -> None:
        """Call `require` for all targets, if they are a list or a tuple.

        Raises:
            InvalidRequest: as `require`.
        """
        if isinstance(targets, list | tuple):
            for target in targets:
                self.require(target)

    def require(self, passed: object) -> None:
        """Check that a target, or the plan, has the settings that each dial needs.

        If both lack one, that is an error of the program rather than of the target.

        Raises:
            InvalidRequest: both lack a setting.
        """
        own = passed if isinstance(passed, DialTarget) else None
        if self.caller_id is None and (own is None or own.caller_id is None):
            raise InvalidRequest("caller_id", None, f"must be given, {_FOR_EACH}")
        leads_to = [self.to, self.flow, self.options.get("stream_url")]
        if own is not None:
            leads_to += [own.to, own.flow]
            if isinstance(own.options, Mapping):
                leads_to.append(own.options.get("stream_url"))
        if all(place is None for place in leads_to):
            raise InvalidRequest("to", None, f"give one of to, flow and stream_url, {_FOR_EACH}")

    def target_of(self, passed: DialTarget | str) -> DialTarget:
        """Return a target as it was passed; for a number, one with the plan's settings."""
        if isinstance(passed, DialTarget):
            return passed
        return DialTarget(
            from_=passed,
            to=self.to,
            flow=self.flow,
            caller_id=self.caller_id,
            options=self.options.copy(),
        )

    def order(self, passed: DialTarget | str) -> DialOrder:
        """Build the request for a target, and count the legs of its call.

        Raises:
            InvalidRequest: a setting that Exotel would refuse.
        """
        if not isinstance(passed, str | DialTarget):
            raise InvalidRequest("targets", type(passed).__name__, "must be numbers or DialTargets")
        target = self.target_of(passed)
        own = target.to is not None or target.flow is not None
        to, flow = (target.to, target.flow) if own else (self.to, self.flow)
        if to is not None and flow is not None:
            raise InvalidRequest("flow", flow, "give either to or flow, not both")
        legs = 1 if to is None else 2
        if self.max_live is not None and legs > self.max_live:
            raise InvalidRequest("max_live", self.max_live, _TAKES_TWO)
        arguments: dict[str, Any] = {"from_": target.from_}
        arguments["caller_id"] = target.caller_id or self.caller_id or ""
        options = {**self.options, **_checked(target.options)}
        if to is not None:
            arguments |= _allowed(options, _BETWEEN_TWO, "between two numbers")
            request = requests.connect(to=to, **arguments)
        elif flow is not None:
            arguments |= _allowed(options, DialOptions.__optional_keys__, "to a flow")
            request = requests.connect_to_flow(account_sid=self.account_sid, flow=flow, **arguments)
        else:
            arguments |= _allowed(options, _TO_A_STREAM, "to a stream")
            request = requests.connect_to_stream(**arguments)
        request = evolve(request, passed=target)
        return DialOrder(passed=passed, target=target, request=request, legs=legs)


def _checked(options: object) -> Mapping[str, Any]:
    if not isinstance(options, Mapping):
        raise InvalidRequest("options", type(options).__name__, "must be a mapping")
    unknown = [name for name in options if name not in TargetOptions.__optional_keys__]
    if unknown:
        raise InvalidRequest("options", unknown[0], "is not an option of a dial")
    return options


def _allowed(options: Mapping[str, Any], known: Collection[str], kind: str) -> dict[str, Any]:
    """Return the options for a kind of call; None counts as left out.

    Raises:
        InvalidRequest: an option is for another kind.
    """
    for name, value in options.items():
        if value is not None and name not in known:
            raise InvalidRequest("options", name, f"is not for a call {kind}")
    return {name: value for name, value in options.items() if name in known}
