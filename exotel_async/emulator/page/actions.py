"""What the forms of the page do.

A form is answered with 303, back to the page it is on; if the emulator refuses it, with that page,
400 and the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.numbers import is_number
from exotel_async.emulator.operations import Operations
from exotel_async.emulator.page.pages import Pages
from exotel_async.emulator.page.traffic import COMMON

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Form = Mapping[str, str]
Do = Callable[["Actions", str, Form], Awaitable[str]]
"""Does what a form asks for, to the call with that SID if it is about one, and returns where to go
then, below `/_emulator`. Raises ValueError with the reason if it is refused."""


@attrs.frozen
class Actions:
    """Does what the forms ask for, and shows the pages they are on."""

    emulator: Operations
    pages: Pages

    async def call_in(self, _: str, form: Form) -> str:
        """Make a call come in, whose caller is played by hand."""
        from_ = form.get("from", "").strip()
        if not is_number(from_):
            raise ValueError(
                "From: a phone number has 8 to 15 digits, with or without a + before them"
            )
        exophone = form.get("exophone", "")
        call = await self.emulator.incoming_call(from_, exophone, caller=Caller(manual=True))
        return f"/#call-{call.sid}"

    async def set_manual(self, _: str, form: Form) -> str:
        """Set which phones are played by hand."""
        numbers = form.get("manual", "").replace(",", " ").split()
        if not all(number == "*" or is_number(number) for number in numbers):
            raise ValueError("Played by hand: give phone numbers, or * for every phone")
        self.emulator.manual = numbers
        return "/"

    async def answer(self, sid: str, form: Form) -> str:
        """Answer a phone."""
        self.emulator.answer(sid, form.get("number", ""))
        return _location(sid, form)

    async def reject(self, sid: str, form: Form) -> str:
        """Reject a call."""
        self.emulator.reject(sid, form.get("number", ""))
        return _location(sid, form)

    async def press(self, sid: str, form: Form) -> str:
        """Press keys as the caller."""
        self.emulator.press(sid, form.get("keys", ""))
        return _location(sid, form)

    async def speak(self, sid: str, form: Form) -> str:
        """Leave a message as the caller."""
        self.emulator.speak(sid, _whole("Seconds", form.get("seconds", "")))
        return _location(sid, form)

    async def hang_up(self, sid: str, form: Form) -> str:
        """Hang up a phone."""
        self.emulator.hang_up(sid, form.get("number", ""))
        return _location(sid, form)

    async def finish_calls(self, _: str, __: Form) -> str:
        """Finish every call in progress."""
        await self.emulator.finish_calls()
        return "/"

    async def reset(self, _: str, __: Form) -> str:
        """Reset the emulator."""
        self.emulator.reset()
        return "/"

    async def add_fault(self, _: str, form: Form) -> str:
        """Add a fault."""
        fault = COMMON.get(form.get("fault", ""))
        if fault is None:
            raise ValueError("Fault: choose one from the list")
        times = form.get("times", "").strip()
        self.emulator.faults.add(
            fault.make(),
            path=form.get("path", "").strip() or None,
            times=_whole("Times", times) if times else None,
        )
        return "/page/faults"

    async def clear_faults(self, _: str, __: Form) -> str:
        """Remove all pending faults."""
        self.emulator.faults.clear()
        return "/page/faults"

    def endpoint(self, do: Do) -> Callable[[Request], Awaitable[Response]]:
        """Return the handler of the form for an action."""

        async def serve(request: Request) -> Response:
            from starlette.responses import RedirectResponse  # noqa: PLC0415

            async with request.form() as fields:
                form = {name: value for name, value in fields.items() if isinstance(value, str)}
            sid = request.path_params.get("sid", "")
            if sid and sid not in self.emulator.calls:
                return await self.pages.call(request)
            try:
                where = await do(self, sid, form)
            except ValueError as reason:
                return await self._page_of(request, form)(request, str(reason), form)
            return RedirectResponse(request.scope["root_path"] + where, 303)

        return serve

    def _page_of(
        self, request: Request, form: Form
    ) -> Callable[[Request, str, Form], Awaitable[Response]]:
        if "/faults" in request.url.path:
            return self.pages.faults
        return self.pages.call if form.get("on") == "call" else self.pages.calls


def _location(sid: str, form: Form) -> str:
    """Return where the form of a call is."""
    return f"/page/calls/{sid}" if form.get("on") == "call" else f"/#call-{sid}"


def _whole(name: str, text: str) -> int:
    """Return a whole number above 0. Raises ValueError."""
    if not text.strip().isdecimal() or int(text) == 0:
        raise ValueError(f"{name}: give a whole number above 0")
    return int(text)


BY_PATH: Mapping[str, Do] = {
    "/call-in": Actions.call_in,
    "/manual": Actions.set_manual,
    "/calls/{sid}/answer": Actions.answer,
    "/calls/{sid}/reject": Actions.reject,
    "/calls/{sid}/press": Actions.press,
    "/calls/{sid}/speak": Actions.speak,
    "/calls/{sid}/hang-up": Actions.hang_up,
    "/finish-calls": Actions.finish_calls,
    "/reset": Actions.reset,
    "/faults": Actions.add_fault,
    "/faults/clear": Actions.clear_faults,
}
"""What the form of each path does."""
