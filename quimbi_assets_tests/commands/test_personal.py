"""A person is planted everywhere a home holds something, and after ``quimbi erase`` is searched for everywhere."""

import json
import os
import re
from contextlib import closing
from pathlib import Path

import pandas as pd
import psycopg2
import pyarrow.parquet as pq
import pytest
from upath import UPath

from quimbi_assets.resources import erasure
from quimbi_assets.resources.parquet_io import ParquetTables
from quimbi_assets.resources.postgres.database import EVERY_STORE, administration
from quimbi_assets.resources.postgres.tables import personal
from quimbi_assets.resources.postgres.tables.personal import Person
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.administrator import administer, administering

pytestmark = pytest.mark.xdist_group("graph")

STORE = "needles"
ID, EMAIL, NAME, WORDS = "ERASEME-7431", "erase.me@needle.example", "Nora Needleman", "my xylophonesque parcel"
OTHER, OTHERS_EMAIL = "CUTSHORT-88", "cut.short@needle.example"
NEEDLES = (ID, EMAIL, NAME, WORDS)
OTHERS = (OTHER, OTHERS_EMAIL)
TABLES = """
    SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'm') AND (nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND nspname NOT LIKE 'pg_temp%' OR relname = 'pg_statistic')
"""


def urls(database):
    return [administration(database, url) for url in database.libpq_urls.values()]


def search(database, home, needles):
    """Return where any needle is: tables of the three databases, Parquet decoded, all other files of the home."""
    places = set()
    for url in urls(database):
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(TABLES)
            for (table,) in cursor.fetchall():
                patterns = [f"%{needle}%" for needle in needles]
                cursor.execute(f"SELECT EXISTS (SELECT FROM {table} AS t WHERE t::text ILIKE ANY(%s))", (patterns,))
                if cursor.fetchone()[0]:
                    places.add(table)
    for path in home.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        if path.suffix == ".parquet":
            content += str(pq.read_table(path).to_pylist()).encode()
        if any(needle.lower().encode() in content.lower() for needle in needles):
            places.add(str(path.relative_to(home)))
    return places


@pytest.fixture(scope="module")
def planted(database, home, tmp_path_factory):
    """A store with two planted customers, run, with two weeks, beside what killed and older runs left."""
    from quimbi_assets.cli import _code

    folder = tmp_path_factory.mktemp(STORE)
    write_store(150, folder, seed=7)
    orders, tickets = (pd.read_parquet(folder / f"{name}.parquet") for name in ("orders", "support_tickets"))
    orders["email"], orders["customer_name"] = None, None
    orders["total_price"] = orders["total_price"].astype(object)
    tickets["email"], tickets["subject"] = None, tickets["subject"].astype(object)
    latest = orders.sort_values("order_date").tail(60)
    for who, email, name, rows in ((ID, EMAIL, NAME, latest[::2]), (OTHER, OTHERS_EMAIL, "Carl Cut", latest[1::2])):
        orders.loc[rows.index, ["customer_id", "email", "customer_name"]] = [who, email.upper(), name]
        orders.loc[rows.index[0], "total_price"] = "much"
    tickets.loc[tickets.index[:2], ["email", "customer_id", "subject"]] = [EMAIL, ID, WORDS]
    tickets.loc[tickets.index[2:4], ["email", "customer_id"]] = [OTHERS_EMAIL, OTHER]
    orders.to_csv(folder / "orders.csv", index=False)
    with (folder / "orders.csv").open("a") as file:
        file.write(f'x1,{ID},"{NAME}",{EMAIL},too,many,cells,in,this,line,for,any,file,of,ours\n')
    tickets.to_csv(folder / "tickets.csv", index=False)
    command = ("load", "--store-id", STORE, f"--orders={folder / 'orders.csv'}", f"--tickets={folder / 'tickets.csv'}",
               f"--items={folder / 'order_items.parquet'}", "--time-zone", "UTC")  # fmt: skip
    assert _code(list(command)) == 0
    assert _code(["run", "--store-id", STORE, "--no-ai-naming", "--axes", "purchase_value,support_history"]) == 0
    end = pd.Timestamp(
        database.execute(EVERY_STORE, "SELECT max(order_date) FROM quimbi.orders WHERE store_id = %s", (STORE,))[0][0]
    )
    monday = (end - pd.Timedelta(days=end.weekday())).date()
    for week in (monday - pd.Timedelta(days=14), monday - pd.Timedelta(days=7)):
        assert _code(["snapshot", "--store-id", STORE, "--week", str(week)]) == 0
    _plant_leftovers(database, home)
    return command


def _plant_leftovers(database, home):
    (home / "logs").mkdir(exist_ok=True)
    (home / "logs" / "dagster.log").write_text(f"before\nKey (customer_id)=({ID}) of {EMAIL}\nafter\n")
    axis = home / "storage" / "features" / "purchase_value"
    for name in (f".{STORE}.parquet.12.ab.partial", f"{STORE}/.2026-01-05.parquet.12.ab.partial"):
        (axis / name).parent.mkdir(exist_ok=True)
        (axis / name).write_text(ID)
    with closing(psycopg2.connect(urls(database)[1])) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            'UPDATE event_logs SET event = replace(event, \'"message": "\', \'"message": "of ERASEME-7431 \') '
            "WHERE id = (SELECT max(id) FROM event_logs)"
        )


def test_every_table_is_a_place_or_holds_nothing_of_persons(database):
    tables = {
        table
        for (table,) in database.execute(
            EVERY_STORE,
            "SELECT relname FROM pg_class WHERE relnamespace = 'quimbi'::regnamespace AND relkind IN ('r', 'p')",
        )
    }
    places = {place.table for place in personal.PLACES}
    assert places | set(personal.IMPERSONAL) == tables
    assert not places & set(personal.IMPERSONAL)
    of_customers = database.execute(
        EVERY_STORE,
        "SELECT table_name FROM information_schema.columns "
        "JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_schema = 'quimbi' AND table_type = 'BASE TABLE' AND column_name = 'customer_id'",
    )
    assert {table for (table,) in of_customers} <= places


def test_counting_anew_what_nobody_left_changes_nothing(database, planted):
    from quimbi_assets.resources.postgres.tables.publications import recount

    def figures(cursor):
        for table in ("dim_segment_master", "archetypes", "group_figures", "audiences"):
            cursor.execute(
                f"SELECT to_jsonb(t) FROM quimbi.{table} AS t WHERE store_id = %s ORDER BY t::text", (STORE,)
            )
            for (row,) in cursor.fetchall():
                yield {k: round(v, 9) if isinstance(v, float) else v for k, v in row.items()}

    with administering(database) as cursor:
        before = sorted(figures(cursor), key=str)
        recount(cursor, STORE)
        after = sorted(figures(cursor), key=str)
        cursor.connection.rollback()
    assert len(before) > 20
    assert before == after


def test_a_person_is_given_all_that_is_held_of_them(quimbi, planted, tmp_path):
    code, _, said = quimbi("export-customer", "--store-id", STORE, "--email", EMAIL, "--out", tmp_path / "a.json")
    assert code == 0
    assert "of 7 tables" in said or "of 8 tables" in said or "of 9 tables" in said, said
    record = json.loads((tmp_path / "a.json").read_text())
    by_id = json.loads(quimbi("export-customer", "--store-id", STORE, "--customer-id", ID)[1])
    assert record["tables"] == by_id["tables"]
    tables = record["tables"]
    assert len(tables["orders"]["rows"]) == 29
    assert {row["customer_id"] for row in tables["orders"]["rows"]} == {ID}
    assert [row["subject"] for row in tables["support_tickets"]["rows"]] == [WORDS, WORDS]
    assert len(tables["quarantined_rows"]["rows"]) == 2
    assert NAME in str(tables["quarantined_rows"])
    assert record["known_as"]["addresses"] == [EMAIL]
    assert f"memberships/purchase_value/{STORE}.parquet" in record["files_made_of_these"]
    assert OTHER not in str(record)


def test_nothing_of_an_erased_person_is_left_and_no_file_brings_them_back(quimbi, planted, database, home, monkeypatch):
    before = search(database, home, NEEDLES)
    held = {f"quimbi.{place.table}" for place in personal.PLACES}
    named = {place for place in before if place.startswith("quimbi.")}
    assert {"quimbi.orders", "quimbi.support_tickets", "quimbi.quarantined_rows", "quimbi.customer_history"} <= named
    assert named <= held
    assert {"event_logs", "pg_statistic", "logs/dagster.log"} <= before
    code, listed, _ = quimbi("erase", "--store-id", STORE, "--customer-id", ID, "--dry-run", "--json")
    assert code == 0
    assert search(database, home, NEEDLES) >= named
    of_person = "SELECT lifecycle FROM quimbi.customer_profiles WHERE store_id = %s AND customer_id = %s"
    ((stage,),) = administer(database, of_person, (STORE, ID))
    n_profiles, n_in = _figures(database, stage)
    code, printed, said = quimbi("erase", "--store-id", STORE, "--customer-id", ID, "--json")
    assert code == 0, said
    receipt = json.loads(printed)
    assert search(database, home, NEEDLES) == set()
    would = {name: n["removed"] for name, n in json.loads(listed)["tables"].items()}
    assert {name: n["removed"] for name, n in receipt["tables"].items()} == would
    assert {n["left"] for n in receipt["tables"].values()} == {0}
    assert receipt["dagster"] == {"event_logs": 1}
    assert _figures(database, stage) == (n_profiles - 1, n_in - 1)
    assert (home / "logs" / "dagster.log").read_text().count(erasure.ERASED) == 2

    code, printed, _ = quimbi(*planted)
    assert code == 0
    assert "left out: 31 erased" in printed
    assert "left out: 2 erased" in printed
    assert search(database, home, NEEDLES) == set()
    monkeypatch.setenv("QUIMBI_ERASED", "refuse")
    code, _, said = quimbi(*planted)
    assert code == 2
    assert "31 rows name customers who were erased" in said
    assert search(database, home, NEEDLES) == set()


def _figures(database, stage):
    """Return how many profiles there are, and how many customers are said to be in a stage of their lifecycle."""
    ((n,),) = database.execute(
        EVERY_STORE, "SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = %s", (STORE,)
    )
    ((n_in,),) = database.execute(
        EVERY_STORE,
        "SELECT customers FROM quimbi.group_figures WHERE store_id = %s AND axis_name = 'lifecycle' AND group_id = %s",
        (STORE, stage),
    )
    return n, n_in


def test_a_receipt_says_whether_it_is_as_it_was_signed(quimbi, planted, home, tmp_path, monkeypatch):
    (path,) = (home / "erasures").glob(f"{STORE}-*.json")
    assert path.stat().st_mode & 0o077 == 0
    code, printed, _ = quimbi("erase", "--verify", path)
    assert code == 0
    assert "0 rows left then" in printed
    receipt = json.loads(path.read_text())
    receipt["tables"]["quimbi.orders"]["removed"] += 1
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(receipt))
    code, _, said = quimbi("erase", "--verify", changed)
    assert (code, "not as it was signed" in said) == (2, True)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for odd in (Path("/dev/null"), Path("/dev/zero"), pipe, tmp_path):
        assert quimbi("erase", "--verify", odd)[2] == f"quimbi: cannot read {odd}: it is not a regular file\n"
    with monkeypatch.context() as patched:
        patched.setattr(erasure, "LARGEST_RECEIPT", 10)
        assert quimbi("erase", "--verify", path)[0] == 2
    for text in ("[" * 100_000, "[]", '{"signature": "é", "store_id": "needles"}', '{"signature": 1, "store_id": []}',
                 '{"signature": "a", "store_id": "' + 5_000 * "x" + '"}',
                 path.read_text().replace('"ended_at"', '"ended_at": "x", "ended_at"')):  # fmt: skip
        changed.write_text(text)
        assert quimbi("erase", "--verify", changed)[0] == 2


