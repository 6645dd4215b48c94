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


def administer(database, sql, parameters=None):
    """Run one statement so and return its rows, if it has any."""
    with administering(database) as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []
