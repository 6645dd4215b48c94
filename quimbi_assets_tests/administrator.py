"""The tests' server as its administrator sees it: what a test plants in a table, or looks for beyond one store."""

from contextlib import closing, contextmanager

import psycopg2

from quimbi_assets.resources.postgres.database import administration


@contextmanager
def administering(database):
    """Yield a cursor in a transaction that no row-level security binds."""
    url = administration(database, database.libpq_url)
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        yield cursor


TABLES = """
    SELECT c.relname, relrowsecurity AND relforcerowsecurity,
        array(SELECT polname FROM pg_policy WHERE polrelid = c.oid)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND attname = 'store_id'
    WHERE relnamespace = 'quimbi'::regnamespace AND relkind IN ('r', 'p')
"""
"""Tables with a store, whether row-level security is forced on them, and their policies."""


def digest_of(database, *store_ids):
    """Return of each table how many rows stores have in it, and a digest of these."""
    with administering(database) as cursor:
        cursor.execute(TABLES)
        digests = {}
        for table, *_ in cursor.fetchall():
            cursor.execute(
                f"SELECT count(*), md5(string_agg(one::text, '|' ORDER BY one::text)) FROM quimbi.{table} AS one "
                "WHERE store_id = ANY(%s)",
                (list(store_ids),),
            )
            digests[table] = cursor.fetchone()
    return digests


def administer(database, sql, parameters=None):
    """Run one statement so and return its rows, if it has any."""
    with administering(database) as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []
