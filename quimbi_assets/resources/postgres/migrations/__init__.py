"""Versioned changes of the schema ``quimbi``: one file a change under ``versions/``, applied by Alembic in order.

Belongs here: running them. Does not: any change itself. A new change is a file ``versions/00NN_what.py`` whose
``down_revision`` is the present `HEAD`; then `HEAD` moves to it (a test compares them). There is no way back: nobody
goes from a newer schema to an older one. What came before the first release is one file, ``0013_schema.sql``.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from quimbi_assets.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

FIRST, HEAD = "0013", "0026"
"""Versions of the schema: the oldest that can be upgraded, and the one that this code reads and writes; written down
so that checking it needs no Alembic."""


def scripts() -> "ScriptDirectory":
    """Return Alembic's view of the ``versions`` directory."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def upgrade(url: str, lock: int) -> None:
    """Bring the store database (SQLAlchemy's URL) to `HEAD` in one transaction, one process at a time by a lock's key.

    DatabaseUnavailableError if the schema is newer than this code, or the role may not change it.
    """
    import sqlalchemy
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.util import CommandError

    directory = scripts()
    context = EnvironmentContext(
        Config(), directory, fn=lambda current, _: directory._upgrade_revs(HEAD, current), destination_rev=HEAD
    )
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    try:
        with engine.begin() as connection, context:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
            connection.execute(sqlalchemy.text("CREATE SCHEMA IF NOT EXISTS quimbi"))
            context.configure(connection=connection, version_table_schema="quimbi")
            context.run_migrations()
    except CommandError as error:
        raise DatabaseUnavailableError(
            f"the database's schema is not one this version knows ({error}): upgrade quimbi_assets; a database of "
            f"before version {FIRST} has to be loaded and run anew"
        ) from error
    except sqlalchemy.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise DatabaseUnavailableError(f"cannot bring the database's schema to version {HEAD}: {reason}") from error
