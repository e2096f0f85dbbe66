"""The campaign that the options of `exotel-async dial` describe."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from exotel_async import InvalidRequest
from exotel_async.campaigns import Campaign, Retries, Retry, Schedule
from exotel_async.campaigns.schedule import DEFAULT_HOURS
from exotel_async.cli.contact_files.rejected import SUFFIX
from exotel_async.cli.service import Misuse, option_of
from exotel_async.cli.terminal import one_line
from exotel_async.masking import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exotel_async.cli.dial_options import CallOptions, RetryRule, Target, Timing

OPTIONS: Final = {
    "caller_ids": "--caller-id",
    "retries": "--retry",
    "times": "--retry",
    "gap": "--retry",
    "exponential": "--retry",
}
"""The options for arguments of a campaign that are named differently on the command line."""

_SETTINGS: Final = (
    *("flow", "agent", "stream_url", "caller_ids", "retries", "throttle", "time_limit"),
    *("ring_timeout", "record", "check_dnd"),
)
"""The settings of a campaign that are compared one by one; its schedule is not among them."""

_OWN_REJECTED: Final = rf"(.+){re.escape(SUFFIX)}"
# The names under which spreadsheets save such a file, and those of copies of it.
_TABLE: Final = r"\.(?:csv|tsv|txt|xlsx|xlsm|xlsb|xls|ods)"
_COPY: Final = r"(?: ?\([0-9]+\)| (?:- )?copy(?: [0-9]+)?)"
_SAVED_REJECTED: Final = rf"(?i)(.+{_TABLE})\.rejected(?:{_COPY}*{_TABLE}){{1,2}}(?:\.old)?"


@frozen(kw_only=True)
class CampaignOptions:
    """The options that a campaign is created from."""

    name: str
    caller_ids: Sequence[str]
    target: Target
    timing: Timing
    calls: CallOptions

    def campaign(self) -> Campaign:
        """Return the campaign.

        Raises:
            InvalidRequest: an argument is not valid for Exotel or for a campaign.
            Misuse: options contradict each other, or a file cannot be read.
        """
        target, calls = self.target, self.calls
        if [target.flow, target.agent, target.stream_url].count(None) != 2:
            raise Misuse("give exactly one of --flow, --agent or --stream-url")
        return Campaign(
            self.name,
            flow=target.flow,
            agent=target.agent,
            stream_url=target.stream_url,
            caller_ids=[one.strip() for given in self.caller_ids for one in given.split(",")],
            schedule=self._schedule(),
            retries=self._retries(),
            throttle=calls.throttle,
            time_limit=calls.time_limit,
            ring_timeout=calls.ring_timeout,
            record=calls.record or None,
            check_dnd=calls.check_dnd,
        )

    def _schedule(self) -> Schedule:
        timing = self.timing
        hours = DEFAULT_HOURS if timing.hours is None else read_hours(timing.hours)
        holidays = () if timing.holidays is None else read_holidays(timing.holidays)
        try:
            if timing.days is None:
                return Schedule(hours=hours, holidays=holidays)
            return Schedule(hours={timing.days: hours}, holidays=holidays)
        except InvalidRequest as error:
            if error.value == timing.days:  # the names of the days are wrong
                raise InvalidRequest("days", error.value, error.rule) from None
            raise InvalidRequest("hours", timing.hours, error.rule) from None

    def _retries(self) -> Retries:
        given: dict[str, Retry] = {}
        for one in self.timing.retry:
            word = one.word.replace("-", "_")
            if word in given:
                raise Misuse(f"--retry has two rules for {one.word}: give only one")
            given[word] = _retry(one)
        return Retries(**given)


def _retry(typed: RetryRule) -> Retry:
    return Retry(typed.times, typed.gap, exponential=typed.exponential)


def usual_name(file: Path) -> str:
    """Return the default name of the campaign for a list.

    A file of rejected rows belongs to the campaign of its list, so that none of the list's contacts
    is dialled again.
    """
    return Path(_list_of(file)).stem


def check_is_named(file: Path) -> None:
    """Refuse a file of rejected rows whose name does not say which list they are from.

    The list must be beside it: `Copy of leads.csv.rejected.csv` is not named after a list.

    Raises:
        Misuse: it is such a file: a new campaign for it could dial people of the list again.
    """
    name = _list_of(file)
    if name == file.name or not file.with_name(name).is_file():
        raise Misuse(
            f"{file.name} has the rejected rows of a list, but is not named after a list in its"
            " folder: give --name, the name of that list's campaign"
        )


def _list_of(file: Path) -> str:
    """Return the name of the list whose rejected rows a file has; its own if it has none."""
    name = file.name
    while found := _rejected_of(name):
        name = found[1]
    return name


def _rejected_of(name: str) -> re.Match[str] | None:
    return re.fullmatch(_OWN_REJECTED, name) or re.fullmatch(_SAVED_REJECTED, name)


def read_hours(text: str) -> str:
    """Return calling hours as `Schedule` accepts them: 10-19 is 10:00-19:00."""
    return re.sub(r"(?<![\w:.])(\d{1,2})(?![\w:.])", r"\1:00", text)


def read_holidays(path: Path) -> list[str]:
    """Read dates, one in each line. Text after a # is ignored.

    Raises:
        Misuse: the file cannot be read, or a line is not a date.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Misuse(f"--holidays {path} cannot be read: {why}") from None
    dates = []
    for number, line in enumerate(text.splitlines(), 1):
        if typed := line.partition("#")[0].strip():
            if not _is_date(typed):
                shown = redact(one_line(typed))[:40]
                raise Misuse(
                    f"--holidays {path}, line {number}: {shown!r} is not a date like 2026-11-08"
                )
            dates.append(typed)
    return dates


def _is_date(text: str) -> bool:
    try:
        # `fromisoformat` accepts other spellings of a date as well.
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def other_settings(there: Campaign, typed: Campaign, file: Path) -> Misuse:
    """Return the error for a campaign that is in the ledger with other settings."""
    options = ", ".join(_differing(there, typed))
    which = f" ({options})" if options else ""
    return Misuse(
        f"the campaign {typed.name!r} is in the ledger with other settings{which}: give the same"
        f" settings to continue it. Another --name starts a new campaign, which dials everybody in"
        f" {file.name} again"
    )


def was_cancelled(name: str) -> Misuse:
    """Return the error for a campaign that was cancelled, so that no contacts can be added."""
    return Misuse(f"the campaign {name!r} was cancelled: give another --name")


def _differing(there: Campaign, typed: Campaign) -> list[str]:
    """Return the options that differ between a campaign in the ledger and the one typed now."""
    options = [
        option_of(setting, OPTIONS)
        for setting in _SETTINGS
        if getattr(there, setting) != getattr(typed, setting)
    ]
    if there.schedule.hours != typed.schedule.hours:
        options.append("--hours or --days")
    if there.schedule.holidays != typed.schedule.holidays:
        options.append("--holidays")
    return options
