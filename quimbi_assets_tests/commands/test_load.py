"""What ``quimbi load`` says and does with good and bad files."""

import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.reading import canonical_rows
from quimbi_assets_tests.administrator import administering


def cell(row, column, value):
    def change(frame):
        frame = frame.copy()
        frame.loc[row, column] = value
        return frame

    return change


def count(database, table, store_id):
    with database.transaction(store_id) as cursor:
        cursor.execute(f'SELECT count(*) FROM quimbi."{table}" WHERE store_id = %s', (store_id,))
        return cursor.fetchone()[0]


def load(quimbi, store_id, paths):
    return quimbi("load", "--store-id", store_id, "--orders", paths[0], "--items", paths[1])


def test_loads_and_says_what_it_took(quimbi, files, database):
    code, out, _ = load(quimbi, "tiny", files())
    assert code == 0
    assert "orders: 30 rows read: 30 new" in out
    assert "not recorded: " in out
    few = "next: load more orders: a run takes 100 customers; to try all the same: quimbi run --store-id tiny"
    assert few in " ".join(out.split())
    assert "default: 100]" in quimbi("run", "--help")[1]
    assert count(database, "orders", "tiny") == count(database, "order_items", "tiny") == 30


def test_a_new_store_without_a_time_zone_is_told_which_it_got(quimbi, files):
    _, out, _ = load(quimbi, "zoneless", files())
    assert "time zone: UTC, none being given" in out
    orders, items = files()
    options = ("load", "--store-id", "zoned", "--orders", orders, "--items", items, "--time-zone", "Europe/London")
    assert "time zone: UTC" not in quimbi(*options)[1]
    _, out, _ = load(quimbi, "zoned", (orders, items))  # keeps the zone it has
    assert "store zoned (Europe/London," in out
    assert "time zone: UTC" not in out


@pytest.mark.parametrize("option", ["orders", "items", "tickets", "customers"])
def test_files_are_looked_for_before_the_database_is_started(quimbi, files, monkeypatch, option):
    monkeypatch.setattr("quimbi_assets.resources.postgres.database.open_database", lambda: pytest.fail("started"))
    paths = dict(zip(("orders", "items"), files(), strict=True)) | {option: "nowhere.csv"}
    code, out, err = quimbi("load", "--store-id", "nowhere", *[f"--{name}={path}" for name, path in paths.items()])
    assert (code, out, err) == (2, "", "quimbi: no such file: nowhere.csv\n")


def test_the_same_file_twice_changes_nothing(quimbi, files, database):
    paths = files(orders=cell(3, "order_date", "someday"))
    load(quimbi, "twice", paths)
    quarantined = count(database, "quarantined_rows", "twice")
    code, out, _ = load(quimbi, "twice", paths)
    assert code == 0
    assert "0 new, 0 changed, 29 unchanged, 1 refused" in out
    assert count(database, "quarantined_rows", "twice") == quarantined > 0


ROW_FAULTS = {
    "unparsable date": (cell(3, "order_date", "31 Febtober"), None),
    "future date": (cell(3, "order_date", "2199-01-01T00:00:00+00:00"), None),
    "mixed time zones": (cell(3, "order_date", "2025-01-10 10:00:00"), None),
    "duplicate order id": (cell(3, "order_id", "4"), None),
    "negative amount": (cell(3, "total_price", -5.0), None),
    "absurd amount": (cell(3, "total_price", 1e15), None),
    "NaN amount": (cell(3, "total_price", "NaN"), None),
    "items without order": (None, cell(3, "order_id", "no such order")),
    "negative price": (None, cell(3, "price", -1.0)),
}


@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_a_bad_row_is_kept_with_its_reason_and_the_rest_is_loaded(quimbi, files, database, fault):
    store_id = "fault-" + fault.replace(" ", "-")
    code, out, err = load(quimbi, store_id, files(*ROW_FAULTS[fault]))
    assert code == 0
    assert "refused 1" in out
    (line,) = [line for line in err.splitlines() if line.startswith("quimbi:")]
    assert f"refused and kept with the reason: quimbi refused --store-id {store_id}" in line
    assert count(database, "orders", store_id) >= 29
    with administering(database) as cursor:
        cursor.execute('SELECT reason, "row" FROM quimbi.quarantined_rows WHERE store_id = %s', (store_id,))
        found = cursor.fetchall()
    assert found
    assert all(reason and row for reason, row in found)


