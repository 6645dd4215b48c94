"""Files into the database: what is written, what is refused, and that nothing is lost or done twice."""

import secrets
import subprocess
import sys
import textwrap

import pandas as pd
import pytest

from quimbi_assets.axes import Features, measure
from quimbi_assets.errors import BadInputError, UnknownStoreError
from quimbi_assets.ingest.tables import ORDER_ITEMS
from quimbi_assets.resources.postgres import copy as bulk
from quimbi_assets.resources.postgres.database import lock
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.reading import stored_history
from quimbi_assets.resources.postgres.tables.products import name_products
from quimbi_assets.resources.postgres.tables.stores import planned_stores, read_store
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.administrator import administer, administering
from quimbi_assets_tests.resources.postgres.stored import (
    n_orders,
    read_items,
    read_orders,
    read_quarantined,
    read_tickets,
)

NOW = pd.Timestamp("2024-06-01", tz="UTC")

ORDERS = """\
order_id,customer_id,order_date,total_price,source,currency
1,ann,2024-01-05 10:00,10.00,web,EUR
2,ben,2024-01-06 11:00,20.00,pos,EUR
3,ann,2024-01-07 12:00,30.00,web,EUR
4,ann,someday,40.00,web,EUR
"""

ITEMS = """\
order_id,product_id,quantity,price
1,mug,1,10.00
2,mug,2,10.00
3,mug,1,10.00
3,plate,1,20.00
3,bowl,0,5.00
4,mug,4,10.00
"""


