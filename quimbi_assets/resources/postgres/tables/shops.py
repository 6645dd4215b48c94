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
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database
from quimbi_assets.resources.postgres.tables.stores import read_store, store_currency
from quimbi_assets.store import Store, StorePlan, zone

_COUNTS = """
    WITH stored_orders AS (SELECT * FROM quimbi.orders WHERE store_id = %(store)s), judged AS ({judged})
    SELECT reason, count(*) AS n, count(DISTINCT customer_id) AS customers, min(order_date) AS first,
        max(order_date) AS last, sum(net) AS net
    FROM judged GROUP BY reason
"""
_NET = """
    SELECT judged.*, total_price - least(total_price, greatest(0, coalesce({refund}, 0))) AS net
    FROM ({judged}) AS judged {refunds}
"""
_OF_LINES = """LEFT JOIN (
        SELECT order_id, sum(refund_amount) AS of_lines FROM quimbi.order_items
        WHERE store_id = %(store)s AND refund_amount > 0 GROUP BY order_id
    ) AS refunds USING (order_id)"""
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


def net_orders_sql(database: Database, store: Store, currency: str | None) -> str:
    """Return SQL of ``stored_orders`` as the store's policy judges them, with ``net``: paid and not given back.

    Where no order records a refund it is the sum of its lines'; gift cards are not looked for. Parameter: ``store``.
    """
    ((by_orders,),) = database.execute(store.store_id, _HAS_REFUNDS, (store.store_id,))
    refund, refunds = ("refund_amount", "") if by_orders else ("of_lines", _OF_LINES)
    judged = judged_orders_sql(store.policy, currency).replace("%", "%%")
    return _NET.format(judged=judged, refund=refund, refunds=refunds)


def summarise_shop(database: Database, store: Store) -> ShopSummary:
    """Count a store's orders as its policy judges them; gift cards are not looked for."""
    currency = store.policy.currency or store_currency(database, store.store_id)
    question = _COUNTS.format(judged=net_orders_sql(database, store, currency))
    rows = database.query(store.store_id, question, {"store": store.store_id})
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
            coalesce(to_timestamp(run.end_time), run.update_timestamp AT TIME ZONE 'UTC') AS ended_at,
            CASE WHEN run.pipeline_name IN ('week', 'backtest', 'pull') THEN run.pipeline_name ELSE 'store' END AS job,
            coalesce(max(tag.value) FILTER (WHERE tag.key = 'quimbi/store'),
                split_part(max(tag.value) FILTER (WHERE tag.key = 'dagster/partition'), '|', 1)) AS store_id
        FROM runs AS run JOIN run_tags AS tag USING (run_id)
        WHERE run.status IN ('SUCCESS', 'FAILURE') AND tag.key IN ('quimbi/store', 'dagster/partition')
        GROUP BY run.id
    )
    SELECT store_id, job, run_id, ended_at FROM (SELECT DISTINCT ON (store_id, job) * FROM ended
        ORDER BY store_id, job, id DESC) AS last WHERE status = 'FAILURE' ORDER BY store_id, job
"""
"""Of each store and kind of work the last run that ended by itself, where it failed; publishing is one kind, however
much of it is fitted."""
_FAILED_CHECKS = """
    WITH evaluation AS (
        SELECT id, run_id, asset_key, check_name, execution_status, split_part(partition, '|', 1) AS store_id,
            split_part(partition, '|', 2) AS week
        FROM asset_check_executions WHERE partition IS NOT NULL AND execution_status IN ('SUCCEEDED', 'FAILED')
            AND id > (SELECT max(id) FROM asset_check_executions) - %(newest)s
    ), made AS (
        SELECT DISTINCT ON (store_id, asset_key) store_id, asset_key, week, run_id FROM evaluation
        ORDER BY store_id, asset_key, week DESC, id DESC
    ), last AS (
        SELECT DISTINCT ON (store_id, asset_key, check_name) * FROM made
        JOIN evaluation USING (store_id, asset_key, week, run_id) ORDER BY store_id, asset_key, check_name, id DESC
    )
    SELECT store_id, last.check_name,
        (SELECT string_agg(part, '/') FROM json_array_elements_text(last.asset_key::json) AS part) AS asset,
        evaluation_event::json #>> '{dagster_event,event_specific_data,severity,__enum__}' LIKE '%%.WARN' AS is_warning
    FROM last JOIN asset_check_executions USING (id) WHERE last.execution_status = 'FAILED'
    ORDER BY store_id, asset, check_name
