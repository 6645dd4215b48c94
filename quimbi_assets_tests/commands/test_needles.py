"""Needles in a haystack: one customer, one address, words of theirs and secrets, looked for in all that a home holds.

Where they may be is listed here, so that a new place fails. Files of the server's own (``postgres``) are not looked at:
the databases in them are.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import psycopg2
import pyarrow.parquet as pq
import pytest

from quimbi_assets.resources.postgres.database import administration, open_database
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.postgres.stopping import stop_server

pytestmark = pytest.mark.xdist_group("needles")

CUSTOMER, ADDRESS, WORDS = "needle7431", "someone-needle7432@shop.example", "needle7433 in so many words"
PERSON = "Needle7434 Person"
SECRETS = {
    "SLACK_WEBHOOK_URL": "http://127.0.0.1:1/services/needle7435",
    "ANTHROPIC_API_KEY": "sk-needle7436",
    "KLAVIYO_API_KEY": "pk_needle7437",
    "QUIMBI_WEBHOOK_SECRET": "needle7438",
}
NEEDLE = re.compile(rb"needle743\d", re.IGNORECASE)
OF_CUSTOMERS = {"orders", "support_tickets", "customer_profiles", "customer_history", "segment_migrations"}
OF_CUSTOMERS |= {"audience_members", "customer_actions", "treatments", "alert_notices", "customer_identities"}
ALLOWED = {("quimbi", table, "customer_id", "needle7431") for table in OF_CUSTOMERS}
ALLOWED |= {("quimbi", "quarantined_rows", "row", "needle7431")}
"""Database, table, column, needle. ``quimbi erase`` and this list speak of the same places."""
FOLDERS = {"raw", "features", "memberships", "profiles", "drift", "actions"}
"""Below ``storage``, in Parquet by the customer's id."""


@pytest.fixture(scope="module")
def haystack():
    """A home in which the needles went through load, run, snapshot and a run that failed; what was said meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="quimbi-needles-"))  # pytest closes its own to the server's user
    home, files = folder / "home", folder / "files"
    files.mkdir()
    write_store(300, files, seed=9)
    _plant(files)
    environment = {
        **os.environ,
        "QUIMBI_HOME": str(home),
        "QUIMBI_DEBUG": "1",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
    }
    environment |= SECRETS
    environment.pop("DATABASE_URL", None)
    spoken = []

    def quimbi(*words, code=0):
        command = [sys.executable, "-m", "quimbi_assets.cli", *words, "--store-id", "shop"]
        done = subprocess.run(command, env=environment, capture_output=True, check=False, umask=0o022, cwd=folder)
        assert done.returncode == code, done.stderr.decode()
        spoken.append(done.stdout + done.stderr)

    names = {"--orders": "orders", "--items": "order_items", "--tickets": "support_tickets"}
    quimbi("load", *(word for option, name in names.items() for word in (option, f"{files}/{name}.parquet")))
    quimbi("run", "--axes", "purchase_value")
    quimbi("snapshot", "--week", "2025-11-03")
    database = open_database(home)
    administer(database, "UPDATE quimbi.orders SET total_price = 'NaN' WHERE customer_id = %s", (CUSTOMER,))
    quimbi("run", "--axes", "purchase_value", code=1)
    yield home, database, b"\n".join(spoken)
    stop_server(home)
    shutil.rmtree(folder, ignore_errors=True)


def _plant(files):
    """Let one customer be the needle, who has an address and wrote words; one of their orders is none."""
    orders, tickets = (pd.read_parquet(files / f"{name}.parquet") for name in ("orders", "support_tickets"))
    wrote = set(tickets["customer_id"])
    chosen = orders[orders["customer_id"].isin(wrote)]["customer_id"].value_counts().index[0]
    orders, tickets = (frame.replace({"customer_id": {chosen: CUSTOMER}}) for frame in (orders, tickets))
    orders["email"] = orders["customer_id"].map({CUSTOMER: ADDRESS})
    orders["billing_name"] = orders["customer_id"].map({CUSTOMER: PERSON})
    wrong = orders[orders["customer_id"] == CUSTOMER].head(1).assign(order_id="wrong", total_price=-1.0)
    pd.concat([orders, wrong], ignore_index=True).to_parquet(files / "orders.parquet")
    tickets["subject"] = tickets["customer_id"].map({CUSTOMER: WORDS}).fillna("where is it")
    tickets.to_parquet(files / "support_tickets.parquet")


def test_databases(haystack):
    _, database, _ = haystack
    urls = [administration(database, url) for url in database.libpq_urls.values()]
    places = {place for url in urls for place in _in_one(url)}
    assert places - ALLOWED == {("quimbi", "support_tickets", "subject", "needle7433")}
    assert {table for _, table, *_ in places} >= {"orders", "customer_profiles", "customer_history", "quarantined_rows"}


def _in_one(url):
    """Yield where needles are in a database: each column of each table, as text."""
    columns = """SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
        JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"""
    name = urlsplit(url).path.strip("/")
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
        cursor.execute(columns)
        for schema, table, column, kind in cursor.fetchall():
            text = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
            cursor.execute(
                f"SELECT DISTINCT lower((regexp_matches({text}, 'needle743[0-9]', 'gi'))[1]) "
                f'FROM "{schema}"."{table}" WHERE {text} ~* %s',
                ("needle743",),
            )
            for (needle,) in cursor.fetchall():
                yield name, table, column, needle


def test_files_and_what_was_said(haystack):
    home, _, spoken = haystack
    places = {}
    for path in _files(home):
        for needle in {match.lower() for match in NEEDLE.findall(_content(path))}:
            places.setdefault(needle, set()).add(path.relative_to(home).parts[:2])
    of_words = places.pop(b"needle7433", set())
    assert of_words <= {("storage", "raw")}
    assert places.keys() == {b"needle7431"}
    (folders,) = places.values()
    assert {("storage", "raw"), ("storage", "features"), ("storage", "drift")} <= folders
    assert folders <= {("storage", folder) for folder in FOLDERS}
    assert NEEDLE.findall(spoken) == []


def _files(home):
    return [path for path in home.rglob("*") if path.is_file() and "postgres" not in path.relative_to(home).parts]


def _content(path):
    """A file's bytes; what is packed, unpacked."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            return file.read().to_pandas().to_csv().encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return b"".join(archive.read(name) for name in archive.namelist())
    return path.read_bytes()


def test_a_home_is_its_owner_s_alone(haystack):
    home, _, _ = haystack
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in home.rglob("*") if not path.is_symlink()}
    modes = {path: mode for path, mode in modes.items() if not path.is_socket()}  # who passes its folder may use it
    open_to_others = {str(path.relative_to(home)): oct(mode) for path, mode in modes.items() if mode & 0o077}
    assert open_to_others == {}
    assert len(modes) > 100
    # As root the server is another user, who has to get through.
    assert stat.S_IMODE(home.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)


def test_a_home_that_others_could_read_is_closed(home, database):
    """What an earlier version made; a folder that was there is let be."""
    (home / "logs").mkdir(exist_ok=True)
    (home / "logs").chmod(0o755)
    (home / "postgres.lock").chmod(0o644)
    (home / "of_mine").mkdir()
    (home / "of_mine").chmod(0o755)
    command = [sys.executable, "-c", "from quimbi_assets.resources.home import quimbi_home; quimbi_home()"]
    subprocess.run(command, check=True)
    names = ("logs", "postgres.lock", "of_mine")
    assert [stat.S_IMODE((home / name).stat().st_mode) for name in names] == [0o700, 0o600, 0o755]
