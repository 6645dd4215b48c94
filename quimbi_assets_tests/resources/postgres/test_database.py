"""Databases, migrations, and the errors of a server that cannot be used."""

import psycopg2
import pytest
import sqlalchemy
from psycopg2.errors import UniqueViolation

from quimbi_assets.errors import BadInputError, DatabaseUnavailableError
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres import database as module
from quimbi_assets.resources.postgres import migrations
from quimbi_assets.resources.postgres.database import (
    EVERY_STORE,
    Database,
    administration,
    database_name,
    is_transient,
    keep_rows_out,
    open_database,
)
from quimbi_assets_tests.administrator import administer, administering


def test_tables_of_the_schema(database):
    with administering(database) as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'quimbi' AND table_type = 'BASE TABLE'"
        )
        tables = {row[0] for row in cursor.fetchall()}
        cursor.execute(
            """SELECT tc.table_name, kcu.column_name FROM information_schema.table_constraints tc
               JOIN information_schema.key_column_usage kcu USING (constraint_name, table_schema)
               WHERE tc.table_schema = 'quimbi' AND kcu.ordinal_position = 1 AND constraint_type = 'PRIMARY KEY'"""
        )
        first = dict(cursor.fetchall())
    expected = {"stores", "orders", "order_items", "support_tickets", "quarantined_rows"}
    assert expected | {"customer_profiles", "dim_segment_master", "segment_lineage", "publications"} <= tables
    assert {first[table] for table in tables - {"alembic_version"}} == {"store_id"}


def test_every_table_view_and_column_says_what_it_holds(database):
    silent = """
        SELECT relname || coalesce('.' || attname, '') FROM pg_class
        LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
        WHERE relnamespace = 'quimbi'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
            AND (obj_description(pg_class.oid, 'pg_class') IS NULL OR col_description(pg_class.oid, attnum) IS NULL)
    """
    assert administer(database, silent) == []
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'quimbi'"
    assert administer(database, columns)[0][0] > 300


def test_head_is_the_newest_migration():
    assert migrations.scripts().get_current_head() == migrations.HEAD


def test_urls_name_the_driver(database):
    assert all(
        url.startswith("postgresql+psycopg2://") for url in (database.url, database.dagster_url, database.mlflow_url)
    )


def test_dagster_and_mlflow_have_databases_of_their_own(database):
    for url, name in ((database.dagster_url, "dagster"), (database.mlflow_url, "mlflow")):
        with sqlalchemy.create_engine(url).connect() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT current_database()")) == name


def test_up_to_date_needs_no_migration(database, home, monkeypatch):
    def refuse(*_):
        raise AssertionError("migrated although up to date")

    monkeypatch.setattr(migrations, "upgrade", refuse)
    assert open_database(home) == database


def test_transaction_rolls_back_on_error(database):
    def fail(cursor):
        cursor.execute("INSERT INTO quimbi.stores (store_id) VALUES ('rolled-back')")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError), administering(database) as cursor:
        fail(cursor)
    with administering(database) as cursor:
        cursor.execute("SELECT count(*) FROM quimbi.stores WHERE store_id = 'rolled-back'")
        assert cursor.fetchone() == (0,)


def test_a_query_keeps_whole_numbers_whole_and_json_as_objects(database):
    rows = "(VALUES (4, 'x'), (NULL, NULL)) AS t (n, word)"
    found = database.query(EVERY_STORE, f"""SELECT n, 2 AS whole, word, '{{"a": [1.5]}}'::jsonb AS json FROM {rows}""")
    assert found["n"].tolist() == [4, None]
    assert found["whole"].dtype == "int64"
    assert found["word"].isna().tolist() == [False, True]
    assert found["json"][0] == {"a": [1.5]}
    empty = database.query(EVERY_STORE, "SELECT store_id FROM quimbi.stores WHERE store_id = %(s)s", {"s": "nowhere"})
    assert (list(empty.columns), len(empty)) == (["store_id"], 0)


def test_what_is_read_of_a_snapshot_is_of_one_instant_and_nothing_is_written(database):
    count = "SELECT count(*) AS n FROM quimbi.stores WHERE store_id = 'snapshot-late'"
    with database.snapshot(EVERY_STORE) as then:
        assert then.query(EVERY_STORE, count)["n"][0] == 0
        with administering(database) as cursor:
            cursor.execute("INSERT INTO quimbi.stores (store_id) VALUES ('snapshot-late')")
        assert database.query(EVERY_STORE, count)["n"][0] == 1
        assert then.query(EVERY_STORE, count)["n"][0] == 0
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction), database.snapshot(EVERY_STORE) as then:
        then.query(EVERY_STORE, "INSERT INTO quimbi.stores (store_id) VALUES ('snapshot-writes') RETURNING store_id")


def given_server(database: Database, monkeypatch, role: str, name: str) -> str:
    url = database.libpq_url.replace("quimbi_owner@/quimbi", f"{role}@/{name}")
    monkeypatch.setenv("DATABASE_URL", url)
    return url


def run(database: Database, *statements: str) -> None:
    connection = psycopg2.connect(administration(database, database.libpq_url))
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def test_given_server_gets_three_databases(database, monkeypatch):
    url = given_server(database, monkeypatch, "postgres", "shop")
    monkeypatch.setenv("DATABASE_URL", url.replace("postgresql://", "postgres://"))
    opened = open_database()
    assert opened.libpq_url == url
    assert [database_name(one) for one in (opened.url, opened.dagster_url, opened.mlflow_url)] == [
        "shop",
        "shop_dagster",
        "shop_mlflow",
    ]
    assert module._is_current(opened)
    assert open_database() == opened


