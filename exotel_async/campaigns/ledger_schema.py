"""Migrates the schema of the ledger's database to this version when it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from exotel_async.campaigns.tables import VERSION, VERSION_TABLE, metadata
from exotel_async.errors import ConfigurationError

_MIGRATIONS: Final = Path(__file__).with_name("migrations")
_STORED: Final = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
_MIGRATING: Final = text("SELECT pg_advisory_xact_lock(1163415630, 0)")


def bring_up_to_date(connection: Connection) -> None:
    """Create the tables, or migrate them to this version of the package.

    Raises:
        ConfigurationError: the database was written by a newer version of the package, or has
            tables with the same names that are not a ledger's.
    """
    if _version(connection) == VERSION:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(_MIGRATING)  # another process may be doing the same
    stored = _version(connection)
    if stored is not None and stored > VERSION:
        raise ConfigurationError(
            f"the ledger has schema {stored}, of a newer exotel-async; this one knows {VERSION}"
        )
    if stored is None:
        taken = sorted({*inspect(connection).get_table_names()} & {*metadata.tables})
        if taken:
            raise ConfigurationError(
                f"the database has tables of something else: {', '.join(taken)}. A ledger needs a"
                " file of its own, or a schema: postgresql://host/database?options=-csearch_path%3D..."
            )
    if stored != VERSION:
        _migrate(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(_STORED).scalar()
    return None if found is None else str(found)


def _migrate(connection: Connection) -> None:
    # Alembic takes a tenth of a second to import, and is needed once per version.
    try:
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            'campaigns need Alembic: pip install "exotel-async[campaigns]"'
        ) from None

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
