"""One budget for many processes and machines, on a Valkey or Redis server (extra `redis`)."""

from exotel_async.redis.bucket import SharedTokenBucket
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
]
