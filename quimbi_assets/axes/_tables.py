"""The relations that axes are written on: what was visible as of an instant, prepared once and shared by all axes.

Belongs here: order indices, gaps, money net of refunds, the per-product and per-category counts that several axes read,
and ``Tables``, through which an axis reads them. Does not: what is visible (``history``), any single axis's formula.

All relations are unbound Ibis expressions, so that they are compiled once for a set of recorded columns and run
on any engine.
"""

from functools import cache
from typing import Any

import ibis
import ibis.expr.types as ir

from quimbi_assets.history import ZERO, days_between, visible_items, visible_orders, visible_tickets
from quimbi_assets.store import BusinessHours

DAYS_PER_MONTH = 30.4375
REFERENCE_SCHEMAS = {
    "product_prices": {"product_id": "string", "cheap_price": "float64"},
    "category_prices": {"category": "string", "luxury_price": "float64"},
    "store_gaps": {"median_gap_days": "float64"},
}
"""Fitted tables that an engine must hold beside a history's own."""


def _relation(name: str) -> ir.Table:
    """The rows of a prepared relation, or of a fitted table, as an engine holds them."""
    return ibis.table(REFERENCE_SCHEMAS.get(name) or prepare()[name].schema(), name=name)


class Tables:
    """What an axis measures on: relations of one store as of one instant.

    ``recorded`` are the columns that the store records, as ``"orders.discount_amount"``; see ``History.recorded``.
    ``business_hours`` are store-local.
    """

    def __init__(self, recorded: frozenset[str], business_hours: BusinessHours) -> None:
        self.recorded, self.business_hours = recorded, business_hours
        self.orders = _relation("orders")
        """One row a visible order, ``order_index`` 1..n in time.

        ``days_ago`` from order to ``observation_end``; ``gap_days`` to the previous order (NULL for the first);
        ``net_value`` = paid - visible refunds (>= 0); ``gross_value`` = paid + discount; ``refund`` capped at what was
        paid."""
        self.lines = _relation("lines")
        """One row a visible order line."""
        self.customers = _relation("customers")
        """One row a customer with at least one visible order."""
        self.products = _relation("products")
        """One row per customer and product bought."""
        self.categories = _relation("categories")
        """One row per customer and category bought from."""
        self.tickets = _relation("tickets")
        """One row a visible support ticket that names a customer, who need not have ordered.

        ``ticket_index`` 1..n in time; ``response_hours`` and ``resolution_hours`` from its creation (>= 0), they,
        ``satisfaction_score`` (1-5) and ``reopen_count`` NULL where not known yet."""
        self.product_prices = _relation("product_prices")
        """Fitted: the cheapest decile of each product's own price history, where it has one."""
        self.category_prices = _relation("category_prices")
        """Fitted: the 80th percentile of unit prices within each category."""
        self.store_gaps = _relation("store_gaps")
        """Fitted: one row, the store's median days between consecutive orders."""


@cache
def prepare() -> dict[str, ir.Table]:
    """Write the prepared relations as expressions, by name, in the order in which an engine must materialise them."""
    visible = _orders()
    orders = _at_rest("orders", visible)
    joined = _lines(orders)
    lines = _at_rest("lines", joined)
    return {
        "orders": visible,
        "lines": joined,
        "customers": _customers(orders),
        "products": _bought(lines, "product_id", first_order_index=ibis._.order_index.min()),
        "categories": _bought(lines, "category", first_days_ago=ibis._.days_ago.max()),
        "tickets": _tickets(),
    }


def _at_rest(name: str, expression: ir.Table) -> ir.Table:
    """The rows of an expression once an engine holds them as a table."""
    return ibis.table(expression.schema(), name=name)


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
        refund=orders.refund.sum(),
        discount=orders.discount.sum(),
        n_refunded_orders=(orders.refund > 0).ifelse(one, none).sum().cast("int64"),
        n_discounted_orders=(orders.discount > 0).ifelse(one, none).sum().cast("int64"),
    )


def _bought(lines: ir.Table, what: str, **first: Any) -> ir.Table:
    """Lines and orders of each customer by product or category, and when it was first bought."""
    known = lines.filter(lines[what].notnull())
    return known.group_by("customer_id", what).agg(
        n_lines=known.order_id.count().cast("int64"), n_orders=known.order_id.nunique().cast("int64"), **first
    )


def _tickets() -> ir.Table:
    tickets = visible_tickets()
    # No axis reads the numbers, but numbering puts the rows in order: without it means differ in their last digit.
    in_time = ibis.window(group_by="customer_id", order_by=["created_at", "ticket_id"])

    def hours_until(instant: ir.TimestampValue) -> ir.FloatingValue:
        hours = days_between(tickets.created_at, instant) * ibis.literal(24, "float64")
        # Assumption: an answer before the question is a slip of the helpdesk's clock, and how long it took not known.
        return (hours >= 0).ifelse(hours, ibis.null("float64"))

    return tickets.select(
        "customer_id",
        "ticket_id",
        ticket_index=(ibis.row_number().over(in_time) + 1).cast("int64"),
        local_time=tickets.created_at_local,
        channel=tickets.channel,
        subject=tickets.subject,
        tags=tickets.tags,
        response_hours=hours_until(tickets.first_response_at),
        resolution_hours=hours_until(tickets.resolved_at),
        satisfaction_score=tickets.satisfaction_score,
        reopen_count=tickets.reopen_count,
    )
