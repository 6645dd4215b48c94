"""Versioned changes of the schema ``quimbi``: one file a change under ``versions/``, applied by Alembic in order.

Belongs here: running them; what is laid over their result whatever it is: roles, row-level security, and the one view
that follows from the axes. Does not: any change itself. A new change is a file ``versions/00NN_what.py`` whose
``down_revision`` is the present `HEAD`; then `HEAD` moves to it (a test compares them). There is no way back: nobody
goes from a newer schema to an older one. What came before the first release is one file, ``0013_schema.sql``.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from quimbi_assets.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

FIRST, HEAD = "0013", "0044"
"""Versions of the schema: the oldest that can be upgraded, and the one that this code reads and writes; written down
so that checking it needs no Alembic."""
WIDE = "customer_segments_wide"
WIDE_COLUMNS = {
    "store_id": "The store",
    "customer_id": "The customer, as the store's orders have them",
    "lifecycle": "new, active, slowing, at risk, lapsed or lost",
    "value_tier": "top (the tenth that spent most), high (the quarter), medium (the upper half) or low",
    "rfm_group": "One of the usual ten groups by recency, frequency and spend",
    "archetype": "Name today of the archetype nearest to the customer",
    "lifetime_value": "What the customer spent so far, net of refunds, in the store's currency",
    "n_orders": "Orders by as_of",
    "last_order_at": "Instant of the last order by as_of",
    "churn_risk_score": "Probability, 0-1, of no order in the days that count as staying away; NULL: not known",
    "predicted_value_90d": "Spend of the 90 days from as_of on, expected on average; NULL: not foretold",
    "as_of": "The instant that all of this speaks of, exclusive",
}
"""Columns of the view before those of the axes: at its end alone PostgreSQL adds columns to a view."""
WIDE_VIEW = """
    CREATE OR REPLACE VIEW quimbi.customer_segments_wide WITH (security_invoker = true) AS
    SELECT {columns}
    FROM quimbi.customer_profiles AS profile
    LEFT JOIN quimbi.archetypes AS archetype ON archetype.store_id = profile.store_id
        AND archetype.archetype_id = profile.archetype_id AND archetype.valid_to IS NULL
    LEFT JOIN (
        SELECT store_id, jsonb_object_agg(segment_id, segment_name) AS names
        FROM quimbi.dim_segment_master WHERE valid_to IS NULL GROUP BY store_id
    ) AS today ON today.store_id = profile.store_id
    CROSS JOIN LATERAL jsonb_to_record(coalesce(profile.dominant_segments, '{{}}')) AS segment ({axes})
    CROSS JOIN LATERAL jsonb_to_record(coalesce(profile.evidence, '{{}}')) AS evidence ({axes});
    COMMENT ON VIEW quimbi.customer_segments_wide IS
        'One row a customer, one column an axis: the name today of the segment they are in'
"""
WORKER, OPERATOR, READER, SERVED = "quimbi_app", "quimbi_operator", "quimbi_reader", "quimbi_api"
"""Roles as which all is done, none of which logs in: what a store's transaction does, and it alone; what is read of all
stores; people who only read; programs that ask for one store. The tables' owner is who connects."""
EVERYBODY = (WORKER, OPERATOR, READER, SERVED)
ROLES = f"""
    DO $$
    DECLARE
        name text;
        -- Else the owner would read all stores by being a member of who does.
        how text := CASE WHEN current_setting('server_version_num')::int >= 160000
            THEN 'GRANT %I TO CURRENT_USER WITH INHERIT FALSE' ELSE 'GRANT %I TO CURRENT_USER' END;
    BEGIN
        FOREACH name IN ARRAY ARRAY{list(EVERYBODY)}
        LOOP
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                BEGIN
                    EXECUTE format('CREATE ROLE %I NOLOGIN', name);
                    EXECUTE format(how, name);
                EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
                END;
            END IF;
            IF NOT pg_has_role(name, 'MEMBER') THEN
                EXECUTE format(how, name);
            END IF;
        END LOOP;
    END $$
"""
"""Makes the roles that are not there, and the user a member of each."""
RIGHTS = f"""
    GRANT USAGE ON SCHEMA quimbi TO {WORKER}, {OPERATOR};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA quimbi TO {WORKER};
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA quimbi TO {WORKER};
    GRANT SELECT ON ALL TABLES IN SCHEMA quimbi TO {OPERATOR};
    GRANT SELECT ON ALL SEQUENCES IN SCHEMA quimbi TO {OPERATOR}
"""
UNBOUND = """
    DO $$
    DECLARE relation regclass;
    BEGIN
        FOR relation IN SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('quimbi') AND relforcerowsecurity
        LOOP
            EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', relation);
        END LOOP;
    END $$
"""
"""Lets the owner, who alone changes the schema, reach the rows while that lasts."""
ROW_SECURITY = """
    DO $$
    DECLARE relation record;
    BEGIN
        FOR relation IN
            SELECT c.oid::regclass AS name, c.relrowsecurity AS is_bound, c.relforcerowsecurity AS is_forced,
                EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid AND polname = 'of_all_stores') AS is_read
            FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'store_id'
            WHERE c.relnamespace = 'quimbi'::regnamespace AND c.relkind IN ('r', 'p')
        LOOP
            IF NOT relation.is_bound THEN
                EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation.name);
                EXECUTE format('CREATE POLICY of_one_store ON %s '
                    'USING (store_id = (SELECT current_setting(''quimbi.store_id'', true))) '
                    'WITH CHECK (store_id = (SELECT current_setting(''quimbi.store_id'', true)))', relation.name);
            END IF;
            IF NOT relation.is_forced THEN
                EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation.name);
            END IF;
            IF NOT relation.is_read THEN
                EXECUTE format('DROP POLICY IF EXISTS of_every_store ON %s', relation.name);
                EXECUTE format('CREATE POLICY of_all_stores ON %s FOR SELECT TO quimbi_reader, quimbi_operator '
                    'USING (true)', relation.name);
            END IF;
        END LOOP;
        FOR relation IN
            SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'quimbi'::regnamespace
                AND relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY(reloptions), false)
        LOOP
            EXECUTE format('ALTER VIEW %s SET (security_invoker = true)', relation.name);
        END LOOP;
    END $$
"""
"""Binds every table with a ``store_id`` to the store that a transaction names in ``quimbi.store_id``, its owner too;
`READER` and `OPERATOR` read all stores. Views obey as their tables do. Run again it changes nothing.

The setting stands in a sub-select so that it is looked up once a query, not once a row."""


