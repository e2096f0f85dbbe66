"""The pages: each gives a template what it shows, and a sentence that announces changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from exotel_async.emulator.calls import EmulatedCall
from exotel_async.emulator.operations import Operations
from exotel_async.emulator.page import calls, overview, traffic
from exotel_async.emulator.page.picture import draw
from exotel_async.emulator.page.rendering import page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_MAX_LIVE = 20
"""The newest calls in progress, which are shown with their phones."""


class Pages:
    """Shows an emulator.

    `problem` is why a form of the page was refused, and `given` are its fields.
    """

    def __init__(self, emulator: Operations) -> None:
        self._emulator = emulator

    async def calls(
        self, request: Request, problem: str = "", given: Mapping[str, str] | None = None
    ) -> Response:
        """Show the calls in progress with their phones, and those that are over."""
        emulator = self._emulator
        live = calls.live_calls(emulator)
        shown = [calls.view(emulator, call) for call in live[:_MAX_LIVE]]
        newest = list(emulator.calls.values())[::-1]
        over = [call for call in newest[: traffic.SHOWN + len(live)] if call.ended]
        return self._page(
            request,
            "calls.html",
            title=f"{len(live)} in progress" if live else "No calls in progress",
            news=". ".join(call.in_words for call in shown) or "No calls in progress",
            problem=problem,
            given=given,
            live=shown,
            live_count=len(live),
            over=[calls.view(emulator, call) for call in over[: traffic.SHOWN]],
            count=len(newest),
            exophones=sorted(emulator.exophones),
            assigned=emulator.exophone_flows,
            manual=", ".join(sorted(emulator.manual)),
        )

    async def call(
        self, request: Request, problem: str = "", given: Mapping[str, str] | None = None
    ) -> Response:
        """Show one call, with its path, its transcript, and what it has sent."""
        emulator = self._emulator
        call = self._find(request)
        if call is None:
            return self._missing(request)
        shown = calls.view(emulator, call)
        pictures = draw(emulator.flows, call.transcript)
        return self._page(
            request,
            "call.html",
            title=f"{shown.title}, {shown.status}",
            news=shown.in_words,
            problem=problem,
            given=given,
            call=shown,
            dial=call.dial,
            steps=calls.steps(call),
            pictures=[picture for picture in pictures if picture.visited],
            callbacks=traffic.callbacks(emulator, call.sid),
            messages=traffic.messages(emulator, call.sid),
        )

    async def recording(self, request: Request) -> Response:
        """Return the audio of a call's recording: silence."""
        from starlette.responses import Response  # noqa: PLC0415

        call = self._find(request)
        if call is None or call.recording is None:
            return self._missing(request)
        return Response(self._emulator.recording(call.sid), media_type="audio/mpeg")

    async def flows(self, request: Request) -> Response:
        """Show every flow as a picture, with the newest calls that came there."""
        emulator = self._emulator
        pictures = draw(emulator.flows)
        exophones: dict[str, list[str]] = {picture.flow: [] for picture in pictures}
        for exophone, flow in emulator.exophone_flows.items():
            exophones.setdefault(str(flow), []).append(exophone)
        count = len(pictures)
        return self._page(
            request,
            "flows.html",
            title=f"{count} flow{'' if count == 1 else 's'}",
            pictures=pictures,
            exophones=exophones,
            came=calls.by_flow(emulator),
        )

    async def callbacks(self, request: Request) -> Response:
        """Show the status callbacks with their answers."""
        count = len(self._emulator.callbacks)
        return self._page(
            request,
            "callbacks.html",
            title=f"{count} status callback{'' if count == 1 else 's'}",
            callbacks=traffic.callbacks(self._emulator),
            count=count,
        )

    async def messages(self, request: Request) -> Response:
        """Show SMS and e-mails."""
        count = len(self._emulator.sms) + len(self._emulator.emails)
        return self._page(
            request,
            "messages.html",
            title=f"{count} message{'' if count == 1 else 's'}",
            messages=traffic.messages(self._emulator),
            count=count,
        )

    async def requests(self, request: Request) -> Response:
        """Show the requests for the API, and how they were answered."""
        count, refused = len(self._emulator.requests), self._emulator.refused
        return self._page(
            request,
            "requests.html",
            title=f"{count} request{'' if count == 1 else 's'}, {refused} refused",
            requests=traffic.requests(self._emulator),
            count=count,
            refused=refused,
        )

    async def faults(
        self, request: Request, problem: str = "", given: Mapping[str, str] | None = None
    ) -> Response:
        """Show the pending faults, and a form to add one."""
        pending = traffic.faults(self._emulator)
        count = len(pending)
        return self._page(
            request,
            "faults.html",
            title=f"{count} pending fault{'' if count == 1 else 's'}",
            problem=problem,
            given=given,
            pending=pending,
            common=traffic.COMMON,
        )

    async def settings(self, request: Request) -> Response:
        """Show every setting."""
        return self._page(
            request, "settings.html", title="Settings", groups=overview.groups(self._emulator)
        )

    async def confirm_reset(self, request: Request) -> Response:
        """Ask whether the emulator is to be reset."""
        return self._page(
            request,
            "reset.html",
            title="Reset",
            calls=len(self._emulator.calls),
            requests=len(self._emulator.requests),
        )

    def _find(self, request: Request) -> EmulatedCall | None:
        return self._emulator.calls.get(request.path_params["sid"])

    def _missing(self, request: Request) -> Response:
        return self._page(request, "missing.html", title="Not found", status=404)

    def _page(
        self,
        request: Request,
        template: str,
        *,
        title: str,
        news: str | None = None,
        problem: str = "",
        given: Mapping[str, str] | None = None,
        status: int | None = None,
        **values: object,
    ) -> Response:
        clock = self._emulator.clock
        return page(
            template,
            status or (400 if problem else 200),
            root=request.scope["root_path"],
            page=template,
            title=title,
            news=title if news is None else news,
            problem=problem,
            given=given or {},
            clock=clock.text(clock.elapsed()),
            speed=clock.speed,
            account=self._emulator.account_sid,
            **values,
        )
