"""How tables of a shop's database hold orders and lines, as queries that yield columns ``quimbi load`` knows.

Belongs here: the tables of this project's own design, and those in which Fivetran, Airbyte and dlt land Shopify's. Does
not: connecting, what was loaded before (``pulling``), what columns mean (``quimbi_assets.ingest``).

Shopify's names are those of its REST Admin API, which all three keep; columns that a connector was told to leave out
are NULL. An order is known by its id, a customer by theirs with the e-mail beside it, a product by SKU, else by id.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from psycopg2.extensions import quote_ident

Columns = Mapping[str, frozenset[str]]
"""Table → its columns, of one schema."""


class Queries(NamedTuple):
    """Queries by table of ours; ``{since}`` is a condition on the source's orders, called ``o``."""

    orders: str
    order_items: str | None = None
    support_tickets: str | None = None


@dataclass(frozen=True)
class Layout:
    """A way in which orders lie in tables."""

    orders: str
    """The table that has a row an order."""
    needed: tuple[str, ...]
    """Tables without which it is not this layout."""
    changed: tuple[str, ...]
    """Columns of an order that say when it last changed or arrived, best first."""
    queries: Callable[["Tables"], Queries]
    lines: str | None = None
    """A table of lines, known by ``order_id``, that may change without their order's row changing."""


@dataclass(frozen=True)
class Tables:
    """The tables of a schema, and which store's rows of them are meant where they have several."""

    schema: str
    columns: Columns
    store: str
    """SQL literal of the store's id."""
    connection: object

    def __getitem__(self, table: str) -> str:
        """Return a table's name as SQL."""
        return f"{self.quoted(self.schema)}.{self.quoted(table)}"

    def quoted(self, name: str) -> str:
        """Return a name as SQL."""
        return str(quote_ident(name, self.connection))

    def has(self, table: str, *columns: str) -> bool:
        """Whether there is a table with these columns."""
        return set(columns) <= self.columns.get(table, frozenset()) and table in self.columns

    def first(self, alias: str, table: str, *names: str) -> str:
        """Return the first of some columns that a table has, as SQL; NULL where it has none of them."""
        present = self.columns.get(table, frozenset())
        return next((f"{alias}.{self.quoted(name)}" for name in names if name in present), "NULL")


def _quimbi(tables: Tables) -> Queries:
    def rows(table: str, alias: str, joined: str = "") -> str:
        names = sorted(tables.columns[table] - {"store_id"})
        of_store = f"{alias}.store_id = {tables.store}" if tables.has(table, "store_id") else "true"
        listed = ", ".join(f"{alias}.{tables.quoted(name)}" for name in names)
        return f"SELECT {listed} FROM {tables[table]} {alias} {joined} WHERE {of_store}"

    join = f"JOIN {tables['orders']} o ON o.order_id = l.order_id"
    if tables.has("orders", "store_id") and tables.has("order_items", "store_id"):
        join += " AND o.store_id = l.store_id"
    lines = rows("order_items", "l", join) + " AND {since}" if tables.has("order_items", "order_id") else None
    if lines and tables.has("order_items", "line_no"):
        lines += " ORDER BY l.order_id, l.line_no"
    tickets = rows("support_tickets", "t") if tables.has("support_tickets") else None
    return Queries(rows("orders", "o") + " AND {since}", lines, tickets)


def _orders(tables: Tables, table: str, customer: str, email: str) -> str:
    """Return orders out of a table with Shopify's names."""

    def of(*names: str) -> str:
        return tables.first("o", table, *names)

    deleted = of("_fivetran_deleted")
    return f"""
        SELECT o.id::text AS order_id, {customer} AS customer_id, {email} AS email,
            {of("created_at", "processed_at")} AS order_date, {of("total_price")} AS total_price,
            {of("total_discounts")} AS discount_amount, {of("source_name")} AS source, {of("currency")} AS currency,
            CASE WHEN {of("test")}::text IN ('true', 't', '1') THEN 'test'
                WHEN {of("cancelled_at")} IS NOT NULL OR {deleted}::text = 'true' THEN 'cancelled'
                ELSE {of("financial_status")}::text END AS status
        FROM {tables[table]} o WHERE {{since}}
    """


def _lines(line: Mapping[str, str], rows: str, where: str = "true") -> str:
    """Return lines with Shopify's names, each with what was refunded of it; `line` has SQL by name."""
    return f"""
        SELECT {line["order_id"]}::text AS order_id,
            row_number() OVER (PARTITION BY {line["order_id"]} ORDER BY {line["position"]}) AS line_no,
            coalesce(nullif({line["sku"]}::text, ''), {line["product_id"]}::text, {line["name"]}::text) AS product_id,
            {line["product_type"]}::text AS product_type, {line["quantity"]} AS quantity, {line["price"]} AS price,
            refunded.amount AS refund_amount, refunded.at AS refunded_at
        FROM {rows} WHERE {where} AND {{since}}
        ORDER BY order_id, line_no
    """


_NO_REFUNDS = "(SELECT NULL::text AS line_id, NULL::numeric AS amount, NULL::timestamptz AS at WHERE false)"


