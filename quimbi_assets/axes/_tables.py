"""The relations that axes are written on: their columns, and what every axis is handed.

Belongs here: schemas of the inputs, of the prepared relations, and ``Tables``. Does not: how the relations are
prepared (``_prepared``), any axis's formula.

All relations are unbound Ibis expressions, so that they are compiled once for a set of recorded columns and run
on any engine.
"""

from dataclasses import dataclass
from functools import cached_property

import ibis
import ibis.expr.types as ir

DAYS_PER_MONTH = 30.4375
SECONDS_PER_DAY = 86_400

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
