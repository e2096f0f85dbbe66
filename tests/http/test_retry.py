"""The verdict, row by row of its table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import RetryPolicy
from exotel_async.http.retry import Facts, Fail, Retry, Unknown, verdict

POLICY = RetryPolicy(attempts=3, refusals=2, total=100.0, backoff=0.5, backoff_cap=4.0)
SERVER_TROUBLE = [408, 500, 501, 502, 503, 504, 520, 599]
REDIRECTED = [300, 301, 302, 303, 304, 307, 308]
REFUSED = [400, 401, 402, 403, 404, 405, 409, 410, 418, 422, 451]


def judge(*, jitter: float = 0.5, **facts: object) -> object:
    known = {"must_not_repeat": True, "written": True} | facts
    return verdict(Facts(**known), POLICY, jitter=jitter)  # type: ignore[arg-type]


@pytest.mark.parametrize("must_not_repeat", [True, False])
def test_what_was_never_written_is_sent_again(must_not_repeat: bool) -> None:
    assert judge(must_not_repeat=must_not_repeat, written=False) == Retry(0.25)


@pytest.mark.parametrize("must_not_repeat", [True, False])
def test_a_429_is_sent_again_when_the_limiter_lets_it(must_not_repeat: bool) -> None:
    assert judge(must_not_repeat=must_not_repeat, status=429, tries=0, refusals=2) == Retry(0.0)
    assert judge(must_not_repeat=must_not_repeat, status=429, tries=0, refusals=3) == Fail()


@pytest.mark.parametrize("status", [None, *SERVER_TROUBLE])
def test_trouble_after_writing(status: int | None) -> None:
    assert judge(must_not_repeat=False, status=status) == Retry(0.25)
    assert judge(must_not_repeat=True, status=status) == Unknown()
    assert judge(must_not_repeat=True, status=status, retry_after=1.0) == Unknown()
    assert judge(must_not_repeat=True, status=status, tries=3) == Unknown(), (
        "a last try proves no more"
    )


@pytest.mark.parametrize("status", REDIRECTED)
def test_a_redirect_of_what_is_done_once_proves_nothing(status: int) -> None:
    assert judge(must_not_repeat=False, status=status) == Fail()
    assert judge(must_not_repeat=True, status=status) == Unknown()


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("must_not_repeat", [True, False])
def test_a_clear_no_is_final(must_not_repeat: bool, status: int) -> None:
    assert judge(must_not_repeat=must_not_repeat, status=status) == Fail()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_that_cannot_be_read(status: int) -> None:
    assert judge(must_not_repeat=False, status=status) == Fail()
    assert judge(must_not_repeat=True, status=status) == Unknown()


def test_bounded_by_attempts() -> None:
    assert judge(must_not_repeat=False, tries=2) == Retry(0.5)
    assert judge(must_not_repeat=False, tries=3) == Fail()


def test_bounded_by_total_time() -> None:
    assert judge(must_not_repeat=False, elapsed=99.0) == Retry(0.25)
    assert judge(must_not_repeat=False, elapsed=99.75) == Retry(0.25), "it begins in time"
    assert judge(must_not_repeat=False, elapsed=99.9) == Fail()
    assert judge(status=429, elapsed=100.1) == Fail()


def test_bounded_by_the_caller() -> None:
    assert judge(must_not_repeat=False, remaining=0.3) == Retry(0.25)
    assert judge(must_not_repeat=False, remaining=0.25) == Fail(), (
        "nobody would wait for the answer"
    )
    assert judge(must_not_repeat=False, remaining=0.2) == Fail()


def test_waits_as_long_as_the_service_asks() -> None:
    assert judge(must_not_repeat=False, status=503, retry_after=7.0) == Retry(7.0)


def test_waits_no_longer_than_a_pause_may_be() -> None:
    def after(policy: RetryPolicy) -> object:
        facts = Facts(must_not_repeat=False, written=True, status=502, retry_after=86_400.0)
        return verdict(facts, policy, jitter=0.5)

    assert after(RetryPolicy(total=1000)) == Retry(180.0)
    assert after(RetryPolicy(longest_pause=20)) == Retry(20.0)
    assert after(RetryPolicy(total=100)) == Fail()


def test_the_delay_doubles_up_to_its_cap_with_full_jitter() -> None:
    policy = RetryPolicy(attempts=9, backoff=0.5, backoff_cap=4.0, total=1000.0)

    def after(tries: int, jitter: float) -> object:
        return verdict(
            Facts(must_not_repeat=False, written=True, tries=tries), policy, jitter=jitter
        )

    assert [after(n, 1.0) for n in range(1, 7)] == [Retry(d) for d in (0.5, 1, 2, 4, 4, 4)]
    assert after(5, 0.0) == Retry(0.0)


@given(
    status=st.one_of(st.none(), st.integers(100, 999)),
    written=st.booleans(),
    retry_after=st.one_of(st.none(), st.floats(0, 1000)),
    tries=st.integers(0, 9),
    refusals=st.integers(0, 9),
    jitter=st.floats(0, 1),
)
def test_what_is_done_once_is_sent_again_only_if_it_provably_did_nothing(
    status: int | None,
    written: bool,
    retry_after: float | None,
    tries: int,
    refusals: int,
    jitter: float,
) -> None:
    judged = judge(
        status=status,
        written=written or status is not None,
        retry_after=retry_after,
        tries=tries,
        refusals=refusals,
        jitter=jitter,
    )
    if isinstance(judged, Retry):
        assert status == 429 or (status is None and not written)
    if status is not None and 200 <= status < 300:
        assert judged == Unknown()
