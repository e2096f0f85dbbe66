"""State that several processes and machines share on a Valkey or Redis server (extra `redis`).

`SharedTokenBucket` shares one request budget, `ValkeyClaims` which events were handled.
"""

from exotel_async.redis.bucket import SharedTokenBucket
from exotel_async.redis.claims import ValkeyClaims
from exotel_async.redis.statistics import (
    AccountStatistics,
    Fallback,
    ProcessStatistics,
    SharedStatistics,
)

__all__ = [
    "AccountStatistics",
    "Fallback",
    "ProcessStatistics",
    "SharedStatistics",
    "SharedTokenBucket",
    "ValkeyClaims",
]
