"""The errors of campaigns, in another process."""

from __future__ import annotations

import pickle

from exotel_async.campaigns import CampaignState, CampaignStopped


def test_a_stopped_campaign_is_told_in_another_process() -> None:
    error = CampaignStopped("diwali", CampaignState.PAUSED, "HTTP 401: no")
    travelled = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    assert travelled.state is CampaignState.PAUSED
    assert (str(travelled), travelled.name, travelled.why) == (str(error), "diwali", error.why)
