"""No row of another store is read or written: every table with a store, by every verb, as every role.

The tables are the catalogue's, so that a new one is in here by itself. Commands are in ``commands/test_isolation``,
routes and tools in ``api/test_guard`` and ``api/test_mcp_server``, files in ``resources/test_parquet_io``, models in
``resources/mlflow/test_registry``.
"""

import io
from contextlib import closing

import psycopg2
import pytest

from quimbi_assets.resources.postgres.database import EVERY_STORE, OWNER, administration
from quimbi_assets.resources.postgres.migrations import EVERYBODY, OPERATOR, READER, WORKER
from quimbi_assets_tests.administrator import TABLES
from quimbi_assets_tests.resources.postgres.test_access import CHECKS, MADE_UP, REQUIRED

MINE, OTHERS = "mine-alone", "of-another"
SEEING_ALL = (OPERATOR, READER)
VERBS = {
    "select": "SELECT 1 FROM quimbi.{table} WHERE store_id = %(other)s",
    "insert": "INSERT INTO quimbi.{table} ({columns}) VALUES ({theirs})",
    "update": "UPDATE quimbi.{table} SET store_id = store_id WHERE store_id = %(other)s",
    "give away": "UPDATE quimbi.{table} SET store_id = %(other)s WHERE store_id = %(mine)s",
    "delete": "DELETE FROM quimbi.{table} WHERE store_id = %(other)s",
    "merge": "MERGE INTO quimbi.{table} AS stored USING (SELECT 1) AS one ON stored.store_id = %(other)s "
    "WHEN MATCHED THEN DELETE",
}
COPIES = {
    "copy from": ("COPY quimbi.{table} ({columns}) FROM STDIN (FORMAT csv)", "{csv}"),
    "copy to": ("COPY (SELECT 1 FROM quimbi.{table} WHERE store_id = '{other}') TO STDOUT", None),
}


@pytest.fixture(scope="module")
def planted(database):
    """A transaction in which each table has a row of two stores, and the tables with a row's columns and values."""
    with closing(psycopg2.connect(administration(database, database.libpq_url))) as connection:
        cursor, tables = connection.cursor(), {}
        cursor.execute(CHECKS)
        for (sql,) in cursor.fetchall():
            cursor.execute(sql)
        cursor.execute("SET LOCAL session_replication_role = replica")  # without foreign keys
        cursor.execute(TABLES)
        for table, *_ in cursor.fetchall():
            cursor.execute(REQUIRED, (f"quimbi.{table}",))
            columns, kinds = zip(*cursor.fetchall(), strict=True)
            rows = {store: [MADE_UP.get(kind, "0").format(store=store) for kind in kinds] for store in (MINE, OTHERS)}
            listed = ", ".join(columns)
            for row in rows.values():
                cursor.execute(f"INSERT INTO quimbi.{table} ({listed}) VALUES ({', '.join(row)})")
            csv = ",".join(value.strip("'") for value in rows[OTHERS])
            tables[table] = {"table": table, "columns": listed, "theirs": ", ".join(rows[OTHERS]), "csv": csv}
        yield cursor, tables
        connection.rollback()


def reached(cursor, sql, copied=None):
    """Return how many rows a statement reaches, None where it is refused; nothing stays of it."""
    cursor.execute("SAVEPOINT here")
    try:
        if sql.startswith("COPY"):
            file = io.StringIO("" if copied is None else copied)
            cursor.copy_expert(sql, file)
            return len(file.getvalue()) if copied is None else cursor.rowcount
        cursor.execute(sql, {"mine": MINE, "other": OTHERS})
        return cursor.rowcount
    except (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.FeatureNotSupported):
        return None
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT here")


def as_role(cursor, role, store_id):
    cursor.execute(f"SET LOCAL ROLE {role}; SET LOCAL quimbi.store_id TO %s", (store_id,))


@pytest.mark.parametrize("store_id", [MINE, "", "no-such-store"])
@pytest.mark.parametrize("role", [OWNER, *EVERYBODY])
def test_no_verb_reaches_a_row_of_another_store(planted, role, store_id):
    cursor, tables = planted
    assert len(tables) > 35
    as_role(cursor, role, store_id)
    for about in tables.values():
        got = {verb: reached(cursor, sql.format(**about)) for verb, sql in VERBS.items()}
        for verb, (sql, copied) in COPIES.items():
            csv = None if copied is None else f"{copied.format(**about)}\n"
            got[verb] = reached(cursor, sql.format(**about, other=OTHERS), csv)
        seen = {got.pop("select"), got.pop("copy to")}
        if role in SEEING_ALL:
            assert seen <= {None, 1, 2}, about["table"]  # all stores' rows, or, of what waits to be sent, none
        else:
            assert seen <= {None, 0}, about["table"]
        assert not any(got.values()), (about["table"], got)
        assert got["insert"] is None, about["table"]
        assert got["copy from"] is None, about["table"]


@pytest.mark.parametrize("role", [WORKER, OWNER])
def test_rows_of_the_store_itself_are_there_to_read_and_to_write(planted, role):
    cursor, tables = planted
    as_role(cursor, role, MINE)
    for about in tables.values():
        table = about["table"]
        assert reached(cursor, f"SELECT 1 FROM quimbi.{table}") == 1, table
        assert reached(cursor, f"UPDATE quimbi.{table} SET store_id = store_id") == 1, table
        assert reached(cursor, f"DELETE FROM quimbi.{table}") == 1, table


def test_who_sees_all_stores_writes_none(planted):
    cursor, tables = planted
    for role in SEEING_ALL:
        as_role(cursor, role, MINE)
        for table in tables:
            assert reached(cursor, f"DELETE FROM quimbi.{table} WHERE store_id = %(mine)s") is None, table
    as_role(cursor, OPERATOR, "")
    assert all(reached(cursor, f"SELECT 1 FROM quimbi.{table}") >= 2 for table in tables)


def test_nobody_is_let_past(database):
    """No role that works, nor the login, is a superuser or may ignore policies."""
    sql = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND (rolsuper OR rolbypassrls)"
    assert database.execute(EVERY_STORE, sql, ([OWNER, *EVERYBODY],)) == []
    for whose, role in ((MINE, WORKER), (EVERY_STORE, OPERATOR)):
        with database.transaction(whose) as cursor:
            cursor.execute("SELECT current_user, session_user")
            assert cursor.fetchone() == (role, OWNER)
    with database.by_owner() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (OWNER,)


def test_a_transaction_of_one_store_is_of_no_other(database):
    with database.snapshot(MINE) as now:
        for whose in (OTHERS, EVERY_STORE):
            with pytest.raises(ValueError, match="bound to store 'mine-alone'"):
                now.execute(whose, "SELECT 1")
    with pytest.raises(TypeError):
        database.execute("SELECT 1")
    with pytest.raises(TypeError), database.transaction():
        pass
