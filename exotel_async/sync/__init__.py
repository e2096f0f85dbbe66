"""Exotel without `await`: for Django, Flask, Celery, notebooks and scripts."""

from exotel_async.sync.bases import Limiter
from exotel_async.sync.generated import (
    Account,
    CallChanges,
    CallRecords,
    CallResults,
    Calls,
    Dials,
    EndedCalls,
    ExoPhoneList,
    ExoPhones,
    Exotel,
    Numbers,
    Recording,
)

__all__ = [
    "Account",
    "CallChanges",
    "CallRecords",
    "CallResults",
    "Calls",
    "Dials",
    "EndedCalls",
    "ExoPhoneList",
    "ExoPhones",
    "Exotel",
    "Limiter",
    "Numbers",
    "Recording",
]
