"""Whose turn it is."""

from __future__ import annotations

import asyncio

import pytest

from exotel_async import Priority
from exotel_async.limiter.queue import PriorityQueue

BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE
Waiter = asyncio.Future[None]


def join(queue: PriorityQueue, priority: Priority, *, retry: bool = False) -> Waiter:
    waiter: Waiter = asyncio.get_running_loop().create_future()
    queue.lane(priority, retry=retry).join(waiter)
    return waiter


def leave(queue: PriorityQueue, waiter: Waiter, priority: Priority) -> None:
    waiter.cancel()
    queue.lane(priority, retry=False).leave()


def served(queue: PriorityQueue) -> list[Waiter]:
    order = []
    while (line := queue.first()) is not None:
        order.append(line.pop())
    return order


async def test_retries_go_first_and_interactive_before_bulk() -> None:
    queue = PriorityQueue()
    last = [join(queue, BULK) for _ in range(2)]
    third = join(queue, BULK, retry=True)
    second = [join(queue, INTERACTIVE) for _ in range(2)]
    first = join(queue, INTERACTIVE, retry=True)
    assert served(queue) == [first, *second, third, *last]
    assert queue.first() is None


async def test_a_newcomer_is_first_where_nobody_of_its_priority_waits() -> None:
    queue = PriorityQueue()
    assert queue.is_clear(INTERACTIVE)
    assert queue.is_clear(BULK)
    join(queue, BULK)
    assert queue.is_clear(INTERACTIVE)
    assert not queue.is_clear(BULK)
    join(queue, INTERACTIVE)
    assert not queue.is_clear(INTERACTIVE)


async def test_it_knows_how_many_wait_and_how_many_are_ahead() -> None:
    queue = PriorityQueue()
    for priority, retry, number in (
        (INTERACTIVE, True, 1),
        (INTERACTIVE, False, 2),
        (BULK, True, 4),
        (BULK, False, 8),
    ):
        for _ in range(number):
            join(queue, priority, retry=retry)
    assert (queue.waiting(INTERACTIVE), queue.waiting(BULK)) == (3, 12)
    assert (queue.ahead_of(INTERACTIVE), queue.ahead_of(BULK)) == (3, 15)
    assert len(list(queue.waiters())) == 15


@pytest.mark.parametrize("gone", [1, 64, 65, 199])
async def test_those_that_left_are_neither_counted_nor_served(gone: int) -> None:
    queue = PriorityQueue()
    crowd = [join(queue, BULK) for _ in range(200)]
    for waiter in crowd[1 : gone + 1]:
        leave(queue, waiter, BULK)
    left = [crowd[0], *crowd[gone + 1 :]]
    assert queue.waiting(BULK) == len(left)
    assert served(queue) == left
    assert queue.waiting(BULK) == 0


async def test_those_that_left_are_not_kept() -> None:
    """Whoever is still waiting at the front must not keep all that have left behind it."""
    queue = PriorityQueue()
    stays = join(queue, BULK)
    for _ in range(1000):
        leave(queue, join(queue, BULK), BULK)
    assert len(list(queue.waiters())) < 200
    assert queue.waiting(BULK) == 1
    assert served(queue) == [stays]


async def test_a_few_that_left_do_not_have_the_others_moved() -> None:
    """Dropping them costs as many steps as there are waiters: it has to be worth it."""
    queue = PriorityQueue()
    crowd = [join(queue, BULK) for _ in range(1000)]
    for waiter in crowd[1:500]:
        leave(queue, waiter, BULK)
    assert len(list(queue.waiters())) == 1000
    for waiter in crowd[500:502]:
        leave(queue, waiter, BULK)
    assert len(list(queue.waiters())) == 499