FILE_FAULTS = {
    "missing column": (lambda f: f.drop(columns="total_price"), "total_price"),
    "empty": (lambda f: f.head(0), "no rows"),
    "nothing usable": (lambda f: f.assign(order_date="soon"), "refused"),
}


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_a_bad_file_is_one_line_and_exit_2_and_loses_nothing(quimbi, files, database, fault):
    store_id = "file-" + fault.replace(" ", "-")
    load(quimbi, store_id, files())
    change, word = FILE_FAULTS[fault]
    code, out, err = load(quimbi, store_id, files(orders=change))
    assert code == 2
    assert out == ""
    (line,) = [line for line in err.splitlines() if line.startswith("quimbi:")]
    assert word in line
    assert count(database, "orders", store_id) == 30


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--orders", "nowhere.csv"], "nowhere.csv"),
        (["--orders", "{orders}", "--time-zone", "Mars/Olympus"], "Mars/Olympus"),
        (["--orders", "{orders}", "--currency", "pounds"], "pounds"),
        ([], "--orders"),
        (["--orders", "s3://KEY:secret@shop/a.csv"], "may hold no user, password or setting"),
        (["--from", "s3://KEY:secret@shop/a.csv", "--every", "day"], "may hold no user, password or setting"),
        (["--from", "https://shop.example/*.csv"], "does not list its files"),
    ],
)
def test_bad_options(quimbi, files, arguments, word):
    orders, _ = files()
    code, out, err = quimbi("load", "--store-id", "options", *[a.format(orders=orders) for a in arguments])
    assert (code, out) == (2, "")
    assert word in err.splitlines()[-1]
    assert "secret" not in err


def test_extra_columns_are_named_and_ignored(quimbi, files):
    paths = files(orders=lambda f: f.assign(store_id="another meaning", mood="fine"))
    code, out, _ = load(quimbi, "extra", paths)
    assert code == 0
    assert "ignored columns: store_id, mood" in out


def test_a_column_whose_name_differs_in_case_alone_is_ignored_and_named(quimbi, files):
    paths = files(orders=lambda f: f.assign(Customer_ID="another"))
    code, out, _ = load(quimbi, "cased", paths)
    assert code == 0
    assert "ignored columns: Customer_ID\n" in out


def test_of_many_extra_columns_the_first_are_named(quimbi, files):
    names = [f"extra {number}" for number in range(1_024)]
    paths = files(orders=lambda f: f.reindex(columns=[*f.columns, *names], fill_value="x"))
    code, out, _ = load(quimbi, "surplus", paths)
    assert code == 0
    assert f"ignored columns: {', '.join(names[:20])} and 1,004 more\n" in out


def test_of_many_reasons_to_refuse_a_file_the_rest_are_counted(quimbi, files):
    faults = [("order_id", ""), ("order_date", ""), ("order_date", "x"), ("total_price", "x")]

    def with_faults(frame):
        for place, (column, value) in enumerate(faults):
            frame.loc[frame.index % 5 == place, column] = value
        return frame

    code, _, err = load(quimbi, "refused", files(orders=with_faults))
    assert code == 2
    assert err.splitlines()[-1].count("(6)") == 3
    assert err.endswith("; and 6 for other reasons\n")


def test_a_column_wholly_null_counts_as_absent(quimbi, files):
    paths = files(orders=lambda f: f.assign(discount_amount=pd.NA))
    code, out, _ = load(quimbi, "nulls", paths)
    assert code == 0
    assert "not recorded: discount_amount" in out


def test_orders_that_will_not_count_are_told(quimbi, files):
    sent = {"status": ["cancelled"] * 3 + ["paid"] * 27, "currency": ["USD"] * 28 + ["CAD"] * 2}
    code, out, _ = load(quimbi, "dropped", files(orders=lambda frame: frame.assign(**sent)))
    assert code == 0
    assert "; left out: 3 cancelled, 2 currency other than USD" in out
    code, out, _ = load(quimbi, "all-count", files())
    assert "left out" not in out


