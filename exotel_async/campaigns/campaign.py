"""A campaign: what its contacts are connected to, when, how often and how fast they are dialled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, cast

from attrs import field, frozen

from exotel_async.calls.connect_many_plan import DialPlan
from exotel_async.campaigns.reached import Reached
from exotel_async.campaigns.retries import Retries
from exotel_async.campaigns.schedule import Schedule
from exotel_async.errors import InvalidRequest
from exotel_async.masking import mask_number, masked
from exotel_async.models import CallbackEvent, DialTarget, TargetOptions
from exotel_async.models.value import Value
from exotel_async.phone import normalize_exophone
from exotel_async.wire.validation import (
    all_of,
    flag,
    length_of_time,
    several,
    short_text,
    some_text,
    whole,
    whole_number,
)

_LONGEST_NAME: Final = 128  # characters
_DUMMY_NUMBER: Final = "sip:nobody@exotel-async.invalid"  # to validate a dial; nothing is sent
_OWN_OPTIONS: Final = {
    "time_limit",
    "ring_timeout",
    "record",
    "max_retries",
    "custom_field",
    "status_callback",
    "status_callback_events",
}


def _name(name: str) -> str:
    short_text("name", name, _LONGEST_NAME)
    return some_text("name", name)


def _caller_ids(caller_ids: str | Iterable[str]) -> tuple[str, ...]:
    given = [normalize_exophone(cast(str, one), "caller_ids") for one in several(caller_ids)]
    if not given:
        raise InvalidRequest("caller_ids", caller_ids, "must be one ExoPhone or more")
    return tuple(dict.fromkeys(given))


def _time_limit(value: timedelta | float | None) -> timedelta | None:
    return length_of_time("time_limit", value)


def _ring_timeout(value: timedelta | float | None) -> timedelta | None:
    return length_of_time("ring_timeout", value)


def _events(values: Iterable[CallbackEvent | str] | None) -> tuple[str, ...]:
    return tuple(all_of("status_callback_events", values, CallbackEvent))


def _options(options: TargetOptions) -> TargetOptions:
    if not isinstance(options, Mapping):
        raise InvalidRequest("options", type(options).__name__, "must be a mapping")
    for name in options:
        if name in _OWN_OPTIONS:
            raise InvalidRequest("options", name, "is an argument of Campaign itself")
    return cast(TargetOptions, dict(options))


@frozen(kw_only=True)
class Campaign(Value):
    """The settings of a campaign: how, when and how often its contacts are dialled::

        Campaign(
            "diwali",
            flow=926,
            caller_ids=["08030000000"],
            retries=Retries(busy=Retry(3, timedelta(minutes=10))),
        )

    Attributes:
        name: the unique name of the campaign in its ledger.
        flow: the flow its contacts are connected to: its id, or its full URL. Give exactly one of
            `flow`, `agent` and `stream_url`.
        agent: the number or SIP id that is rung once a contact has answered.
        stream_url: the `ws` or `wss` URL of a bot that the contacts speak with.
        caller_ids: the ExoPhone that contacts see, or several. A contact sees the same one in all
            its attempts.
        schedule: when the campaign may dial.
        retries: how often, and when, a contact is dialled again.
        reached: what counts as having reached a contact.
        channels: how many of the account's channels the campaign may use at once. A call uses one,
            or two with an `agent`. None: no limit of its own.
        throttle: the most calls it may place per minute. None: as the account's budget allows.
        weight: its share of budget and channels relative to other campaigns: one with weight 2
            gets twice as much as one with weight 1.
        time_limit: the maximum duration of a call: a timedelta or seconds, at most 14400.
        ring_timeout: how long each party is rung: a timedelta or seconds.
        record: whether to record the calls.
        max_retries: how often Exotel itself may redial within one attempt. The default 0 is sent
            explicitly: if it is not sent, Exotel may redial three times. None: do not send it.
        status_callback: the URL that receives status callbacks. The id of the attempt is added to
            its query, as `attempt`.
        status_callback_events: what the callbacks report; see `DialOptions`.
        custom_field: the text that comes back with each call, up to 128 characters. None: the id
            of the attempt.
        check_dnd: whether to look up each number before its first dial, which takes a request, and
            not to dial numbers that are on the DND register (NDNC).
        options: further options of each dial, such as `wait_url`, `recording_channels` and
            `status_callback_content_type`; see `TargetOptions`.

    Raises:
        InvalidRequest: none, or more than one, of `flow`, `agent` and `stream_url` is given; or
            Exotel would refuse an argument.
    """

    name: str = field(converter=_name, kw_only=False)
    flow: int | str | None = None
    agent: str | None = field(default=None, repr=masked)
    stream_url: str | None = field(default=None, repr=False)
    caller_ids: tuple[str, ...] = field(converter=_caller_ids)
    schedule: Schedule = field(factory=Schedule)
    retries: Retries = field(factory=Retries)
    reached: Reached = field(factory=Reached)
    channels: int | None = None
    throttle: int | None = None
    weight: int = 1
    time_limit: timedelta | None = field(default=None, converter=_time_limit)
    ring_timeout: timedelta | None = field(default=None, converter=_ring_timeout)
    record: bool | None = None
    max_retries: int | None = 0
    status_callback: str | None = field(default=None, repr=False)
    status_callback_events: tuple[str, ...] = field(default=(), converter=_events)
    custom_field: str | None = field(default=None, repr=False)
    check_dnd: bool = False
    options: TargetOptions = field(factory=TargetOptions, converter=_options, repr=False)

    def __attrs_post_init__(self) -> None:
        if [self.flow, self.agent, self.stream_url].count(None) != 2:
            raise InvalidRequest("flow", self.flow, "give one of flow, agent and stream_url")
        if self.agent is None and self.options.get("stream_url") is not None:
            rule = "has stream_url only with an agent: it streams the call between the two"
            raise InvalidRequest("options", "stream_url", rule)
        for name, kind in _KINDS.items():
            if not isinstance(value := getattr(self, name), kind):
                raise InvalidRequest(name, value, f"must be a {kind.__name__}")
        whole("channels", self.channels, self.legs)
        whole("throttle", self.throttle, 1)
        whole_number("weight", self.weight, 1)
        if flag("check_dnd", self.check_dnd) is None:
            raise InvalidRequest("check_dnd", None, "must be True or False")
        for caller_id in self.caller_ids:
            self._check_dial(caller_id)

    def _check_dial(self, caller_id: str) -> None:
        """Build a dial as the campaign will, to validate its arguments."""
        target = target_of(
            self,
            number=_DUMMY_NUMBER,
            caller_id=caller_id,
            custom_field=self.custom_field,
            status_callback=self.status_callback,
        )
        try:
            plan_for("any").order(target)
        except InvalidRequest as error:
            raise self._named(error) from None

    def _named(self, error: InvalidRequest) -> InvalidRequest:
        """Return the error with the argument's name in `Campaign`."""
        if error.argument == "to":
            shown = mask_number(self.agent) if isinstance(self.agent, str) else None
            return InvalidRequest("agent", self.agent, error.rule, shown=shown)
        if error.argument == "options" and error.value in _OWN_OPTIONS:
            return InvalidRequest(error.value, getattr(self, error.value), error.rule)
        return error

    @property
    def legs(self) -> int:
        """The number of channels that one call of the campaign uses."""
        return 1 if self.agent is None else 2


