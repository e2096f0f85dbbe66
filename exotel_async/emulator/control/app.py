"""The routes under `/_emulator/`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from exotel_async.emulator.operations import Operations
from exotel_async.emulator.responses import Receive, Scope, Send

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

ROOT = "/_emulator"


class Control:
    """An ASGI app. It imports what it needs with the first request: a start stays quick."""

    def __init__(self, emulator: Operations) -> None:
        self._emulator = emulator
        self._app: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        from starlette.applications import Starlette  # noqa: PLC0415

        if self._app is None:
            self._app = Starlette(routes=_routes(self._emulator))
        await self._app(scope, receive, send)


def _routes(emulator: Operations) -> Sequence[BaseRoute]:
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Mount, Route  # noqa: PLC0415

    async def statistics(_: Request) -> Response:
        return JSONResponse(attrs.asdict(emulator.statistics()))

    async def reset(request: Request) -> Response:
        emulator.reset()
        return await statistics(request)

    return [
        Mount(
            ROOT,
            routes=[
                Route("/statistics", statistics),
                Route("/reset", reset, methods=["POST"]),
            ],
        )
    ]
