"""Faults on order, and who meets them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs

from exotel_async.emulator.faults import CallbackFault, Fault, ListingFault


@attrs.define
class _Order:
    fault: Fault
    method: str | None
    path: str | None
    after: int
    left: float

    def matches(self, method: str, path: str) -> bool:
        return self.method in {None, method} and (self.path is None or self.path in path)


class Faults:
    """The faults on order. Each request, and each status callback, takes at most one."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []

    def add(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        after: int = 0,
    ) -> None:
        """Order a fault for the next requests that match.

        `method` is the whole method, `path` any part of the path, e.g. "Calls/connect"; for the
        fault of a callback they are `POST` and the URL it goes to. `after` matching ones pass
        first, then `times` meet it; None: all. What is refused by the rate window or for its
        credentials meets no fault.
        """
        left = float("inf") if times is None else times
        self._orders.append(_Order(fault, method, path, after, left))

    def clear(self) -> None:
        """Forget what is on order."""
        self._orders.clear()

    @property
    def pending(self) -> Sequence[Fault]:
        """The faults still on order, oldest first."""
        return [order.fault for order in self._orders]

    def take_for_request(
        self, method: str, path: str, listing: Collection[ListingFault] = ()
    ) -> Fault | None:
        """The fault this request meets; of those of listings one that is possible."""
        possible = {None, *listing}
        orders = [
            o for o in self._orders if o.fault.callback is None and o.fault.listing in possible
        ]
        return self._take(method, path, orders)

    def take_for_callback(self, url: str, *, movable: bool) -> Fault | None:
        """The fault this status callback meets; reordering only if it is movable."""
        barred = None if movable else CallbackFault.REORDERED
        orders = [o for o in self._orders if o.fault.callback not in {None, barred}]
        return self._take("POST", url, orders)

    def _take(self, method: str, path: str, orders: Sequence[_Order]) -> Fault | None:
        for order in orders:
            if not order.matches(method, path):
                continue
            if order.after > 0:
                order.after -= 1
                continue
            order.left -= 1
            if order.left <= 0:
                self._orders.remove(order)
            return order.fault
        return None
