"""What each customer buys more than the store's customers do, category by category and product by product.

Belongs here: the lists, what they are held against, and the test on the store's own past that says whether they may be
shown. Does not: what else a customer is likely to want, words (``profiles.rendering``).

A customer's list are the three that most of their orders hold, of those bought in two orders or more and at least a
quarter more often than by the store's customers. The lift is ``(orders + 2) / (orders expected + 2)``: what is expected
is the customer's orders times the share of the store's orders that hold it, and little is made of few orders. A list is
shown where, as of past instants, it held something of the next order more often than the store's three bestsellers,
and than the three that the customer bought last.

References
----------
DuMouchel (1999), Bayesian data mining in large frequency tables: the lift of a gamma-Poisson model, with a prior as
strong as ``PRIOR_ORDERS``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.engines import DuckEngine
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.history import SMALLEST_REFUND, History, visible_items
from quimbi_assets.instants import Instant
from quimbi_assets.naming.values import format_percent
from quimbi_assets.value.windows import LEAST_BEFORE, window_days

LEVELS = {"categories": "category", "products": "product_id"}
"""Columns of order lines by the name that their lists have."""
MOST_LISTED = 3
FEWEST_ORDERS = 2
LEAST_LIFT = 1.25
PRIOR_ORDERS = 2.0
MOST_SHARES = 1_000
"""Of a level's ids, the most bought, of which a share is known; the others have that of the last, if at all less."""
CUT_OFFS = 3
FEWEST_CUSTOMERS = 100
"""Customers with a list and a next order, whom the test takes."""
MOST_CUSTOMERS, MOST_ROWS = 50_000, 500_000
RESAMPLES = 500
DECIMALS = 6
WAYS = ("affinity", "bestsellers", "bought_last")
BASELINES = {"bestsellers": "the store's three bestsellers", "bought_last": "the three bought last"}

_SHARES = f"""
    SELECT thing, count(*) / (SELECT count(DISTINCT order_id) FROM bought) AS share
    FROM bought GROUP BY thing ORDER BY share DESC, thing LIMIT {MOST_SHARES}
"""
_COUNTED = f"""
    WITH counted AS (
        SELECT customer_id, thing, count(*) AS n, max(order_date) AS last_at FROM bought GROUP BY ALL
    ), customers AS (
        SELECT customer_id, count(DISTINCT order_id) AS n_orders FROM bought GROUP BY ALL
    )
    SELECT *, (n + {PRIOR_ORDERS}) / (n_orders * share + {PRIOR_ORDERS}) AS lift
    FROM (SELECT * REPLACE (coalesce(share, (SELECT min(share) FROM shares)) AS share)
          FROM counted JOIN customers USING (customer_id) LEFT JOIN shares USING (thing))
"""
_LISTED = f"""
    SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY n DESC, share DESC, last_at DESC, thing) AS place
    FROM counted WHERE n >= {FEWEST_ORDERS} AND lift >= {LEAST_LIFT} QUALIFY place <= {MOST_LISTED}
"""
_LISTS = """
    SELECT customer_id, CAST(to_json(list({
        'id': thing, 'orders': n, 'share': round(n / n_orders, 4), 'lift': round(lift, 2)
    } ORDER BY place)) AS VARCHAR) AS listed FROM listed GROUP BY customer_id
"""
_HITS = f"""
    WITH next_orders AS (
        SELECT order_id FROM later
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY order_date, order_id) = 1
    ), bought_last AS (
        SELECT customer_id, thing FROM counted
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY last_at DESC, n DESC, share DESC, thing)
            <= {MOST_LISTED}
    ), bestsellers AS (SELECT thing FROM shares ORDER BY share DESC, thing LIMIT {MOST_LISTED})
    SELECT customer_id, max((listed.thing IS NOT NULL)::BIGINT) AS affinity,
        max((bestsellers.thing IS NOT NULL)::BIGINT) AS bestsellers,
        max((bought_last.thing IS NOT NULL)::BIGINT) AS bought_last
    FROM later SEMI JOIN next_orders USING (order_id) SEMI JOIN listed AS asked USING (customer_id)
        LEFT JOIN listed USING (customer_id, thing) LEFT JOIN bought_last USING (customer_id, thing)
        LEFT JOIN bestsellers USING (thing)
    GROUP BY customer_id
"""


