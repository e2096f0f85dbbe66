"""What the demo says before and after it runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict
from rich.table import Table
from rich.text import Text

from exotel_async.cli.demo_display import STYLES
from exotel_async.cli.demo_state import Board, Stage
from exotel_async.masking import mask_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from exotel_async import Call
    from exotel_async.emulator import Statistics

_SAMPLES: Final = 5


def show_start(console: Console, *, calls: int, speed: float, limit: int) -> None:
    """Say what is going to happen, and what is not."""
    _say(
        console,
        "This runs on a local emulator of Exotel, inside this program: no real phone rings, and "
        "nothing is sent to Exotel.",
        "bold",
    )
    _say(
        console,
        f"The emulator's clock runs {speed:g} times as fast as yours, so that its limit of "
        f"{limit} requests a minute is {limit} in {60 / speed:.3g} s. Lengths of calls are by its "
        "clock.",
    )
    _say(
        console,
        f"asyncio.gather now dials {calls} numbers, and reads each call back until its length and "
        "price are known.\n",
    )


def show_report(
    console: Console,
    board: Board,
    totals: Statistics | None,
    *,
    speed: float,
    limit: int,
    interrupted: bool,
) -> None:
    """Say what was done, wholly or until it was interrupted."""
    if interrupted:
        _say(
            console,
            f"Interrupted after {board.elapsed():.1f} s. What was done until then:",
            "bold yellow",
        )
    _show_table(console, "Calls by outcome", _outcomes(board))
    if interrupted:
        _show_loose_ends(console, board)
    if board.samples(1):
        _show_table(console, "Some of them", _samples(board))
    if totals is not None:
        _show_rate(console, board, totals, speed=speed, limit=limit)


def summary(board: Board, totals: Statistics | None) -> Mapping[str, Any]:
    """Return what was done as plain values: lengths in seconds of the emulator's clock."""
    return {
        "elapsed": round(board.elapsed(), 3),
        "outcomes": [
            {
                "outcome": row.outcome,
                "calls": row.calls,
                "mean_duration": _in_seconds(row.mean_duration),
                "mean_talk_time": _in_seconds(row.mean_talk_time),
                "cost": None if row.cost is None else str(row.cost),
            }
            for row in board.rows()
        ],
        "emulator": totals and asdict(totals),
    }


def _outcomes(board: Board) -> Table:
    table = Table()
    table.add_column("outcome")
    for heading in ("calls", "share", "mean length", "mean talk", "cost (INR)"):
        table.add_column(heading, justify="right")
    for row in board.rows():
        table.add_row(
            Text(row.outcome, style=STYLES.get(row.outcome, "")),
            str(row.calls),
            f"{row.share:.0%}",
            _length(row.mean_duration),
            _length(row.mean_talk_time),
            "" if row.cost is None else f"{row.cost:.2f}",
        )
    return table


def _show_loose_ends(console: Console, board: Board) -> None:
    for stage, meaning in (
        (Stage.UNKNOWN, "the dial was in flight, so the phone may have rung"),
        (Stage.GOING_ON, "dialled; its end has not been read yet"),
        (Stage.WAITING, "still waiting for the budget"),
    ):
        _say(console, f"{stage.value}: {board.count(stage)} ({meaning})")


def _samples(board: Board) -> Table:
    table = Table()
    for heading in ("number", "outcome", "second party"):
        table.add_column(heading)
    for heading in ("length", "talk", "cost (INR)"):
        table.add_column(heading, justify="right")
    for dial in board.samples(_SAMPLES):
        call = dial.call
        assert call is not None  # noqa: S101 - it has ended
        table.add_row(
            mask_number(dial.number),
            Text(dial.outcome, style=STYLES.get(dial.outcome, "")),
            _second_party(call),
            _length(call.duration),
            _length(call.talk_time),
            "" if call.price is None else f"{call.price:.2f}",
        )
    return table


def _show_rate(
    console: Console, board: Board, totals: Statistics, *, speed: float, limit: int
) -> None:
    elapsed = board.elapsed()
    minutes = elapsed * speed / 60
    refused = totals.refused
    facts = [
        (
            "requests",
            f"{totals.requests}, of which {refused} refused (429), by the emulator's count",
        ),
        ("rate", f"at most {totals.busiest_window} in any minute of its clock ({limit} allowed)"),
        ("time", f"{elapsed:.1f} s = {minutes:.1f} min of its clock"),
    ]
    if took := board.dialling_took():
        pace = len(board.dials) / (took * speed / 60)
        facts.insert(0, ("dialled", f"all in {took:.1f} s: {pace:.0f} a minute of its clock"))
    for what, value in facts:
        _say(console, f"{what:<10}{value}")


def _show_table(console: Console, title: str, table: Table) -> None:
    _say(console, title, "bold")
    console.print(table)


def _say(console: Console, text: str, style: str = "") -> None:
    # Broken between words on a terminal; whole where a program may read it.
    console.print(text, style=style, soft_wrap=not console.is_terminal)


def _second_party(call: Call) -> str:
    status = call.details and call.details.leg2_status
    return "not rung" if status is None else str(status)


def _in_seconds(length: timedelta | None) -> float | None:
    return None if length is None else round(length.total_seconds(), 3)


def _length(length: timedelta | None) -> str:
    if length is None:
        return ""
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    return f"{minutes}:{seconds:02d}"