def test_what_a_new_store_is_advised_works(quimbi, files, tmp_path):
    tickets, customers = tmp_path / "the tickets.csv", tmp_path / "customers.csv"
    written = pd.DataFrame({"id": range(5), "zendesk_id": range(5), "created_datetime": "2025-03-01"})
    written.to_csv(tickets, index=False)
    pd.DataFrame({"customer_id": [f"c{i}" for i in range(5)], "zendesk_id": range(5)}).to_csv(customers, index=False)
    orders, items = files()
    sent = ("--store-id", "advised", "--orders", orders, "--items", items, "--tickets", tickets)
    code, out, err = quimbi("load", *sent, "--currency", "usd", "--time-zone", "Europe/Berlin")
    assert (code, out) == (2, "")
    advised = shlex.split(err.splitlines()[-1].split("these keys: quimbi ")[1])
    assert advised == ["load", *map(str, sent), "--time-zone", "Europe/Berlin", "--currency", "USD", "--customers", "F"]
    code, out, err = quimbi(*advised[:-1], customers)
    assert code == 0, err
    assert "5 of 5 tickets belong to 5 known customers" in out


def test_what_was_worked_out_of_a_column_is_not_said_to_be_ignored(quimbi, files, tmp_path, database):
    """A list of Intercom's, cut to some columns; what a teammate began is left out and counted."""
    load(quimbi, "clocked", files(orders=lambda f: f.assign(customer_email=f["customer_id"] + "@example.com")))
    names = "Conversation ID", "User email", "Conversation started at (UTC)", "First response time (seconds)"
    names += "Time to close (seconds)", "Started by", "Seats (UTC)"
    written = [("1", "2025-04-03 09:00:00", 5400, 14400, "Customer", 2)]
    written += [("2", "2025-04-03 09:00:00", None, None, "Customer", 2), ("3", "2025-04-03 9:00", 1, 2, "Teammate", 2)]
    rows = [(number, "c1@example.com", *rest) for number, *rest in written]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "tickets.csv", index=False)
    code, out, _ = quimbi("load", "--store-id", "clocked", "--tickets", tmp_path / "tickets.csv")
    assert code == 0, out
    assert "support_tickets: 2 rows read: 2 new" in out
    assert "ignored columns: Seats (UTC)\n" in out
    assert "left out: 1 that the store began" in out
    sql = "SELECT first_response_at::text, resolved_at::text FROM quimbi.support_tickets WHERE store_id = 'clocked' "
    with administering(database) as cursor:
        cursor.execute(f"SET LOCAL TIME ZONE 'UTC'; {sql} ORDER BY ticket_id")
        assert cursor.fetchall() == [("2025-04-03 10:30:00+00", "2025-04-03 13:00:00+00"), (None, None)]


def test_tickets_of_a_known_store_say_how_many_belong_to_customers(quimbi, files, tmp_path):
    paths = files(orders=lambda f: f.assign(customer_email=f["customer_id"] + "@example.com"))
    load(quimbi, "writers", paths)
    tickets = tmp_path / "tickets.csv"
    written = pd.DataFrame({"id": range(5), "customer.id": range(900, 905), "created_datetime": "2025-03-01"})
    addresses = [f"C{i}@example.com" for i in range(4)] + ["nobody@example.com"]
    written.assign(**{"customer.email": addresses}).to_csv(tickets, index=False)
    code, out, _ = quimbi("load", "--store-id", "writers", "--tickets", tickets)
    assert code == 0
    assert "4 of 5 tickets belong to 4 known customers (by customer.email)" in out
    written.to_csv(tickets, index=False)
    code, out, err = quimbi("load", "--store-id", "writers", "--tickets", tickets)
    assert code == 0  # by then the helpdesk's ids are known
    written.assign(**{"customer.id": range(700, 705)}).to_csv(tickets, index=False)
    code, out, err = quimbi("load", "--store-id", "writers", "--tickets", tickets)
    assert (code, out) == (2, "")
    assert "--customers" in err.splitlines()[-1]
    customers = tmp_path / "customers.csv"
    known = pd.DataFrame({"customer_id": [f"c{i}" for i in range(5)], "helpdesk_id": range(700, 705)})
    known = known.assign(email=known["customer_id"] + "@elsewhere.com")
    known.to_csv(customers, index=False)
    code, out, _ = quimbi("load", "--store-id", "writers", "--customers", customers, "--tickets", tickets)
    assert code == 0
    assert "customers: 5 rows read, 10 keys: 10 new, 0 changed, 0 unchanged, 0 refused" in out
    assert "5 of 5 customers have orders (by customer_id)" in out
    assert "5 of 5 tickets belong to 5 known customers (by customer.id)" in out


