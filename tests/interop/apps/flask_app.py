"""Flask: one synchronous session for all threads of a worker, made before the workers fork."""

from __future__ import annotations

from flask import Flask
from flask.typing import ResponseReturnValue

from exotel_async import ExotelError, InvalidRequest
from exotel_async.sync import Exotel
from tests.interop.apps import BUDGET

app = Flask(__name__)
exotel = Exotel(rate_limit=BUDGET)


@app.post("/call/<customer>")
def call(customer: str) -> ResponseReturnValue:
    try:
        placed = exotel.calls.connect("+919812300001", customer, caller_id="08030000000")
    except InvalidRequest as error:
        return {"error": str(error)}, 422
    except ExotelError as error:
        return {"error": str(error)}, 503
    return {"sid": placed.sid}
