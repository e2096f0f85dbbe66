"""The shop's web application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from exotel_async import AsyncExotel, CallOutcomeUnknown, ExotelError
from exotel_async.webhooks import ExotelWebhooks
from tests.example_app.crm import CallLog, Crm
from tests.example_app.telephone import answer_calls

PREFIX = "/exotel"


class Bridge(BaseModel):
    """An agent is to speak with a customer."""

    agent: str
    customer: str


class Ended(BaseModel):
    """How a call has ended."""

    sid: str
    status: str
    talk_seconds: float | None


def create_app(
    secret: str,
    base_url: str,
    crm: Crm,
    log: CallLog,
    *,
    exophone: str,
    flow: int,
    new_session: Callable[[], AsyncExotel],
) -> FastAPI:
    """Make the application.

    `base_url` is where the world finds it; `flow` is what customers are led to who are called.
    """
    hooks = ExotelWebhooks(secret, base_url=base_url)
    answer_calls(hooks, crm, log)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with new_session() as exotel:
            app.state.exotel = exotel
            hooks.forward_to(exotel.calls)
            yield
            await hooks.aclose()

    app = FastAPI(lifespan=lifespan)
    app.state.hooks = hooks
    app.mount(PREFIX, hooks)
    hooks.mounted_in(app)

    @app.post("/bridge")
    async def bridge(wanted: Bridge) -> Ended:
        """Connect an agent with a customer, and tell how it went."""
        exotel: AsyncExotel = app.state.exotel
        try:
            call = await exotel.calls.connect(
                wanted.agent,
                wanted.customer,
                caller_id=exophone,
                status_callback=hooks.url("status_callback"),
                status_callback_events=["answered", "terminal"],
            )
        except CallOutcomeUnknown as error:
            raise HTTPException(504, "it may ring, or not") from error
        except ExotelError as error:
            raise HTTPException(502, "it was not dialled") from error
        done = await exotel.calls.wait(call.sid, timeout=60, details=True)
        talk = done.talk_time
        return Ended(
            sid=done.sid,
            status=str(done.status),
            talk_seconds=None if talk is None else talk.total_seconds(),
        )

    @app.post("/orders/{order}/call")
    async def call_about(order: str, number: str) -> str:
        """Call a customer about an order; what they hear is in the flow."""
        exotel: AsyncExotel = app.state.exotel
        call = await exotel.calls.connect_to_flow(
            number,
            flow=flow,
            caller_id=exophone,
            custom_field=f"order {order}",
            status_callback=hooks.url("status_callback"),
        )
        log.orders[call.sid] = order
        return call.sid

    @app.get("/calls/{sid}")
    async def status(sid: str) -> str:
        """Tell how a call stands, as far as it is known."""
        return log.ended.get(sid, "going on")

    return app
