"""The pytest plugin, in runs of pytest of their own."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow(8)

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
# Programs are fenced as `python` there; tests, and files of what is more than one, as `py`.
FENCED = re.findall(r"^```py\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
EXAMPLES = [example for example in FENCED if "def test_" in example]
CONFIG = """
    [pytest]
    addopts = --strict-markers --strict-config
    filterwarnings = error
"""
ANYIO = ("-p", "no:asyncio", "-o", "anyio_mode=auto")
# Plugins of others that are not tried here: to import them takes half the time of such a run.
OTHERS = ("hypothesispytest", "pytest_httpx", "respx", "timeout", "xdist", "xdist.looponfail")
USED = """
    import pytest

    from exotel_async import AsyncExotel, CallOutcomeUnknown, RateLimited
    from exotel_async.emulator import Emulator, Fault, RateWindow

    pytestmark = pytest.mark.exotel(balance=7, seed=3)
    NUMBERS = ("+919812300001", "+919812300002")
    DROPPED = Fault.act_then_drop(), {"path": "Calls/connect", "after": 1}


    async def test_a_call(exotel: AsyncExotel, exotel_emulator: Emulator) -> None:
        call = await exotel.calls.connect(*NUMBERS, caller_id="08030000000")
        assert (await exotel.calls.wait(call.sid, timeout=20)).is_final
        assert exotel_emulator.rung(NUMBERS[0]) == 1


    async def test_what_it_is_without_a_marker_of_its_own(exotel_emulator, exotel) -> None:
        assert (exotel_emulator.rate, exotel_emulator.speed) == (200, 60)
        assert exotel_emulator.seed == 3
        assert (await exotel.account.balance()).amount == 7
        assert exotel.limiter.rate.limit == 200
        assert exotel.limiter.rate.per == pytest.approx(1)
        assert exotel.exophones.limiter.rate.limit == 50
        assert exotel.exophones.limiter.rate.per == pytest.approx(1)


    @pytest.mark.exotel(rate=20, per=30, window="fixed", speed=10, exophones=["08031111111"])
    async def test_the_marker(exotel, exotel_emulator) -> None:
        assert (exotel_emulator.rate, exotel_emulator.seed) == (20, 3)
        assert exotel_emulator.window is RateWindow.FIXED
        assert exotel.limiter.rate.limit == 20
        assert exotel.limiter.rate.per == 3
        assert [e.phone_number async for e in exotel.exophones.list()] == ["+918031111111"]
        assert (await exotel.account.balance()).amount == 7


    @pytest.mark.exotel(faults=[Fault.too_many_requests(retry_after=0), DROPPED], balance=8)
    class TestMarkersOfAClass:
        async def test_its_faults(self, exotel, exotel_emulator) -> None:
            call = await exotel.calls.connect(*NUMBERS, caller_id="08030000000")
            assert [r.status for r in exotel_emulator.requests] == [429, 200]
            with pytest.raises(CallOutcomeUnknown):
                await exotel.calls.connect(*NUMBERS, caller_id="08030000000")
            assert exotel_emulator.rung(NUMBERS[0]) == 2
            assert (await exotel.account.balance()).amount == 8

        @pytest.mark.exotel(faults=[])
        async def test_the_nearest_one_decides(self, exotel, exotel_emulator) -> None:
            assert not exotel_emulator.faults.pending
            assert exotel_emulator.seed == 3


    @pytest.mark.exotel(speed=6000)
    @pytest.mark.parametrize("turn", range(3))
    async def test_each_test_has_its_own(exotel, exotel_emulator, turn) -> None:
        await exotel.account.balance()
        assert len(exotel_emulator.requests) == 1


    async def test_the_emulator_alone(exotel_emulator) -> None:
        assert exotel_emulator.base_url
        assert not exotel_emulator.requests
"""
LOCAL = """
    import asyncio

    from exotel_async import TokenBucket


    async def test_it_waits_for_no_server(exotel):
        assert type(exotel.limiter) is type(exotel.exophones.limiter) is TokenBucket
        async with asyncio.timeout(20):
            await exotel.account.balance()
            assert [phone async for phone in exotel.exophones.list()]
"""
UNUSED = """
    import sys

    def test_nothing_else_is_imported():
        ours = {name for name in sys.modules if name.startswith("exotel_async")}
        assert ours == {"exotel_async", "exotel_async.pytest_plugin"}
        assert not {"starlette", "uvicorn"} & set(sys.modules)
