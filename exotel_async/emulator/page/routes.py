"""The routes of the page below `/_emulator`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from exotel_async.emulator.operations import Operations
from exotel_async.emulator.page.actions import BY_PATH, Actions
from exotel_async.emulator.page.pages import Pages


def page_routes(emulator: Operations) -> Sequence[BaseRoute]:
    """Return the routes of the pages, of their forms, and of style and script."""
    pages = Pages(emulator)
    actions = Actions(emulator, pages)
    return [
        Route("/", pages.calls),
        Route("/page/calls/{sid}", pages.call),
        Route("/page/calls/{sid}/recording.mp3", pages.recording),
        Route("/page/flows", pages.flows),
        Route("/page/callbacks", pages.callbacks),
        Route("/page/messages", pages.messages),
        Route("/page/requests", pages.requests),
        Route("/page/faults", pages.faults),
        Route("/page/settings", pages.settings),
        Route("/page/reset", pages.confirm_reset),
        *(
            Route(f"/page{path}", actions.endpoint(do), methods=["POST"])
            for path, do in BY_PATH.items()
        ),
        Mount("/page/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
