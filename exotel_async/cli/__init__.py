"""The command line: `exotel-async`."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # see `ctrl_c`
if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_THE_EXTRA = frozenset(
    {
        "cyclopts",
        "python_calamine",
        "python_multipart",
        "rich",
        "starlette",
        "uvicorn",
        "xlsxwriter",
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Its dependencies come with an extra, and are imported here so that their absence can be
    reported.

    Args:
        arguments: the command line. None: that of this process, which must then be `exotel-async`
            itself, because Ctrl-C ends the process whenever no command is running.
    """
    if arguments is None:
        from exotel_async.cli import ctrl_c  # noqa: PLC0415

        ctrl_c.ends_the_process()
    try:
        from exotel_async.cli.app import run  # noqa: PLC0415

        return run(arguments)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _OF_THE_EXTRA:
            raise
        hint = f"exotel-async needs {missing}: pip install 'exotel-async[cli]'"
        print(hint, file=sys.stderr)  # noqa: T201
        return 1