@dataclass(frozen=True)
class Affinity:
    """What was found of a level of a store: categories, or products.

    ``shares``: of the store's orders, 0-1, that hold an id; none where lists are not shown, and ``reason`` says why.
    ``hit_rates``, by :data:`WAYS`: how often one of three was in the next order, of ``n_customers`` that were asked
    about ``n_orders`` next orders; ``gains``, by baseline: the lower end of the middle 95 % of what lists had more.
    """

    shares: Mapping[str, float] = field(default_factory=dict, repr=False)
    reason: str | None = None
    hit_rates: Mapping[str, float] = field(default_factory=dict)
    gains: Mapping[str, float] = field(default_factory=dict)
    n_customers: int = 0
    n_orders: int = 0


Affinities = Mapping[str, Affinity]
"""By level (:data:`LEVELS`)."""


def fit_affinities(history: History) -> Affinities:
    """Learn what customers' lists are held against, of each level that stands the test on the history's own past.

    A bounded number of customers is looked at.
    """
    try:
        days = window_days(history)
    except InsufficientHistoryError as why:
        return {level: Affinity(reason=str(why)) for level in LEVELS}
    apart, first = pd.Timedelta(days=days), history.span[0]
    cut_offs = [history.end - (i + 1) * apart for i in range(CUT_OFFS)]
    cut_offs = [at for at in cut_offs if at - first >= LEAST_BEFORE * apart]
    sample = history.sample(MOST_CUSTOMERS, 0, MOST_ROWS).in_memory()
    with sample.open() as engine:
        return {level: _fit(sample, engine, column, cut_offs, apart) for level, column in LEVELS.items()}


def _fit(history: History, engine: DuckEngine, column: str, cut_offs: list[Instant], apart: pd.Timedelta) -> Affinity:
    _take(history, engine, column)
    shares = engine.arrow(_SHARES)
    if len(shares) <= MOST_LISTED:
        return Affinity(
            reason=f"no more than {MOST_LISTED} are on order lines" if len(shares) else "order lines name none"
        )
    engine.materialise("every", "SELECT * FROM bought")
    asked = []
    for at in cut_offs:
        _take(history.until(at), engine, column)
        engine.materialise("shares", _SHARES)
        within = f"order_date >= TIMESTAMP '{at}' AND order_date < TIMESTAMP '{at + apart}'"
        engine.materialise("later", f"SELECT * FROM every WHERE {within}")
        engine.materialise("bought", "SELECT * FROM bought SEMI JOIN later USING (customer_id)")
        engine.materialise("counted", _COUNTED)
        engine.materialise("listed", _LISTED)
        asked.append(engine.arrow(_HITS))
    by_id = dict(zip(shares["thing"].to_pylist(), shares["share"].to_pylist(), strict=True))
    return _judged(pa.concat_tables(asked), by_id)


