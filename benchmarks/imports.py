"""CPU of imports and starts, in environments of their own, against what they cannot do without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from benchmarks import tables
from benchmarks.tables import Spread, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT: Final = Path(__file__).parents[1]
_DEPENDENCIES: Final = "import httpx, attrs, cattrs, aiolimiter, anyio"
_SESSION: Final = "from exotel_async import AsyncExotel"
_SHOWN: Final = 8
_LINE: Final = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")


@frozen
class Pair:
    """Two commands whose CPU is compared.

    Attributes:
        name: what the first one starts.
        against: what the second one starts.
        commands: both of them.
        bare: a start of the interpreter, whose CPU is taken off both; None: whole processes count.
        most: the ratio that is the target.
    """

    name: str
    against: str
    commands: tuple[Sequence[str], Sequence[str]]
    bare: Sequence[str] | None
    most: float


def report(before: str | None, *, quick: bool) -> list[Target]:
    """Print the tables; return the targets.

    Args:
        before: what pip is to install for the earlier `exotel-async --help`, with the extra `cli`;
            None: it is not measured.
        quick: whether to make fewer runs.
    """
    rounds = 11 if quick else 41
    tables.heading(
        "imports",
        "CPU (user and system) of processes of their own, .pyc files there. Of an import the CPU "
        "of a bare interpreter is taken off.",
        "Environments made for it: the package without extras, with one extra, and with pytest.",
        f"Runs: {rounds} of each, in turn; median (least-most); the ratio is that of the pairs.",
    )
    with tempfile.TemporaryDirectory() as folder:
        pairs, core = _pairs(Path(folder), before)
        compared = [(pair, *_compare(pair, rounds, Path(folder))) for pair in pairs]
        tables.table(
            "CPU, ms",
            ("what", "CPU", "against", "CPU", "ratio"),
            [
                (pair.name, first.show(".0f"), pair.against, second.show(".0f"), ratio.show())
                for pair, first, second, ratio in compared
            ],
        )
        _show_modules(core, Path(folder))
    return [
        Target(
            pair.name,
            f"{ratio.median:.2f} of {pair.against}",
            f"at most {pair.most:.2f}",
            ratio.median <= pair.most,
        )
        for pair, _, _, ratio in compared
    ]


def _pairs(folder: Path, before: str | None) -> tuple[list[Pair], str]:
    """Make the environments; return what is compared in them, and Python of the core's."""
    core = _environment(folder / "core", str(_ROOT))
    webhooks = _environment(folder / "webhooks", f"{_ROOT}[webhooks]")
    tested = _environment(folder / "pytest", str(_ROOT), "pytest")
    (folder / "empty").mkdir()
    run = (tested, "-m", "pytest", "-p", "no:cacheprovider", str(folder / "empty"))
    pairs = [
        _imports(core, "import exotel_async", _DEPENDENCIES, "its dependencies", 0.2),
        _imports(core, _SESSION, _DEPENDENCIES, "its dependencies", 1.4),
        _imports(
            webhooks,
            "from exotel_async.webhooks import ExotelWebhooks",
            "import starlette.applications, python_multipart, attrs",
            "starlette, python-multipart and attrs",
            1.3,
        ),
        Pair(
            "an empty run of pytest",
            "one without the plugin",
            (run, (*run, "-p", "no:exotel_async.pytest_plugin")),
            None,
            1.1,
        ),
    ]
    if before is not None:
        cli = _environment(folder / "cli", f"{_ROOT}[cli]")
        earlier = _environment(folder / "before", f"exotel-async[cli] @ {before}")
        helps = [
            (str(Path(python).with_name("exotel-async")), "--help") for python in (cli, earlier)
        ]
        pairs.append(Pair("exotel-async --help", before, (helps[0], helps[1]), None, 0.8))
    return pairs, core


def _imports(python: str, program: str, other: str, against: str, most: float) -> Pair:
    commands = ((python, "-c", program), (python, "-c", other))
    return Pair(program, against, commands, (python, "-c", "pass"), most)


def _environment(folder: Path, *requirements: str) -> str:
    """Make an environment, with .pyc files; return the path of its Python."""
    venv.create(folder, with_pip=True)
    python = str(folder / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    install = (python, "-m", "pip", "install", "--quiet", "--compile", *requirements)
    subprocess.run(install, check=True, capture_output=True)
    return python


def _compare(pair: Pair, rounds: int, folder: Path) -> tuple[Spread, Spread, Spread]:
    """Return the CPU of both, in milliseconds, and their ratio."""
    for command in pair.commands:
        _cpu(command, folder)  # reads the files into memory
    took: list[tuple[float, float]] = []
    for number in range(rounds):
        bare = 0.0 if pair.bare is None else _cpu(pair.bare, folder)
        # Each goes first in every other round.
        order = (0, 1) if number % 2 else (1, 0)
        cpu = {index: _cpu(pair.commands[index], folder) - bare for index in order}
        took.append((cpu[0], cpu[1]))
    return (
        Spread.of([first for first, _ in took]),
        Spread.of([second for _, second in took]),
        Spread.of([first / second for first, second in took]),
    )


def _cpu(command: Sequence[str], folder: Path) -> float:
    """Run a command; return the milliseconds of CPU it took."""
    process = subprocess.Popen(
        command,
        env=_variables(),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0  # it is waited for
    return (usage.ru_utime + usage.ru_stime) * 1e3


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _show_modules(python: str, folder: Path) -> None:
    known = _modules(python, _DEPENDENCIES, folder)
    own = {name: t for name, t in _modules(python, _SESSION, folder).items() if name not in known}
    dearest = sorted(own, key=own.__getitem__, reverse=True)
    tables.table(
        f"What it adds: {len(own)} modules, {sum(own.values()) / 1e3:.0f} ms by -X importtime",
        ("module", "ms without its own imports"),
        [(name, f"{own[name] / 1e3:.1f}") for name in dearest[:_SHOWN]],
    )


def _modules(python: str, program: str, folder: Path) -> dict[str, int]:
    """Return microseconds by module."""
    command = (python, "-X", "importtime", "-c", program)
    shown = subprocess.run(
        command, check=True, capture_output=True, text=True, env=_variables(), cwd=folder
    )
    lines = shown.stderr.splitlines()
    return {found[2]: int(found[1]) for line in lines if (found := _LINE.match(line))}
