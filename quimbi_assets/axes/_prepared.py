"""What was visible as of an instant, prepared once and shared by all axes.

Belongs here: order indices, gaps, money net of refunds, and the per-product and per-category counts that several axes
read. Does not: what is visible (``history``), any single axis's formula.
"""

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._tables import Tables
from quimbi_assets.history import ZERO, days_between, visible_items, visible_orders, visible_tickets


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
        "tickets": _tickets(),
    }


def _orders() -> ir.Table:
    orders = visible_orders()
    discount = orders.discount_amount.fill_null(ZERO)
    orders = orders.mutate(discount=discount, gross_value=orders.total_price + discount)
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
        refund=joined.refund_amount.fill_null(ZERO),
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


def _tickets() -> ir.Table:
    tickets = visible_tickets()
    in_time = ibis.window(group_by="customer_id", order_by=["created_at", "ticket_id"])

    def hours_until(instant: ir.TimestampValue) -> ir.FloatingValue:
        hours = days_between(tickets.created_at, instant) * ibis.literal(24, "float64")
        # Assumption: an answer before the question is a slip of the helpdesk's clock, and how long it took not known.
        return (hours >= 0).ifelse(hours, ibis.null("float64"))

    return tickets.select(
        "customer_id",
        "ticket_id",
        ticket_index=(ibis.row_number().over(in_time) + 1).cast("int64"),
        days_ago=days_between(tickets.created_at, tickets.observation_end),
        local_time=tickets.created_at_local,
        channel=tickets.channel,
        subject=tickets.subject,
        tags=tickets.tags,
        response_hours=hours_until(tickets.first_response_at),
        resolution_hours=hours_until(tickets.resolved_at),
        satisfaction_score=tickets.satisfaction_score,
        reopen_count=tickets.reopen_count,
    )
