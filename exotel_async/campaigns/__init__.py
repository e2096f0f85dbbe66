"""Campaigns: many people dialled durably, in calling hours, with retries by outcome."""

from exotel_async.campaigns.campaign import Campaign
from exotel_async.campaigns.contact import Contact
from exotel_async.campaigns.outcome import Attempt, BadContact, CampaignStatistics, ContactOutcome
from exotel_async.campaigns.reached import Reached
from exotel_async.campaigns.retries import Retries, Retry
from exotel_async.campaigns.schedule import Schedule
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState

__all__ = [
    "Attempt",
    "AttemptState",
    "BadContact",
    "Campaign",
    "CampaignState",
    "CampaignStatistics",
    "Contact",
    "ContactOutcome",
    "ContactState",
    "Reached",
    "Retries",
    "Retry",
    "Schedule",
]
