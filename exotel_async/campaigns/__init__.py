"""Campaigns: dial many people durably, within calling hours, with retries by result.

Needs the extra `campaigns`, and `postgres` for a ledger in PostgreSQL.
"""

from exotel_async.campaigns.adding import AddResult
from exotel_async.campaigns.admin import CampaignAdmin
from exotel_async.campaigns.campaign import Campaign
from exotel_async.campaigns.contact import Contact
from exotel_async.campaigns.dialer import Dialer
from exotel_async.campaigns.errors import (
    CampaignStopped,
    DialerStopped,
    LedgerBusy,
    LedgerLost,
    LedgerUnavailable,
)
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.outcome import Attempt, BadContact, CampaignStatistics, ContactOutcome
from exotel_async.campaigns.reached import Reached
from exotel_async.campaigns.retries import Retries, Retry
from exotel_async.campaigns.run import CampaignRun
from exotel_async.campaigns.schedule import Schedule
from exotel_async.campaigns.single_calls import CallSettings
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState

__all__ = [
    "AddResult",
    "Attempt",
    "AttemptState",
    "BadContact",
    "CallSettings",
    "Campaign",
    "CampaignAdmin",
    "CampaignRun",
    "CampaignState",
    "CampaignStatistics",
    "CampaignStopped",
    "Contact",
    "ContactOutcome",
    "ContactState",
    "Dialer",
    "DialerStopped",
    "Ledger",
    "LedgerBusy",
    "LedgerLost",
    "LedgerUnavailable",
    "Reached",
    "Retries",
    "Retry",
    "Schedule",
]
