"""Settings as other SDKs take them, and what is said of those that are none."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exotel_async import (
    AsyncExotel,
    ConfigurationError,
    RateLimit,
    Region,
    RetryPolicy,
    Timeouts,
)
from exotel_async.config import rate_limit_of, region_of, retry_of, timeouts_of
from exotel_async.credentials import Credentials
from tests.support.raw_server import GIVEN

# Values


@given(st.integers(1, 10_000) | st.floats(0.001, 1e6))
def test_a_timeout_in_seconds_is_that_of_each_step(seconds: float) -> None:
    one = timeouts_of(seconds)
    assert (one.connect, one.write, one.read) == (seconds, seconds, seconds)
    assert one.exchange == 3 * seconds


def test_values_stay_as_they_are() -> None:
    timeouts, limit, policy = Timeouts(read=3), RateLimit(7, per=2), RetryPolicy(attempts=2)
    assert timeouts_of(timeouts) is timeouts
    assert rate_limit_of("rate_limit", limit) is limit
    assert retry_of(policy) is policy
    assert timeouts_of(None) == Timeouts()
    assert retry_of(None) == RetryPolicy()
    assert region_of(None) is None


def test_a_limit_is_so_many_a_minute() -> None:
    assert rate_limit_of("rate_limit", 400) == RateLimit(400, per=60)


def test_retries_come_after_the_first_try() -> None:
    assert retry_of(3) == RetryPolicy(attempts=4)
    assert retry_of(1) == RetryPolicy(attempts=2)
    assert retry_of(0) == retry_of(False) == RetryPolicy.never()
    assert retry_of(True) == RetryPolicy()


@pytest.mark.parametrize("word", ["mumbai", "Mumbai", " MUMBAI ", "api.in.exotel.com"])
def test_a_region_by_its_name_or_host(word: str) -> None:
    assert region_of(word) is Region.MUMBAI
    host = AsyncExotel(**GIVEN, region=word)._pipeline.transport.host
    assert host == ("api.in.exotel.com", None)


def test_a_session_takes_them_all() -> None:
    exotel = AsyncExotel(
        **GIVEN, timeout=10, rate_limit=400, exophone_rate_limit=30, retry=3, region="singapore"
    )
    assert exotel._pipeline.retry.attempts == 4
    assert exotel._pipeline.transport.may_arrive_for == 10
    assert exotel._pipeline.transport.host == ("api.exotel.com", None)


async def test_a_limit_in_a_session_is_its_limiters() -> None:
    async with AsyncExotel(**GIVEN, rate_limit=120, exophone_rate_limit=20) as exotel:
        assert exotel.limiter.statistics().pace == 2
        assert exotel.exophones.limiter.statistics().window_size == 19


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"timeout": "fast"}, r"^timeout=str: must be .*timeout=10.*Timeouts\(read=10\)"),
    ({"timeout": 0}, r"^timeout=0: must be .*timeout=10"),
    ({"timeout": -1.5}, r"^timeout=-1.5: must be .*timeout=10"),
    ({"timeout": math.nan}, r"^timeout=nan: must be .*timeout=10"),
    ({"timeout": math.inf}, r"^timeout=inf: must be .*timeout=10"),
    ({"timeout": True}, r"^timeout=True: must be .*timeout=10"),
    ({"rate_limit": 0}, r"^rate_limit=0: must be .*rate_limit=200.*RateLimit\(200, per=60\)"),
    ({"rate_limit": 3.3}, r"^rate_limit=3.3: must be .*rate_limit=200"),
    ({"rate_limit": True}, r"^rate_limit=True: must be .*rate_limit=200"),
    ({"rate_limit": "200/m"}, r"^rate_limit=str: must be .*rate_limit=200"),
    ({"exophone_rate_limit": "x"}, r"^exophone_rate_limit=str: must be .*exophone_rate_limit=200"),
    ({"retry": -1}, r"^retry=-1: must be .*retry=3.*RetryPolicy\(attempts=4\)"),
    ({"retry": "3"}, r"^retry=str: must be .*retry=3"),
    ({"retry": 1.5}, r"^retry=1.5: must be .*retry=3"),
    ({"region": "mumbay"}, r"^region=str: must be .*region='mumbai'.*'singapore'.*base_url="),
    ({"region": 7}, r"^region=7: must be .*region='mumbai'"),
    ({"base_url": "api.exotel.com"}, r"^base_url is not valid: must be http.*'https://api\.in\."),
    ({"max_in_flight": "64"}, r"^max_in_flight=str: must be .*max_in_flight=64"),
    ({"coalesce": "yes"}, r"^coalesce=str: must be .*coalesce=True"),
    ({"on_orphaned_call": 1}, r"^on_orphaned_call=1: must be .*on_orphaned_call=note"),
    ({"time_zone": "IST"}, r"^time_zone=str: must be .*ZoneInfo\('Asia/Kolkata'\)"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG)
def test_what_is_wrong_is_answered_with_what_is_right(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        AsyncExotel(**GIVEN, **wrong)


@example(6e307, "timeout")  # three times as much is no number
@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(),
    st.sampled_from(["timeout", "rate_limit", "exophone_rate_limit", "retry", "region"]),
)
def test_any_setting_is_taken_or_refused_with_an_example(value: object, name: str) -> None:
    arguments: dict[str, Any] = {name: value}
    refused = ""
    try:
        AsyncExotel(**GIVEN, **arguments)
    except ConfigurationError as error:
        refused = str(error)
    if refused:
        assert refused.startswith(f"{name}=")
        assert f"{name}=" in refused.partition(": must be ")[2]


# Credentials


def test_all_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncExotel()
    assert str(caught.value) == (
        "account_sid, api_key and api_token are missing: pass account_sid=, api_key= and "
        "api_token=, or set the environment variables EXOTEL_ACCOUNT_SID, EXOTEL_API_KEY and "
        "EXOTEL_API_TOKEN"
    )
    monkeypatch.setenv("EXOTEL_API_KEY", "key")
    with pytest.raises(ConfigurationError) as caught:
        AsyncExotel(account_sid="", api_token=7)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "account_sid and api_token are missing: pass account_sid= and api_token=, or set the "
        "environment variables EXOTEL_ACCOUNT_SID and EXOTEL_API_TOKEN"
    )
    with pytest.raises(ConfigurationError) as caught:
        AsyncExotel(account_sid="acme1", api_token=" ")
    assert str(caught.value) == (
        "api_token is missing: pass api_token=, or set the environment variable EXOTEL_API_TOKEN"
    )


def test_an_error_names_what_a_value_was_given_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_ACCOUNT_SID", "a/b")
    with pytest.raises(ConfigurationError, match=r"^EXOTEL_ACCOUNT_SID must not have /"):
        Credentials.find(None, "key", "token")
    with pytest.raises(ConfigurationError, match=r"^account_sid must not have /"):
        Credentials.find("a/b", "key", "token")
    monkeypatch.setenv("EXOTEL_API_TOKEN", "to ken")
    with pytest.raises(ConfigurationError, match=r"^EXOTEL_API_TOKEN has a space"):
        Credentials.find("acme1", "key", None)
    with pytest.raises(ConfigurationError, match=r"^api_token has a space"):
        Credentials.find("acme1", "key", "to ken")
    monkeypatch.setenv("EXOTEL_API_TOKEN", "'token'")
    with pytest.raises(ConfigurationError, match=r"^EXOTEL_API_TOKEN is in quotation") as seen:
        Credentials.find("acme1", "key", None)
    assert "'token'" not in str(seen.value)
    with pytest.raises(ConfigurationError, match=r"^api_key is in quotation"):
        Credentials.find("acme1", '"key"', "token")
    Credentials.find("acme1", "k'ey", "'token")


@pytest.mark.parametrize(
    ("variable", "said"), [(True, "EXOTEL_ACCOUNT_SID"), (False, "account_sid")]
)
def test_the_account_of_a_path_differs_from_what_was_given(
    variable: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {"api_key": "key", "api_token": "token"}
    if variable:
        monkeypatch.setenv("EXOTEL_ACCOUNT_SID", "acme1")
    else:
        arguments["account_sid"] = "acme1"
    with pytest.raises(ConfigurationError, match=f"than {said}$"):
        AsyncExotel(**arguments, base_url="https://api.exotel.com/v1/Accounts/acme2")


# Options


EXOPHONE, NUMBER, AGENT = "08030000000", "+919812300001", "+919812300002"


MISSPELT: list[tuple[str, tuple[Any, ...], str, str]] = [
    ("calls.connect", (NUMBER, AGENT), "wait_ulr", "wait_url"),
    ("calls.connect", (NUMBER, AGENT), "custom_feild", "custom_field"),
    ("calls.connect", (NUMBER, AGENT), "max_wiat", "max_wait"),
    ("calls.connect_to_flow", (NUMBER,), "ring_timout", "ring_timeout"),
    ("calls.connect_to_stream", (NUMBER,), "stream_nme", "stream_name"),
    ("calls.connect_many", ([NUMBER],), "max_lvie", "max_live"),
    ("calls.connect_many", ([NUMBER],), "recording", "record"),
    ("calls.list", (), "page_sze", "page_size"),
    ("calls.list", (), "sinc", "since"),
    ("calls.changes", (), "directoin", "direction"),
    ("calls.changes", (), "allow_gpa", "allow_gap"),
    ("calls.get", ("abc",), "detail", "details"),
    ("calls.get_many", (["abc"],), "batchsize", "batch_size"),
    ("numbers.lookup", (NUMBER,), "prioritty", "priority"),
    ("numbers.whitelist", (NUMBER,), "maxwait", "max_wait"),
    ("numbers.whitelist_status", (NUMBER,), "maxwait", "max_wait"),
    ("request", ("GET", "Balance.json"), "param", "params"),
    ("account.balance", (), "time_out", "timeout"),
    ("exophones.list", (), "maxwait", "max_wait"),
    ("exophones.get", ("abc",), "maxwait", "max_wait"),
    ("exophones.assign_flow", ("abc", 926), "maxwait", "max_wait"),
    ("exophones.rename", ("abc", "Sales"), "maxwait", "max_wait"),
    ("with_options", (), "prio", "priority"),
]


@pytest.mark.parametrize(("method", "arguments", "wrong", "right"), MISSPELT)
async def test_a_misspelt_option_names_the_public_method(
    method: str, arguments: tuple[Any, ...], wrong: str, right: str
) -> None:
    called: Any = AsyncExotel(**GIVEN)
    for name in method.split("."):
        called = getattr(called, name)
    options: dict[str, Any] = {wrong: 1}
    if method.startswith("calls.connect"):
        options |= {"caller_id": EXOPHONE}
    if method in {"calls.connect_to_flow", "calls.connect_many"}:
        options["flow"] = 926
    if method == "calls.connect_to_stream":
        options["stream_url"] = "wss://bot.example/"
    if method == "numbers.whitelist":
        options["exophone"] = EXOPHONE
    with pytest.raises(TypeError) as caught:
        await called(*arguments, **options)
    said = f"{method}() got an unexpected keyword argument {wrong!r}: did you mean {right!r}?"
    assert str(caught.value) == said
    with pytest.raises(TypeError) as caught:
        await called(*arguments, **options | {wrong: 1, "zzzzz": 2})
    assert str(caught.value).startswith(f"{method}() got an unexpected keyword argument")


async def test_what_is_not_misspelt_is_taken_for_nothing_else() -> None:
    options: dict[str, Any] = {"caller_id": EXOPHONE, "retry": 3}
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'retry'$"):
        await AsyncExotel(**GIVEN).calls.connect(NUMBER, "+919812300002", **options)


@pytest.mark.parametrize("name", ["", "calls", "numbers", "account", "exophones"])
def test_no_method_that_takes_options_is_left_out(name: str) -> None:
    exotel: Any = AsyncExotel(**GIVEN)
    resource = getattr(exotel, name) if name else exotel
    for each, method in inspect.getmembers(type(resource), inspect.isfunction):
        kinds = {one.kind for one in inspect.signature(method).parameters.values()}
        if not each.startswith("_") and inspect.Parameter.VAR_KEYWORD in kinds:
            assert ".".join(filter(None, (name, each))) in {tried for tried, *_ in MISSPELT}


def test_options_that_connect_many_hands_on() -> None:
    options: dict[str, Any] = {"wait_url": "https://example.com/wait.wav"}
    calls = AsyncExotel(**GIVEN).calls
    assert calls.connect_many([NUMBER], to=AGENT, caller_id=EXOPHONE, **options)
