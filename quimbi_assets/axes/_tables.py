"""The relations that axes are written on: what was visible as of an instant, prepared once and shared by all.

Belongs here: the point-in-time cut, money net of visible refunds, order indices, gaps, and the per-product and
per-category counts that several axes read. Does not: any single axis's formula.

All relations are unbound Ibis expressions, so that they are compiled once for a set of recorded columns and run
on any engine.
"""

from dataclasses import dataclass
from functools import cached_property

import ibis
import ibis.expr.types as ir

DAYS_PER_MONTH = 30.4375
SECONDS_PER_DAY = 86_400
SMALLEST_REFUND = 1e-6

ORDERS_SCHEMA = {
    "order_id": "string",
    "customer_id": "string",
    "order_date": "timestamp(6)",
    "order_date_local": "timestamp(6)",
    "total_price": "float64",
    "discount_amount": "float64",
    "refund_amount": "float64",
    "source": "string",
}
ITEMS_SCHEMA = {
    "order_id": "string",
    "line_no": "int64",
    "product_id": "string",
    "category": "string",
    "product_type": "string",
    "quantity": "float64",
    "price": "float64",
    "refund_amount": "float64",
    "refunded_at": "timestamp(6)",
}
CLOCK_SCHEMA = {"observation_end": "timestamp(6)"}
PRODUCT_PRICES_SCHEMA = {"product_id": "string", "cheap_price": "float64"}
CATEGORY_PRICES_SCHEMA = {"category": "string", "luxury_price": "float64"}
STORE_GAPS_SCHEMA = {"median_gap_days": "float64"}

#: Tables every engine must hold before the prepared relations can be built.
INPUT_SCHEMAS = {
    "raw_orders": ORDERS_SCHEMA,
    "raw_items": ITEMS_SCHEMA,
    "clock": CLOCK_SCHEMA,
    "product_prices": PRODUCT_PRICES_SCHEMA,
    "category_prices": CATEGORY_PRICES_SCHEMA,
    "store_gaps": STORE_GAPS_SCHEMA,
}

ORDERS_PREPARED = {
    "customer_id": "string",
    "order_id": "string",
    "order_index": "int64",
    "n_orders": "int64",
    "days_ago": "float64",
    "gap_days": "float64",
    "local_time": "timestamp(6)",
    "net_value": "float64",
    "gross_value": "float64",
    "discount": "float64",
    "refund": "float64",
    "source": "string",
}
LINES_PREPARED = {
    "customer_id": "string",
    "order_id": "string",
    "order_index": "int64",
    "days_ago": "float64",
    "product_id": "string",
    "category": "string",
    "quantity": "float64",
    "price": "float64",
    "refund": "float64",
    "refund_days_ago": "float64",
}
CUSTOMERS_PREPARED = {
    "customer_id": "string",
    "n_orders": "int64",
    "tenure_days": "float64",
    "days_since_last_order": "float64",
    "gross_value": "float64",
    "net_value": "float64",
    "refund": "float64",
    "discount": "float64",
    "n_refunded_orders": "int64",
    "n_discounted_orders": "int64",
}
PRODUCTS_PREPARED = {
    "customer_id": "string",
    "product_id": "string",
    "n_lines": "int64",
    "n_orders": "int64",
    "first_order_index": "int64",
}
CATEGORIES_PREPARED = {
    "customer_id": "string",
    "category": "string",
    "n_lines": "int64",
    "n_orders": "int64",
    "first_days_ago": "float64",
}
#: Relations prepared from the inputs, in the order in which an engine must materialise them.
PREPARED_SCHEMAS = {
    "orders": ORDERS_PREPARED,
    "lines": LINES_PREPARED,
    "customers": CUSTOMERS_PREPARED,
    "products": PRODUCTS_PREPARED,
    "categories": CATEGORIES_PREPARED,
}


@dataclass(frozen=True)
class BusinessHours:
    """Opening hours in the store's local time, Monday to Friday.

    Parameters
    ----------
    opens, closes : int
        Hours 0-24; an order at ``opens`` counts, one at ``closes`` does not.
    """

    opens: int = 9
    closes: int = 17


