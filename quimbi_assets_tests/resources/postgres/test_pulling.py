"""Orders out of a shop's own database: in four layouts, as far as they are new, changing nothing there."""

import hashlib
from dataclasses import replace

import pyarrow as pa
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.pulling import Pull, pull, without_password
from quimbi_assets.resources.postgres.reading import canonical_rows
from quimbi_assets.resources.postgres.tables.sources import Source, read_sources
from quimbi_assets_tests.resources.postgres.shop_tables import address, execute, make_shop

ASKED = Pull(time_zone="America/New_York")


@pytest.fixture(scope="module")
def shop(database, tmp_path_factory):
    """A shop's database, and the store ``csv`` loaded from files of the same orders."""
    url, orders, lines = make_shop(database, "pulled_shop")
    folder = tmp_path_factory.mktemp("csv")
    orders.to_csv(folder / "orders.csv", index=False)
    lines.to_csv(folder / "lines.csv", index=False)
    load_store(database, "csv", folder / "orders.csv", folder / "lines.csv", time_zone="America/New_York")
    return url


def digest(database, store_id):
    """Return a digest of every byte of a store's canonical tables."""
    with canonical_rows(database, store_id) as rows:
        tables = [pa.Table.from_batches(rows.batches(name)).combine_chunks() for name in ("raw_orders", "raw_items")]
    assert all(len(table) for table in tables)
    return [hashlib.sha256(str(table.to_pylist()).encode()).hexdigest() for table in tables]


@pytest.mark.parametrize("layout", ["quimbi", "fivetran", "airbyte", "dlt"])
def test_four_layouts_are_as_the_csv_to_the_last_digit(database, shop, layout):
    # This project's tables hold several stores, by id; the others are one shop's.
    source = Source(shop, layout, "own" if layout == "quimbi" else layout)
    store_id = "shop" if layout == "quimbi" else f"shop-{layout}"
    report = pull(database, store_id, source, ASKED)
    assert [table.refused for table in report.tables] == [0, 0]
    assert digest(database, store_id) == digest(database, "csv")
    assert pull(database, store_id, source, ASKED) is None  # nothing is new


def test_queries_are_as_a_layout(database, shop):
    source = Source(
        shop,
        orders_query="SELECT id, customer_id, created_at, total_price, total_discounts, source_name, currency, "
        'financial_status FROM fivetran."order";',
        items_query="SELECT order_id, index, sku, quantity, price, refunded AS refund_amount, refunded_at "
        "FROM fivetran.order_line ORDER BY order_id, index",
    )
    pull(database, "by-query", source, ASKED)
    assert digest(database, "by-query") == digest(database, "csv")


def test_only_orders_that_changed_are_read_again(database, shop):
    source = Source(shop, "fivetran", "fivetran")
    pull(database, "newer", source, ASKED)
    execute(shop, "UPDATE fivetran.\"order\" SET total_price = 1, _fivetran_synced = '2026-02-01' WHERE id = 7")
    orders = pull(database, "newer", source, ASKED).tables[0]
    assert (orders.read, orders.updated) == (2, 1)  # and the one that was the newest before
    assert pull(database, "newer", source, ASKED) is None
    assert pull(database, "newer", source, Pull(full=True)).tables[0].unchanged > 300


def test_where_nothing_says_what_changed_any_change_is_noticed(database, shop):
    source = Source(shop, "quimbi", "own")
    pull(database, "another", source, ASKED)
    execute(shop, "UPDATE own.orders SET total_price = 1 WHERE store_id = 'another' AND order_id = '2'")
    assert pull(database, "another", source, ASKED).tables[0].updated == 1
    assert pull(database, "another", source, ASKED) is None


def test_a_line_that_changes_alone_brings_its_order(database, shop):
    execute(
        shop,
        "CREATE SCHEMA dated; CREATE TABLE dated.orders AS SELECT *, order_date AS updated_at FROM own.orders "
        "WHERE store_id = 'shop'; CREATE TABLE dated.order_items AS SELECT l.*, o.order_date AS updated_at "
        "FROM own.order_items l JOIN dated.orders o USING (store_id, order_id)",
    )
    source = Source(shop, "quimbi", "dated")
    pull(database, "shop", source, ASKED)
    execute(
        shop,
        "UPDATE dated.order_items SET refund_amount = 1, refunded_at = '2026-02-01', updated_at = '2026-02-01' "
        "WHERE order_id = '9' AND line_no = 1",
    )
    orders, lines = pull(database, "shop", source, ASKED).tables
    assert (orders.read, lines.updated) == (2, 1)  # its order, and the newest before
    tickets = "SELECT order_id AS ticket_id, customer_id, order_date AS created_at, store_id FROM own.orders"
    execute(shop, f"CREATE TABLE dated.support_tickets AS {tickets} WHERE order_id IN ('8', '9')")
    assert pull(database, "shop", source, ASKED).tables[-1].inserted == 2  # no order is new, tickets are
    execute(shop, "ALTER TABLE dated.order_items DROP COLUMN updated_at")
    assert pull(database, "shop", source, ASKED).tables[0].read > 300  # nothing says any more which lines are new
    assert pull(database, "shop", source, ASKED) is None
    execute(shop, "DROP SCHEMA dated CASCADE")


