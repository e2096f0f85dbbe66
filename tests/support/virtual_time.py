"""An event loop whose clock jumps to the next timer: hours of waiting cost no time."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

T = TypeVar("T")
_TURN = 1e-6  # seconds


class _Jump(selectors.BaseSelector):
    """Instead of sleeping until the next timer, move the clock there."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("deadlock: nothing is ready, and no timer is set")
        # A turn of the loop takes time as well: code that retries at once must see the clock move.
        self.now += max(timeout, _TURN)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        # Only the loop's own wake-up pipe: virtual time knows no sockets.
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop for code that only computes and waits."""

    def __init__(self, began: float = 0.0) -> None:
        self._jump = _Jump()
        self._jump.now = began
        super().__init__(self._jump)

    def time(self) -> float:
        """Return the virtual time, in seconds; a loop begins at 0 unless it is told otherwise."""
        return self._jump.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run like `asyncio.run`, in virtual time; what fails where nobody awaits it fails here."""
    unseen: list[BaseException] = []

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "exception" in context:
            unseen.append(context["exception"])

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.get_loop().set_exception_handler(note)
        result = runner.run(main)
    if unseen:
        raise unseen[0]
    return result
