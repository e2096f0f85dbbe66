"""A call as one row of a table."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypedDict


class CallRow(TypedDict):
    """A call as one flat row: the columns of the export, in their order, as plain types.

    pandas, polars and pyarrow take an iterable of rows as it is. Times are aware, in the session's
    time zone. Durations are seconds, always a float, so that a column has one type. The price is in
    the account's currency. What is not known is None. The columns from `talk_time` to
    `leg2_duration` are None if `details` were not requested. Phone numbers are not masked.

    Attributes:
        sid: the call's identifier.
        created_at: when the call was created.
        status: its current or final status, as Exotel writes it.
        direction: who started it, as Exotel writes it.
        from_number: the party dialled first.
        to_number: the party dialled second.
        exophone: the ExoPhone the call was made with.
        duration: seconds of the whole call.
        price: what it cost.
        started_at: when it began.
        ended_at: when it ended.
        updated_at: when Exotel last changed the record.
        answered_by: who picked up, as Exotel writes it.
        talk_time: seconds for which both parties were connected.
        leg1_status: current or final status of the first party's leg.
        leg1_duration: seconds the first party was on the call.
        leg2_status: current or final status of the second party's leg.
        leg2_duration: seconds the second party was on the call.
        custom_field: what was passed as `custom_field`.
        caller_name: the caller's name.
        forwarded_from: the number that forwarded the call.
        recording_url: where the recording is.
        presigned_recording_url: the same, open for a short time.
        parent_sid: the call this one is a leg of.
        account_sid: the account.
        uri: path of the call as Exotel writes it.
    """

    sid: str
    created_at: datetime | None
    status: str | None
    direction: str | None
    from_number: str | None
    to_number: str | None
    exophone: str | None
    duration: float | None
    price: Decimal | None
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime | None
    answered_by: str | None
    talk_time: float | None
    leg1_status: str | None
    leg1_duration: float | None
    leg2_status: str | None
    leg2_duration: float | None
    custom_field: str | None
    caller_name: str | None
    forwarded_from: str | None
    recording_url: str | None
    presigned_recording_url: str | None
    parent_sid: str | None
    account_sid: str | None
    uri: str | None
