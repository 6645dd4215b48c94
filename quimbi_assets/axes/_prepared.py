"""What was visible as of an instant, prepared once and shared by all axes.

Belongs here: the point-in-time cut, money net of visible refunds, order indices, gaps, and the per-product and
per-category counts that several axes read. Does not: any single axis's formula.
"""

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._tables import CLOCK_SCHEMA, ITEMS_SCHEMA, ORDERS_SCHEMA, SECONDS_PER_DAY, Tables

#: Money below this is a rest of adding up binary fractions, not a refund.
SMALLEST_REFUND = 1e-6


def prepare() -> dict[str, ir.Table]:
    """Write the prepared relations as expressions on the input tables.

    Returns
    -------
    dict of str to ibis Table
        One expression per key of ``PREPARED_SCHEMAS``, with exactly its columns, in order of materialisation.
    """
    tables = Tables(frozenset())
    return {
        "orders": _orders(),
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


def _orders() -> ir.Table:
    orders = visible_orders()
    zero = ibis.literal(0, "float64")
    by_order = (
        visible_items()
        .group_by("order_id")
        .agg(item_refund=lambda t: t.refund_amount.sum(), hidden_refund=lambda t: t.hidden_refund.sum())
    )
    orders = orders.left_join(by_order, "order_id").drop("order_id_right")
    # The order's own refund carries no date: what its lines show to be refunded later is taken back off it. An order
    # without one of its own has that of its lines.
    hidden = orders.hidden_refund.fill_null(zero)
    refund = orders.refund_amount.fill_null(orders.item_refund.fill_null(zero) + hidden) - hidden
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
