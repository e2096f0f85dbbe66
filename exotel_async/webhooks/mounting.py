"""The prefix an application is mounted at, and warnings when requests use another one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from exotel_async.errors import ConfigurationError
from exotel_async.webhooks.asgi import Target

logger: Final = logging.getLogger("exotel_async")

_MAX_SEGMENTS: Final = 16
_SHORTEST_SECRET: Final = 16


def mount_path_of(path: str) -> str:
    """Check a prefix, and return it as used in URLs: "" or "/exotel".

    Raises:
        ConfigurationError: it is not a valid path.
    """
    is_text = isinstance(path, str) and path.isprintable()
    if (
        not is_text
        or any(sign in path for sign in "?#{}\\ ")
        or {".", ".."} & {*path.strip("/").split("/")}
    ):
        raise ConfigurationError("mount_path must be a path, as in mount_path='/exotel'")
    return in_urls(path)


def in_urls(prefix: str) -> str:
    """Return a prefix as used in URLs: "" or "/exotel"."""
    inner = quote(prefix.strip("/"), safe="/%!$&'()*+,;=:@~")
    return f"/{inner}" if inner else ""


def prefixes_in(app: Any, wanted: object) -> Iterator[str]:
    """Yield the prefixes at which a Starlette or FastAPI application has another one mounted.

    They may be wrapped in middleware, and nested. Prefixes with parameters are left out.
    """
    return (path for path in _prefixes(app, wanted, frozenset()) if "{" not in path)


def _prefixes(app: Any, wanted: object, above: frozenset[int]) -> Iterator[str]:
    if app is wanted:
        yield ""
    if app is None or id(app) in above:
        return
    above |= {id(app)}
    routes = getattr(app, "routes", None)
    for route in routes if isinstance(routes, Iterable) else ():
        # FastAPI stores included routers unchanged, with the prefix next to them.
        included = getattr(getattr(route, "include_context", None), "prefix", "")
        # A Mount with middleware of its own keeps the wrapped application as `_base_app`.
        for inner in (
            getattr(route, "app", None),
            getattr(route, "_base_app", None),
            getattr(route, "original_router", None),
        ):
            for path in _prefixes(inner, wanted, above):
                yield getattr(route, "path", included) + path
    for path in _prefixes(getattr(app, "app", None), wanted, above):
        yield path


class PrefixWatch:
    """Warns once if requests arrive under another prefix than that of the URLs from `url`."""

    def __init__(self) -> None:
        self._has_logged = False

    def served(self, target: Target, public: str | None, mounted: Container[str]) -> None:
        """Check a request that was accepted.

        `public` is the part of our URLs before the secret, `mounted` the known prefixes.
        """
        prefix = unquote(target.prefix)
        # A proxy may strip a part of the path.
        if public is None or prefix in mounted or unquote(urlsplit(public).path).endswith(prefix):
            return
        self._log(
            "A request of Exotel's came to ExotelWebhooks under %s, but hooks.url() returns URLs "
            "as %s. If no proxy changes the path, pass mount_path=%r, or callbacks do not arrive",
            _shown(target.prefix),
            f"{_shown(public)}/.../{target.tail}",
            _shown(target.prefix),
        )

    def missed(
        self,
        target: Target,
        public: str | None,
        *,
        is_secret: Callable[[str], bool],
        tails: Container[str],
    ) -> None:
        """Check a request that was rejected; `tails` are the ends of our URLs."""
        if self._has_logged:
            return
        segments = f"{target.prefix}/{target.secret}/{target.tail}".split("/", _MAX_SEGMENTS)
        for position, segment in enumerate(segments):
            tail = "/".join(segments[position + 1 :])
            if tail in tails and is_secret(segment):
                came = _shown("/".join(segments[:position]))
                right = f"{_shown(public or target.prefix)}/.../{tail}"
                text = (
                    "A request of Exotel's came to %r, where nothing is served. The right URL is %s"
                )
                self._log(text, f"{came}/.../{tail}", right)
                return

    def _log(self, text: str, *values: object) -> None:
        if not self._has_logged:
            self._has_logged = True
            logger.warning(text, *values)


def _shown(address: str) -> str:
    """Return a path or URL without segments that may be a secret."""
    url = urlsplit(address)
    segments = url.path.split("/")
    path = "/".join("..." if len(one) >= _SHORTEST_SECRET else one for one in segments)
    return url._replace(path=path).geturl()