@pytest.mark.parametrize(
    ("where", "name"),
    [(erasure, "drop_customers"), (erasure, "_clean_events"), (personal, "_remember"), (erasure, "recount"),
     (erasure, "_forget"), (erasure, "_renew_journal"), (erasure, "_sign")],
)  # fmt: skip
def test_an_erasure_that_is_cut_short_is_ended_by_the_next(quimbi, planted, database, home, monkeypatch, where, name):
    calls = []

    def cut(*_, **__):
        calls.append(name)
        raise RuntimeError("cut")

    with monkeypatch.context() as patched:
        patched.setattr(where, name, cut)
        assert quimbi("erase", "--store-id", STORE, "--email", OTHERS_EMAIL)[0] == 1
    assert calls
    if name == "_sign":
        before = set((home / "erasures").iterdir())
        code, printed, _ = quimbi("erase", "--store-id", STORE, "--email", OTHERS_EMAIL)
        assert (code, erasure.AGAIN in printed) == (0, False)
        assert f"next: quimbi run --store-id {STORE}" in printed
        assert search(database, home, OTHERS) == set()
        (receipt,) = set((home / "erasures").iterdir()) - before  # and no note of what was begun
        told = json.loads(receipt.read_text())
        orders = told["tables"]["quimbi.orders"]
        assert (orders["removed"] > 0, orders["left"], bool(told["files"])) == (True, 0, True)
        _, printed, _ = quimbi("erase", "--store-id", STORE, "--email", OTHERS_EMAIL)
        assert f"a person's data were erased{erasure.AGAIN}\n" in printed


def test_what_was_noted_of_an_erasure_that_was_cut_short_is_of_that_person_and_counts_once(tmp_path):
    def note(keys, n):
        person = Person("s", (), (), {"customer_id": frozenset(keys), "order_id": frozenset({"o"})}, ())
        places = {"tables": {"orders": n}, "files": {}, "logs": {}, "dagster": {}}
        return erasure._note(tmp_path, person, places)

    assert note("a", 10)[1]["tables"] == {"orders": 10}
    assert note("a", 3)[1]["tables"] == {"orders": 10}  # seven went before it was cut
    assert note("b", 4)[1]["tables"] == {"orders": 4}  # somebody else
    both, there = note("abc", 1)  # who turned out to be one
    assert there["tables"] == {"orders": 14}
    assert list((tmp_path / "erasures").iterdir()) == [both]
    again, there = note("a", 2)
    assert there["tables"] == {"orders": 14}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "unlink", lambda _, **__: None)  # killed between the receipt and that
        erasure._sign(tmp_path, {"store_id": "s", "ended_at": "2026-01-01T00:00:00"}, again)
    assert note("a", 1)[1]["tables"] == {"orders": 1}


def test_what_takes_an_administrator_is_said(database):
    with (
        closing(psycopg2.connect(administration(database, database.libpq_url))) as connection,
        connection.cursor() as cursor,
    ):
        connection.autocommit = True
        cursor.execute(
            "DROP ROLE IF EXISTS anybody; CREATE ROLE anybody NOLOGIN; GRANT USAGE ON SCHEMA quimbi TO anybody"
        )
        cursor.execute("SET ROLE anybody")
        statistics, orders = erasure._vacuum(cursor, ["pg_catalog.pg_statistic", "quimbi.orders"])
        (journal,) = erasure._renew_journal(cursor)
        cursor.execute("RESET ROLE; DROP OWNED BY anybody; DROP ROLE anybody")
        assert erasure._vacuum(cursor, ["pg_catalog.pg_statistic"]) == erasure._renew_journal(cursor) == []
    assert ("pg_catalog.pg_statistic" in statistics, "quimbi.orders" in orders) == (True, True)
    assert journal.startswith("the server's journal (WAL)")


def test_a_short_id_names_nobody_else_s_refused_rows(database):
    person = personal.Person("short", ("1042",), (), {k: frozenset() for k in ("email",)}, ())
    rows = ({"note": "red (large)", "customer_id": "Zoe"}, {"line": "88,Bob,bob@x.y,,"}, {"customer_id": "1042"})
    with administering(database) as cursor:
        for row in rows:
            sql = f'SELECT {personal._NAMES_THEM} FROM (SELECT %(row)s::jsonb AS "row") AS t'
            cursor.execute(sql, person.parameters | {"row": json.dumps(row)})
            assert cursor.fetchone()[0] is (row == rows[2])


def test_an_address_is_the_same_person_however_it_is_written(database):
    with administering(database) as cursor:
        for store, customer in (("spelt", "Ann@x.y"), ("spelt", "ann@x.y"), ("spelt", "bob@x.y")):
            cursor.execute(
                "INSERT INTO quimbi.stores (store_id, time_zone) VALUES (%s, 'UTC') ON CONFLICT DO NOTHING", (store,)
            )
            cursor.execute(
                "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
                "VALUES (%s, %s, %s, now(), 1)",
                (store, customer, customer),
            )
        by_id = personal.find_person(cursor, "spelt", b"s", "Ann@x.y", None)
        by_email = personal.find_person(cursor, "spelt", b"s", None, "ANN@x.y")
        cursor.connection.rollback()
    assert {"Ann@x.y", "ann@x.y"} <= set(by_id.customers) == set(by_email.customers)
    assert "bob@x.y" not in by_id.customers


