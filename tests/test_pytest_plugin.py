"""The pytest plugin, in runs of pytest of their own."""

from __future__ import annotations

import re
import textwrap

import pytest

from tests.docs.pages import blocks

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow(8)

CONFIG = """
    [pytest]
    addopts = --strict-markers --strict-config
    filterwarnings = error
"""
ANYIO = ("-p", "no:asyncio", "-o", "anyio_mode=auto")
# pytest-asyncio 1.0 warns where it is not set.
ASYNCIO = ("-o", "asyncio_default_fixture_loop_scope=function")
# Plugins of others that are not tried here: to import them takes half the time of such a run.
OTHERS = ("hypothesispytest", "pytest_httpx", "respx", "timeout", "xdist", "xdist.looponfail")
USED = """
    import asyncio
    import os
    import urllib.request

    import pytest

    from exotel_async import AsyncExotel, CallOutcomeUnknown, RateLimited, TokenBucket
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


    async def test_its_budgets_are_those_of_the_test(exotel) -> None:
        assert type(exotel.limiter) is type(exotel.exophones.limiter) is TokenBucket
        async with asyncio.timeout(20):
            await exotel.account.balance()
            assert [phone async for phone in exotel.exophones.list()]


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


    async def test_it_lives_on_while_the_test_blocks(exotel_emulator) -> None:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(exotel_emulator.base_url + "/v1/Accounts/acme1/Balance")
        await exotel_emulator.finish_calls()


    @pytest.fixture
    def program(exotel_emulator) -> str:
        return exotel_emulator.base_url + "/v1/Accounts/acme1/Balance"


    @pytest.mark.exotel(balance=9)
    def test_that_is_not_async(program, exotel_emulator) -> None:
        assert os.environ["HTTP_PROXY"]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(program)
        assert [r.status for r in exotel_emulator.requests] == [401]
        exotel_emulator.run(exotel_emulator.finish_calls())
        assert (exotel_emulator.balance, exotel_emulator.seed) == (9, 3)


    def test_a_program_with_a_loop_of_its_own(exotel_emulator) -> None:
        async def program() -> None:
            async with AsyncExotel(
                account_sid=exotel_emulator.account_sid,
                api_key=exotel_emulator.api_key,
                api_token=exotel_emulator.api_token,
                base_url=exotel_emulator.base_url,
            ) as exotel:
                call = await exotel.calls.connect(*NUMBERS, caller_id="08030000000")
                await exotel_emulator.finish_calls()
                assert exotel_emulator.calls[call.sid].ended

        asyncio.run(program())
"""
LOOPS = """
    import asyncio

    import pytest
    import pytest_asyncio
    from hypothesis import given, settings
    from hypothesis.strategies import booleans

    from exotel_async import ConfigurationError

    LOOPS = {}


    async def check(exotel, scope):
        await exotel.account.balance()
        LOOPS.setdefault(scope, set()).add(asyncio.get_running_loop())


    @pytest_asyncio.fixture
    async def shop(exotel):
        await exotel.account.balance()
        yield exotel
        await exotel.account.balance()


    @pytest_asyncio.fixture(loop_scope="session")
    async def shop_elsewhere(exotel):
        with pytest.raises(ConfigurationError, match="another event loop.*for each loop"):
            await exotel.account.balance()


    @pytest.mark.asyncio
    async def test_with_a_fixture(shop, exotel):
        assert shop is exotel
        await exotel.account.balance()


    @pytest.mark.asyncio
    async def test_with_a_fixture_of_another_loop(shop_elsewhere, exotel, exotel_emulator):
        assert not exotel_emulator.requests
        await exotel.account.balance()


    @pytest.mark.asyncio
    @settings(max_examples=2, database=None, deadline=None)
    @given(flag=booleans())
    async def test_with_hypothesis(exotel, flag):
        await exotel.account.balance()


    def test_that_is_not_async(shop, exotel_emulator):
        assert len(exotel_emulator.requests) == 1


    @pytest.mark.parametrize("turn", range(2))
    class TestScopes:
        @pytest.mark.asyncio
        async def test_function(self, exotel, turn):
            await check(exotel, "function")

        @pytest.mark.asyncio(loop_scope="class")
        async def test_class(self, exotel, turn):
            await check(exotel, "class")

        @pytest.mark.asyncio(loop_scope="module")
        async def test_module(self, exotel, turn):
            await check(exotel, "module")

        @pytest.mark.asyncio(loop_scope="session")
        async def test_session(self, exotel, turn):
            await check(exotel, "session")


    def test_at_the_end():
        numbers = {scope: len(loops) for scope, loops in LOOPS.items()}
        assert numbers == {"function": 2, "class": 1, "module": 1, "session": 1}
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

    @pytest.mark.usefixtures("anyio_backend")
    def test_that_is_not_async(exotel): ...

    @pytest.fixture
    def shop(exotel): ...

    def test_with_a_fixture(shop): ...

    class TestTrio:
        @pytest.fixture
        def anyio_backend(self):
            return "trio", {}

        async def test_it(self, exotel): ...

    def test_a_crash(exotel_emulator):
        exotel_emulator._loop.call_soon_threadsafe(lambda: 1 / 0)
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


MODES = {
    "anyio, strict": ("anyio", ("-p", "no:asyncio")),
    "anyio, auto": (None, ANYIO),
    "pytest-asyncio, strict": ("asyncio", ASYNCIO),
    "pytest-asyncio, auto": (None, (*ASYNCIO, "-o", "asyncio_mode=auto")),
}


@pytest.mark.parametrize("mode", MODES)
def test_with_the_plugins_that_run_async_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """The environment names proxies, and a server for shared budgets, that are not there."""
    if mode.startswith("pytest-asyncio"):
        pytest.importorskip("pytest_asyncio")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("EXOTEL_RATE_LIMIT_URL", "redis://127.0.0.1:1" if "auto" in mode else "none")
    mark, arguments = MODES[mode]
    tests = USED
    if mark is not None:
        tests = re.sub(
            r"^( +)(?=async def test_)", rf"\1@pytest.mark.{mark}\n\1", USED, flags=re.MULTILINE
        )
    run(pytester, tests, *arguments).assert_outcomes(passed=13)


def test_with_every_loop_of_pytest_asyncio(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    run(pytester, LOOPS, *ASYNCIO).assert_outcomes(passed=13)


def test_the_example_of_the_documentation(pytester: pytest.Pytester) -> None:
    (example,) = blocks("how-to/emulator", "py")
    run(pytester, example, "-p", "no:asyncio").assert_outcomes(passed=1)


def test_what_does_not_fit_is_told(pytester: pytest.Pytester) -> None:
    result = run(pytester, WRONG, *ANYIO)
    result.assert_outcomes(passed=1, errors=8)
    result.stdout.fnmatch_lines_random(
        [
            "exotel_emulator: @pytest.mark.exotel: *unexpected keyword argument 'rat'*",
            "exotel_emulator: @pytest.mark.exotel: 'round' is not a valid RateWindow",
            "exotel_emulator: @pytest.mark.exotel takes keywords only, not (200,)",
            "exotel_emulator: @pytest.mark.exotel: 'drop' is not a Fault",
            "exotel: a session belongs to an event loop, and no plugin runs this test in one.*",
            "exotel: it runs on asyncio alone: *`anyio_backend` return 'asyncio'",
            "E*ZeroDivisionError: division by zero",
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


def test_each_test_begins_with_a_budget_that_is_not_spent(pytester: pytest.Pytester) -> None:
    run(pytester, MOCKED, "-p", "no:asyncio").assert_outcomes(passed=2)


def test_unused_it_imports_nothing_of_the_package(pytester: pytest.Pytester) -> None:
    run(pytester, UNUSED, "-p", "no:asyncio").assert_outcomes(passed=1)


def test_its_marker_is_known(pytester: pytest.Pytester) -> None:
    result = run(pytester, "", "--markers", "-p", "no:asyncio")
    result.stdout.fnmatch_lines(["@pytest.mark.exotel(*"])