"""
MOCKED = """
    import asyncio

    import httpx
    import pytest

    from exotel_async import AsyncExotel, RateLimited

    SID = "a" * 32

    async def read(status):
        answer = {"Call": {"Sid": SID, "Status": "completed"}}
        transport = httpx.MockTransport(
            lambda _: httpx.Response(status, headers={"Retry-After": "60"}, json=answer)
        )
        async with (
            httpx.AsyncClient(transport=transport) as client,
            AsyncExotel(
                account_sid="acme1", api_key="k", api_token="t", http_client=client, retry=False
            ) as exotel,
        ):
            return await exotel.calls.get(SID, max_wait=0)

    def test_refused():
        with pytest.raises(RateLimited):
            asyncio.run(read(429))

    def test_it_does_not_wait_for_the_pause_of_another_test():
        assert asyncio.run(read(200)).is_final
"""
WRONG = """
    import pytest

    @pytest.mark.exotel(rat=1)
    async def test_unknown(exotel_emulator): ...

    @pytest.mark.exotel(window="round")
    async def test_impossible(exotel): ...

    @pytest.mark.exotel(200)
    async def test_positional(exotel_emulator): ...

    @pytest.mark.exotel(faults=["drop"])
    async def test_no_fault(exotel_emulator): ...
"""


def run(
    pytester: pytest.Pytester, tests: str, *arguments: str, conftest: str = ""
) -> pytest.RunResult:
    """Run tests with the plugin, found by its entry point."""
    pytester.makeini(textwrap.dedent(CONFIG))
    pytester.makeconftest(textwrap.dedent(conftest))
    pytester.makepyfile(test_of_a_user=textwrap.dedent(tests))
    without = [argument for name in OTHERS for argument in ("-p", f"no:{name}")]
    return pytester.runpytest_subprocess(*without, *arguments, timeout=200)


def test_with_the_plugin_of_anyio(pytester: pytest.Pytester) -> None:
    run(pytester, USED, *ANYIO).assert_outcomes(passed=9)


@pytest.mark.skipif(
    importlib.util.find_spec("pytest_asyncio") is None, reason="pytest-asyncio is not installed"
)
def test_with_pytest_asyncio(pytester: pytest.Pytester) -> None:
    # It warns where the second is not set.
    options = ("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function")
    arguments = [argument for option in options for argument in ("-o", option)]
    run(pytester, USED, "-p", "no:anyio", *arguments).assert_outcomes(passed=9)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_readme(pytester: pytest.Pytester, example: str) -> None:
    run(pytester, example, *ANYIO).assert_outcomes(passed=1)


def test_what_does_not_fit_is_told(pytester: pytest.Pytester) -> None:
    result = run(pytester, WRONG, *ANYIO)
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines_random(
        [
            "exotel_emulator: @pytest.mark.exotel: *unexpected keyword argument 'rat'",
            "exotel_emulator: @pytest.mark.exotel: 'round' is not a valid RateWindow",
            "exotel_emulator: @pytest.mark.exotel takes keywords only, not (200,)",
            "exotel_emulator: @pytest.mark.exotel: 'drop' is not a Fault",
        ]
    )


def test_a_missing_extra_is_named(pytester: pytest.Pytester) -> None:
    conftest = "import sys\nsys.modules['starlette'] = None"
    tests = "async def test_it(exotel): ..."
    result = run(pytester, tests, *ANYIO, conftest=conftest)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["exotel_emulator: it needs starlette: pip install 'exotel-async[[]emulator]'"]
    )


def test_another_loop_than_that_of_asyncio_is_told_so(pytester: pytest.Pytester) -> None:
    # As trio begins it: no loop of asyncio runs.
    conftest = """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_fixture_setup(fixturedef, request):
            if fixturedef.argname == "exotel_emulator":
                fixturedef.func(request, None).__anext__().send(None)
    """
    result = run(pytester, "def test_it(exotel): ...", "-p", "no:asyncio", conftest=conftest)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["exotel_emulator: it runs on asyncio alone: *`anyio_backend`*"])


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "nonsense"])
def test_its_budgets_are_not_shared(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("EXOTEL_RATE_LIMIT_URL", url)
    run(pytester, LOCAL, *ANYIO).assert_outcomes(passed=1)


def test_each_test_begins_with_a_budget_that_is_not_spent(pytester: pytest.Pytester) -> None:
    run(pytester, MOCKED, "-p", "no:asyncio").assert_outcomes(passed=2)


def test_unused_it_imports_nothing_of_the_package(pytester: pytest.Pytester) -> None:
    run(pytester, UNUSED, "-p", "no:asyncio").assert_outcomes(passed=1)


def test_its_marker_is_known(pytester: pytest.Pytester) -> None:
    result = run(pytester, "", "--markers", "-p", "no:asyncio")
    result.stdout.fnmatch_lines(["@pytest.mark.exotel(*"])