def test_who_may_only_read_can_pull_and_nothing_is_written(database, shop):
    execute(
        shop,
        "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 's3cret-word'; "
        "GRANT USAGE ON SCHEMA own TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA own TO reader",
    )
    reader = shop.replace("postgres@", "reader:s3cret-word@")
    report = pull(database, "another", Source(reader), Pull(full=True))  # sees one schema, so none has to be named
    assert report.tables[0].read == 5
    execute(shop, "DROP OWNED BY reader; DROP ROLE reader")
    for writing in ("INSERT INTO own.orders SELECT * FROM own.orders RETURNING *", "SELECT lo_create(0)"):
        with pytest.raises(BadInputError, match="cannot read"):
            pull(database, "writer", Source(shop, orders_query=writing), ASKED)


def test_wrong_addresses_are_one_line_without_the_password(database, shop, monkeypatch):
    for wrong in (
        "postgresql://ann:s3cret-word@127.0.0.1:1/shop",
        "postgresql://ann:s3cret-word@127.0.0.1:port/shop",
        "postgresql://ann:s3cret-word@host/shop?password=s3cret-word&no_such=1",
        "postgresql://127.0.0.1:1/shop?user=ann&sslpassword=s3cret-word&pasword=s3cret-word",
        "postgresql://127.0.0.1:1/shop?pasword=s3cret-word%zz",
        "postgresql://127.0.0.1:1/shop?s3cret-word",
        "host=h user=u password=s3cret-word" + 300 * "x",
        "~nobody-here:s3cret-word@shop/db",
        address(database, "nowhere").replace("postgres@", "postgres:s3cret-word@"),
    ):
        with pytest.raises(BadInputError) as raised:
            pull(database, "wrong", Source(wrong), ASKED)
        assert "s3cret-word" not in str(raised.value)
        assert "\n" not in str(raised.value)
    monkeypatch.setenv("SHOP_URL", "postgresql://ann:s3cret-word@127.0.0.1:1/shop")
    with pytest.raises(BadInputError) as raised:
        pull(database, "wrong", Source("env:SHOP_URL"), ASKED)
    assert "cannot reach env:SHOP_URL" in str(raised.value)
    assert "s3cret-word" not in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://ann:s3cret-word@host/db",
        "host=shop password=s3cret-word dbname=db",
        "postgres:ann:s3cret-word@host",
        "postgresql:/ann:s3cret-word@127.0.0.1/db",
        "ann:s3cret-word@host/db",
    ],
)
def test_an_address_of_another_kind_is_not_taken_for_a_file(database, wrong):
    with pytest.raises(BadInputError, match="--from reads postgresql://") as raised:
        pull(database, "wrong", Source(wrong), ASKED)
    assert "s3cret" not in str(raised.value)


def test_another_time_zone_reads_all_again(database, shop):
    source = Source(shop, "dlt", "dlt")
    pull(database, "moved", source, ASKED)
    assert pull(database, "moved", source, ASKED) is None
    assert pull(database, "moved", source, Pull(time_zone="Europe/Berlin")).store.time_zone == "Europe/Berlin"
    assert pull(database, "moved", source, Pull()) is None


def test_what_is_remembered_has_no_password(database, shop, monkeypatch):
    monkeypatch.setenv("SHOP_URL", shop)
    pull(database, "kept", Source("env:SHOP_URL", "airbyte", "airbyte"), Pull(every="hour"))
    (known,) = read_sources(database, "kept")
    assert (known.source.address, known.every) == ("env:SHOP_URL", "hour")
    pull(database, "kept", known.source, Pull(every="never"))
    assert read_sources(database, "kept")[0].every is None
    with pytest.raises(BadInputError, match="a password is not stored"):
        pull(database, "kept", Source("postgresql://ann:s3cret-word@shop/db"), Pull(every="day"))
    assert (
        without_password("postgresql://ann:s3cret@shop/db?sslmode=require")
        == "postgresql://ann@shop/db?sslmode=require"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source("", "dlt", "own"), "schema own has no tables orders, orders__line_items"),
        (Source("", "quimbi"), "schemas airbyte, dlt, own have tables orders .*say which with --schema"),
        (Source("", "quimbi", "own"), "holds no order of store nobody"),
        (Source("", orders_query="SELECT nothing"), "cannot read .*nothing"),
        (
            Source("", orders_query="SELECT id AS nr, total_price FROM airbyte.orders"),
            "has no column .*--from .*--orders-query",
        ),
    ],
)
def test_what_a_database_lacks_is_told(database, shop, source, message):
    with pytest.raises(BadInputError, match=message):
        pull(database, "nobody", replace(source, address=shop), ASKED)
