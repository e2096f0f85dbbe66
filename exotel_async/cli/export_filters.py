"""Which calls are exported: the options, and how they are stored with the export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, get_args

from attrs import evolve, fields, frozen
from cyclopts import Parameter, Token

from exotel_async.cli.options import typed
from exotel_async.cli.time_arguments import Moment, read_length

if TYPE_CHECKING:
    from exotel_async import Between

Format = Literal["jsonl", "csv", "sqlite"]

_LARGEST_AMOUNT: Final = 10**9


def _moment(_: object, tokens: tuple[Token, ...]) -> Moment:
    return Moment.read(tokens[0].value)


def _length(_: object, tokens: tuple[Token, ...]) -> timedelta:
    return read_length(tokens[0].value)


def _pause(_: object, tokens: tuple[Token, ...]) -> timedelta:
    pause = read_length(tokens[0].value)
    if not timedelta(seconds=1) <= pause <= timedelta(days=7):
        raise ValueError(f"{tokens[0].value!r} is not between a second and a week")
    return pause


def _amount(_: object, tokens: tuple[Token, ...]) -> Decimal:
    return _read_amount(tokens[0].value)


def _read_amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    # Written out, 1e999999 would have a million digits.
    if not (amount.is_finite() and 0 <= amount < _LARGEST_AMOUNT) or amount.adjusted() < -9:
        raise ValueError(f"{text!r} is not an amount like 1.50")
    return amount


def _numbers(name: str) -> Parameter:
    return Parameter(name=name, show_default=False, negative="")


def _file(_: object, tokens: tuple[Token, ...]) -> Path:
    name = tokens[0].value
    if name.startswith("-") and name != "-":
        raise ValueError(f"{name!r} looks like an option: for a file of that name, give ./{name}")
    return Path(name)


OUTPUT: Final = Parameter(
    name=["--output", "-o"],
    converter=_file,
    n_tokens=1,
    accepts_keys=False,
    allow_leading_hyphen=True,
)
SINCE: Final = typed("--since", _moment)
UNTIL: Final = typed("--until", _moment)
EVERY: Final = typed("--every", _pause)
_Status = Literal["completed", "failed", "busy", "no-answer", "canceled"]
_Direction = Literal["inbound", "outbound-dial", "outbound-api"]


@Parameter(name="*", group="Which calls")
@frozen(kw_only=True)
class Selection:
    """Which calls, and what to know of them."""

    since: Annotated[Moment | None, SINCE] = None
    """Created at this time or later: 2026-11-01, '2026-11-01 10:00' (Indian time, unless it has an
    offset like +00:00), or an age like 7d, 12h or 30m. Default: 30 days ago. Exotel keeps records
    for six months."""
    until: Annotated[Moment | None, UNTIL] = None
    """Created at this time or earlier; a date without a time includes that day. Default: now."""
    to: Annotated[tuple[str, ...], _numbers("--to")] = ()
    """The party rung second; repeat the option for more, five at most."""
    from_: Annotated[tuple[str, ...], _numbers("--from")] = ()
    """The party rung first; five at most."""
    exophone: Annotated[tuple[str, ...], _numbers("--exophone")] = ()
    """The ExoPhone; five at most."""
    status: Annotated[tuple[_Status, ...], Parameter(show_default=False, negative="")] = ()
    """How they ended; repeat the option for more. With more than one, calls of every status are
    read, and the others left out."""
    direction: Annotated[_Direction | None, Parameter(show_default=False)] = None
    """Who started them."""
    min_duration: Annotated[timedelta | None, typed("--min-duration", _length)] = None
    """Shortest total duration: seconds, or like 5m."""
    max_duration: Annotated[timedelta | None, typed("--max-duration", _length)] = None
    """Longest total duration."""
    min_price: Annotated[Decimal | None, typed("--min-price", _amount)] = None
    """Lowest price."""
    max_price: Annotated[Decimal | None, typed("--max-price", _amount)] = None
    """Highest price."""
    details: Annotated[bool | None, Parameter(negative="", show_default=False)] = None
    """Include legs and talk time."""

    def contradiction(self) -> str | None:
        """Return what is contradictory; None if nothing is."""
        for what in ("duration", "price"):
            least, most = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if least is not None and most is not None and least > most:
                return f"--min-{what} is above --max-{what}"
        return None

    @property
    def begin(self) -> datetime | None:
        """The start of the range; None: the default."""
        return None if self.since is None else self.since.at

    @property
    def end(self) -> datetime | None:
        """The end of the range; None: the default."""
        return None if self.until is None else self.until.end

    def filters(self) -> dict[str, Any]:
        """Return the arguments for `calls.list`, except the time range."""
        return {
            "to": self.to or None,
            "from_": self.from_ or None,
            "exophone": self.exophone or None,
            "status": self.status or None,
            "direction": self.direction,
            "duration": _between(self.min_duration, self.max_duration),
            "price": _between(self.min_price, self.max_price),
            "details": bool(self.details),
        }

    def differences(self, other: Selection) -> list[str]:
        """Return the options given here that differ from those of another selection."""
        return [
            option_of(name)
            for name, here in self._given().items()
            if not _same(here, getattr(other, name))
        ]

    def noted(self) -> dict[str, Any]:
        """Return it as values for JSON, as stored with an export."""
        return {name: _note(value) for name, value in self._given().items()}

    @classmethod
    def read(cls, noted: Mapping[str, Any]) -> Self:
        """Return the selection that `noted` has stored.

        Raises:
            ValueError: it is not a valid one.
        """
        try:
            read = evolve(cls(), **{name: _READERS[name](text) for name, text in noted.items()})
        except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError("no selection") from error
        if read.contradiction() is not None:
            raise ValueError("no selection")
        return read

    def _given(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(type(self))}
        return {name: value for name, value in values.items() if value not in {None, ()}}


def option_of(name: str) -> str:
    """Return the name of the option that sets an attribute."""
    return f"--{name.strip('_').replace('_', '-')}"


def _between(least: Any, most: Any) -> Between[Any] | None:
    from exotel_async import Between  # noqa: PLC0415

    return None if least is None and most is None else Between(least, most)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Moment) and isinstance(other, Moment):
        return one.means(other)
    return bool(one == other)


def _note(value: Any) -> Any:
    match value:
        case Moment():
            return [value.text, value.at.isoformat(), value.day]
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return str(value)
    return list(value) if isinstance(value, tuple) else value


def _text(noted: Any) -> str:
    if not isinstance(noted, str):
        raise TypeError("no text")
    return noted


def _texts(noted: Any) -> tuple[str, ...]:
    if not isinstance(noted, list):
        raise TypeError("no list")
    return tuple(map(_text, noted))


def _truth(noted: Any) -> bool:
    if not isinstance(noted, bool):
        raise TypeError("neither true nor false")
    return noted


def _noted_moment(noted: Any) -> Moment:
    text, at, day = noted
    moment = Moment(_text(text), datetime.fromisoformat(_text(at)), day=_truth(day))
    if moment.at.utcoffset() is None:
        raise ValueError("no zone")
    moment.end.astimezone(UTC)  # raises if it is outside the calendar in some time zone
    return moment


def _seconds(noted: Any) -> timedelta:
    if isinstance(noted, bool) or not 0 <= noted <= _LARGEST_AMOUNT:
        raise ValueError("no length")
    return timedelta(seconds=noted)


def _word_of(words: Any) -> Callable[[Any], str]:
    def read(noted: Any) -> str:
        if noted not in get_args(words):
            raise ValueError("no such word")
        return str(noted)

    return read


def _statuses(noted: Any) -> tuple[str, ...]:
    # An older version stored a single status as a string.
    words = [noted] if isinstance(noted, str) else _texts(noted)
    return tuple(map(_word_of(_Status), words))


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "since": _noted_moment,
    "until": _noted_moment,
    "to": _texts,
    "from_": _texts,
    "exophone": _texts,
    "status": _statuses,
    "direction": _word_of(_Direction),
    "min_duration": _seconds,
    "max_duration": _seconds,
    "min_price": lambda noted: _read_amount(_text(noted)),
    "max_price": lambda noted: _read_amount(_text(noted)),
    "details": _truth,
}