def test_role_that_may_not_create_databases_is_told_which(database, monkeypatch):
    run(database, "CREATE ROLE limited LOGIN", "CREATE DATABASE small OWNER limited")
    given_server(database, monkeypatch, "limited", "small")
    with pytest.raises(DatabaseUnavailableError) as raised:
        open_database()
    statements = str(raised.value).split("have run: ")[1]
    assert statements == 'CREATE DATABASE "small_dagster"; CREATE DATABASE "small_mlflow";'
    run(database, *(f"{statement.strip()} OWNER limited" for statement in statements.split(";") if statement.strip()))
    with pytest.raises(DatabaseUnavailableError, match="may not be a role it needs"):
        open_database()
    run(database, f"GRANT {', '.join(migrations.EVERYBODY)} TO limited")
    assert module._is_current(open_database())


@pytest.mark.parametrize("version", ["9999", "0012"])
def test_schema_newer_than_the_code_or_older_than_the_first_release_is_refused(database, monkeypatch, version):
    given_server(database, monkeypatch, "postgres", f"at_{version}")
    opened = open_database()
    with administering(opened) as cursor:
        cursor.execute("UPDATE quimbi.alembic_version SET version_num = %s", (version,))
    with pytest.raises(DatabaseUnavailableError, match=r"upgrade quimbi_assets; .* before version 0013 .* run anew"):
        open_database()


@pytest.mark.parametrize(
    "url", ["mysql://u@h/d", "postgresql://host-without-database", "postgres:u:x@h", "postgres:/u:x@h/d"]
)
def test_url_of_another_kind_is_refused(monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(BadInputError, match="DATABASE_URL must read"):
        open_database()


@pytest.mark.parametrize("url", ["postgresql://u:planted PW@[::1/x", "postgresql://u:planted@h/x?planted=bar"])
def test_an_address_that_cannot_be_read_is_bad_input_and_not_repeated(monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(BadInputError, match="DATABASE_URL cannot be read") as raised:
        open_database()
    assert "planted" not in str(raised.value)


def test_unreachable_server_is_one_line_without_the_password(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@127.0.0.1:1/shop")
    with pytest.raises(DatabaseUnavailableError, match="cannot reach") as raised:
        open_database()
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_home_that_is_a_file_is_bad_input(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QUIMBI_HOME", str(tmp_path / "file"))
    with pytest.raises(BadInputError, match="QUIMBI_HOME"):
        quimbi_home()


def test_home_defaults_to_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.delenv("QUIMBI_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert quimbi_home() == tmp_path / ".quimbi"
    assert quimbi_home().is_dir()


def test_which_faults_of_a_real_server_pass(database):
    refused = sqlalchemy.create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with pytest.raises(sqlalchemy.exc.OperationalError) as away:
        refused.connect()
    assert is_transient(away.value)
    with pytest.raises(psycopg2.Error) as unknown, administering(database) as cursor:
        cursor.execute("SELECT no_such_column FROM quimbi.stores")
    assert not is_transient(unknown.value)
    connection = psycopg2.connect(database.libpq_url)
    with administering(database) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    with pytest.raises(psycopg2.Error) as ended:
        connection.cursor().execute("SELECT 1")
    assert is_transient(ended.value)
    connection.close()


def test_a_fault_passes_if_its_cause_does():
    error = RuntimeError("could not log the model")
    assert not is_transient(error)
    error.__cause__ = ConnectionRefusedError("no")
    assert is_transient(error)


def test_of_an_error_that_quotes_a_row_the_first_line_is_kept(database):
    administer(database, "INSERT INTO quimbi.stores (store_id) VALUES ('twice')")
    try:
        with pytest.raises(UniqueViolation) as raised, administering(database) as cursor:
            cursor.execute("INSERT INTO quimbi.stores (store_id) VALUES ('twice')")
    finally:
        administer(database, "DELETE FROM quimbi.stores WHERE store_id = 'twice'")
    assert "(twice)" in str(raised.value)
    wrapped = RuntimeError("a step failed")
    wrapped.__cause__ = raised.value
    keep_rows_out(wrapped)
    assert "unique constraint" in str(raised.value)
    assert "twice" not in str(raised.value)


@pytest.mark.parametrize("password", ["planted%zz6602", "planted@6602", "planted/6602", "planted#6602", "planted?6602"])
def test_a_password_written_badly_is_not_repeated(monkeypatch, password):
    monkeypatch.setenv("DATABASE_URL", f"postgresql://shop:{password}@127.0.0.1:1/shop")
    with pytest.raises(BadInputError, match="DATABASE_URL") as raised:
        open_database()
    assert "planted" not in str(raised.value)
    assert "6602" not in str(raised.value)


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_a_port_that_cannot_be_is_bad_input(monkeypatch, port):
    monkeypatch.setenv("DATABASE_URL", f"postgresql://shop:planted@127.0.0.1:1,127.0.0.1:{port}/shop")
    with pytest.raises(BadInputError, match=f"DATABASE_URL: there is no port {port}, ports are 1 to 65535"):
        open_database()


@pytest.mark.parametrize("places", ["[::1]:1", "127.0.0.1:1,127.0.0.1:2", "127.0.0.1:1"])
def test_addresses_of_several_kinds_are_taken(monkeypatch, places):
    monkeypatch.setenv("DATABASE_URL", f"postgresql://shop:pl%40nted@{places}/shop")
    with pytest.raises(DatabaseUnavailableError, match="cannot reach"):
        open_database()
