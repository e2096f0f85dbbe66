"""The decision whether to retry a request: a pure function of the facts about the last attempt.

A request that must not be repeated, such as a dial, is retried only if the facts prove that the
service did not act on it: none of it was written, or the response was a 429. Any other unclear
result is `Unknown`, because a second dial may ring a customer twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from exotel_async.config import RetryPolicy


_LONGEST_WAIT: Final = 180.0  # seconds: three windows of Exotel's documented budget


@frozen(kw_only=True)
class Facts:
    """The facts after an attempt that gave no result.

    Attributes:
        must_not_repeat: whether it may be sent only once, like a dial. All other requests are
            idempotent: they read, or set a value.
        written: whether a byte of it may have reached the service.
        status: the HTTP status; None if there was no response.
        retry_after: seconds the service asked to wait, unless the limiter does the waiting.
        tries: how often it was sent so far, not counting refusals by the rate limit.
        refusals: how often the response was a 429 so far.
        elapsed: seconds since it was first sent.
        remaining: seconds for which the caller still waits; None: unlimited.
    """

    must_not_repeat: bool
    written: bool
    status: int | None = None
    retry_after: float | None = None
    tries: int = 1
    refusals: int = 0
    elapsed: float = 0.0
    remaining: float | None = None


@frozen
class Retry:
    """Send it again after a number of seconds, once the limiter grants a permit."""

    after: float


@frozen
class Fail:
    """Raise the error of the last attempt."""


@frozen
class Unknown:
    """Raise an error which says that the service may or may not have acted on the request."""


Verdict = Retry | Fail | Unknown


def verdict(facts: Facts, policy: RetryPolicy, *, jitter: float) -> Verdict:
    """Decide after one attempt. `jitter` is a random number from 0 to 1, for "full jitter"."""
    status = facts.status
    if status == 429:
        # The limiter pauses all requests, including this one.
        return Fail() if facts.refusals > policy.refusals else _retry(0.0, facts, policy)
    if status is None and not facts.written:
        return _again(facts, policy, jitter)
    if status is not None and 300 <= status < 400:
        # A redirect may mean that the service acted (303), and is not followed to find out.
        return Unknown() if facts.must_not_repeat else Fail()
    if status is not None and 400 <= status < 500 and status != 408:
        return Fail()
    # From here on the service may have acted: no response, 408, 5xx, or an unreadable success.
    if facts.must_not_repeat:
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
