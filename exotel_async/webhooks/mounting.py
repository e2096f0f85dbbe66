"""Where an application is mounted, and what a request for another place says of that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from exotel_async.errors import ConfigurationError
from exotel_async.webhooks.asgi import Target

logger: Final = logging.getLogger("exotel_async")

_MOST_SEGMENTS: Final = 16


def mount_path_of(path: str) -> str:
    """Check a prefix, and return it as it stands in URLs: "" or "/exotel".

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(path, str) or any(sign in path for sign in "?#{}\\ "):
        raise ConfigurationError("mount_path must be a path, as in mount_path='/exotel'")
    inner = path.strip("/")
    return f"/{inner}" if inner else ""


def prefix_in(app: Any, wanted: object) -> str | None:
    """Find where one of Starlette's applications, or FastAPI's, has another one mounted.

    Args:
        app: the application, whatever middleware is around it.
        wanted: the one that is mounted in it, or in one that is mounted in it.

    Returns:
        The prefix; None if it is not there, or a part of its path stands for anything.
    """
    return next((path for path in _prefixes(app, wanted, set()) if "{" not in path), None)


def _prefixes(app: Any, wanted: object, seen: set[int]) -> Iterator[str]:
    if app is wanted:
        yield ""
    if app is None or id(app) in seen:
        return
    seen.add(id(app))
    routes = getattr(app, "routes", None)
    for route in routes if isinstance(routes, Iterable) else ():
        # A Mount with middleware of its own has what it wraps besides.
        for inner in (getattr(route, "app", None), getattr(route, "_base_app", None)):
            for path in _prefixes(inner, wanted, seen):
                yield getattr(route, "path", "") + path
    for path in _prefixes(getattr(app, "app", None), wanted, seen):
        yield path


class PrefixWatch:
    """Tells once that requests come to another prefix than the URLs have that were given out."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._has_told = False

    def served(self, target: Target, public: str | None) -> None:
        """Take note of a request that was let in.

        Args:
            target: where it led.
            public: what our URLs begin with; None: they have not been asked for.
        """
        # A proxy may take a part of the path off, but has no reason to put one in front.
        if public is None or urlsplit(public).path.endswith(target.prefix):
            return
        self._tell(
            "ExotelWebhooks is served under %s, but hooks.url() gives URLs as %s: pass "
            "mount_path=%r, or callbacks of your dials do not arrive",
            target.prefix,
            f"{public}/.../{target.tail}",
            target.prefix,
        )

    def missed(
        self,
        target: Target,
        public: str | None,
        *,
        is_secret: Callable[[str], bool],
        tails: Container[str],
    ) -> None:
        """Take note of a request that was not let in.

        Args:
            target: where it led.
            public: what our URLs begin with; None: it is not known.
            is_secret: tells whether a segment of a path is a valid secret.
            tails: the ends of our URLs, behind the secret.
        """
        segments = f"{target.prefix}/{target.secret}/{target.tail}".split("/", _MOST_SEGMENTS)
        for position, segment in enumerate(segments):
            tail = "/".join(segments[position + 1 :])
            if tail in tails and is_secret(segment):
                came = "/".join(segments[:position])
                right = f"{public or target.prefix}/.../{tail}"
                text = "A request of Exotel's came to %r, where nothing is served. Its URL is %s"
                return self._tell(text, f"{came}/.../{tail}", right)
        return None

    def _tell(self, text: str, *values: object) -> None:
        if not self._has_told:
            self._has_told = True
            logger.warning(text, *values)
