"""The tables of a ledger.

States are the values of `exotel_async.campaigns.words`. Moments are integer milliseconds since the
epoch, by Exotel's clock. Structured values are JSON.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

VERSION: Final = "0002"
"""The latest migration, which results in the tables described here."""
VERSION_TABLE: Final = "ledger_version"


class Price(TypeDecorator[Decimal]):
    """An exact decimal. It is text in SQLite, which has no decimals."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of the database."""
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Convert a price to the stored value."""
        return value if value is None or dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Convert a stored value to a price."""
        return None if value is None else Decimal(value)


metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite assigns row ids only to a column of type INTEGER.
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")

campaigns: Final = Table(
    "campaigns",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("outcomes", BigInteger, nullable=False),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)

contacts: Final = Table(
    "contacts",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    # No foreign key: adding contacts locks their campaign, and campaigns are never deleted. The
    # check would make inserts in PostgreSQL take half as long again.
    Column("campaign_id", _NUMBER, nullable=False),
    Column("key", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("fields", Text),
    Column("custom_field", Text),
    Column("priority", SmallInteger, nullable=False),
    Column("zone", Text, nullable=False),
    Column("not_before", BigInteger),
    Column("due_at", BigInteger),
    Column("alternatives", Text),
    Column("agent", Text),
    Column("caller_id", Text),
    Column("state", Text, nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("tries", Text),
    Column("dialer", Text),
    Column("lease_until", BigInteger),
    Column("reason", Text),
    Column("ended_at", BigInteger),
    Column("outcome", BigInteger),
    UniqueConstraint("campaign_id", "key"),
    UniqueConstraint("campaign_id", "identity"),
    sqlite_autoincrement=True,
)

other_numbers: Final = Table(
    "other_numbers",
    metadata,
    Column("campaign_id", _NUMBER, ForeignKey("campaigns.id"), nullable=False),
    Column("identity", Text, nullable=False),
    Column("contact_id", _NUMBER, ForeignKey("contacts.id"), nullable=False),
    PrimaryKeyConstraint("campaign_id", "identity"),
    Index("ix_other_numbers_contact_id", "contact_id"),
)

attempts: Final = Table(
    "attempts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("contact_id", _NUMBER, ForeignKey("contacts.id"), nullable=False),
    Column("campaign_id", _NUMBER, ForeignKey("campaigns.id"), nullable=False),
    Column("number", Text, nullable=False),
    Column("agent", Text),
    Column("caller_id", Text, nullable=False),
    Column("custom_field", Text),
    Column("state", Text, nullable=False),
    Column("dialer", Text, nullable=False),
    Column("intended_at", BigInteger, nullable=False),
    Column("time_limit", Integer),
    Column("lost_at", BigInteger),
    Column("certain_after", BigInteger),
    Column("sid", Text),
    Column("status", Text),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("duration_ms", BigInteger),
    Column("talk_ms", BigInteger),
    Column("price", Price),
    Column("answered_by", Text),
    Column("recording_url", Text),
    Column("legs", Text),
    Column("error", Text),
    Column("http_status", Integer),
    Column("candidates", Text),
)

do_not_call: Final = Table(
    "do_not_call",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("added_at", BigInteger, nullable=False),
    Column("reason", Text),
)

dialers: Final = Table(
    "dialers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("longest_exchange", BigInteger, nullable=False),
    Column("left_at", BigInteger),
)

counts: Final = Table(
    "counts",
    metadata,
    Column("campaign_id", _NUMBER, ForeignKey("campaigns.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    PrimaryKeyConstraint("campaign_id", "name"),
)

lookups: Final = Table(
    "lookups",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("dnd", Boolean, nullable=False),
    Column("looked_up_at", BigInteger, nullable=False),
)

# Conditions are SQL texts: SQLite uses a partial index only if a query has the same text.
IS_READY: Final = "state = 'ready'"
IS_WAITING: Final = "state = 'waiting'"
IS_CLAIMED: Final = "state = 'claimed'"
IS_OPEN: Final = "state IN ('intended', 'in-doubt', 'placed', 'ended')"
HAS_ENDED: Final = "ended_at IS NOT NULL"
HAS_OUTCOME: Final = "outcome IS NOT NULL"
HAS_SID: Final = "sid IS NOT NULL"


def _partial(name: str, table: Table, condition: str, *columns: str) -> None:
    where = text(condition)
    named = [table.c[column] for column in columns]
    Index(name, *named, sqlite_where=where, postgresql_where=where)


_partial("ix_contacts_ready", contacts, IS_READY, "campaign_id", "zone", "rank", "id")
_partial("ix_contacts_waiting", contacts, IS_WAITING, "campaign_id", "due_at")
_partial("ix_contacts_claimed", contacts, IS_CLAIMED, "campaign_id", "dialer")
_partial("ix_contacts_ended", contacts, HAS_ENDED, "ended_at")
_partial("ix_contacts_outcome", contacts, HAS_OUTCOME, "campaign_id", "outcome")
_partial("ix_attempts_open", attempts, IS_OPEN, "id")
_partial("ix_attempts_sid", attempts, HAS_SID, "sid")
Index("ix_attempts_contact_id", attempts.c.contact_id)
Index("ix_attempts_intended_at", attempts.c.intended_at)
