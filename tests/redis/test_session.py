"""The same session code passes the same tests with the shared limiter as with the local one.

They are the tests of the session, of dialling, of gets and of lists that have to do with the
limiter, run with a Valkey in the environment. The others look at how the local one does it, or at
what comes before and after.
"""

from __future__ import annotations

import asyncio

import pytest

from exotel_async import AsyncExotel, LimiterUnavailable
from exotel_async.emulator import Emulator
from exotel_async.redis import SharedTokenBucket
from tests import test_regressions, test_session
from tests.calls import test_connect_many, test_get, test_get_many
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session
from tests.http import test_faults
from tests.support.ports import free_port

pytestmark = [pytest.mark.slow(1), pytest.mark.usefixtures("short_settling")]


@pytest.fixture(autouse=True)
def _all_sessions_share(valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_RATE_LIMIT_URL", valkey)


async def test_this_is_about_the_shared_limiter(exotel: AsyncExotel) -> None:
    await exotel.account.balance()
    assert isinstance(exotel.limiter, SharedTokenBucket)
    assert exotel.limiter.statistics().in_contact


async def test_no_time_at_all_rings_nobody(emulator: Emulator, exotel: AsyncExotel) -> None:
    """There is no time to ask the server, and that is what it is told."""
    with pytest.raises(LimiterUnavailable, match="has not answered within 0 s"):
        await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, timeout=0)
    assert emulator.requests == []
    assert exotel.limiter.statistics().window_used == 0


@pytest.mark.parametrize("number", [1, 20])
@pytest.mark.parametrize("max_wait", [0, 0.2])
async def test_gets_are_told_of_an_outage(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, number: int, max_wait: float
) -> None:
    monkeypatch.setenv("EXOTEL_RATE_LIMIT_URL", f"redis://127.0.0.1:{free_port()}")
    async with session(emulator) as exotel:
        view = exotel.with_options(max_wait=max_wait)
        for _ in range(2):
            ended = await asyncio.gather(
                *(view.calls.get(f"{n:032}") for n in range(number)), return_exceptions=True
            )
            assert {type(one) for one in ended} == {LimiterUnavailable}
    assert emulator.requests == []


_tests = [
    # The budget, priority, pauses, bounds
    test_session.test_gathered_dials_keep_the_budget_and_none_is_lost,
    test_session.test_after_a_refusal_all_wait_and_one_goes_first,
    test_session.test_statistics_tell_how_the_limiter_stands,
    test_session.test_nothing_is_sent_for_a_bad_argument,
    test_session.test_refusals_have_their_own_classes,
    test_session.test_a_view_has_its_own_defaults_and_is_the_same_session,
    test_session.test_an_interactive_call_overtakes_gathered_bulk_ones,
    test_session.test_a_session_for_each_request_keeps_the_budget,
    test_session.test_an_unreachable_server_does_not_fail_the_others_one_by_one,
    test_regressions.test_a_silent_transport_proves_nothing,
    test_regressions.test_a_client_whose_hook_raises_for_the_status,
    test_regressions.test_the_total_bounds_what_a_pause_prolongs,
    test_regressions.test_a_small_session_does_not_slow_the_others,
    test_faults.test_a_429_pauses_the_others_as_well,
    test_faults.test_timeout_while_a_refusal_is_waited_out_tells_of_the_refusal,
    # Cancelling and closing
    test_session.test_2000_cancellations_lose_nothing,
    test_session.test_closing_waits_for_what_is_in_the_air,
    test_session.test_closing_cuts_off_what_takes_too_long,
    test_session.test_closing_fails_those_that_wait,
    test_session.test_a_waiter_cancelled_while_the_session_closes_is_cancelled,
    test_regressions.test_a_closing_that_is_itself_cancelled_closes_and_can_be_repeated,
    test_regressions.test_one_who_waits_while_being_cancelled_is_told_of_the_closing,
    test_regressions.test_an_exchange_cancelled_before_it_began_is_no_cancellation,
    test_regressions.test_closing_ends_those_that_wait_to_try_again,
    test_regressions.test_a_session_is_closed_in_its_own_loop,
    # Many gets in few requests
    test_get.test_ten_thousand_gathered_gets,
    test_get.test_more_than_a_few_go_together,
    test_get.test_a_refusal_by_the_budget_is_tried_again_for_all,
    test_get.test_cancelled_at_random_nothing_is_lost,
    test_get.test_closing_at_any_step,
    # Many dials, many calls
    test_connect_many.test_each_target_has_one_outcome,
    test_connect_many.test_every_failure_is_the_outcome_of_its_target,
    test_connect_many.test_leaving_that_is_cancelled_loses_nobody_either,
    test_connect_many.test_closing_the_session_ends_it,
    test_get_many.test_the_session_is_closed_in_the_middle,
    test_get_many.test_it_lets_others_go_first,
]
globals().update({test.__name__: test for test in _tests})