@dataclass(frozen=True)
class Tables:
    """What an axis measures on: prepared relations of one store as of one instant, all unbound.

    Parameters
    ----------
    recorded : frozenset of str
        Columns that the store records, as ``"orders.discount_amount"``; see ``axes.recorded_columns``.
    business_hours : BusinessHours
        Opening hours in store-local time.

    Notes
    -----
    ``orders``: one row a visible order; ``order_index`` 1..n in time; ``days_ago`` from order to
    ``observation_end``; ``gap_days`` to the previous order (NULL for the first); ``net_value`` = paid - visible
    refunds (>= 0); ``gross_value`` = paid + discount; ``refund`` capped at what was paid.
    ``lines``: one row a visible order line. ``customers``: one row a customer with at least one visible order.
    ``products`` / ``categories``: one row per customer and product / category bought.
    """

    recorded: frozenset[str]
    business_hours: BusinessHours = BusinessHours()

    @cached_property
    def orders(self) -> ir.Table:
        """Visible orders."""
        return ibis.table(ORDERS_PREPARED, name="orders")

    @cached_property
    def lines(self) -> ir.Table:
        """Visible order lines."""
        return ibis.table(LINES_PREPARED, name="lines")

    @cached_property
    def customers(self) -> ir.Table:
        """Customers with a visible order."""
        return ibis.table(CUSTOMERS_PREPARED, name="customers")

    @cached_property
    def products(self) -> ir.Table:
        """Products each customer bought."""
        return ibis.table(PRODUCTS_PREPARED, name="products")

    @cached_property
    def categories(self) -> ir.Table:
        """Categories each customer bought from."""
        return ibis.table(CATEGORIES_PREPARED, name="categories")

    @cached_property
    def product_prices(self) -> ir.Table:
        """Fitted: the cheapest decile of each product's own price history, where it has one."""
        return ibis.table(PRODUCT_PRICES_SCHEMA, name="product_prices")

    @cached_property
    def category_prices(self) -> ir.Table:
        """Fitted: the 80th percentile of unit prices within each category."""
        return ibis.table(CATEGORY_PRICES_SCHEMA, name="category_prices")

    @cached_property
    def store_gaps(self) -> ir.Table:
        """Fitted: one row, the store's median days between consecutive orders."""
        return ibis.table(STORE_GAPS_SCHEMA, name="store_gaps")


def prepare(recorded: frozenset[str]) -> dict[str, ir.Table]:
    """Write the prepared relations as expressions on the input tables.

    Parameters
    ----------
    recorded : frozenset of str
        Columns that the store records.

    Returns
    -------
    dict of str to ibis Table
        One expression per key of ``PREPARED_SCHEMAS``, with exactly its columns, in order of materialisation.
    """
    tables = Tables(recorded)
    return {
        "orders": _orders(recorded),
        "lines": _lines(tables.orders),
        "customers": _customers(tables.orders),
        "products": _products(tables.lines),
        "categories": _categories(tables.lines),
    }


def days_between(earlier: ir.TimestampValue, later: ir.TimestampValue) -> ir.FloatingValue:
    """Elapsed days as float64, from whole seconds.

    Notes
    -----
    Differences of epoch seconds, because engines count day boundaries differently; cut to whole seconds first,
    because DuckDB keeps their fraction and Spark does not.
    """
    seconds = later.truncate("s").epoch_seconds() - earlier.truncate("s").epoch_seconds()
    return seconds.cast("float64") / ibis.literal(SECONDS_PER_DAY, "float64")


def visible_orders() -> ir.Table:
    """Raw orders before ``observation_end``, with that instant as a column."""
    raw = ibis.table(ORDERS_SCHEMA, name="raw_orders")
    clock = ibis.table(CLOCK_SCHEMA, name="clock")
    return raw.cross_join(clock).filter(lambda t: t.order_date < t.observation_end)


def visible_items() -> ir.Table:
    """Raw lines of visible orders; refunds at or after ``observation_end`` are undone."""
    raw = ibis.table(ITEMS_SCHEMA, name="raw_items")
    orders = visible_orders().select("order_id", "customer_id", "order_date", "observation_end")
    joined = raw.join(orders, "order_id")
    hidden = joined.refunded_at.notnull() & (joined.refunded_at >= joined.observation_end)
    zero = ibis.literal(0, "float64")
    return joined.mutate(
        hidden_refund=hidden.ifelse(joined.refund_amount.fill_null(zero), zero),
        refund_amount=hidden.ifelse(joined.refund_amount * zero, joined.refund_amount),
        refunded_at=hidden.ifelse(ibis.null("timestamp(6)"), joined.refunded_at),
    )


