import psycopg2
import pytest
import sqlalchemy

from quimbi_assets.resources.postgres.transient import is_transient


def test_what_a_real_server_says(database):
    refused = sqlalchemy.create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with pytest.raises(sqlalchemy.exc.OperationalError) as away:
        refused.connect()
    assert is_transient(away.value)
    with pytest.raises(psycopg2.Error) as unknown, database.transaction() as cursor:
        cursor.execute("SELECT no_such_column FROM quimbi.stores")
    assert not is_transient(unknown.value)
    connection = psycopg2.connect(database.libpq_url)
    with database.transaction() as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    with pytest.raises(psycopg2.Error) as ended:
        connection.cursor().execute("SELECT 1")
    assert is_transient(ended.value)
    connection.close()


def test_a_cause_counts():
    error = RuntimeError("could not log the model")
    assert not is_transient(error)
    error.__cause__ = ConnectionRefusedError("no")
    assert is_transient(error)
