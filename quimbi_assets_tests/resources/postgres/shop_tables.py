"""A shop's orders in a database of its own, as this project's design, Fivetran, Airbyte and dlt lay them out."""

from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

import psycopg2

from quimbi_assets.resources.postgres.copy import copy_frame
from quimbi_assets.resources.postgres.database import administration
from quimbi_assets.simulation import simulate_store

TABLES = """
CREATE SCHEMA own;
CREATE TABLE own.orders (
    store_id text, order_id text, customer_id text, order_date timestamptz, total_price numeric,
    discount_amount numeric, source text, status text, currency text
);
CREATE TABLE own.order_items (
    store_id text, order_id text, line_no int, product_id text, quantity numeric, price numeric, refund_amount numeric,
    refunded_at timestamptz
);
"""
CONNECTORS = """
CREATE SCHEMA fivetran;
CREATE TABLE fivetran."order" AS SELECT order_id::bigint AS id, customer_id::bigint AS customer_id,
    customer_id || '@example.com' AS email, order_date AS created_at, total_price, discount_amount AS total_discounts,
    source AS source_name, currency, status AS financial_status, NULL::timestamptz AS cancelled_at, false AS test,
    '2026-01-01 00:00+00'::timestamptz + order_id::int * interval '1 s' AS _fivetran_synced, false AS _fivetran_deleted
    FROM own.orders WHERE store_id = 'shop';
CREATE TABLE fivetran.order_line AS SELECT (row_number() OVER (ORDER BY order_id, line_no))::bigint AS id,
    order_id::bigint AS order_id, line_no - 1 AS index, product_id AS sku, quantity, price,
    refund_amount AS refunded, refunded_at FROM own.order_items WHERE store_id = 'shop';
CREATE TABLE fivetran.refund AS SELECT id + 1000000 AS id, order_id, refunded_at AS created_at
    FROM fivetran.order_line WHERE refunded > 0;
CREATE TABLE fivetran.order_line_refund AS SELECT id + 2000000 AS id, id AS order_line_id, id + 1000000 AS refund_id,
    quantity, refunded AS subtotal FROM fivetran.order_line WHERE refunded > 0;

CREATE SCHEMA airbyte;
CREATE TABLE airbyte.orders AS SELECT id, email, created_at, total_price, total_discounts, source_name, currency,
    financial_status, cancelled_at, test, _fivetran_synced AS _airbyte_extracted_at,
    jsonb_build_object('id', customer_id, 'email', email) AS customer,
    (SELECT jsonb_agg(jsonb_build_object('id', l.id, 'sku', sku, 'quantity', quantity, 'price', price::text)
                      ORDER BY l.index)
     FROM fivetran.order_line l WHERE l.order_id = o.id) AS line_items,
    coalesce((SELECT jsonb_agg(jsonb_build_object('id', r.id, 'created_at', r.created_at, 'refund_line_items',
                (SELECT jsonb_agg(jsonb_build_object('line_item_id', b.order_line_id, 'subtotal', b.subtotal))
                 FROM fivetran.order_line_refund b WHERE b.refund_id = r.id)))
     FROM fivetran.refund r WHERE r.order_id = o.id), '[]') AS refunds
    FROM fivetran."order" o;

CREATE SCHEMA dlt;
CREATE TABLE dlt.orders AS SELECT id, email, created_at, total_price, total_discounts, source_name, currency,
    financial_status, cancelled_at, test, created_at AS updated_at, customer_id AS customer__id, 'o' || id AS _dlt_id
    FROM fivetran."order";
CREATE TABLE dlt.orders__line_items AS SELECT id, sku, quantity, price, 'o' || order_id AS _dlt_parent_id,
    index AS _dlt_list_idx FROM fivetran.order_line;
CREATE TABLE dlt.orders__refunds AS SELECT id, created_at, 'o' || order_id AS _dlt_parent_id, 'r' || id AS _dlt_id
    FROM fivetran.refund;
CREATE TABLE dlt.orders__refunds__refund_line_items AS SELECT order_line_id AS line_item_id, subtotal,
    'r' || refund_id AS _dlt_parent_id FROM fivetran.order_line_refund;
"""


def address(database, name):
    """Return the address of another database on the same server."""
    return urlunsplit(urlsplit(administration(database, database.libpq_url))._replace(path=f"/{name}"))


def execute(url, sql):
    """Run statements in a transaction of their own."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)


def make_shop(database, name, n_customers=60, seed=3):
    """Make a database of a shop's, in all layouts; return its address, and its orders and lines as frames."""
    with closing(psycopg2.connect(administration(database, database.libpq_url))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {name}")
    made = simulate_store(n_customers, seed=seed)
    numbers = {order: str(number) for number, order in enumerate(made.orders["order_id"], start=1)}
    orders = made.orders.drop(columns="refund_amount").assign(
        order_id=made.orders["order_id"].map(numbers), customer_id=made.orders["customer_id"].str.lstrip("c0")
    )
    lines = made.order_items.drop(columns=["category", "product_type"])
    lines = lines.assign(order_id=lines["order_id"].map(numbers), refund_amount=lines["refund_amount"].replace(0, None))
    url = address(database, name)
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        copy_frame(cursor, "own.orders", orders.assign(store_id="shop"))
        copy_frame(cursor, "own.order_items", lines.assign(store_id="shop"))
        copy_frame(cursor, "own.orders", orders.head(5).assign(store_id="another"))
        cursor.execute(CONNECTORS)
    return url, orders, lines
