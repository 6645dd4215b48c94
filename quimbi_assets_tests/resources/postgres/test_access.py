"""Row-level security on real tables: what a transaction bound to a store can see, whatever its SQL says."""

from contextlib import ExitStack

import psycopg2
import pytest

from quimbi_assets.errors import DatabaseUnavailableError
from quimbi_assets.resources.postgres import access
from quimbi_assets.resources.postgres.access import (
    NOT_SERVED,
    SERVED_COLUMNS,
    SERVED_TABLES,
    ServedDatabase,
    allow_reading,
    allow_serving,
)
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database
from quimbi_assets_tests.administrator import TABLES, administer, administering
from quimbi_assets_tests.resources.postgres.test_database import given_server, run
from quimbi_assets_tests.resources.published import publish

ALL_TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'quimbi'::regnamespace AND relkind IN ('r', 'p', 'm', 'f')
"""
CHECKS = """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
    FROM pg_constraint WHERE contype = 'c' AND connamespace = 'quimbi'::regnamespace
"""
REQUIRED = """
    SELECT quote_ident(attname), format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND attnotnull AND NOT atthasdef AND attidentity = ''
"""
MADE_UP = {
    "text": "'{store}'", "jsonb": "'{{}}'", "date": "'2024-01-01'", "timestamp with time zone": "'2024-01-01'",
    "boolean": "false", "bytea": "'{store}'", "text[]": "'{{}}'",
}  # fmt: skip
VIEWS = "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'quimbi'::regnamespace AND relkind = 'v'"


@pytest.fixture(scope="module")
def served(database):
    for store in ("bound-a", "bound-b"):
        publish(database, store)
    opened = ServedDatabase.of(database)
    yield opened
    opened.close()


def test_every_table_with_a_store_is_bound_and_every_view_obeys(database, served):
    allow_reading(database)
    tables = administer(database, TABLES)
    assert len(tables) > 25
    unbound = [name for name, is_bound, policies in tables if not is_bound or "of_one_store" not in policies]
    assert unbound == []
    assert [name for name, _, policies in tables if "of_all_stores" not in policies] == []
    views = administer(database, VIEWS)
    assert views
    assert [name for name, options in views if options != ["security_invoker=true"]] == []


def test_every_table_is_named_as_served_or_not(database):
    names = [name for (name,) in administer(database, ALL_TABLES)]
    assert sorted((*SERVED_TABLES, *NOT_SERVED)) == sorted(names)


def test_a_new_table_is_not_served_until_it_is_named(database, served):
    with database.by_owner() as cursor:
        cursor.execute("CREATE TABLE quimbi.later_words (store_id text)")
    try:
        allow_serving(database)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), served.of_store("bound-a") as now:
            now.execute("bound-a", "SELECT * FROM quimbi.later_words")
    finally:
        administer(database, "DROP TABLE quimbi.later_words")


def test_no_table_shows_a_row_of_another_store(database, served):
    with administering(database) as cursor:
        for (sql,) in administer(database, CHECKS):
            cursor.execute(sql)
        cursor.execute("SET LOCAL session_replication_role = replica")  # without foreign keys
        for table in SERVED_TABLES:
            cursor.execute(REQUIRED, (f"quimbi.{table}",))
            columns, kinds = zip(*cursor.fetchall(), strict=True)
            for store in ("bound-a", "bound-b"):
                row = ", ".join(MADE_UP.get(kind, "0").format(store=store) for kind in kinds)
                values = f"({', '.join(columns)}) VALUES ({row})"
                cursor.execute(f"INSERT INTO quimbi.{table} {values} ON CONFLICT DO NOTHING")
            cursor.execute(f"SELECT count(DISTINCT store_id) FROM quimbi.{table} WHERE store_id LIKE 'bound-%'")
            assert cursor.fetchone() == (2,), table
        cursor.execute(access.BOUND.replace("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", ""), ("bound-a",))
        for table in SERVED_TABLES:
            cursor.execute(f"SELECT array_agg(DISTINCT store_id) FROM quimbi.{table}")
            assert cursor.fetchone() == (["bound-a"],), table
        cursor.execute("ROLLBACK")
    with served.of_store("bound-a") as now:
        assert now.execute("bound-a", "SELECT count(*) FROM quimbi.customer_profiles") == [(3,)]


@pytest.mark.parametrize("table", [*NOT_SERVED, "customer_profiles_named", "audience_membership"])
def test_some_tables_are_not_served_at_all(served, table):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), served.of_store("bound-a") as now:
        now.execute("bound-a", f"SELECT * FROM quimbi.{table} LIMIT 1")


def test_of_tickets_programs_see_how_they_went_and_no_word(served):
    with served.of_store("bound-a") as now:
        now.execute("bound-a", f"SELECT {', '.join(SERVED_COLUMNS['support_tickets'])} FROM quimbi.support_tickets")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), served.of_store("bound-a") as now:
        now.execute("bound-a", "SELECT subject FROM quimbi.support_tickets")


def test_nothing_is_written_and_without_a_store_nothing_is_seen(database, served):
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction), served.of_store("bound-a") as now:
        now.execute("bound-a", "DELETE FROM quimbi.customer_profiles RETURNING 1")
    with administering(database) as cursor:
        cursor.execute(f"SET LOCAL ROLE {access.SERVED}")
        cursor.execute("SELECT count(*) FROM quimbi.stores")
        assert cursor.fetchone() == (0,)


def test_a_connection_is_clean_when_it_is_taken_again(served):
    with served.of_store("bound-a") as now:
        assert now.execute("bound-a", "SELECT current_user") == [(access.SERVED,)]
    (((user, store),),) = (
        served.execute(EVERY_STORE, "SELECT current_user, current_setting('quimbi.store_id', true)"),
    )
    assert user != access.SERVED
    assert not store


def test_connections_that_the_server_closed_are_replaced(database, served):
    with served.of_store("bound-a") as now:
        ((number,),) = now.execute("bound-a", "SELECT pg_backend_pid()")
    administer(database, "SELECT pg_terminate_backend(%s)", (number,))
    with served.of_store("bound-a") as now:
        assert now.execute("bound-a", "SELECT count(*) FROM quimbi.customer_profiles") == [(3,)]


def test_a_question_that_takes_too_long_ends(served, monkeypatch):
    monkeypatch.setattr(access, "BOUND", access.BOUND.replace(f"'{access.LONGEST_SECONDS}s'", "'50ms'"))
    with pytest.raises(DatabaseUnavailableError, match="longer than"), served.of_store("bound-a") as now:
        now.execute("bound-a", "SELECT pg_sleep(5)")


def test_nobody_waits_for_a_connection_without_end(served, monkeypatch):
    monkeypatch.setattr(access, "LONGEST_WAIT_SECONDS", 0.05)
    with ExitStack() as taken:
        for _ in range(access.CONNECTIONS):
            taken.enter_context(served.of_store("bound-a"))
        with pytest.raises(DatabaseUnavailableError, match="many ask at once"), served.of_store("bound-b"):
            pass
        with pytest.raises(DatabaseUnavailableError, match="many ask at once"):
            served.execute(EVERY_STORE, "SELECT 1")
        served.check()
    assert served.execute(EVERY_STORE, "SELECT 1") == [(1,)]


def test_no_other_connection_is_opened_through_one_of_a_store(served, monkeypatch):
    monkeypatch.setenv("PGHOST", "/nowhere")
    with served.of_store("bound-a") as now:
        for ask in (now.execute_dagster, now.execute_mlflow):
            with pytest.raises(psycopg2.ProgrammingError, match="no_connection_but"):
                ask("SELECT 1")
        assert now.execute("bound-a", "SELECT 1") == [(1,)]


def test_who_reads_all_stores_reads_them_through_views_too(database, served):
    allow_reading(database)
    with administering(database) as cursor:
        cursor.execute(f"SET LOCAL ROLE {access.READER}")
        cursor.execute("SELECT DISTINCT store_id FROM quimbi.customer_profiles_named WHERE store_id LIKE 'bound-%'")
        assert {store for (store,) in cursor.fetchall()} == {"bound-a", "bound-b"}


def test_a_user_who_may_not_make_roles_is_told_what_to_have_run(database, served, monkeypatch):
    run(database, "CREATE ROLE rowless LOGIN", "CREATE DATABASE rowless OWNER rowless")
    run(database, "CREATE DATABASE rowless_dagster OWNER rowless", "CREATE DATABASE rowless_mlflow OWNER rowless")
    given_server(database, monkeypatch, "rowless", "rowless")
    with pytest.raises(DatabaseUnavailableError, match="CREATE ROLE quimbi_app NOLOGIN; ") as refused:
        open_database()
    run(database, str(refused.value).rpartition("; then ")[2])  # the roles are there: other projects' of this server
    opened = open_database()
    allow_serving(opened)
    assert opened.execute("bound-a", "SELECT current_user") == [("quimbi_app",)]


def test_a_question_that_fails_leaves_no_transaction(database, served):
    for _ in range(access.CONNECTIONS + 2):
        with pytest.raises(psycopg2.Error), served.of_store("bound-a") as now:
            now.execute("bound-a", "SELECT no_such_column FROM quimbi.stores")
        with pytest.raises(psycopg2.Error), served.transaction("half-way") as cursor:
            cursor.execute("INSERT INTO quimbi.stores (store_id) VALUES ('half-way'); SELECT no_such_column")
    assert served.execute(EVERY_STORE, "SELECT count(*) FROM quimbi.stores WHERE store_id = 'half-way'") == [(0,)]
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND query LIKE '%half-way%'"
    )
    assert administer(database, waiting) == [(0,)]
    with served.transaction("whole-way") as cursor:
        cursor.execute("INSERT INTO quimbi.stores (store_id) VALUES ('whole-way')")
    assert database.execute(EVERY_STORE, "SELECT count(*) FROM quimbi.stores WHERE store_id = 'whole-way'") == [(1,)]
