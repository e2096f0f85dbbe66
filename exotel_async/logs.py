"""Log records with fields for machines, and what `EXOTEL_LOG` asks for."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

from exotel_async.errors import ConfigurationError

_LEVELS: Final = ("debug", "info", "warning", "error")


def log_fields(**fields: object) -> dict[str, object]:
    """Return the attributes of a log record, as `extra=` takes them: `exotel_status` and so on.

    Formatters for machines, such as those that write JSON, show them.
    """
    return {f"exotel_{name}": value for name, value in fields.items() if value is not None}


class _TerminalHandler(logging.Handler):
    """Writes to the terminal of the moment, as long as the program has set up no logging."""

    def emit(self, record: logging.LogRecord) -> None:
        if _is_set_up(self) or sys.stderr is None:
            return
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - as the handlers of logging do
            self.handleError(record)


class _Followed:
    """What was found in the environment, and set: once, for the program may change it after."""

    level: str | None = None


def follow_environment() -> None:
    """Log to the terminal what `EXOTEL_LOG` says: `debug`, `info`, `warning` or `error`.

    Where the program sets up logging itself, before or after, only the level is set. Calling it
    again changes nothing.

    Raises:
        ConfigurationError: it says anything else.
    """
    level = os.environ.get("EXOTEL_LOG", "").strip().lower()
    if not level or level == _Followed.level:
        return
    if level not in _LEVELS:
        raise ConfigurationError(f"EXOTEL_LOG: must be one of {', '.join(_LEVELS)}")
    logger = logging.getLogger("exotel_async")
    logger.setLevel(level.upper())
    if _Followed.level is None:
        handler = _TerminalHandler()
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s", "%H:%M:%S")
        )
        logger.addHandler(handler)
    _Followed.level = level


def _is_set_up(handler: logging.Handler) -> bool:
    """Whether another handler than this one writes our records anywhere."""
    logger = logging.getLogger("exotel_async")
    handlers = [*logger.handlers, *(logging.getLogger().handlers if logger.propagate else ())]
    return any(
        other is not handler and not isinstance(other, logging.NullHandler) for other in handlers
    )
