"""Litestar: one session for the life of the application, and webhooks mounted in it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar, Response, asgi, get, post
from litestar.datastructures import State

from exotel_async import AsyncExotel, ExotelError, InvalidRequest
from exotel_async.webhooks import ExotelWebhooks
from tests.interop.apps import BUDGET

hooks = ExotelWebhooks(
    "a-secret-of-this-test", base_url=os.environ["PUBLIC_URL"], mount_path="/exotel"
)


@asynccontextmanager
async def lifetime(app: Litestar) -> AsyncIterator[None]:
    async with AsyncExotel(rate_limit=BUDGET) as exotel:
        hooks.forward_to(exotel.calls)
        app.state.exotel = exotel
        yield
    await hooks.aclose()


@post("/call/{customer:str}", status_code=200)
async def call(customer: str, state: State) -> Response[dict[str, str]]:
    exotel: AsyncExotel = state.exotel
    try:
        placed = await exotel.calls.connect(
            "+919812300001",
            customer,
            caller_id="08030000000",
            status_callback=hooks.url("status_callback"),
            status_callback_events=["terminal"],
        )
    except InvalidRequest as error:
        return Response({"error": str(error)}, status_code=422)
    except ExotelError as error:
        return Response({"error": str(error)}, status_code=503)
    return Response({"sid": placed.sid})


@get("/end/{sid:str}")
async def end(sid: str, state: State) -> dict[str, bool]:
    """Answer when the call has ended, by the callback: a poll would be minutes away."""
    exotel: AsyncExotel = state.exotel
    ended = await exotel.calls.wait(sid, interval=600)
    return {"ended": ended.status is not None and ended.status.is_final}


# Not a copy of the scope: the server's log would have what is taken out of it.
webhooks = asgi("/exotel", is_mount=True, copy_scope=False)(hooks)
app = Litestar([call, end, webhooks], lifespan=[lifetime])
