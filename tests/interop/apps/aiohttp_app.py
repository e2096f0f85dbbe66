"""aiohttp's server: one session for the life of the application, and callbacks without ASGI."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

from aiohttp import web

from exotel_async import AsyncExotel, ExotelError, InvalidRequest, InvalidWebhook
from exotel_async.webhooks import StatusCallback
from tests.interop.apps import BUDGET

SESSION = web.AppKey("session", AsyncExotel)
routes = web.RouteTableDef()


async def lifetime(app: web.Application) -> AsyncIterator[None]:
    async with AsyncExotel(rate_limit=BUDGET) as app[SESSION]:
        yield


@routes.post("/call/{customer}")
async def call(request: web.Request) -> web.Response:
    try:
        placed = await request.app[SESSION].calls.connect(
            "+919812300001",
            request.match_info["customer"],
            caller_id="08030000000",
            status_callback=f"http://{request.host}/callback",
            status_callback_events=["terminal"],
        )
    except InvalidRequest as error:
        return web.json_response({"error": str(error)}, status=422)
    except ExotelError as error:
        return web.json_response({"error": str(error)}, status=503)
    return web.json_response({"sid": placed.sid})


@routes.get("/end/{sid}")
async def end(request: web.Request) -> web.Response:
    """Answer when the call has ended, by the callback: a poll would be minutes away."""
    ended = await request.app[SESSION].calls.wait(request.match_info["sid"], interval=600)
    return web.json_response({"ended": ended.status is not None and ended.status.is_final})


@routes.post("/callback")
async def callback(request: web.Request) -> web.Response:
    try:
        event = StatusCallback.from_request(
            await request.read(), request.headers.get("Content-Type", "")
        )
    except InvalidWebhook:
        return web.Response(status=400)
    if event.status is not None:
        request.app[SESSION].calls.notify(event)
    return web.Response()


if __name__ == "__main__":
    app = web.Application()
    app.cleanup_ctx.append(lifetime)
    app.add_routes(routes)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