def test_files_of_a_store_are_its_own_whatever_it_is_called(tmp_path):
    tables = ParquetTables(UPath(tmp_path))
    for path in ("raw/orders/shop.parquet", "raw/orders/orders.parquet", "drift/snapshots/shop/2025-06-02.parquet",
                 "raw/orders/.shop.parquet.1.a.partial", "drift/snapshots/orders/2025-06-02.parquet"):  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    of = {s: [str(p.relative_to(tables.base)) for p in erasure._tables_of(tables, s)] for s in ("orders", "2025-06-02")}
    assert of == {
        "orders": ["raw/orders/orders.parquet", "drift/snapshots/orders/2025-06-02.parquet"],
        "2025-06-02": [],
    }
    assert list(tables.leftovers("orders")) == []
    assert len(list(tables.leftovers("shop"))) == 1


@pytest.mark.parametrize(
    "message", ["of 77310042", "no profile of customer: 77310042", 'asked for {"customer": 77310042}']
)
def test_another_store_s_events_and_an_event_s_json_stay(database, planted, message):
    with closing(psycopg2.connect(urls(database)[1])) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, event FROM event_logs ORDER BY id DESC LIMIT 1")
        place, before = cursor.fetchone()
        event = json.loads(before) | {"message": message, "numbers": [77310042, 1], "pid": 77310042}
        cursor.execute("UPDATE event_logs SET event = %s WHERE id = %s", (json.dumps(event), place))
    keys = {kind: frozenset() for kind in ("customer_id", "email", "order_id")}
    counts = {}
    for store in ("elsewhere", STORE):
        known_as = ("77310042", store, "int64")
        counts[store] = erasure._clean_events(database, personal.Person(store, known_as, (), keys, ()), write=True)
    ((after,),) = database.execute_dagster("SELECT event FROM event_logs WHERE id = %s", (place,))
    assert counts == {"elsewhere": {}, STORE: {"event_logs": 1}}
    left = json.loads(after)
    assert (left["numbers"], left.pop("pid")) == ([0, 1], 77310042)
    assert "77310042" not in json.dumps(left)


def test_an_address_is_erased_wherever_it_stands_in_an_event(database, planted):
    with closing(psycopg2.connect(urls(database)[1])) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, event FROM event_logs ORDER BY id DESC LIMIT 1")
        place, before = cursor.fetchone()
        event = json.loads(before) | {"message": "UnknownCustomerError: Ann77@example.com is not known", "who": "c773x"}
        cursor.execute("UPDATE event_logs SET event = %s WHERE id = %s", (json.dumps(event), place))
    keys = {kind: frozenset() for kind in ("customer_id", "email", "order_id")}
    person = personal.Person(STORE, ("c773x", STORE, "text"), ("ann77@example.com",), keys, ())
    assert erasure._clean_events(database, person, write=True) == {"event_logs": 1}
    ((after,),) = database.execute_dagster("SELECT event FROM event_logs WHERE id = %s", (place,))
    assert not {"ann77", "c773x"} & set(re.findall(r"[a-z0-9]+", after.casefold()))