def _orders(recorded: frozenset[str]) -> ir.Table:
    orders = visible_orders()
    zero = ibis.literal(0, "float64")
    by_order = (
        visible_items()
        .group_by("order_id")
        .agg(item_refund=lambda t: t.refund_amount.sum(), hidden_refund=lambda t: t.hidden_refund.sum())
    )
    orders = orders.left_join(by_order, "order_id").drop("order_id_right")
    if "orders.refund_amount" in recorded:
        # The order's own refund carries no date: what its lines show to be refunded later is taken back off it.
        refund = orders.refund_amount.fill_null(zero) - orders.hidden_refund.fill_null(zero)
    else:
        refund = orders.item_refund.fill_null(zero)
    # Line refunds rarely add up to the last binary digit: a rest of a millionth is no refund.
    refund = (refund < ibis.literal(SMALLEST_REFUND, "float64")).ifelse(zero, refund)
    discount = orders.discount_amount.fill_null(zero)
    orders = orders.mutate(
        refund=ibis.greatest(ibis.least(refund, orders.total_price), zero),
        discount=discount,
        gross_value=orders.total_price + discount,
    )
    in_time = ibis.window(group_by="customer_id", order_by=["order_date", "order_id"])
    whole = ibis.window(group_by="customer_id")
    return orders.select(
        "customer_id",
        "order_id",
        order_index=(ibis.row_number().over(in_time) + 1).cast("int64"),
        n_orders=orders.order_id.count().over(whole).cast("int64"),
        days_ago=days_between(orders.order_date, orders.observation_end),
        gap_days=days_between(orders.order_date.lag().over(in_time), orders.order_date),
        local_time=orders.order_date_local,
        net_value=orders.total_price - orders.refund,
        gross_value=orders.gross_value,
        discount=orders.discount,
        refund=orders.refund,
        source=orders.source,
    )


def _lines(orders: ir.Table) -> ir.Table:
    items = visible_items()
    refund_days_ago = days_between(items.refunded_at, items.observation_end)
    items = items.mutate(refund_days_ago=refund_days_ago).drop("customer_id")
    indexed = orders.select("order_id", "customer_id", "order_index", "days_ago")
    joined = items.join(indexed, "order_id")
    return joined.select(
        "customer_id",
        "order_id",
        "order_index",
        "days_ago",
        "product_id",
        "category",
        "quantity",
        "price",
        refund=joined.refund_amount.fill_null(ibis.literal(0, "float64")),
        refund_days_ago=joined.refund_days_ago,
    )


def _customers(orders: ir.Table) -> ir.Table:
    one, none = ibis.literal(1, "int64"), ibis.literal(0, "int64")
    return orders.group_by("customer_id").agg(
        n_orders=orders.order_id.count().cast("int64"),
        tenure_days=orders.days_ago.max(),
        days_since_last_order=orders.days_ago.min(),
        gross_value=orders.gross_value.sum(),
        net_value=orders.net_value.sum(),
        refund=orders.refund.sum(),
        discount=orders.discount.sum(),
        n_refunded_orders=(orders.refund > 0).ifelse(one, none).sum().cast("int64"),
        n_discounted_orders=(orders.discount > 0).ifelse(one, none).sum().cast("int64"),
    )


def _products(lines: ir.Table) -> ir.Table:
    known = lines.filter(lines.product_id.notnull())
    return known.group_by("customer_id", "product_id").agg(
        n_lines=known.order_id.count().cast("int64"),
        n_orders=known.order_id.nunique().cast("int64"),
        first_order_index=known.order_index.min(),
    )


def _categories(lines: ir.Table) -> ir.Table:
    known = lines.filter(lines.category.notnull())
    return known.group_by("customer_id", "category").agg(
        n_lines=known.order_id.count().cast("int64"),
        n_orders=known.order_id.nunique().cast("int64"),
        first_days_ago=known.days_ago.max(),
    )