"""
"""Of each store and asset the checks that failed when it was last made (of the newest week, where it is made by week),
and whether that only warns. A check that there is no longer is forgotten once its asset was made anew."""
NEWEST_CHECKS = 400
"""Evaluations a store that are looked at, the newest of all: a run has about 95. Dagster has no index by which to find
the last one of a store, so that looking at all would take longer with every run."""
NEVER, IN_VAIN = "never run", "no run went well yet"
BEHIND, CURRENT = "orders changed since the last run", "up to date"
ORDERS, PROFILES = "orders", "profiles"
FEW_MET = 0.5
"""Share of tickets below which it is a store's keys that do not fit."""


@dataclass(frozen=True)
class FailedRun:
    """A run that failed, and the day (UTC) on which it ended."""

    run_id: str
    day: str


@dataclass(frozen=True)
class ShopHealth:
    """How current a store is, and what of it needs a look."""

    store_id: str
    time_zone: str
    last_order: datetime | None
    last_run: datetime | None
    state: str
    failing: Mapping[str, FailedRun]
    """Kinds of work (``store``: publishing profiles) whose last run failed."""
    failed_checks: tuple[str, ...]
    """Checks that failed when their asset was last made: ``models/purchase_value no_giant_segment``."""
    warned_checks: tuple[str, ...]
    """The same that only warn."""
    stale: tuple[str, ...]
    """Which are older than its plan allows: its newest order, its profiles."""
    held: tuple[str, ...]
    """Axes whose last refit does not serve, until somebody accepts it or another passes."""
    weak: tuple[str, ...]
    """Axes that do not tell its customers apart."""
    met: float | None
    """Share of a helpdesk's tickets, 0-1, that belong to customers with orders; None: none are pulled."""

    def problems(self) -> str:
        """Say in a few words what needs a look; empty if nothing does.

        Weak axes, and other checks that only warn, do not: nothing has to be done.
        """
        failing = [f"last {job} run failed {run.day} ({run.run_id})" for job, run in self.failing.items()]
        checks = [f"failed checks: {', '.join(self.failed_checks)}"] if self.failed_checks else []
        stale = [f"old: {' and '.join(self.stale)}"] if self.stale else []
        held = [f"refit held: {', '.join(self.held)}"] if self.held else []
        met = [f"only {self.met:.0%} of tickets meet a customer"] if self._is_met_by_few else []
        return "; ".join([*failing, *checks, *stale, *held, *met])

    @property
    def _is_met_by_few(self) -> bool:
        return self.met is not None and self.met < FEW_MET

    def mend(self) -> str:
        """Say what to do about the first of its problems."""
        of_store = f"--store-id {self.store_id}"
        if not (self.failing or self.failed_checks or self.stale):
            if self.held:
                return f"quimbi run {of_store} --axes {self.held[0]} --promote, where its segments make sense to you"
            if self._is_met_by_few:
                return f"quimbi load {of_store} --customers F, a list with their addresses"
        if "orders" in self.stale and not (self.failing or self.failed_checks):
            return f"quimbi load {of_store} with newer orders (--orders F, or --from URL), then quimbi run {of_store}"
        return f"quimbi run {of_store}"

    def ran(self) -> str:
        """Say when the store last ran to its end; where it never did, when it last tried."""
        if self.last_run is not None:
            return str(self.last_run)[:10]
        return f"failed {self.failing['store'].day}" if "store" in self.failing else "never"


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
        rows = database.execute(EVERY_STORE, _ORDERS.format(figures=self.figures), (new,)) if new else []
        seen = dict.fromkeys(new, self.of_none) | {one: tuple(figures) for one, *figures in rows}
        self._seen |= {one: (at, seen[one]) for one in new if (at := changed_at[one]) is not None}
        return known | seen


