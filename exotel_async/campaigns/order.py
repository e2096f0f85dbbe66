"""Builds the request that dials a contact, marked with the id of its attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from exotel_async.campaigns.campaign import plan_for, target_of

if TYPE_CHECKING:
    from exotel_async.calls.connect_many_plan import DialOrder
    from exotel_async.campaigns.campaign import Campaign
    from exotel_async.campaigns.entries import ClaimedContact

ATTEMPT: Final = "attempt"
"""The query parameter of the status callback's URL that has the attempt's id."""


def order_for(
    campaign: Campaign, contact: ClaimedContact, attempt_id: str, account_sid: str
) -> tuple[DialOrder, dict[str, Any]]:
    """Return the dial of a contact, and the values of its attempt.

    The attempt's id is sent in the URL of the status callback, and as the custom field if the user
    has none.

    Raises:
        InvalidRequest: Exotel would refuse an argument.
    """
    caller_id = contact.caller_id or campaign.caller_ids[contact.id % len(campaign.caller_ids)]
    custom_field = contact.custom_field or campaign.custom_field or attempt_id
    target = target_of(
        campaign,
        number=number_of(contact),
        agent=contact.agent,
        caller_id=caller_id,
        custom_field=custom_field,
        status_callback=with_attempt(campaign.status_callback, attempt_id),
    )
    order = plan_for(account_sid).order(target)
    form = dict(order.request.form)
    # If Exotel itself may redial, all of it together may last longer than the limit.
    is_limited = form.get("MaxRetries") == "0" and form.get("TimeLimit", "").isdecimal()
    values = {
        "number": form["From"],
        "agent": form.get("To"),
        "caller_id": form["CallerId"],
        "custom_field": form.get("CustomField"),
        "time_limit": int(form["TimeLimit"]) if is_limited else None,
    }
    return order, values


def number_of(contact: ClaimedContact) -> str:
    """Return the number to dial next: the numbers of a contact are tried in turn."""
    numbers = (contact.number, *contact.alternatives)
    return numbers[contact.attempts % len(numbers)]


def with_attempt(url: str | None, attempt_id: str) -> str | None:
    """Return the URL of a status callback with an attempt's id in its query."""
    if url is None:
        return None
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != ATTEMPT]
    return urlunsplit(parts._replace(query=urlencode([*query, (ATTEMPT, attempt_id)])))
