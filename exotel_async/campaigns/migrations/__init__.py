"""The schema of the ledger's database, from each version to the next, by Alembic."""
