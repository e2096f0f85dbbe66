"""Alembic's environment: runs the migrations in the transaction of the given connection."""

from __future__ import annotations

from alembic import context

from exotel_async.campaigns.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
