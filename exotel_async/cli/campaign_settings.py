"""The settings of a campaign in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Final
from urllib.parse import urlsplit

from exotel_async.campaigns import Campaign, Retry, Schedule
from exotel_async.cli.campaign_words import duration_in_words
from exotel_async.cli.terminal import counted, one_line
from exotel_async.cli.time_arguments import shown_moment
from exotel_async.masking import mask_number

_MOST: Final = 6  # holidays
_INDIA: Final = ("+05:30", "Asia/Kolkata")
_WEEK: Final = 7


def settings_in_words(campaign: Campaign) -> Mapping[str, Sequence[str]]:
    """Return a campaign's settings as texts, by their labels; a person's number is masked."""
    return {word: [text] if isinstance(text, str) else text for word, text in _settings(campaign)}


def zone_name(zone: str) -> str:
    """Return the name of a time zone as people know it."""
    return "IST" if zone in _INDIA else zone


def _settings(campaign: Campaign) -> Iterator[tuple[str, str | Sequence[str]]]:
    schedule = campaign.schedule
    yield "name", one_line(campaign.name)
    yield "connects to", _target(campaign)
    yield "ExoPhone", ", ".join(campaign.caller_ids)
    yield "hours", _hours(schedule)
    yield "time zone", zone_name(schedule.time_zone)
    if schedule.holidays:
        yield "holidays", _holidays(schedule.holidays)
    if schedule.start is not None:
        yield "not before", shown_moment(schedule.start)
    if schedule.end is not None:
        yield "ends", shown_moment(schedule.end)
    yield "retries", list(_retries(campaign)) or "none: each contact is dialled once"
    yield "reached", _reached(campaign)
    yield from _limits(campaign)
    yield from _calls(campaign)


def _limits(campaign: Campaign) -> Iterator[tuple[str, str]]:
    if campaign.time_limit is not None:
        yield "time limit", f"a call lasts {duration_in_words(campaign.time_limit)} at most"
    if campaign.ring_timeout is not None:
        yield "rings", f"for {duration_in_words(campaign.ring_timeout)} at most"
    if campaign.throttle is not None:
        yield "throttle", f"{counted(campaign.throttle, 'call')} a minute at most"
    if campaign.channels is not None:
        yield "channels", f"{counted(campaign.channels, 'channel')} at most"
    if campaign.weight != 1:
        yield "weight", f"{campaign.weight} times the share of a campaign with weight 1"


def _calls(campaign: Campaign) -> Iterator[tuple[str, str]]:
    if campaign.record is not None:
        yield "recording", "calls are recorded" if campaign.record else "calls are not recorded"
    if campaign.check_dnd:
        yield "DND", "each number is looked up, and not dialled if it is on the register"
    if campaign.max_retries is None:
        yield "max retries", "Exotel's default number, within each attempt"
    elif campaign.max_retries:
        yield "max retries", f"{campaign.max_retries} by Exotel itself within an attempt"
    if campaign.status_callback is not None:
        # What follows the host may hold a key.
        yield "callbacks", f"to {urlsplit(campaign.status_callback).hostname}"


def _target(campaign: Campaign) -> str:
    if campaign.agent is not None:
        return f"the agent {mask_number(one_line(campaign.agent))}"
    if campaign.flow is not None:
        path = urlsplit(str(campaign.flow)).path  # what follows it may hold a key
        return f"the flow {one_line(path.rstrip('/').rpartition('/')[2])}"
    # What follows the host may hold a key, too.
    url = urlsplit(str(campaign.stream_url))
    return f"the bot at {url.scheme}://{url.hostname}"


def _hours(schedule: Schedule) -> Sequence[str]:
    """Return the hours of a week, with consecutive days of the same hours in one text."""
    texts = []
    for hours, group in groupby(schedule.hours.items(), key=lambda day: day[1]):
        days = [day for day, _ in group]
        if len(days) == _WEEK:
            return [f"every day {hours}"]
        name = days[0] if len(days) == 1 else f"{days[0]}-{days[-1]}"
        texts.append(f"{name} {hours or 'closed'}")
    return texts


def _holidays(days: Sequence[date]) -> str:
    more = f", and {len(days) - _MOST} more" if len(days) > _MOST else ""
    return ", ".join(day.isoformat() for day in days[:_MOST]) + more


def _retries(campaign: Campaign) -> Iterator[str]:
    retries = campaign.retries
    for when, retry in (
        ("busy", retries.busy),
        ("no answer", retries.no_answer),
        ("failed", retries.failed),
        ("answered, but not reached", retries.not_reached),
    ):
        if retry is not None:
            yield f"{when}: {_retry(retry)}"


def _retry(retry: Retry) -> str:
    gap = duration_in_words(retry.gap)
    if retry.times == 1:
        return f"once, after {gap}"
    if retry.exponential:
        return f"{retry.times} times, after {gap}, then twice as long each time"
    return f"{retry.times} times, {gap} apart"


def _reached(campaign: Campaign) -> str:
    talk = campaign.reached.talk_time
    if talk is not None and talk > timedelta():
        what = "is on the line" if campaign.agent is None else "speaks with the agent"
        return f"when the contact {what} for at least {duration_in_words(talk)}"
    return (
        "when the contact answers"
        if campaign.agent is None
        else "when the contact speaks with the agent"
    )