def _fivetran(tables: Tables) -> Queries:
    def of(*names: str) -> str:
        return tables.first("l", "order_line", *names)

    refunds = _NO_REFUNDS
    if tables.has("refund", "id", "created_at") and tables.has("order_line_refund", "refund_id", "order_line_id"):
        amount = tables.first("b", "order_line_refund", "subtotal")
        refunds = f"""(
            SELECT b.order_line_id::text AS line_id, sum({amount}) AS amount, max(r.created_at) AS at
            FROM {tables["order_line_refund"]} b JOIN {tables["refund"]} r ON r.id = b.refund_id GROUP BY 1
        )"""
    rows = f"{tables['order_line']} l JOIN {tables['order']} o ON o.id = l.order_id"
    rows += f" LEFT JOIN {refunds} refunded ON refunded.line_id = l.id::text"
    has_products = tables.has("product", "id", "product_type") and tables.has("order_line", "product_id")
    if has_products:
        rows += f" LEFT JOIN {tables['product']} p ON p.id = l.product_id"
    line = {
        "order_id": "l.order_id",
        "position": of("index", "id"),
        "sku": of("sku"),
        "product_id": of("product_id"),
        "name": of("name", "title"),
        "product_type": "p.product_type" if has_products else "NULL",
        "quantity": of("quantity"),
        "price": of("price"),
    }
    is_there = f"coalesce({of('_fivetran_deleted')}, false) IS NOT TRUE"
    customer, email = (tables.first("o", "order", name) for name in ("customer_id", "email"))
    return Queries(_orders(tables, "order", customer, email), _lines(line, rows, is_there))


def _airbyte(tables: Tables) -> Queries:
    def listed(column: str) -> str:
        return f"jsonb_array_elements(CASE jsonb_typeof({column}) WHEN 'array' THEN {column} ELSE '[]' END)"

    own_customer = tables.has("orders", "customer")
    customer = "o.customer::jsonb ->> 'id'" if own_customer else tables.first("o", "orders", "customer_id")
    email = tables.first("o", "orders", "email", "contact_email")
    refunds = _NO_REFUNDS
    if tables.has("orders", "refunds"):
        refunds = f"""(
            SELECT b ->> 'line_item_id' AS line_id, sum((b ->> 'subtotal')::numeric) AS amount,
                max((r ->> 'created_at')::timestamptz) AS at
            FROM {tables["orders"]} o CROSS JOIN LATERAL {listed("o.refunds::jsonb")} r
                CROSS JOIN LATERAL {listed("r -> 'refund_line_items'")} b
            WHERE {{since}} GROUP BY 1
        )"""
    rows = f"{tables['orders']} o CROSS JOIN LATERAL {listed('o.line_items::jsonb')} WITH ORDINALITY AS x(l, position)"
    rows += f" LEFT JOIN {refunds} refunded ON refunded.line_id = l ->> 'id'"
    line = {name: f"(l ->> '{name}')" for name in ("sku", "product_id", "name")}
    numbers = {name: f"(l ->> '{name}')::numeric" for name in ("quantity", "price")}
    line |= {"order_id": "o.id", "position": "position", "product_type": "NULL", **numbers}
    return Queries(_orders(tables, "orders", customer, email), _lines(line, rows))


def _dlt(tables: Tables) -> Queries:
    lines, refunds, parts = "orders__line_items", "orders__refunds", "orders__refunds__refund_line_items"

    def of(*names: str) -> str:
        return tables.first("l", lines, *names)

    refunded = _NO_REFUNDS
    if tables.has(refunds, "created_at") and tables.has(parts, "line_item_id"):
        amount = tables.first("b", parts, "subtotal")
        refunded = f"""(
            SELECT b.line_item_id::text AS line_id, sum({amount}) AS amount, max(r.created_at) AS at
            FROM {tables[parts]} b JOIN {tables[refunds]} r ON r._dlt_id = b._dlt_parent_id GROUP BY 1
        )"""
    rows = f"{tables[lines]} l JOIN {tables['orders']} o ON o._dlt_id = l._dlt_parent_id"
    rows += f" LEFT JOIN {refunded} refunded ON refunded.line_id = l.id::text"
    names = {name: of(name) for name in ("sku", "product_id", "quantity", "price")}
    line = {
        "order_id": "o.id",
        "position": of("_dlt_list_idx", "id"),
        "name": of("name", "title"),
        "product_type": "NULL",
        **names,
    }
    customer = tables.first("o", "orders", "customer__id", "customer_id")
    email = tables.first("o", "orders", "email", "customer__email")
    return Queries(_orders(tables, "orders", customer, email), _lines(line, rows))


LAYOUTS = {
    "quimbi": Layout("orders", ("orders",), ("updated_at", "modified_at"), _quimbi, "order_items"),
    "fivetran": Layout("order", ("order", "order_line"), ("_fivetran_synced", "updated_at"), _fivetran),
    "airbyte": Layout("orders", ("orders",), ("_airbyte_extracted_at", "_airbyte_emitted_at", "updated_at"), _airbyte),
    "dlt": Layout("orders", ("orders", "orders__line_items"), ("updated_at",), _dlt),
}
