"""What many processes and machines share on a Valkey or Redis server (extra `redis`).

One budget of requests: `SharedTokenBucket`. Which events were handled: `ValkeyClaims`.
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
