"""Who may request the emulator's own pages: programs, and those pages themselves.

A browser on this computer can reach loopback addresses for any page it shows. So a page from
elsewhere can neither read these pages nor make them do anything, whatever host name its requests
use.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address

from exotel_async.emulator.responses import Message, Receive, Scope, Send
from exotel_async.emulator.settings import Settings

_HOST = re.compile(r"\[([0-9a-f:.]+)\](?::\d*)?|([^:\[\]]*)(?::\d*)?")
_OURS = {None, "same-origin", "none"}
"""`Sec-Fetch-Site` of a program, of these pages, and of a person who typed the address."""
_HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """ASGI middleware. It adds no CORS header: no other origin is let in."""

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], settings: Settings
    ) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it with 421 or 403."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            # Joined so that one that comes twice is not accepted as a name or origin of ours.
            headers[name] = f"{headers[name]}, {value}" if name in headers else value

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        refusal = self._refusal(scope["method"], headers)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
            return
        from starlette.responses import JSONResponse  # noqa: PLC0415

        status, message = refusal
        document = {"error": {"status": status, "field": None, "message": message}}
        await JSONResponse(document, status)(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_ours(host_of(host)):
            # A page may have its own name resolve to this computer: DNS rebinding.
            return 421, "Host is not a name of this emulator; `hostnames` adds one"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return 403, "Origin is another page's"
        if headers.get("sec-fetch-site") not in _OURS and not _follows_a_link(method, headers):
            return 403, "Sec-Fetch-Site says that another page asks"
        return None

    def _is_ours(self, name: str) -> bool:
        if name == "localhost" or name.endswith(".localhost"):
            return True
        if name in {self._settings.host.lower(), *self._settings.hostnames}:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True  # an address cannot be made to lead elsewhere


def host_of(header: str) -> str:
    """Return the name or address in a `Host`, in lower case; "" if it is malformed."""
    match = _HOST.fullmatch(header.lower())
    if match is None:
        return ""
    return (match[1] or match[2] or "").removesuffix(".")


def _follows_a_link(method: str, headers: Mapping[str, str]) -> bool:
    """Return whether the browser opens a page of its own, which the linking page cannot read."""
    return (
        method in {"GET", "HEAD"}
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
