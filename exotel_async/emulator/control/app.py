"""The routes under `/_emulator/`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from exotel_async.emulator.operations import Operations
from exotel_async.emulator.responses import Receive, Scope, Send

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from exotel_async.emulator.control.traffic_endpoints import StartOutage

ROOT = "/_emulator"


class Control:
    """An ASGI app. It imports what it needs at the first request, so that starting stays fast."""

    def __init__(self, emulator: Operations, start_outage: StartOutage) -> None:
        self._emulator = emulator
        self._start_outage = start_outage
        self._app: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._app is None:
            self._app = self._new_app()
        await self._app(scope, receive, send)

    def _new_app(self) -> Starlette:
        from starlette.applications import Starlette  # noqa: PLC0415
        from starlette.exceptions import HTTPException  # noqa: PLC0415
        from starlette.routing import Mount  # noqa: PLC0415

        from exotel_async.emulator.control.endpoint import Refused  # noqa: PLC0415
        from exotel_async.emulator.control.serving import show_error  # noqa: PLC0415

        return Starlette(
            routes=[Mount(ROOT, routes=_routes(self._emulator, self._start_outage))],
            exception_handlers={Refused: show_error, HTTPException: show_error},
        )


def _routes(emulator: Operations, start_outage: StartOutage) -> Sequence[BaseRoute]:
    from starlette.responses import HTMLResponse, JSONResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    from exotel_async.emulator.control import (  # noqa: PLC0415
        call_endpoints,
        phone_endpoints,
        setting_endpoints,
        traffic_endpoints,
    )
    from exotel_async.emulator.control.serving import routes  # noqa: PLC0415
    from exotel_async.emulator.page.routes import page_routes  # noqa: PLC0415

    endpoints = [
        *setting_endpoints.ENDPOINTS,
        *call_endpoints.ENDPOINTS,
        *phone_endpoints.ENDPOINTS,
        *traffic_endpoints.endpoints(start_outage),
    ]

    @cache
    def document() -> dict[str, Any]:
        from exotel_async.emulator.control.openapi import openapi  # noqa: PLC0415

        return openapi(endpoints, root=ROOT, base_url=emulator.base_url)

    async def show_openapi(_: Request) -> Response:
        return JSONResponse(document())

    async def show_docs(_: Request) -> Response:
        from exotel_async.emulator.control.docs_page import docs_page  # noqa: PLC0415

        return HTMLResponse(docs_page(document()))

    async def show_schema(_: Request) -> Response:
        from exotel_async.emulator.control.config import config_schema  # noqa: PLC0415

        return JSONResponse(config_schema(), media_type="application/schema+json")

    return [
        *routes(emulator, endpoints, root=ROOT),
        Route("/openapi.json", show_openapi),
        Route("/docs", show_docs),
        Route("/schema.json", show_schema),
        *page_routes(emulator),
    ]
