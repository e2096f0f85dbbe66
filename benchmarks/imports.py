"""How long `import exotel_async` takes, against its dependencies imported together."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

from benchmarks import tables
from benchmarks.tables import Spread

_DEPENDENCIES: Final = "import httpx, attrs, cattrs, aiolimiter, anyio"
_SDK: Final = "import exotel_async"
_SHOWN: Final = 8
_LINE: Final = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")


def import_time(starts: int) -> Spread:
    """Print what was measured; return the ratio."""
    for program in (_DEPENDENCIES, _SDK):
        _seconds(program)  # compiles, and reads the files into memory
    pairs = [(_seconds(_SDK), _seconds(_DEPENDENCIES)) for _ in range(starts)]
    ratio = Spread.of([sdk / dependencies for sdk, dependencies in pairs])
    tables.table(
        f"Import time in fresh processes, ms ({starts} of each, in turn)",
        ("", "median (least-most)"),
        [
            (_SDK, Spread.of([sdk * 1e3 for sdk, _ in pairs]).show(".0f")),
            (_DEPENDENCIES, Spread.of([other * 1e3 for _, other in pairs]).show(".0f")),
            ("ratio", ratio.show()),
        ],
    )
    known = _modules(_DEPENDENCIES)
    own = {name: took for name, took in _modules(_SDK).items() if name not in known}
    dearest = sorted(own, key=own.__getitem__, reverse=True)
    tables.table(
        f"What it adds: {len(own)} modules, {sum(own.values()) / 1e3:.0f} ms by -X importtime",
        ("module", "ms without its own imports"),
        [(name, f"{own[name] / 1e3:.1f}") for name in dearest[:_SHOWN]],
    )
    return ratio


def _seconds(program: str) -> float:
    timed = f"import time; t = time.perf_counter(); {program}; print(time.perf_counter() - t)"
    return float(_run("-c", timed).stdout)


def _modules(program: str) -> dict[str, int]:
    """Return microseconds by module."""
    lines = _run("-X", "importtime", "-c", program).stderr.splitlines()
    return {found[2]: int(found[1]) for line in lines if (found := _LINE.match(line))}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
