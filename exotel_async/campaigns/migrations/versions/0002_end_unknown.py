"""Adds the count of calls whose end is not known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count the existing attempts whose calls have an unknown end."""
    count = sa.text(
        "INSERT INTO counts (campaign_id, name, value)"
        " SELECT campaign_id, :name, count(*) FROM attempts"
        " WHERE state = 'unresolved' AND sid IS NOT NULL GROUP BY campaign_id"
        " ON CONFLICT (campaign_id, name) DO UPDATE SET value = counts.value + excluded.value"
    )
    for name in ("attempts", "end_unknown"):
        op.execute(count.bindparams(name=name))