_KINDS: Final[Mapping[str, type]] = {"schedule": Schedule, "retries": Retries, "reached": Reached}


def plan_for(account_sid: str) -> DialPlan:
    """Return a dial plan without defaults: each target carries all of its options."""
    return DialPlan(
        account_sid=account_sid, to=None, flow=None, caller_id=None, options={}, max_live=None
    )


def target_of(
    campaign: Campaign,
    *,
    number: str,
    agent: str | None = None,
    caller_id: str,
    custom_field: str | None,
    status_callback: str | None,
) -> DialTarget:
    """Return one dial of a campaign, as `DialPlan.order` takes it.

    `agent` overrides the campaign's.

    Raises:
        InvalidRequest: an agent is given, but the campaign has none.
    """
    if agent is not None and campaign.agent is None:
        rule = "is rung only in a campaign that has an agent, too"
        raise InvalidRequest("agent", agent, rule, shown=mask_number(agent))
    options: dict[str, Any] = {
        **campaign.options,
        "time_limit": campaign.time_limit,
        "ring_timeout": campaign.ring_timeout,
        "record": campaign.record,
        "max_retries": campaign.max_retries,
        "custom_field": custom_field,
        "status_callback": status_callback,
        "status_callback_events": campaign.status_callback_events or None,
    }
    if campaign.stream_url is not None:
        options["stream_url"] = campaign.stream_url
    return DialTarget(
        from_=number,
        to=agent or campaign.agent,
        flow=campaign.flow,
        caller_id=caller_id,
        options=cast(TargetOptions, options),
    )
