"""The relations that axes are written on: their columns, and what every axis is handed.

Belongs here: schemas of the fitted and of the prepared relations, and ``Tables``. Does not: how the relations are
prepared (``_prepared``), any axis's formula.

All relations are unbound Ibis expressions, so that they are compiled once for a set of recorded columns and run
on any engine.
"""

from dataclasses import dataclass, field
from functools import cached_property

import ibis
import ibis.expr.types as ir

from quimbi_assets.store import BusinessHours

DAYS_PER_MONTH = 30.4375
PRODUCT_PRICES_SCHEMA = {"product_id": "string", "cheap_price": "float64"}
CATEGORY_PRICES_SCHEMA = {"category": "string", "luxury_price": "float64"}
STORE_GAPS_SCHEMA = {"median_gap_days": "float64"}

#: Fitted tables that an engine must hold beside a history's own.
REFERENCE_SCHEMAS = {
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
TICKETS_PREPARED = {
    "customer_id": "string",
    "ticket_id": "string",
    "ticket_index": "int64",
    "days_ago": "float64",
    "local_time": "timestamp(6)",
    "channel": "string",
    "subject": "string",
    "tags": "string",
    "response_hours": "float64",
    "resolution_hours": "float64",
    "satisfaction_score": "float64",
    "reopen_count": "float64",
}
#: Relations prepared from the inputs, in the order in which an engine must materialise them.
PREPARED_SCHEMAS = {
    "orders": ORDERS_PREPARED,
    "lines": LINES_PREPARED,
    "customers": CUSTOMERS_PREPARED,
    "products": PRODUCTS_PREPARED,
    "categories": CATEGORIES_PREPARED,
    "tickets": TICKETS_PREPARED,
}


@dataclass(frozen=True)
class Tables:
    """What an axis measures on: prepared relations of one store as of one instant, all unbound.

    Parameters
    ----------
    recorded : frozenset of str
        Columns that the store records, as ``"orders.discount_amount"``; see ``History.recorded``.
    business_hours : BusinessHours
        Opening hours in store-local time.

    Notes
    -----
    ``orders``: one row a visible order; ``order_index`` 1..n in time; ``days_ago`` from order to
    ``observation_end``; ``gap_days`` to the previous order (NULL for the first); ``net_value`` = paid - visible
    refunds (>= 0); ``gross_value`` = paid + discount; ``refund`` capped at what was paid.
    ``lines``: one row a visible order line. ``customers``: one row a customer with at least one visible order.
    ``products`` / ``categories``: one row per customer and product / category bought.
    ``tickets``: one row a visible support ticket that names a customer, who need not have ordered; ``ticket_index``
    1..n in time; ``response_hours`` and ``resolution_hours`` from its creation (>= 0), they, ``satisfaction_score``
    (1-5) and ``reopen_count`` NULL where not known yet.
    """

    recorded: frozenset[str]
    business_hours: BusinessHours = field(default_factory=BusinessHours)

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
    def tickets(self) -> ir.Table:
        """Visible support tickets."""
        return ibis.table(TICKETS_PREPARED, name="tickets")

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
