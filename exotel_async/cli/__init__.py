"""The command line: `exotel-async`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_THE_EXTRA: Final = frozenset({"cyclopts", "rich", "starlette", "uvicorn", "python_multipart"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    What it is made of comes with an extra, and is imported here so that its absence can be told.
    """
    try:
        from exotel_async.cli.app import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _OF_THE_EXTRA:
            raise
        hint = f"exotel-async needs {missing}: pip install 'exotel-async[cli]'"
        print(hint, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("exotel-async: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    return run(arguments)
