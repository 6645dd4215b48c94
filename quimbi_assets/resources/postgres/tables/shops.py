"""What stored orders come to, as a shop counts them: customers, dates, money, and what is left out.

Belongs here: the summary of a store's orders, the list of stores. Does not: how a store is read (``stores``), which
orders count (``quimbi_assets.ingest.policy``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from quimbi_assets.ingest.policy import judged_orders_sql
from quimbi_assets.instants import zone
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.stores import read_store, store_currency
from quimbi_assets.store import Store

_COUNTS = """
    WITH stored_orders AS (SELECT * FROM quimbi.orders WHERE store_id = %(store)s), judged AS ({judged}),
    refunds AS ({refunds})
    SELECT reason, count(*) AS n, count(DISTINCT customer_id) AS customers, min(order_date) AS first,
        max(order_date) AS last,
        sum(total_price - least(total_price, greatest(0, coalesce({refund}, 0)))) AS net
    FROM judged LEFT JOIN refunds USING (order_id) GROUP BY reason
"""
_OF_LINES = """
    SELECT order_id, sum(refund_amount) AS of_lines FROM quimbi.order_items
    WHERE store_id = %(store)s AND refund_amount > 0 GROUP BY order_id
"""
_OF_ORDERS = "SELECT NULL::text AS order_id WHERE false"
_HAS_REFUNDS = "SELECT EXISTS (SELECT FROM quimbi.orders WHERE store_id = %s AND refund_amount > 0)"


@dataclass(frozen=True)
class ShopSummary:
    """The purchases of a store, and the orders that are none."""

    orders: int
    customers: int
    first: datetime | None
    last: datetime | None
    net: float
    """What was paid and not given back."""
    currency: str | None
    left_out: Mapping[str, int]
    """Orders that are no purchases, by why."""

    def line(self, time_zone: str) -> str:
        """Return the summary as a line of text, dates by the store's clock."""
        if not self.orders or self.first is None or self.last is None:
            counts = "no orders that count"
        else:
            first, last = (_day(at, time_zone) for at in (self.first, self.last))
            money = f"{self.net:,.0f}{f' {self.currency}' if self.currency else ''} net"
            counts = (
                f"{plural(self.orders, 'order')} of {plural(self.customers, 'customer')}, {first} - {last}, {money}"
            )
        why = ", ".join(f"{n:,} {reason}" for reason, n in sorted(self.left_out.items(), key=lambda item: -item[1]))
        return f"{counts}; left out: {why}" if why else counts


def _day(at: datetime, time_zone: str) -> str:
    local = pd.Timestamp(at).tz_convert(zone(time_zone))
    return f"{local.day} {local:%b %Y}"


def summarise_shop(database: Database, store: Store) -> ShopSummary:
    """Count a store's orders as its policy judges them; gift cards are not looked for."""
    currency = store.policy.currency or store_currency(database, store.store_id)
    judged = judged_orders_sql(store.policy, currency).replace("%", "%%")
    ((by_orders,),) = database.execute(_HAS_REFUNDS, (store.store_id,))
    refund, refunds = ("refund_amount", _OF_ORDERS) if by_orders else ("of_lines", _OF_LINES)
    question = _COUNTS.format(judged=judged, refund=refund, refunds=refunds)
    rows = database.query(question, {"store": store.store_id})
    purchases, others = rows[rows["reason"].isna()], rows[rows["reason"].notna()]
    reasons = [str(reason).removeprefix("status ").removesuffix(" without customer") for reason in others["reason"]]
    left_out = dict(zip(reasons, others["n"].astype("int64").tolist(), strict=True))
    if purchases.empty:
        return ShopSummary(0, 0, None, None, 0.0, currency, left_out)
    row = purchases.iloc[0]
    return ShopSummary(int(row["n"]), int(row["customers"]), row["first"], row["last"], row["net"], currency, left_out)


_STORES = """
    SELECT store_id, time_zone, changed_at, coalesce(orders, 0) AS orders, coalesce(customers, 0) AS customers,
        first_order, last_order, last_run
    FROM quimbi.stores
    LEFT JOIN (
        SELECT store_id, count(*) AS orders, count(DISTINCT customer_id) AS customers, min(order_date) AS first_order,
            max(order_date) AS last_order
        FROM quimbi.orders GROUP BY store_id
    ) counted USING (store_id)
    LEFT JOIN (SELECT store_id, max(published_at) AS last_run FROM quimbi.publications GROUP BY store_id) run
        USING (store_id)
    ORDER BY store_id
"""
NEVER, BEHIND, CURRENT = "never run", "orders changed since the last run", "up to date"


@dataclass(frozen=True)
class ShopState:
    """A store as the list of stores shows it."""

    store_id: str
    time_zone: str
    orders: int
    customers: int
    first_order: datetime | None
    last_order: datetime | None
    last_run: datetime | None
    state: str


def list_shops(database: Database) -> list[ShopState]:
    """Return all stores, by id, as they were loaded; the order policy is not asked."""
    shops = []
    for store_id, time_zone, changed_at, orders, customers, first, last, run in database.execute(_STORES):
        is_behind = run is not None and changed_at is not None and changed_at > run
        state = NEVER if run is None else BEHIND if is_behind else CURRENT
        shops.append(ShopState(store_id, time_zone, int(orders), int(customers), first, last, run, state))
    return shops


def refused_counts(database: Database, store_id: str) -> pd.DataFrame:
    """Return ``table, reason, n, example`` of a store's refused rows, most frequent first.

    UnknownStoreError if nothing was ever loaded or refused under that id.
    """
    rows = database.query(
        """
        SELECT "table", reason, sum(occurrences) AS n, (array_agg("row"::text ORDER BY row_md5))[1] AS example
        FROM quimbi.quarantined_rows WHERE store_id = %s GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
        """,
        (store_id,),
    )
    if rows.empty:
        read_store(database, store_id)
    return rows