def test_a_line_export_brings_its_lines(quimbi, files, tmp_path):
    orders, items = map(pd.read_csv, files())
    pd.concat([orders.merge(items, on="order_id")] * 2).to_csv(tmp_path / "oneline.csv", index=False)
    code, out, err = quimbi("load", "--store-id", "one-line", "--orders", tmp_path / "oneline.csv")
    assert code == 0, err
    assert "orders: 30 rows read: 30 new" in out
    assert "order_items: 60 rows read: 60 new" in out
    assert "ignored columns" not in out
    assert "repeat an earlier row" not in out


def test_an_error_names_all_missing_columns_and_the_command_that_works(quimbi, tmp_path, database):
    orders = tmp_path / "die orders.csv"
    orders.write_text("Beleg;Kunde;Bestelldatum;Betrag;Lager\nA1;ann;02.04.2025;35,00;1\nA2;ben;05.11.2025;10,00;1\n")
    code, out, err = quimbi("load", "--store-id", "foreign", "--orders", orders, "--time-zone", "Europe/Berlin")
    assert (code, out) == (2, "")
    assert "has no column order_id, customer_id, order_date, total_price: it has Beleg, Kunde" in err
    command = shlex.split(err.splitlines()[-1].split("if these are they: quimbi ")[1])
    assert command[-1] == "order_id=Beleg,customer_id=Kunde,order_date=Bestelldatum,total_price=Betrag"
    code, out, err = quimbi(*command)
    assert code == 0, err
    assert count(database, "orders", "foreign") == 2


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ("order_id=Nix", "has order_id, customer_id"),
        ("oder_id=order_id", "no column oder_id is read"),
        ("order_id", "say which of the file's columns it is"),
        ("order_id=?", "say which of the file's columns it is"),
    ],
)
def test_columns_that_cannot_be(quimbi, files, columns, word):
    orders, _ = files()
    code, out, err = quimbi("load", "--store-id", "columns", "--orders", orders, "--columns", columns)
    assert (code, out) == (2, "")
    assert word in err.splitlines()[-1]


def test_a_column_that_a_person_names_counts_before_one_of_the_right_name(quimbi, files, database):
    paths = files(orders=lambda f: f.assign(buyer=f["customer_id"] + "x", day=f["order_date"]))
    named = "orders.customer_id=Buyer,order_date=day"
    code, _, err = quimbi(
        "load", "--store-id", "by-column", "--orders", paths[0], "--items", paths[1], "--columns", named
    )
    assert code == 0, err
    customers = database.query(
        EVERY_STORE, "SELECT DISTINCT customer_id FROM quimbi.orders WHERE store_id = 'by-column'"
    )
    assert len(customers)
    assert customers["customer_id"].str.endswith("x").all()


def test_products_bring_categories_to_a_shopify_shop(quimbi, database):
    exports = Path(__file__).parents[1] / "ingest" / "exports"
    quimbi("load", "--store-id", "shelf", "--orders", exports / "shopify_orders.csv")
    with canonical_rows(database, "shelf") as rows:
        assert pa.Table.from_batches(rows.batches("raw_items"))["category"].null_count == 3
    code, out, _ = quimbi("load", "--store-id", "shelf", "--products", exports / "shopify_products.csv")
    assert code == 0
    assert "5 of 5 lines are of these products" in out  # by SKU, and by name where there is none
    with canonical_rows(database, "shelf") as rows:
        lines = pa.Table.from_batches(rows.batches("raw_items")).to_pandas()
    kinds = lines.set_index("product_id")["product_type"].to_dict()
    assert kinds == {"MUG-B": "Mugs", "Plate": "Plates"}
    assert lines["category"].str.endswith(("Mugs", "Plates")).all()
    code, out, _ = quimbi("load", "--store-id", "shelf", "--products", exports / "shopify_products.csv")
    assert "0 new, 0 changed, 9 unchanged" in out


def test_customers_of_a_shopify_shop_are_known_by_both_keys(quimbi, database):
    exports = Path(__file__).parents[1] / "ingest" / "exports"
    paths = ("--orders", exports / "shopify_orders.csv", "--customers", exports / "shopify_customers.csv")
    code, out, _ = quimbi("load", "--store-id", "people", *paths)
    assert code == 0
    assert "2 of 2 customers have orders (by Email)" in out
    assert "ignored" not in out


