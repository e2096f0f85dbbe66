"""Whether a request may be sent again: a pure function over what is known of the last try.

What must not be done twice, a dial above all, is sent again only if the facts prove that the
service did not act on it: nothing of it was written, or the answer was a 429. Anything else that is
no clear answer is `Unknown`, for a second dial may ring a customer twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from exotel_async.config import RetryPolicy


_LONGEST_WAIT: Final = 180.0  # seconds: three windows of Exotel's documented budget


@frozen(kw_only=True)
class Facts:
    """What is known after one try that did not give a result.

    Attributes:
        once: whether the request must not be done twice, as a dial. All others read, or set a
            value: twice is as once.
        written: whether a byte of it may have reached the service.
        status: the HTTP status; None where no answer came.
        retry_after: seconds the service asked to wait, if it is not the limiter that waits.
        tries: how often it was sent so far, refusals by the rate limit not counted.
        refusals: how often the answer was 429 so far.
        elapsed: seconds since it was sent first.
        remaining: seconds the caller still waits; None: as long as it takes.
    """

    once: bool
    written: bool
    status: int | None = None
    retry_after: float | None = None
    tries: int = 1
    refusals: int = 0
    elapsed: float = 0.0
    remaining: float | None = None


@frozen
class Retry:
    """Send it again, after so many seconds, when the limiter has a place."""

    after: float


@frozen
class Fail:
    """Report what happened."""


@frozen
class Unknown:
    """Report that it is not known whether the service acted on it: whether the call was made."""


Verdict = Retry | Fail | Unknown


def verdict(facts: Facts, policy: RetryPolicy, *, jitter: float) -> Verdict:
    """Judge one try. `jitter` is a random number from 0 to 1, for a delay with "full jitter"."""
    status = facts.status
    if status == 429:
        # The limiter makes everybody wait, this request included.
        return Fail() if facts.refusals > policy.refusals else _retry(0.0, facts, policy)
    if status is None and not facts.written:
        return _again(facts, policy, jitter)
    if status is not None and 300 <= status < 400:
        # A redirect may mean that the service acted (303), and it is not followed to find out.
        return Unknown() if facts.once else Fail()
    if status is not None and 400 <= status < 500 and status != 408:
        return Fail()
    # From here on the service may have acted: no answer, 408, 5xx, a success that cannot be read.
    if facts.once:
        return Unknown()
    accepted = status is not None and 200 <= status < 300
    return Fail() if accepted else _again(facts, policy, jitter)


def _again(facts: Facts, policy: RetryPolicy, jitter: float) -> Verdict:
    if facts.tries >= policy.attempts:
        return Fail()
    delay = jitter * min(policy.backoff_cap, policy.backoff * 2 ** min(facts.tries - 1, 60))
    longest = _LONGEST_WAIT if policy.longest_pause is None else policy.longest_pause
    return _retry(max(delay, min(facts.retry_after or 0.0, longest)), facts, policy)


def _retry(after: float, facts: Facts, policy: RetryPolicy) -> Verdict:
    if facts.elapsed + after > policy.total:
        return Fail()
    if facts.remaining is not None and after >= facts.remaining:
        return Fail()
    return Retry(after)
