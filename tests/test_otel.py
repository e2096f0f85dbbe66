"""Traces and metrics, taken by OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from exotel_async import CallOutcomeUnknown, ConfigurationError, NotFound, RateLimit
from exotel_async.emulator import Emulator, Fault, Scenario
from exotel_async.otel import Telemetry
from exotel_async.webhooks import ExotelWebhooks, Passthru, PassthruRequest
from tests.calls.test_download_recording import RECORDED
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session


class Recorded:
    """A telemetry, and what it has recorded."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.telemetry = Telemetry(
            tracer_provider=self.provider,
            meter_provider=MeterProvider(metric_readers=[self._reader]),
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.spans if span.name == name]
        return span

    def tree(self) -> set[tuple[str | None, str]]:
        """The names of all spans, each with that of its parent."""
        names = {span.context.span_id: span.name for span in self.spans if span.context}
        return {
            (names.get(span.parent.span_id) if span.parent else None, span.name)
            for span in self.spans
        }

    def metrics(self) -> dict[str, list[Any]]:
        """The data points of each metric."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


async def test_an_operation_is_a_span_with_its_wait_and_its_exchanges(
    emulator: Emulator, recorded: Recorded
) -> None:
    emulator.faults.add(Fault.answer(503))
    tracer = trace.get_tracer("app", tracer_provider=recorded.provider)
    async with session(emulator, on_event=recorded.telemetry) as exotel:
        with tracer.start_as_current_span("the user's own"):
            await exotel.numbers.lookup(CUSTOMER)
    assert recorded.tree() == {
        (None, "the user's own"),
        ("the user's own", "numbers.lookup"),
        ("numbers.lookup", "wait for the rate limit"),
        ("numbers.lookup", "HTTP GET"),
    }
    waits = [span for span in recorded.spans if span.name == "wait for the rate limit"]
    first, second = (span for span in recorded.spans if span.name == "HTTP GET")
    assert len(waits) == 2
    assert waits[0].attributes == {"exotel.priority": "interactive"}
    assert first.attributes == {
        "http.request.method": "GET",
        "url.template": "Numbers/{id}",
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert first.status.status_code is StatusCode.ERROR
    assert dict(second.attributes or {}) == {
        "http.request.method": "GET",
        "url.template": "Numbers/{id}",
        "http.request.resend_count": 1,
        "http.response.status_code": 200,
    }
    operation = recorded.span("numbers.lookup")
    assert operation.status.status_code is StatusCode.UNSET
    [retried] = operation.events
    assert retried.name == "retried"
    assert (retried.attributes or {})["exotel.reason"] == "ServerError"


async def test_the_span_of_a_dial_names_the_call(emulator: Emulator, recorded: Recorded) -> None:
    async with session(emulator, on_event=recorded.telemetry) as exotel:
        call = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    attributes = recorded.span("calls.connect").attributes
    assert attributes == {"exotel.operation": "calls.connect", "exotel.call.sid": call.sid}


async def test_a_failure_is_the_status_of_its_spans(emulator: Emulator, recorded: Recorded) -> None:
    emulator.faults.add(Fault.act_then_drop())
    async with session(emulator, on_event=recorded.telemetry) as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        with pytest.raises(NotFound):
            await exotel.calls.get("0" * 32)
    dial, exchange = recorded.span("calls.connect"), recorded.span("HTTP POST")
    assert (dial.attributes or {})["error.type"] == "CallOutcomeUnknown"
    assert dial.status.status_code is exchange.status.status_code is StatusCode.ERROR
    assert (exchange.attributes or {})["exotel.may_have_arrived"] is True
    assert (recorded.span("calls.get").attributes or {})["error.type"] == "NotFound"


async def test_each_of_the_gets_that_share_a_request_is_in_its_own_trace(
    emulator: Emulator, recorded: Recorded
) -> None:
    tracer = trace.get_tracer("app", tracer_provider=recorded.provider)
    async with session(emulator, on_event=recorded.telemetry) as exotel:

        async def get(name: str, sid: str) -> None:
            with tracer.start_as_current_span(name):
                await exotel.calls.get(sid)

        sids = [emulator.add_call(RECORDED, ago=timedelta(hours=1)).sid for _ in range(8)]
        await asyncio.gather(*(get(f"user {n}", sid) for n, sid in enumerate(sids)))
    assert recorded.tree() >= {(f"user {n}", "calls.get") for n in range(8)}
    gets = [span for span in recorded.spans if span.name == "calls.get"]
    waits = [span for span in recorded.spans if span.name == "wait for the rate limit"]
    parents = [span.parent.span_id for span in waits if span.parent]
    assert {span.context.span_id for span in gets if span.context} < set(parents)
    assert len(waits) == len(gets) + 1
    # The request they share is in the trace of none of them.
    assert recorded.tree() >= {
        (None, "GET Calls"),
        ("GET Calls", "HTTP GET"),
        ("GET Calls", "wait for the rate limit"),
    }


async def test_the_requests_of_a_stream_have_spans_of_their_own(
    emulator: Emulator, recorded: Recorded
) -> None:
    async with session(emulator, on_event=recorded.telemetry) as exotel:
        _ = [call async for call in exotel.calls.list()]
    assert recorded.tree() == {
        (None, "GET Calls"),
        ("GET Calls", "wait for the rate limit"),
        ("GET Calls", "HTTP GET"),
    }


async def test_nothing_of_a_request_stays_current_or_is_kept(
    emulator: Emulator, recorded: Recorded
) -> None:
    limit = RateLimit(3, per=600)
    async with session(emulator, rate_limit=limit, on_event=recorded.telemetry) as exotel:
        await exotel.account.balance()
        gets = [asyncio.create_task(exotel.calls.get(f"{n:032}")) for n in range(20)]
        await asyncio.sleep(0.05)
        for get in gets:
            get.cancel()
        await asyncio.wait(gets)
        assert not trace.get_current_span().is_recording()
    kept = vars(recorded.telemetry)
    assert not kept["_operations"]
    assert not kept["_requests"]
    assert not kept["_exchanges"]


@pytest.fixture
def instrumented_httpx(recorded: Recorded) -> Iterator[None]:
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=recorded.provider)
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("instrumented_httpx")
async def test_an_instrumentation_of_httpx_shows_no_number_besides(
    emulator: Emulator, recorded: Recorded
) -> None:
    async with session(emulator) as exotel:  # so it is without telemetry
        await exotel.numbers.lookup(CUSTOMER)
    assert "9812300001" in str([span.attributes for span in recorded.spans])
    before = len(recorded.spans)
    async with session(emulator, on_event=recorded.telemetry) as exotel:
        await exotel.numbers.lookup(CUSTOMER)
        _ = [call async for call in exotel.calls.list(to=CUSTOMER)]
        async with httpx.AsyncClient() as client:
            await client.get(emulator.base_url)  # the user's own requests have their spans
    added = recorded.spans[before:]
    assert "9812300001" not in str([(span.name, span.attributes) for span in added])
    assert {span.name for span in added} == {
        "numbers.lookup",
        "GET Calls",
        "wait for the rate limit",
        "HTTP GET",
        "GET",
    }


@pytest.mark.usefixtures("instrumented_httpx")
async def test_the_links_of_recordings_are_in_no_span(recorded: Recorded, tmp_path: Path) -> None:
    answered = Scenario.all_answered(talk=40)
    async with (
        Emulator(speed=30, scenario=answered) as emulator,
        session(emulator, on_event=recorded.telemetry) as exotel,
    ):
        sid = emulator.add_call(RECORDED, ago=timedelta(hours=1)).sid
        call = await exotel.calls.get(sid)
        await exotel.calls.download_recording(call, tmp_path / "call.mp3")
        async with exotel.calls.open_recording(call) as recording:
            assert b"".join([chunk async for chunk in recording]) == emulator.recording(sid)
    assert recorded.tree() == {
        (None, "calls.get"),
        ("calls.get", "wait for the rate limit"),
        ("calls.get", "HTTP GET"),
        (None, "calls.download_recording"),
        (None, "calls.open_recording"),
    }


async def test_metrics_of_requests_and_of_the_limiter(
    emulator: Emulator, recorded: Recorded
) -> None:
    emulator.faults.add(Fault.answer(429, retry_after=0.01))
    limit = RateLimit(40, per=600)
    async with session(emulator, rate_limit=limit, on_event=recorded.telemetry) as exotel:
        recorded.telemetry.watch(exotel.limiter)
        await exotel.account.balance()
        metrics = recorded.metrics()
    assert [point.count for point in metrics["exotel.operation.duration"]] == [1]
    assert [point.count for point in metrics["exotel.rate_limit.wait.duration"]] == [2]
    counted = {
        point.attributes["http.response.status_code"]: point.count
        for point in metrics["exotel.request.duration"]
    }
    assert counted == {429: 1, 200: 1}
    assert [point.value for point in metrics["exotel.request.retries"]] == [1]
    assert [point.value for point in metrics["exotel.rate_limit.pauses"]] == [1]
    [used] = metrics["exotel.rate_limit.window.used"]
    assert (used.value, used.attributes) == (2, {"exotel.limiter": "voice"})
    waiting = {
        point.attributes["exotel.priority"]: point.value
        for point in metrics["exotel.rate_limit.waiting"]
    }
    assert waiting == {"interactive": 0, "bulk": 0}


def test_what_is_no_limiter_is_refused(recorded: Recorded) -> None:
    with pytest.raises(ConfigurationError, match="limiter: must have a method"):
        recorded.telemetry.watch(7)  # type: ignore[arg-type]


async def test_metrics_of_webhooks(recorded: Recorded) -> None:
    secret = "a-secret-of-the-path"
    hooks = ExotelWebhooks(secret, on_event=recorded.telemetry)

    @hooks.passthru("crm")
    async def check(request: PassthruRequest) -> Passthru:
        return {"a": Passthru.proceed()}[request.sid]

    transport = httpx.ASGITransport(hooks)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for path in (
            f"/{secret}/passthru/crm?CallSid=a",
            f"/{secret}/passthru/crm?CallSid=b",
            "/another-secret-of-it/passthru/crm",
        ):
            await client.get(path)
    points = recorded.metrics()["exotel.webhook.duration"]
    handler = {"exotel.webhook.kind": "passthru", "exotel.webhook.name": "crm"}
    assert [dict(point.attributes) for point in points] == [
        {"http.response.status_code": 200, **handler},
        {"http.response.status_code": 302, "error.type": "handler", **handler},
        {"http.response.status_code": 404},
    ]
    assert secret not in str(points)


def test_without_opentelemetry_the_extra_is_named() -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; import exotel_async.otel"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.stderr.strip().endswith("pip install 'exotel-async[otel]'")