def test_lists_of_products_that_say_nothing(quimbi, files, tmp_path):
    paths = files()
    load(quimbi, "bare", paths)
    (tmp_path / "products.csv").write_text("sku,weight\np1,3\n")
    code, out, err = quimbi("load", "--store-id", "bare", "--products", tmp_path / "products.csv")
    assert (code, out) == (2, "")
    assert "says neither category nor product_type" in err.splitlines()[-1]


def test_the_summary_speaks_of_the_shop(quimbi, database):
    exports = Path(__file__).parents[1] / "ingest" / "exports"
    _, out, _ = quimbi("load", "--store-id", "spoken", "--orders", exports / "shopify_orders.csv")
    summary = "2 orders of 2 customers, 2 Apr 2025 - 5 Nov 2025, 35 GBP net; left out: 1 guest, 1 cancelled"
    assert out.splitlines()[1] == f"{summary}; offsets look like Europe/London"
    assert "load again with --time-zone Europe/London" in out
    assert "lines say no category; a list of products brings it: --products F" in out
    _, out, _ = quimbi("load", "--store-id", "spoken-back", "--orders", exports / "square_items.csv")
    # Ben's mug came back: the refund stands on a line, and counts
    assert "2 orders of 2 customers, 2 Apr 2025 - 5 Nov 2025, 35 net" in out


def test_files_of_a_pattern_are_pulled_when_they_change(quimbi, files, tmp_path, database):
    orders, items = files()
    folder = tmp_path / "drops"
    folder.mkdir()
    frame = pd.read_csv(orders, dtype="str")
    frame.head(20).to_parquet(folder / "day1.parquet")
    frame.tail(10).to_parquet(folder / "day2.parquet")
    source = ("load", "--store-id", "drops", "--from", folder / "*.parquet", "--items", items, "--every", "day")
    code, out, err = quimbi(*source)
    assert code == 0, err
    assert count(database, "orders", "drops") == count(database, "order_items", "drops") == 30
    assert "pulled every day" in out
    code, out, _ = quimbi(*source)
    assert (code, "store drops: nothing new since the last load" in out) == (0, True)
    frame.tail(1).assign(order_id="99").to_parquet(folder / "day3.parquet")
    code, out, _ = quimbi(*source)
    assert "orders: 1 row read: 1 new, 0 changed, 0 unchanged" in out
    frame.tail(2).assign(total_price="1").to_parquet(folder / "day4.parquet")
    frame.tail(1).assign(total_price="2").to_parquet(folder / "day5.parquet")
    code, out, _ = quimbi(*source)
    assert "orders: 3 rows read: 0 new, 3 changed, 0 unchanged" in out
    assert quimbi(*source, "--full")[0] == 0  # one after another, so that the last is right again
    rows = database.execute(
        EVERY_STORE, "SELECT total_price FROM quimbi.orders WHERE store_id = 'drops' ORDER BY order_id::int"
    )
    assert [row[0] for row in rows][-3:] == [1, 2, float(frame["total_price"].iloc[-1])]
    frame.tail(1).rename(columns={"customer_id": "x"}).to_parquet(folder / "day6.parquet")
    frame.tail(1).to_parquet(folder / "day7.parquet")
    assert "*.parquet (day6.parquet) has no column customer_id" in quimbi(*source)[2]
    for options, word in (
        (("--orders", orders, "--every", "day"), "give its address with --from"),
        (("--from", folder / "*.parquet", "--orders", orders), "--from brings orders of its own"),
        (("--from", "postgresql://x/y", "--items", items), "--items is a file"),
        (("--from", folder / "*.json"), "no such file"),
    ):
        code, out, err = quimbi("load", "--store-id", "drops", *options)
        assert (code, out) == (2, "")
        assert word in err.splitlines()[-1]


@pytest.mark.parametrize(("command", "too_slow"), [("loading", {"ibis", "dagster"}), ("customers", {"ibis", "pandas"})])
def test_what_is_typed_all_day_imports_no_axis(command, too_slow):
    code = f"import sys, quimbi_assets.commands.{command}; print(sorted({too_slow} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
