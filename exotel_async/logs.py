"""Log records with fields for machines, and what `EXOTEL_LOG` asks for."""

from __future__ import annotations

import logging
import os
from typing import Final

from exotel_async.errors import ConfigurationError

_LEVELS: Final = ("debug", "info", "warning", "error")


def log_fields(**fields: object) -> dict[str, object]:
    """Return the attributes of a log record, as `extra=` takes them: `exotel_status` and so on.

    Formatters for machines, such as those that write JSON, show them.
    """
    return {f"exotel_{name}": value for name, value in fields.items() if value is not None}


def follow_environment() -> None:
    """Log to the terminal what `EXOTEL_LOG` says: `debug`, `info`, `warning` or `error`.

    Where the program has set up logging itself, only the level is set. Calling it again changes
    nothing.

    Raises:
        ConfigurationError: it says anything else.
    """
    level = os.environ.get("EXOTEL_LOG", "").strip().lower()
    if not level:
        return
    if level not in _LEVELS:
        raise ConfigurationError(f"EXOTEL_LOG: must be one of {', '.join(_LEVELS)}")
    logger = logging.getLogger("exotel_async")
    logger.setLevel(level.upper())
    if not _is_written(logger):
        handler = logging.StreamHandler()
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s", "%H:%M:%S")
        )
        logger.addHandler(handler)


def _is_written(logger: logging.Logger) -> bool:
    """Whether the records of a logger are written anywhere."""
    handlers = [*logger.handlers, *(logging.getLogger().handlers if logger.propagate else ())]
    return any(not isinstance(handler, logging.NullHandler) for handler in handlers)