def _judged(hits: pa.Table, shares: Mapping[str, float]) -> Affinity:
    """Say whether lists may be shown, given what was in each next order: ``customer_id`` and :data:`WAYS`, 0 or 1."""
    by_customer = hits.group_by("customer_id").aggregate([(way, "sum") for way in WAYS] + [("customer_id", "count")])
    by_customer = by_customer.sort_by("customer_id")
    n_orders, n_customers = len(hits), len(by_customer)
    if n_customers < FEWEST_CUSTOMERS:
        few = f"{n_customers:,} customers had a list and ordered again, fewer than the {FEWEST_CUSTOMERS} it takes"
        return Affinity(reason=few, n_customers=n_customers, n_orders=n_orders)
    n_hits = {way: by_customer[f"{way}_sum"].to_numpy() for way in WAYS}
    rates = {way: round(float(n.sum() / n_orders), DECIMALS) for way, n in n_hits.items()}
    weights = np.random.default_rng(0).poisson(1.0, (RESAMPLES, n_customers)).astype(float)
    totals = weights @ by_customer["customer_id_count"].to_numpy()
    drawn = {way: weights @ (n_hits["affinity"] - n_hits[way]) / totals for way in BASELINES}
    gains = {way: round(float(np.quantile(gain, 0.025)), DECIMALS) for way, gain in drawn.items()}
    least = min(gains, key=lambda way: gains[way])
    reason = None
    if gains[least] <= 0:
        against = f"one of three is in {format_percent(rates['affinity'])}, against {format_percent(rates[least])}"
        reason = f"they tell a next order no better than {BASELINES[least]} ({against})"
    return Affinity({} if reason else shares, reason, rates, gains, n_customers, n_orders)


def affinity_figures(affinities: Affinities) -> pd.DataFrame:
    """Return a row a level: how often one of three was in a next order, by way, and why lists are not shown."""
    rows = [
        {
            "level": level,
            **one.hit_rates,
            "next_orders": one.n_orders,
            "customers": one.n_customers,
            "not_shown": one.reason,
        }
        for level, one in affinities.items()
    ]
    return pd.DataFrame(rows, columns=["level", *WAYS, "next_orders", "customers", "not_shown"])


def affinity_texts(history: History, affinities: Affinities, customers: pd.Index) -> pa.StringArray:
    """Return the lists of customers as JSON text, shape (n,); others of the history do not matter.

    ``{"categories": [{"id", "orders", "share", "lift"}], "products": ..., "reason"}``: a level that is not shown is
    null and has a reason. ``orders`` of the customer hold it, ``share``, 0-1, of those with lines, and that is
    ``lift`` times, shrunk, as many as of the store's.
    """
    texts = []
    wanted = pa.array(customers.astype("str"), pa.string())
    with history.open() as engine:
        for level, affinity in affinities.items():
            if affinity.reason is not None:
                texts.append(pa.repeat(f'"{level}": null', len(wanted)))
                continue
            _take(history, engine, LEVELS[level])
            shares = {"thing": list(affinity.shares), "share": list(affinity.shares.values())}
            engine.view("shares", pa.table(shares, schema=pa.schema([("thing", pa.string()), ("share", pa.float64())])))
            engine.materialise("counted", _COUNTED)
            engine.materialise("listed", _LISTED)
            lists = engine.arrow(_LISTS)
            listed = lists["listed"].take(pc.index_in(wanted, lists["customer_id"])).combine_chunks()
            texts.append(pc.binary_join_element_wise(f'"{level}": ', pc.fill_null(listed, "[]"), ""))
    return pc.binary_join_element_wise("{", pc.binary_join_element_wise(*texts, _reason(affinities), ", "), "}", "")


def _reason(affinities: Affinities) -> str:
    known = ((level, affinities[level].reason) for level in LEVELS if level in affinities)
    reasons = [f"{level}: {reason}" for level, reason in known if reason is not None]
    return f'"reason": {json.dumps("; ".join(reasons) or None)}'


def _take(history: History, engine: DuckEngine, column: str) -> None:
    """Make what customers had bought by the history's end readable as ``bought``: a row for an id in an order."""
    history.register(engine)
    engine.materialise("bought", _bought_sql(column))


@lru_cache(maxsize=8)
def _bought_sql(column: str) -> str:
    items = visible_items()
    given_back = items.refund_amount.fill_null(0.0)
    was_returned = (given_back > 0) & (given_back >= items.price * items.quantity - SMALLEST_REFUND)
    lines = items.filter(items[column].notnull() & ~was_returned)
    bought = lines.select("customer_id", "order_id", "order_date", thing=lines[column]).distinct()
    return str(ibis.to_sql(bought, dialect="duckdb"))