@pytest.fixture
def file(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def load(database, file, request):
    """Load texts into a store named after the test."""
    store = request.node.name.replace("[", "-").replace("]", "")[-60:].strip("_-")

    def run(orders=ORDERS, items=ITEMS, store_id=store, **options):
        paths = [file("orders.csv", orders), file("items.csv", items) if items else None]
        return load_store(database, store_id, *paths, now=NOW, **options)

    run.store = store
    return run


def counts(report, table):
    (one,) = (one for one in report.tables if one.table == table)
    return one.read, one.inserted, one.updated, one.unchanged, one.deleted, one.refused


def test_takes_the_good_and_keeps_the_bad(database, load):
    report = load(time_zone="Europe/Berlin", currency="eur")
    assert counts(report, "orders") == (4, 3, 0, 0, 0, 1)
    assert counts(report, "order_items") == (6, 4, 0, 0, 0, 2)
    assert report.is_new
    assert any(table.changed for table in report.tables)
    orders, items = read_orders(database, load.store), read_items(database, load.store)
    assert orders["order_id"].tolist() == ["1", "2", "3"]
    assert orders["order_date"][0] == pd.Timestamp("2024-01-05 09:00")
    assert orders["discount_amount"].isna().all()
    assert items[["order_id", "line_no"]].to_numpy().tolist() == [["1", 1], ["2", 1], ["3", 1], ["3", 2]]
    kept = read_quarantined(database, load.store)
    assert kept.groupby("table")["reason"].apply(list).to_dict() == {
        "order_items": ["no accepted order has this order_id", "quantity is not above 0"],
        "orders": ["order_date is not a date (write it as 2024-12-31 or 2024-12-31 23:59:59)"],
    }
    store = read_store(database, load.store)
    assert (store.time_zone, store.currency) == ("Europe/Berlin", "EUR")


def test_an_id_longer_than_an_index_holds_is_refused_in_words(database, load, tmp_path):
    long = secrets.token_hex(4500)
    report = load(
        f"{ORDERS}{long},ann,2024-01-05,1.00,web,EUR\n5,{long},2024-01-05,1.00,web,EUR\n", f"{ITEMS}{long},mug,1,1\n"
    )
    reasons = [f"{name} is longer than 500 characters: shorten it in the file" for name in ("order_id", "customer_id")]
    assert [report.tables[0].reasons[reason] for reason in reasons] == [1, 1]
    (tmp_path / "tickets.csv").write_text(
        f"id,customer_id,requester_id,created_at\n{long},ann,1,2024-02-01\n2,ann,{long},2024-02-01\n"
    )
    (tmp_path / "customers.csv").write_text(f"customer_id,zendesk_id\nann,{long}\n{long},8\n")
    report = load_store(
        database, load.store, tickets_path=tmp_path / "tickets.csv", customers_path=tmp_path / "customers.csv", now=NOW
    )
    assert report.tables[1].reasons == {"ticket_id is longer than 500 characters: shorten it in the file": 1}


@pytest.mark.parametrize("n_before", [0, 200])
def test_an_id_read_as_a_number_with_a_gap_is_the_id(database, load, n_before):
    """Two exports in one file: in the second a guest's gap made floats of the ids."""
    rows = [f"{i},12,2024-01-05,1.00" for i in range(n_before + 1)] + ["a,12.0,2024-01-06,1.00", "b,,2024-01-06,1.00"]
    load("\n".join(["order_id,customer_id,order_date,total_price", *rows]), None)
    assert set(read_orders(database, load.store)["customer_id"].dropna()) == {"12"}


def test_a_new_store_is_told_which_currency_most_orders_have(load):
    assert "(UTC, EUR as most orders have it)" in load().lines()[0]
    assert "(UTC, GBP)" in load(currency="gbp").lines()[0]


def test_same_file_twice_changes_nothing(database, load):
    load()
    frames = [read_orders(database, load.store), read_items(database, load.store)]
    kept = read_quarantined(database, load.store)
    report = load()
    assert counts(report, "orders") == (4, 0, 0, 3, 0, 1)
    assert counts(report, "order_items") == (6, 0, 0, 4, 0, 2)
    assert not any(table.changed for table in report.tables)
    frames_again = [read_orders(database, load.store), read_items(database, load.store)]
    for before, after in zip(frames, frames_again, strict=True):
        pd.testing.assert_frame_equal(before, after)
    pd.testing.assert_frame_equal(kept, read_quarantined(database, load.store))


def test_changed_new_and_vanished_rows(database, load):
    load()
    report = load(
        ORDERS.replace("20.00,pos", "25.00,pos") + "5,cat,2024-02-01,7.00,web,EUR\n",
        "order_id,product_id,quantity,price\n1,mug,1,11.00\n3,plate,1,20.00\n2,mug,2,10.00\n2,cup,1,5.00\n5,mug,1,7\n",
    )
    assert counts(report, "orders") == (5, 1, 1, 2, 0, 1)
    # order 1's line changed; 2's line is the same and a second new; 3 lost its second line, its first changed
    assert counts(report, "order_items") == (5, 2, 2, 1, 1, 0)
    items = read_items(database, load.store)
    assert items[["order_id", "product_id"]].to_numpy().tolist() == [
        ["1", "mug"],
        ["2", "mug"],
        ["2", "cup"],
        ["3", "plate"],
        ["5", "mug"],
    ]


def test_a_refused_line_deletes_nothing(database, load):
    load()
    report = load(ORDERS, "order_id,product_id,quantity,price\n1,mug,1,10.00\n3,mug,1,10.00\n3,plate,-1,20.00\n")
    assert counts(report, "order_items") == (3, 0, 0, 2, 0, 1)
    assert read_items(database, load.store).query("order_id == '3'")["product_id"].tolist() == ["mug", "plate"]


def test_columns_that_a_later_file_lacks_stay(database, load):
    load()
    load(ORDERS.replace(",source", ",other"), items=None)
    assert read_orders(database, load.store)["source"].tolist() == ["web", "pos", "web"]


def test_items_may_belong_to_orders_loaded_before(database, load):
    load(items=None)
    later = "order_id,customer_id,order_date,total_price\n9,dan,2024-03-01,1\n"
    report = load(later, "order_id,product_id,quantity,price\n1,mug,1,10\n9,mug,1,1\nnever,mug,1,1\n")
    assert counts(report, "order_items") == (3, 2, 0, 0, 0, 1)


def test_stores_are_apart(database, load):
    load(store_id="apart-a")
    load(store_id="apart-b", orders=ORDERS.replace("ann", "zoe"))
    assert set(read_orders(database, "apart-a")["customer_id"]) == {"ann", "ben"}
    assert set(read_orders(database, "apart-b")["customer_id"]) == {"zoe", "ben"}


def test_mostly_bad_file_loads_nothing_but_keeps_the_rows(database, load):
    bad = ORDERS.replace("2024-01-05 10:00", "x").replace("2024-01-06 11:00", "y")
    with pytest.raises(BadInputError, match="3 of 4 rows refused, so nothing was loaded: order_date") as e:
        load(bad)
    assert "\n" not in str(e.value)
    assert not n_orders(database, load.store)
    assert load.store not in {planned.store_id for planned in planned_stores(database)}
    assert len(read_quarantined(database, load.store)) == 3


def test_mostly_bad_items_leave_the_orders_out_too(database, load):
    with pytest.raises(BadInputError, match=r"items\.csv: 3 of 4 rows refused"):
        load(items="order_id,product_id,quantity,price\n1,mug,1,10\n7,mug,1,1\n8,mug,1,1\n9,mug,1,1\n")
    assert not n_orders(database, load.store)


def test_failing_load_leaves_what_was_there(database, load):
    load()
    before = read_orders(database, load.store)
    with pytest.raises(BadInputError):
        load(ORDERS.replace("10.00,web", "11.00,web"), "order_id,product_id,quantity,price\n7,mug,1,1\n")
    pd.testing.assert_frame_equal(before, read_orders(database, load.store))


def test_identical_refused_rows_are_counted_not_lost(database, load):
    bad = "order_id,product_id,quantity,price\n" + "1,mug,1,10\n" * 4 + "1,mug,0,10\n" * 3
    load(items=bad)
    kept = read_quarantined(database, load.store).query("table == 'order_items'")
    assert kept["occurrences"].tolist() == [3]


def test_refused_rows_have_no_column_that_was_not_read_and_expire(database, load, file):
    bad = "order_id,product_id,quantity,price,gift_note\n" + "1,mug,1,10,for Ann\n" * 4 + "1,mug,{},10,for Bob\n"
    load(items=bad.format(0))
    (row,) = read_quarantined(database, load.store).query("table == 'order_items'")["row"]
    assert (row["quantity"], "Bob" in str(row)) == ("0", False)
    administer(
        database,
        "UPDATE quimbi.quarantined_rows SET seen_at = seen_at - interval '91 days' WHERE store_id = %s",
        (load.store,),
    )
    load_store(
        database, f"{load.store[:50]}-other", file("other.csv", ORDERS), now=NOW
    )  # the store's own may never come
    assert read_quarantined(database, load.store).empty
    load(items=bad.format(-7))
    (row,) = read_quarantined(database, load.store).query("table == 'order_items'")["row"]
    assert row["quantity"] == "-7"


def test_tickets(database, load, file):
    tickets = file("tickets.csv", "ticket_id,customer_id,created_at,tags\nt1,ann,2024-01-09 08:00,late\nt2,ann,x,\n")
    report = load(tickets_path=tickets)
    assert counts(report, "support_tickets") == (2, 1, 0, 0, 0, 1)
    frame = read_tickets(database, load.store)
    assert frame["ticket_id"].tolist() == ["t1"]
    assert frame["satisfaction_score"].isna().all()
    assert counts(load(tickets_path=tickets), "support_tickets") == (2, 0, 0, 1, 0, 1)


def test_line_export_is_orders_and_items_in_one(database, load):
    text = (
        "Name,Email,Total,Created at,Lineitem quantity,Lineitem name,Lineitem price\n"
        "#1,a@x,30,2024-01-05 10:00:00 +0100,1,Mug,10\n#1,a@x,,,2,Cup,10\n#2,b@x,5,2024-01-06 10:00:00 +0100,1,Mug,5\n"
    )
    report = load(text, items=None)
    assert counts(report, "orders") == (2, 2, 0, 0, 0, 0)
    assert counts(report, "order_items") == (3, 3, 0, 0, 0, 0)
    assert counts(load(text, items=None), "order_items") == (3, 0, 0, 3, 0, 0)


FLAT = """\
order_id,customer_id,order_date,total_price,refund_amount,sku,quantity,price
1,ann,2024-01-05 10:00,30.00,15.00,mug,1,10.00
1,ann,2024-01-05 10:00,30.00,15.00,plate,1,20.00
2,ben,2024-01-06 11:00,20.00,0.00,mug,2,10.00
3,ann,2024-01-07 12:00,10.00,10.00,mug,1,10.00
"""


@pytest.mark.parametrize("name", ["refund_amount", "refund"])
def test_an_orders_refund_on_each_of_its_lines_is_counted_once(database, file, load, tmp_path, name):
    path = file("flat.csv", FLAT.replace("refund_amount", name))
    report = load_store(database, load.store, path, path, now=NOW)
    assert counts(report, "orders") == (3, 3, 0, 0, 0, 0)
    history, _ = stored_history(database, load.store, tmp_path)
    orders, items, _ = history.frames()
    assert orders.set_index("order_id")["refund_amount"].to_dict() == {"1": 15.0, "2": 0.0, "3": 10.0}
    assert items["refund_amount"].isna().all()


@pytest.mark.parametrize("of_orders", [False, True])
def test_it_is_so_in_a_file_of_lines_too_whenever_it_is_loaded(database, file, load, tmp_path, of_orders):
    orders = "order_id,customer_id,order_date,total_price,refund_amount\n"
    orders += "".join(f"{i},c{i},2024-01-05,100,{'30' if of_orders else ''}\n" for i in range(5))
    lines = "order_id,product_id,quantity,price,refund_amount\n"
    lines += "".join(f"{i},p{line},1,25,30\n" for i in range(5) for line in range(4))
    load(orders, items=None)
    load_store(database, load.store, items_path=file("lines.csv", lines), now=NOW)
    history, _ = stored_history(database, load.store, tmp_path)
    features = Features(measure(history, ["return_behavior"]))["return_behavior"]
    assert features["refund_rate"].tolist() == [0.3] * 5
    assert features["total_refunds"].sum() == 150
    assert features["items_returned_pct"].isna().all()


def test_refunds_of_lines_stay_the_lines(database, file, load):
    lines = "order_id,product_id,quantity,price,refund_amount\n1,mug,1,10.00,5.00\n1,mug,1,10.00,5.00\n"
    load(items=lines)
    assert read_items(database, load.store)["refund_amount"].tolist() == [5.0, 5.0]


def test_time_zone_is_remembered(database, load):
    load(time_zone="America/New_York")
    report = load(ORDERS.replace("2024-01-05", "2024-01-04"))
    assert report.store.time_zone == "America/New_York"
    assert read_orders(database, load.store)["order_date"][0] == pd.Timestamp("2024-01-04 15:00")
    assert "was America/New_York" in " ".join(load(time_zone="UTC").lines())


def test_report_names_what_was_ignored(load):
    text = "\n".join(load(ORDERS.replace("source", "store_id")).lines())
    assert "ignored columns: store_id" in text
    assert "refused 1: order_date is not a date" in text
    assert "not recorded: discount_amount, source, status, refund_amount" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"store_id": ""}, "store id"),
        ({"store_id": "../up"}, "store id"),
        ({"store_id": "a" * 64}, "store id"),
        ({"time_zone": "Mars/Olympus"}, "unknown time zone"),
        ({"currency": "EURO"}, "currency 'EURO'"),
    ],
)
def test_bad_options(load, options, message):
    with pytest.raises(BadInputError, match=message):
        load(**options)


