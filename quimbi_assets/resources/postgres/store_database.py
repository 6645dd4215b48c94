"""The store database as a Dagster resource.

Belongs here: the resource. Does not: SQL (``tables``, ``reading``), loading files (``loading``).
"""

from dagster import ConfigurableResource

from quimbi_assets.resources.postgres.database import Database, open_database


class StoreDatabase(ConfigurableResource):
    """The server of ``DATABASE_URL``, or the embedded one under ``QUIMBI_HOME``."""

    def database(self) -> Database:
        """Return the database, started and migrated if need be."""
        return open_database()
