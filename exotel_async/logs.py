"""Log records with structured fields, and logging as set by `EXOTEL_LOG`."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

from exotel_async.errors import ConfigurationError

_LEVELS: Final = ("debug", "info", "warning", "error")


def log_fields(**fields: object) -> dict[str, object]:
    """Return attributes of a log record for `extra=`: `exotel_status` and so on.

    Structured formatters, such as those that write JSON, show them.
    """
    return {f"exotel_{name}": value for name, value in fields.items() if value is not None}


class _TerminalHandler(logging.Handler):
    """Writes to the current `sys.stderr`, as long as the program has not set up logging."""

    def emit(self, record: logging.LogRecord) -> None:
        if _is_set_up(self) or sys.stderr is None:
            return
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - as the handlers of logging do
            self.handleError(record)


class _Followed:
    """The level that was found and set: it is set only once, as the program may change it later."""

    level: str | None = None


def follow_environment() -> None:
    """Log to the terminal at the level in `EXOTEL_LOG`: `debug`, `info`, `warning` or `error`.

    If the program sets up logging itself, before or after, only the level is set. Calling this
    again with the same level changes nothing.

    Raises:
        ConfigurationError: the variable has any other value.
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
    """Return whether our records reach another handler than this one, except a NullHandler."""
    logger = logging.getLogger("exotel_async")
    handlers = [*logger.handlers, *(logging.getLogger().handlers if logger.propagate else ())]
    return any(
        other is not handler and not isinstance(other, logging.NullHandler) for other in handlers
    )