def secure(cursor: Any) -> None:
    """Give every role what it may, and bind every table to one store at a time; the roles are there."""
    cursor.execute(f"{RIGHTS}; {ROW_SECURITY}")


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

    from quimbi_assets.axes import AXES

    directory = scripts()
    context = EnvironmentContext(
        Config(), directory, fn=lambda current, _: directory._upgrade_revs(HEAD, current), destination_rev=HEAD
    )
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    try:
        with engine.begin() as connection, context:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
            connection.execute(sqlalchemy.text("CREATE SCHEMA IF NOT EXISTS quimbi"))
            connection.execute(sqlalchemy.text(UNBOUND))
            context.configure(connection=connection, version_table_schema="quimbi")
            context.run_migrations()
            cursor = connection.connection.cursor()
            show_axes(cursor, AXES)
            secure(cursor)
    except CommandError as error:
        raise DatabaseUnavailableError(
            f"the database's schema is not one this version knows ({error}): upgrade quimbi_assets; a database of "
            f"before version {FIRST} has to be loaded and run anew"
        ) from error
    except sqlalchemy.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        if isinstance(error.orig, psycopg2.errors.InsufficientPrivilege) and " role" in reason:
            raise DatabaseUnavailableError(_roles_wanted(str(engine.url.username))) from error
        raise DatabaseUnavailableError(f"cannot bring the database's schema to version {HEAD}: {reason}") from error


def _roles_wanted(user: str) -> str:
    """Say what an administrator is to run where the user may not make the roles, or not be them."""
    made = "; ".join(f"CREATE ROLE {role} NOLOGIN" for role in EVERYBODY)
    quoted = '"' + user.replace('"', '""') + '"'
    return (
        "the user of DATABASE_URL may not be a role it needs, nor make one: have an administrator run those of these "
        f"that are not there: {made}; then GRANT {', '.join(EVERYBODY)} TO {quoted}"
    )


_OF_AXIS = (
    "Name today of the segment that the customer is in; NULL: not known, or one order (n_orders = 1) says nothing of it"
)


def show_axes(cursor: Any, axes: Iterable[str]) -> None:
    """Make ``customer_segments_wide``, or give it the axes or the words that it lacks; axes that it has stay in place.

    Who bought once is told so once, by ``n_orders``: an axis that one order says nothing of is NULL.
    """
    from quimbi_assets.axes import AXES

    present = (
        "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 ORDER BY attnum"
    )
    cursor.execute(present, (f"quimbi.{WIDE}",))
    described = dict(cursor.fetchall())
    shown = list(described)
    axes = [*(name for name in shown if name not in WIDE_COLUMNS), *sorted(set(axes) - set(shown))]
    about = WIDE_COLUMNS | {name: f"{AXES[name].question} {_OF_AXIS}" if name in AXES else _OF_AXIS for name in axes}
    if list(described.items()) == list(about.items()):
        return
    names = [f'"{axis}"' for axis in axes]
    columns = ["archetype.name AS archetype" if name == "archetype" else f"profile.{name}" for name in WIDE_COLUMNS]
    columns += [
        f"CASE WHEN profile.n_orders = 1 AND evidence.{name} = 'low' THEN NULL "
        f"ELSE coalesce(today.names ->> segment.{name}, segment.{name}) END AS {name}"
        for name in names
    ]
    cursor.execute(WIDE_VIEW.format(columns=", ".join(columns), axes=", ".join(f"{name} text" for name in names)))
    for name, text in about.items():
        cursor.execute(f'COMMENT ON COLUMN quimbi.{WIDE}."{name}" IS %s', (text,))