def test_a_load_that_was_refused_as_a_whole_is_in_reach(quimbi, database, home, tmp_path):
    """There is no store of that name, but there are rows of it, and a person in them; who is erased stays away."""
    bad = ["q2,VICTIM99XX,notadate,5", "q3,VICTIM99XX,2025-02-01,7,extra", "q5,v2,bad,9"]
    bad.append('q6,o,2025-03-01,1,x,"VICTIM99XX"')
    (tmp_path / "q.csv").write_text("\n".join(["order_id,customer_id,order_date,total_price", *bad, ""]))
    load = ("load", "--store-id", "qnew", "--orders", tmp_path / "q.csv")
    assert quimbi(*load)[0] == 2
    who = ("--store-id", "qnew", "--customer-id", "VICTIM99XX")
    code, printed, _ = quimbi("export-customer", *who)
    assert (code, len(json.loads(printed)["tables"]["quarantined_rows"]["rows"])) == (0, 3)
    assert (
        json.loads(quimbi("erase", *who, "--dry-run", "--json")[1])["tables"]["quimbi.quarantined_rows"]["removed"] == 3
    )
    code, printed, said = quimbi("erase", *who)
    assert (code, "next: quimbi run" in printed) == (0, False), said
    assert search(database, home, ("VICTIM99XX",)) == set()
    assert quimbi(*load)[0] == 2
    assert search(database, home, ("VICTIM99XX",)) == set()
    assert quimbi("refused", "--store-id", "qnew", "--json")[1].count('"rows": 1') == 1
    assert "unknown store" in quimbi("erase", "--store-id", "qnever", "--customer-id", "VICTIM99XX")[2]


def test_who_is_erased_comes_back_in_no_column_of_a_refused_row(quimbi, database, home, tmp_path):
    """Whatever the column, also in small letters; others are kept, though a number in them is a short id."""
    good = [f"g{n},good{n},2025-01-0{n},3,web" for n in range(1, 8)] + [
        "e1,VICTIM88XX,2025-01-09,3,web",
        "e2,7,2025-01-09,3,web",
    ]
    bad = ["b1,o,bad,9,of victim88xx", "b2,o,bad,9,VICTIM88XX", "b3,o,bad,7,web", "b4,o,bad,7.5,web"]
    load = ("load", "--store-id", "qback", "--orders", tmp_path / "q.csv")
    for rows in (good, good + bad):
        (tmp_path / "q.csv").write_text("\n".join(["order_id,customer_id,order_date,total_price,source", *rows, ""]))
        code, printed, _ = quimbi(*load)
        assert code == 0
        for who in ("VICTIM88XX", "7") if rows is good else ():
            assert quimbi("erase", "--store-id", "qback", "--customer-id", who)[0] == 0
    assert "left out: 4 erased" in printed
    assert search(database, home, ("VICTIM88XX",)) == set()
    assert '"refused": 2' in quimbi("refused", "--store-id", "qback", "--json")[1]


@pytest.mark.parametrize("option", ["--customers", "--tickets"])
def test_a_file_of_erased_people_alone_is_left_out_and_the_load_goes_on(quimbi, database, tmp_path, option):
    store = f"qalone{option}"
    orders = ["order_id,customer_id,order_date,total_price", "1,ann,2025-01-01,3", "2,ben,2025-01-01,3", ""]
    (tmp_path / "o.csv").write_text("\n".join(orders))
    (tmp_path / "f.csv").write_text("ticket_id,customer_id,created_at,email\n1,ann,2025-01-02,ann@x.org\n")
    load = ("load", "--store-id", store, "--orders", tmp_path / "o.csv")
    assert quimbi(*load)[0] == 0
    assert quimbi("erase", "--store-id", store, "--customer-id", "ann")[0] == 0
    code, printed, said = quimbi(*load, option, tmp_path / "f.csv")
    assert (code, printed.count("left out: 1 erased")) == (0, 2), said


def test_who_is_not_known_is_not_erased(quimbi, planted):
    code, _, said = quimbi("erase", "--store-id", STORE, "--customer-id", "nobody")
    assert (code, said.strip().splitlines()[-1]) == (2, f"quimbi: store {STORE} holds nothing of nobody")
    assert quimbi("erase", "--store-id", STORE)[0] == 2
    assert quimbi("erase", "--store-id", STORE, "--customer-id", "", "--dry-run")[0] == 2
    assert quimbi("erase", "--customer-id", "nobody")[0] == 2
    assert quimbi("erase", "--store-id", STORE, "--email", "no address")[0] == 2


def test_who_only_asks_makes_no_key(quimbi, planted, home):
    """What is only looked up is looked up without a key where a store lost it: none is made by the way."""
    key = home / "keys" / f"{STORE}.key"
    kept = key.read_bytes()
    key.unlink()
    try:
        who = ("--store-id", STORE, "--email", "nobody@example.com")
        for command in (("erase", *who, "--dry-run"), ("export-customer", *who)):
            assert quimbi(*command)[0] == 2
            assert not key.exists()
    finally:
        key.write_bytes(kept)