def test_unknown_store_tells_of_no_other(database, load):
    load(store_id="known-store")
    with pytest.raises(UnknownStoreError, match="no-such-store") as refused:
        read_store(database, "no-such-store")
    assert "known-store" not in str(refused.value)


def test_a_policy_of_the_store_survives_a_load(database, load):
    load()
    with administering(database) as cursor:
        cursor.execute(
            "UPDATE quimbi.stores SET order_policy = '{\"drop_guests\": false}' WHERE store_id = %s", (load.store,)
        )
    load()
    assert not read_store(database, load.store).policy.drop_guests


def test_progress_is_told(load):
    said = []
    load(progress=said.append)
    assert [line.split()[0] for line in said] == ["reading", "reading", "checking", "checking", "writing", "writing"]


def test_two_loads_at_once(database, load, file, home):
    orders, items = file("orders.csv", ORDERS), file("items.csv", ITEMS)
    code = textwrap.dedent(
        """
        import sys
        import pandas as pd
        from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database
        from quimbi_assets.resources.postgres.loading import load_store
        report = load_store(open_database(), "at-once", *sys.argv[1:], now=pd.Timestamp("2024-06-01", tz="UTC"))
        print(sum(table.inserted for table in report.tables))
        """
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(orders), str(items)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    inserted = sorted(int(process.communicate(timeout=120)[0]) for process in started)
    assert inserted == [0, 7]


def test_tables_that_were_just_filled_are_never_compared_row_by_row(database, tmp_path):
    write_store(40, tmp_path, seed=8)
    files = tmp_path / "orders.parquet", tmp_path / "order_items.parquet"
    load_store(database, "just-filled", *files)
    with administering(database) as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'quimbi.order_items'::regclass")
        assert cursor.fetchone()[0] > 0
        lock(cursor, "load:just-filled")
        staged = bulk.staging(cursor, "staged", ORDER_ITEMS.name, ORDER_ITEMS.columns)
        bulk.copy_frame(cursor, staged, pd.read_parquet(files[1], columns=["order_id", "line_no"]))
        cursor.execute("CREATE TEMP TABLE contested (key text) ON COMMIT DROP")
        assert bulk.delete_vanished_lines(cursor, "just-filled", staged, "contested") == 0
        cursor.execute("SHOW enable_nestloop")
        assert cursor.fetchone() == ("off",)
    with administering(database) as cursor:
        cursor.execute("SHOW enable_nestloop")
        assert cursor.fetchone() == ("on",)


def test_lines_as_magento_s_tables_call_them_are_a_line_export(load):
    head = "increment_id,created_at,customer_email,grand_total,base_currency_code,sku,qty_ordered,price\n"
    rows = "".join(
        f"1,2024-03-01 10:00:00,a@example.com,30.00,EUR,{sku},{n},10.00\n" for sku, n in (("A", 1), ("B", 2))
    )
    report = load(head + rows, None)
    assert counts(report, "orders")[:2] == (1, 1)
    assert counts(report, "order_items")[:2] == (2, 2)


def test_products_known_by_a_code_are_called_as_most_of_their_lines_call_them(load, database):
    lines = "order_id,sku,Description,quantity,price\n1,85,Tea light,1,10.00\n2,85,tea light holder,2,10.00\n"
    lines += "3,85,Tea light,1,10.00\n3,86,,1,20.00\n"
    report = load(ORDERS, lines)
    customer = {"affinities": {"products": [{"id": "85"}, {"id": "86"}]}}
    name_products(database, report.store.store_id, [customer, {"affinities": None}])
    assert customer["affinities"]["products"] == [{"id": "85", "name": "Tea light"}, {"id": "86", "name": None}]
    load(ORDERS, lines.replace("Tea light", "Tealight"))
    name_products(database, report.store.store_id, [customer])
    assert customer["affinities"]["products"][0]["name"] == "Tealight"
