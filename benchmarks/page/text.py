"""The page's text, made of what was measured and nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

if TYPE_CHECKING:
    from benchmarks.page.figures import Measured

_TEMPLATE: Final = "page.md.j2"

_Table: TypeAlias = Any
"""By a way, by what it is set against, the figures by their names; a template knows no types."""

SENDERS: Final = {
    "exotel_async": "exotel_async",
    "exotel_async, one line": "exotel_async, all interactive",
    "LIMITER": "httpx + AsyncLimiter(200, 60)",
    "SAFE_LIMITER": "httpx + AsyncLimiter(10, 3.158)",
    "LIMITS": "httpx + limits",
    "PYRATE": "httpx + pyrate-limiter",
    "RETRY_ONLY": "httpx, retry on 429 only",
    "FOR": "requests, for loop",
    "POOL": "requests, 10 threads",
}
CLIENTS: Final = {
    "by_default": "exotel_async, as it is",
    "uncoalesced": "exotel_async, coalesce=False",
    "aiolimiter": "httpx + aiolimiter",
    "httpx_again": "bare httpx, a second time",
    "twilio": "Twilio's async client",
    "aiohttp": "bare aiohttp",
}


@frozen
class _Faster:
    """Who was through earlier than ours without a refusal."""

    sender: str
    kind: str
    theirs: float
    ours: float


def render(measured: Measured) -> str:
    """Write the page."""
    figures: Any = measured.figures
    return _template().render(
        measured=measured,
        **figures,
        senders=SENDERS,
        clients=CLIENTS,
        most=_most,
        span=_span,
        faster=_faster(figures["bulk"]),
    )


@cache
def _template() -> Template:
    environment = Environment(  # noqa: S701 - it is Markdown
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "count": lambda figure: f"{figure.value:,.0f}",
        "ratio": lambda figure: f"{figure.value:.2f}",
        "seconds": lambda figure: f"{figure.value:.1f}",
        "lengths": lambda figure: f"{figure.value:g}",
        "compared": _compared,
        "phones": lambda figure: f"{figure.value:,.0f} phones" if figure.value else "no phone",
        "at_most": _at_most,
    }
    return environment.get_template(_TEMPLATE)


def _at_most(figure: Any) -> str:
    """Say how many there were: "none was" or "at most 2 were"."""
    match round(figure.value):
        case 0:
            return "none was"
        case 1:
            return "at most one was"
        case number:
            return f"at most {number:,} were"


def _compared(figure: Any) -> str:
    """Say how a ratio compares: "31 % more" or "76 % less"."""
    percent = round((figure.value - 1) * 100)
    return f"{abs(percent)} % {'less' if percent < 0 else 'more'}"


def _most(by_kind: _Table, name: str) -> Any:
    return max((one[name] for one in by_kind.values()), key=lambda figure: figure.value)


def _span(by_kind: _Table, name: str) -> str:
    values = [one[name].value for one in by_kind.values()]
    ends = dict.fromkeys(f"{end(values):.2f}" for end in (min, max))
    return " to ".join(ends)


def _faster(bulk: _Table) -> list[_Faster]:
    ours = bulk["exotel_async"]
    return [
        _Faster(SENDERS[sender], kind, one["time"].value, ours[kind]["time"].value)
        for sender, by_kind in bulk.items()
        for kind, one in by_kind.items()
        if one["refused"].value == one["not_done"].value == 0
        and round(one["time"].value, 2) < round(ours[kind]["time"].value, 2)
    ]