class OrderCounts(NewestOrders):
    """The same, and how many orders of how many customers stores have, and since when."""

    figures = "max(order_date), count(*), count(DISTINCT customer_id), min(order_date)"
    of_none = (None, 0, 0, None)


def list_shops(database: Database, counts: OrderCounts | None = None, *, with_checks: bool = True) -> list[ShopState]:
    """Return all stores, by id, as they were loaded; the order policy is not asked. `counts` are kept by who asks.

    Without checks, whether any failed is not looked for.
    """
    return [
        ShopState(**vars(health), orders=int(orders), customers=int(customers), first_order=first)
        for health, (orders, customers, first) in _shops(database, counts or OrderCounts(), with_checks=with_checks)
    ]


def shops_health(database: Database, newest: NewestOrders) -> list[ShopHealth]:
    """Return what of each store needs a look, by id, without counting orders. `newest` are kept by who asks."""
    return [health for health, _ in _shops(database, newest)]


def publication_ended(database: Database, store_id: str) -> bool:
    """Whether the run that published last went on to its end (actions, audiences, exports); a run not known of did."""
    last = "SELECT run_id FROM quimbi.publications WHERE store_id = %s ORDER BY publication_id DESC LIMIT 1"
    ended = "SELECT status = 'SUCCESS' FROM runs WHERE run_id = %s"
    return all(
        is_ended
        for run in database.execute(store_id, last, (store_id,))
        for (is_ended,) in database.execute_dagster(ended, run)
    )


def _shops(
    database: Database, figures: NewestOrders, *, with_checks: bool = True
) -> Iterator[tuple[ShopHealth, tuple[Any, ...]]]:
    """Yield every store, by id, with those of its figures that are not when its newest order was placed."""
    failing: dict[str, dict[str, FailedRun]] = defaultdict(dict)
    for store_id, job, run_id, ended_at in database.execute_dagster(_LAST_RUNS):
        failing[store_id][job] = FailedRun(run_id, str(ended_at)[:10])
    checks: dict[tuple[str, bool], list[str]] = defaultdict(list)
    rows = database.execute(EVERY_STORE, _STORES)
    asked = {"newest": NEWEST_CHECKS * len(rows)} if with_checks else None
    for store_id, check, asset, is_warning in database.execute_dagster(_FAILED_CHECKS, asked) if asked else ():
        checks[store_id, is_warning].append(f"{asset} {check}")
    figures_of = figures.of(database, {store_id: changed_at for store_id, _, _, changed_at, *_ in rows})
    for store_id, time_zone, plan, changed_at, run, held, weak, met, now in rows:
        last, *others = figures_of[store_id]
        failed, is_behind = failing.get(store_id, {}), run is not None and changed_at is not None and changed_at > run
        without = IN_VAIN if "store" in failed else NEVER
        limit = timedelta(days=StorePlan.from_json(plan).stale_after_days)
        health = ShopHealth(
            store_id=store_id,
            time_zone=time_zone,
            last_order=last,
            last_run=run,
            state=without if run is None else BEHIND if is_behind else CURRENT,
            failing=failed,
            failed_checks=tuple(checks.get((store_id, False), ())),
            warned_checks=tuple(checks.get((store_id, True), ())),
            stale=tuple(what for what, at in ((ORDERS, last), (PROFILES, run)) if at is None or now - at > limit),
            held=tuple(held),
            weak=tuple(weak),
            met=met,
        )
        yield health, tuple(others)


def refused_counts(database: Database, store_id: str) -> pd.DataFrame:
    """Return ``table, reason, n, example`` of a store's refused rows, most frequent first.

    UnknownStoreError if nothing was ever loaded or refused under that id.
    """
    rows = database.query(
        store_id,
        """
        SELECT "table", reason, sum(occurrences) AS n, (array_agg("row"::text ORDER BY row_md5))[1] AS example
        FROM quimbi.quarantined_rows WHERE store_id = %s GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
        """,
        (store_id,),
    )
    if rows.empty:
        read_store(database, store_id)
    return rows
