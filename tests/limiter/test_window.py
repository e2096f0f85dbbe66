"""Where the permits are."""

from __future__ import annotations

from exotel_async.limiter.window import Window


def spent(window: Window, *moments: float) -> list[bool]:
    news = []
    for moment in moments:
        window.in_flight += 1
        news.append(window.spend(moment))
    return news


def test_a_permit_is_free_in_flight_or_out() -> None:
    window = Window(5)
    assert (window.used, window.free) == (0, 5)
    window.in_flight = 2
    assert (window.used, window.free) == (2, 3)
    window.spend(10.0)
    assert (window.in_flight, window.used, window.free) == (1, 2, 3)
    window.size = 1
    assert window.free == -1


def test_it_tells_which_comes_back_next() -> None:
    window = Window(5)
    assert spent(window, 20.0, 30.0, 10.0, 10.0) == [True, False, True, True]
    assert [window.moment(place) for place in range(5)] == [10.0, 10.0, 20.0, 30.0, None]


def test_permits_come_back_at_their_moment() -> None:
    window = Window(5)
    spent(window, 20.0, 30.0, 10.0)
    for now, free in ((9.9, 2), (10.0, 3), (25.0, 4), (30.0, 5), (40.0, 5)):
        window.take_back(now)
        assert window.free == free


def test_more_permits_come_with_their_moments() -> None:
    window = Window(1)
    spent(window, 20.0)
    window.receive(4, [10.0, 30.0])
    assert (window.size, window.free) == (4, 1)
    assert [window.moment(place) for place in range(3)] == [10.0, 20.0, 30.0]
