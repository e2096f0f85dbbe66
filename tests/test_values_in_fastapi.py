"""Values in the models of pydantic, and in what FastAPI takes, returns and describes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import httpx
import pydantic
import pytest
from fastapi import Body, FastAPI
from typing_extensions import TypedDict  # pydantic's rule before Python 3.12

from exotel_async import (
    Call,
    CallAmbiguous,
    CallFound,
    CallNotFound,
    CallPage,
    CallResult,
    CallStatus,
    DialOutcome,
    FetchStatistics,
    Leg,
    LimiterStatistics,
    NotFound,
    Reconciliation,
)
from exotel_async.emulator import Emulator
from exotel_async.models.value import Value
from tests.conftest import session
from tests.test_values import CALL, VALUES

# FastAPI reads annotations: what they name has to be here.
app = FastAPI()


class Answer(TypedDict):
    calls: list[Call]
    best: Call | None


@dataclasses.dataclass
class Report:
    result: CallResult
    statistics: FetchStatistics


class Model(pydantic.BaseModel):
    call: Call
    leg: Leg | None = None


@app.post("/echo")
async def echo(call: Annotated[Call, Body()]) -> Call:
    return call


@app.post("/all")
async def echo_all(calls: list[Call]) -> Answer:
    return {"calls": calls, "best": None}


@app.post("/model")
async def echo_model(model: Model) -> Model:
    return model


@app.get("/report")
async def report() -> Report:
    statistics = {"done": 1, "found": 0, "missing": 1, "failed": 0, "requests": 1, "rate": 2.5}
    return Report(
        CallResult("s1", error=NotFound("no such call", status=404)),
        FetchStatistics(**statistics, total=None, time_left=timedelta(seconds=1.5)),  # type: ignore[arg-type]
    )


@app.get("/everything")
async def everything() -> (
    DialOutcome | CallPage | Reconciliation | LimiterStatistics | dict[str, Call]
):
    return CallNotFound(certain=True, certain_at=datetime(2026, 3, 2, tzinfo=UTC))


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


async def test_a_dial_is_returned_as_it_is(emulator: Emulator) -> None:
    dialling = FastAPI()

    @dialling.post("/dial")
    async def dial(number: str) -> Call:
        async with session(emulator) as exotel:
            return await exotel.calls.connect(number, "+919812300002", caller_id="08030000000")

    transport = httpx.ASGITransport(dialling)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        answer = await http.post("/dial", params={"number": "+919812300001"})
    assert answer.status_code == 200
    call = Call.from_dict(answer.json())
    assert call.status is CallStatus.IN_PROGRESS
    assert call.sid in emulator.calls
    assert emulator.rung("+919812300001") == 1


async def test_a_call_goes_through_a_body() -> None:
    async with client() as http:
        answer = await http.post("/echo", json=CALL.to_dict())
        assert answer.json() == CALL.to_dict()
        answer = await http.post("/all", json=[CALL.to_dict()])
        assert answer.json() == {"calls": [CALL.to_dict()], "best": None}
        answer = await http.post("/model", json={"call": CALL.to_dict()})
        assert answer.json() == {"call": CALL.to_dict(), "leg": None}


async def test_what_is_wrong_in_a_body_is_refused_by_name() -> None:
    async with client() as http:
        answer = await http.post("/echo", json={"sid": "s1", "details": {"legs": [{"id": "1"}]}})
    assert answer.status_code == 422
    assert "details.legs[0].id='1': must be a whole number" in answer.json()["detail"][0]["msg"]


async def test_results_and_statistics_are_returned() -> None:
    async with client() as http:
        told = (await http.get("/report")).json()
        assert told["result"]["error"]["type"] == "NotFound"
        assert told["statistics"]["time_left"] == 1.5
        told = (await http.get("/everything")).json()
        assert told == {"certain": True, "certain_at": "2026-03-02T00:00:00+00:00"}


def test_the_documentation_names_the_fields() -> None:
    schemas = app.openapi()["components"]["schemas"]
    assert {"Call", "CallDetails", "Leg", "CallResult", "FetchStatistics"} <= schemas.keys()
    assert {"CallFound", "CallNotFound", "CallAmbiguous"} <= schemas.keys()
    assert not [name for name in schemas if name.endswith(("-Input", "-Output"))]
    call = schemas["Call"]
    assert call["title"] == "Call"
    assert call["description"] == "A call, as Exotel returned it in one answer."
    assert call["required"] == ["sid"]
    assert call["properties"].keys() == Call(sid="x").to_dict().keys()
    kinds = {name: one.get("anyOf", [one])[0] for name, one in call["properties"].items()}
    assert kinds["from"]["type"] == kinds["price"]["type"] == kinds["status"]["type"] == "string"
    assert "in-progress" in kinds["status"]["examples"]
    assert kinds["created_at"]["format"] == "date-time"
    assert kinds["duration"] == {"type": "number", "description": "seconds"}
    assert kinds["details"] == {"$ref": "#/components/schemas/CallDetails"}


@pytest.mark.parametrize("kind", VALUES)
def test_every_value_is_described_in_both_directions(kind: type[Value]) -> None:
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
    described = adapter.json_schema()
    assert adapter.json_schema(mode="serialization") == described
    assert {one.name.rstrip("_") for one in kind.__attrs_attrs__} - {"raw"} == set(  # type: ignore[attr-defined]
        described["properties"]
    )


def test_a_model_takes_an_instance_and_writes_what_it_reads() -> None:
    model = Model(call=CALL, leg=Leg(id=1))
    assert model.call is CALL
    assert model.model_dump()["call"] == CALL.to_dict()
    assert Model.model_validate(model.model_dump()) == model
    assert Model.model_validate_json(model.model_dump_json()) == model
    with pytest.raises(pydantic.ValidationError, match=r"call\n.*sid=None: is required"):
        Model.model_validate({"call": {}})


def test_a_reconciliation_is_read_as_the_one_it_is() -> None:
    adapter: pydantic.TypeAdapter[Reconciliation] = pydantic.TypeAdapter(Reconciliation)
    found, several = CallFound(CALL), CallAmbiguous((CALL, CALL))
    nowhere = CallNotFound(certain=False, certain_at=datetime(2026, 3, 2, tzinfo=UTC))
    for one in (found, several, nowhere):
        assert adapter.validate_json(adapter.dump_json(one)) == one


def test_money_keeps_its_digits() -> None:
    adapter = pydantic.TypeAdapter(Call)
    assert adapter.validate_json(adapter.dump_json(CALL)).price == Decimal("1.500")


def test_a_value_comes_without_pydantic() -> None:
    program = "import sys; from exotel_async import Call; Call.from_dict(Call(sid='s').to_dict())"
    program += "; assert not {'pydantic', 'pydantic_core'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", program], check=True)
