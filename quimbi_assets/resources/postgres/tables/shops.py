"""What stored orders come to, as a shop counts them: customers, dates, money, and what is left out.

Belongs here: the summary of a store's orders, the list of stores and what of each needs a look. Does not: how a store
is read (``stores``), which orders count (``quimbi_assets.ingest.policy``).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from quimbi_assets.ingest.policy import judged_orders_sql
from quimbi_assets.instants import zone
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.stores import read_store, store_currency
from quimbi_assets.store import Store, StorePlan

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
    SELECT store_id, time_zone, plan, changed_at, last_run, coalesce(held, '{}') AS held, coalesce(weak, '{}') AS weak,
        met, now()
    FROM quimbi.stores
    LEFT JOIN (SELECT store_id, max(published_at) AS last_run FROM quimbi.publications GROUP BY store_id) run
        USING (store_id)
    LEFT JOIN (
        SELECT store_id, array_agg(axis_name ORDER BY axis_name) FILTER (WHERE held_reason IS NOT NULL) AS held,
            array_agg(axis_name ORDER BY axis_name) FILTER (WHERE status = 'weak') AS weak
        FROM quimbi.axis_models GROUP BY store_id
    ) fitted USING (store_id)
    LEFT JOIN (
        SELECT store_id, min((mark::jsonb ->> 'share')::float) AS met FROM quimbi.sources
        WHERE settings ->> 'layout' = 'gorgias' GROUP BY store_id
    ) helpdesk USING (store_id)
    ORDER BY store_id
"""
_ORDERS = "SELECT store_id, {figures} FROM quimbi.orders WHERE store_id = ANY(%s) GROUP BY store_id"
_LAST_RUNS = """
    WITH ended AS (
        SELECT run.id, run.run_id, run.status,
            CASE WHEN run.pipeline_name IN ('week', 'backtest', 'pull') THEN run.pipeline_name ELSE 'store' END AS job,
            coalesce(max(tag.value) FILTER (WHERE tag.key = 'quimbi/store'),
                split_part(max(tag.value) FILTER (WHERE tag.key = 'dagster/partition'), '|', 1)) AS store_id
        FROM runs AS run JOIN run_tags AS tag USING (run_id)
        WHERE run.status IN ('SUCCESS', 'FAILURE') AND tag.key IN ('quimbi/store', 'dagster/partition')
        GROUP BY run.id
    )
    SELECT store_id, job, run_id, status FROM (SELECT DISTINCT ON (store_id, job) * FROM ended
        ORDER BY store_id, job, id DESC) AS last WHERE status = 'FAILURE' ORDER BY store_id, job
"""
"""Of each store and kind of work the last run that ended by itself, where it failed; publishing is one kind, however
much of it is fitted."""
NEVER, BEHIND, CURRENT = "never run", "orders changed since the last run", "up to date"
ORDERS, PROFILES = "orders", "profiles"
FEW_MET = 0.5
"""Share of tickets below which it is a store's keys that do not fit."""


@dataclass(frozen=True)
class ShopHealth:
    """How current a store is, and what of it needs a look."""

    store_id: str
    time_zone: str
    last_order: datetime | None
    last_run: datetime | None
    state: str
    failing: Mapping[str, str]
    """Kinds of work (``store``: publishing profiles) whose last run failed, with that run's id."""
    stale: tuple[str, ...]
    """Which are older than its plan allows: its newest order, its profiles."""
    held: tuple[str, ...]
    """Axes whose last refit does not serve, until somebody accepts it or another passes."""
    weak: tuple[str, ...]
    """Axes that do not tell its customers apart."""
    met: float | None
    """Share of a helpdesk's tickets, 0-1, that belong to customers with orders; None: none are pulled."""

    def problems(self) -> str:
        """Say in a few words what needs a look; empty if nothing does. Weak axes do not: nothing is to be done."""
        failing = [f"last {job} run failed ({run_id})" for job, run_id in self.failing.items()]
        stale = [f"old: {' and '.join(self.stale)}"] if self.stale else []
        held = [f"refit held: {', '.join(self.held)}"] if self.held else []
        few = self.met is not None and self.met < FEW_MET
        met = [f"only {self.met:.0%} of tickets meet a customer"] if few else []
        return "; ".join([*failing, *stale, *held, *met])


@dataclass(frozen=True)
class ShopState(ShopHealth):
    """The same, and what was loaded of it: as the list of stores shows it."""

    orders: int
    customers: int
    first_order: datetime | None


class NewestOrders:
    """When each store's newest order was placed, asked again where orders changed: who asks often keeps one.

    Not by an index of orders by date, since that makes inserting them take half as long again.
    """

    figures = "max(order_date)"
    of_none: tuple[Any, ...] = (None,)

    def __init__(self) -> None:
        self._seen: dict[str, tuple[datetime, tuple[Any, ...]]] = {}

    def of(self, database: Database, changed_at: Mapping[str, datetime | None]) -> dict[str, tuple[Any, ...]]:
        """Return the figures by store, for stores with when each last changed."""
        known = {one: figures for one, (at, figures) in self._seen.items() if at == changed_at.get(one)}
        new = [one for one in changed_at if one not in known]
        rows = database.execute(_ORDERS.format(figures=self.figures), (new,)) if new else []
        seen = dict.fromkeys(new, self.of_none) | {one: tuple(figures) for one, *figures in rows}
        self._seen |= {one: (at, seen[one]) for one in new if (at := changed_at[one]) is not None}
        return known | seen


class OrderCounts(NewestOrders):
    """The same, and how many orders of how many customers stores have, and since when."""

    figures = "max(order_date), count(*), count(DISTINCT customer_id), min(order_date)"
    of_none = (None, 0, 0, None)


def list_shops(database: Database, counts: OrderCounts | None = None) -> list[ShopState]:
    """Return all stores, by id, as they were loaded; the order policy is not asked. `counts` are kept by who asks."""
    return [
        ShopState(**vars(health), orders=int(orders), customers=int(customers), first_order=first)
        for health, (orders, customers, first) in _shops(database, counts or OrderCounts())
    ]


def shops_health(database: Database, newest: NewestOrders) -> list[ShopHealth]:
    """Return what of each store needs a look, by id, without counting orders. `newest` are kept by who asks."""
    return [health for health, _ in _shops(database, newest)]


def _shops(database: Database, figures: NewestOrders) -> Iterator[tuple[ShopHealth, tuple[Any, ...]]]:
    """Yield every store, by id, with those of its figures that are not when its newest order was placed."""
    failing: dict[str, dict[str, str]] = defaultdict(dict)
    for store_id, job, run_id, _ in database.execute_dagster(_LAST_RUNS):
        failing[store_id][job] = run_id
    rows = database.execute(_STORES)
    asked = figures.of(database, {store_id: changed_at for store_id, _, _, changed_at, *_ in rows})
    for store_id, time_zone, plan, changed_at, run, held, weak, met, now in rows:
        last, *others = asked[store_id]
        is_behind = run is not None and changed_at is not None and changed_at > run
        state = NEVER if run is None else BEHIND if is_behind else CURRENT
        limit = timedelta(days=StorePlan.from_json(plan).stale_after_days)
        stale = tuple(what for what, at in ((ORDERS, last), (PROFILES, run)) if at is None or now - at > limit)
        failed = dict(failing.get(store_id, {}))
        health = ShopHealth(store_id, time_zone, last, run, state, failed, stale, tuple(held), tuple(weak), met)
        yield health, tuple(others)


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
