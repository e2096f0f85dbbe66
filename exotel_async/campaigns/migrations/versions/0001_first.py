"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    number: Any = sa.BigInteger if is_postgres else sa.Integer
    price = sa.Numeric if is_postgres else sa.Text

    def moment(name: str, *, nullable: bool = True) -> sa.Column[int]:
        return sa.Column(name, sa.BigInteger, nullable=nullable)

    def word(name: str, *, nullable: bool = True) -> sa.Column[str]:
        return sa.Column(name, sa.Text, nullable=nullable)

    def of_campaign(table: str) -> list[Any]:
        return [
            sa.Column("campaign_id", number, nullable=False),
            sa.ForeignKeyConstraint(
                ["campaign_id"], ["campaigns.id"], name=f"fk_{table}_campaign_id"
            ),
        ]

    def of_contact(table: str) -> list[Any]:
        return [
            sa.Column("contact_id", number, nullable=False),
            sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=f"fk_{table}_contact_id"),
        ]

    op.create_table(
        "campaigns",
        sa.Column("id", number, autoincrement=True, nullable=False),
        word("name", nullable=False),
        word("settings", nullable=False),
        word("state", nullable=False),
        word("reason"),
        moment("created_at", nullable=False),
        moment("started_at"),
        moment("ended_at"),
        sa.Column("outcomes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_campaigns"),
        sa.UniqueConstraint("name", name="uq_campaigns_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "contacts",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("campaign_id", number, nullable=False),
        word("key", nullable=False),
        word("number", nullable=False),
        word("identity", nullable=False),
        word("fields"),
        word("custom_field"),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        word("zone", nullable=False),
        moment("not_before"),
        moment("due_at"),
        word("alternatives"),
        word("agent"),
        word("caller_id"),
        word("state", nullable=False),
        sa.Column("rank", sa.SmallInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        word("tries"),
        word("dialer"),
        moment("lease_until"),
        word("reason"),
        moment("ended_at"),
        sa.Column("outcome", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_contacts"),
        sa.UniqueConstraint("campaign_id", "key", name="uq_contacts_campaign_id_key"),
        sa.UniqueConstraint("campaign_id", "identity", name="uq_contacts_campaign_id_identity"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "other_numbers",
        *of_campaign("other_numbers"),
        word("identity", nullable=False),
        *of_contact("other_numbers"),
        sa.PrimaryKeyConstraint("campaign_id", "identity", name="pk_other_numbers"),
    )
    op.create_table(
        "attempts",
        word("id", nullable=False),
        *of_contact("attempts"),
        *of_campaign("attempts"),
        word("number", nullable=False),
        word("agent"),
        word("caller_id", nullable=False),
        word("custom_field"),
        word("state", nullable=False),
        word("dialer", nullable=False),
        moment("intended_at", nullable=False),
        sa.Column("time_limit", sa.Integer),
        moment("lost_at"),
        moment("certain_after"),
        word("sid"),
        word("status"),
        moment("started_at"),
        moment("ended_at"),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("talk_ms", sa.BigInteger),
        sa.Column("price", price),
        word("answered_by"),
        word("recording_url"),
        word("legs"),
        word("error"),
        sa.Column("http_status", sa.Integer),
        word("candidates"),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
    )
    op.create_table(
        "do_not_call",
        word("identity", nullable=False),
        moment("added_at", nullable=False),
        word("reason"),
        sa.PrimaryKeyConstraint("identity", name="pk_do_not_call"),
    )
    op.create_table(
        "dialers",
        word("id", nullable=False),
        word("host", nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        moment("started_at", nullable=False),
        moment("lease_until", nullable=False),
        sa.Column("longest_exchange", sa.BigInteger, nullable=False),
        moment("left_at"),
        sa.PrimaryKeyConstraint("id", name="pk_dialers"),
    )
    op.create_table(
        "counts",
        *of_campaign("counts"),
        word("name", nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "name", name="pk_counts"),
    )
    op.create_table(
        "lookups",
        word("identity", nullable=False),
        sa.Column("dnd", sa.Boolean, nullable=False),
        moment("looked_up_at", nullable=False),
        sa.PrimaryKeyConstraint("identity", name="pk_lookups"),
    )

    is_open = "state IN ('intended', 'in-doubt', 'placed', 'ended')"
    for name, table, columns, condition in (
        ("ready", "contacts", ["campaign_id", "zone", "rank", "id"], "state = 'ready'"),
        ("waiting", "contacts", ["campaign_id", "due_at"], "state = 'waiting'"),
        ("claimed", "contacts", ["campaign_id", "dialer"], "state = 'claimed'"),
        ("ended", "contacts", ["ended_at"], "ended_at IS NOT NULL"),
        ("outcome", "contacts", ["campaign_id", "outcome"], "outcome IS NOT NULL"),
        ("open", "attempts", ["id"], is_open),
        ("sid", "attempts", ["sid"], "sid IS NOT NULL"),
        ("contact_id", "attempts", ["contact_id"], None),
        ("intended_at", "attempts", ["intended_at"], None),
        ("contact_id", "other_numbers", ["contact_id"], None),
    ):
        where = None if condition is None else sa.text(condition)
        op.create_index(
            f"ix_{table}_{name}", table, columns, sqlite_where=where, postgresql_where=where
        )
