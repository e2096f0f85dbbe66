"""Celery: one synchronous session for the worker, made before it forks its processes."""

from __future__ import annotations

import os

from celery import Celery

from exotel_async.sync import Exotel
from tests.interop.apps import BUDGET

app = Celery("celery_app", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
exotel = Exotel(rate_limit=BUDGET)


def call(customer: str) -> tuple[str, int]:
    """Return the SID, and in which process it was dialled."""
    placed = exotel.calls.connect("+919812300001", customer, caller_id="08030000000")
    return placed.sid, os.getpid()


app.task(name="call")(call)
