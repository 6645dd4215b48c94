"""A store's past as of an instant: its orders, lines and tickets as relations on an engine, with the store's clock.

Belongs here: the only place that knows what "visible" means, refunds included. Does not: features (``axes``), what
counts as a purchase (``ingest.policy``).

Rows stay where they rest, in Parquet or Arrow. They reach Python as bounded samples (``sample(...).frames()``), as
parts of the customers (``parts``), or as figures about all of them.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.engines import DuckEngine, Engine
from quimbi_assets.ingest.canonical import CANONICAL, canonical_tables
from quimbi_assets.instants import Instant, end_of_day
from quimbi_assets.parquet_files import is_local
from quimbi_assets.sampling import customer_order
from quimbi_assets.store import Store

if TYPE_CHECKING:
    from upath import UPath

SECONDS_PER_DAY = 86_400
SMALLEST_REFUND = 1e-6
"""Money below this is a rest of adding up binary fractions, not a refund."""
MONEY_PARTS = 10_000.0
"""Of a unit of money, in which sums are exact."""
CLOCK = {"observation_end": "timestamp(6)"}
PART_ORDERS = 100_000
"""Orders that one part of the customers holds, about: a core's work, and what is in memory at a time."""
NOTHING = Instant("1970-01-01")
"""The end of a store without orders."""
ZERO = ibis.literal(0, "float64")


def days_between(earlier: ir.TimestampValue, later: ir.TimestampValue) -> ir.FloatingValue:
    """Elapsed days as float64, from whole seconds.

    Notes
    -----
    Differences of epoch seconds, because engines count day boundaries differently; cut to whole seconds first,
    because DuckDB keeps their fraction and Spark does not.
    """
    seconds = later.truncate("s").epoch_seconds() - earlier.truncate("s").epoch_seconds()
    return seconds.cast("float64") / ibis.literal(SECONDS_PER_DAY, "float64")


def _raw(table: str) -> ir.Table:
    """A canonical table beside the instant, cut by nothing yet."""
    return ibis.table(CANONICAL[table], name=table).cross_join(ibis.table(CLOCK, name="clock"))


def orders_before(*, guests: bool = False) -> ir.Table:
    """Orders before ``observation_end``, with that instant as a column; refunds as recorded.

    ``guests``: also those without a customer, where the store's policy keeps them: prices are theirs too.
    """
    orders = _raw("raw_orders").filter(lambda t: t.order_date < t.observation_end)
    return orders if guests else orders.filter(orders.customer_id.notnull())


def visible_items(*, guests: bool = False) -> ir.Table:
    """Lines of visible orders; refunds at or after ``observation_end`` are undone, and kept as ``hidden_refund``."""
    orders = orders_before(guests=guests).select("order_id", "order_date", "observation_end")
    joined = ibis.table(CANONICAL["raw_items"], name="raw_items").join(orders, "order_id")
    hidden = joined.refunded_at.notnull() & (joined.refunded_at >= joined.observation_end)
    return joined.mutate(
        is_hidden=hidden,
        hidden_refund=hidden.ifelse(joined.refund_amount.fill_null(ZERO), ZERO),
        refund_amount=hidden.ifelse(joined.refund_amount * ZERO, joined.refund_amount),
        refunded_at=hidden.ifelse(ibis.null("timestamp(6)"), joined.refunded_at),
    )


def visible_orders() -> ir.Table:
    """Orders before ``observation_end`` with ``refund``: what of the paid amount had been given back by then.

    Notes
    -----
    An order's own refund carries no date: what its lines show to be refunded later is taken back off it. An order
    without one of its own has that of its lines. Line refunds rarely add up to the last binary digit: a rest of a
    millionth is no refund.
    """
    by_order = (
        visible_items()
        .group_by("order_id")
        .agg(item_refund=lambda t: t.refund_amount.sum(), hidden_refund=lambda t: t.hidden_refund.sum())
    )
    orders = orders_before().left_join(by_order, "order_id").drop("order_id_right")
    hidden = orders.hidden_refund.fill_null(ZERO)
    refund = orders.refund_amount.fill_null(orders.item_refund.fill_null(ZERO) + hidden) - hidden
    refund = (refund < ibis.literal(SMALLEST_REFUND, "float64")).ifelse(ZERO, refund)
    return orders.mutate(refund=ibis.greatest(ibis.least(refund, orders.total_price), ZERO))


def visible_tickets() -> ir.Table:
    """Tickets before ``observation_end``; a response, resolution or rating at or after it has not happened.

    Notes
    -----
    Assumption: a rating and reopenings, which carry no instant of their own, are known from the resolution on; of a
    ticket that records none, from its first response on, else from its creation.
    """
    tickets = _raw("raw_tickets").filter(lambda t: t.created_at < t.observation_end)
    known_from = tickets.resolved_at.fill_null(tickets.first_response_at).fill_null(tickets.created_at)
    known = known_from < tickets.observation_end
    happened = {
        "first_response_at": tickets.first_response_at < tickets.observation_end,
        "resolved_at": tickets.resolved_at < tickets.observation_end,
        "satisfaction_score": known,
        "reopen_count": known,
    }
    return tickets.mutate(
        **{c: is_past.ifelse(tickets[c], ibis.null(tickets[c].type())) for c, is_past in happened.items()}
    )


class Frames(NamedTuple):
    """Canonical rows in pandas, of a bounded number of customers, by customer and time."""

    orders: pd.DataFrame
    items: pd.DataFrame
    tickets: pd.DataFrame


@dataclass(frozen=True)
class History:
    """What a store had recorded of its customers before an instant."""

    store: Store
    tables: Mapping[str, "pa.Table | UPath"] = field(repr=False)
    """``raw_orders``, ``raw_items`` and ``raw_tickets`` in canonical form, rows of one customer together."""
    at: Instant | None = None
    """Exclusive; None: the end of the last order's local day."""
    within: str = ""
    """SQL condition on ``customer_id``; empty: all customers."""
    wanted: pa.Table | None = field(default=None, repr=False)
    """``customer_id`` of the customers looked at; None: all that meet the condition."""
    keeps: object = field(default=None, repr=False, compare=False)
    """Whatever must last as long as the rows: the temporary folder they rest in."""

    @classmethod
    def from_frames(
        cls,
        orders: pd.DataFrame,
        items: pd.DataFrame | None = None,
        tickets: pd.DataFrame | None = None,
        store: Store | None = None,
    ) -> "History":
        """Build a history from pandas frames; see ``canonical_tables`` for what they need to hold.

        >>> orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["ann", "bob"], "total_price": [20.0, 30.0],
        ...                        "order_date": pd.to_datetime(["2025-01-01 10:00", "2025-01-31 10:00"])})
        >>> history = History.from_frames(orders)
        >>> history.end, history.until("2025-01-02").customers.to_pylist()
        (Timestamp('2025-02-01 00:00:00'), ['ann'])
        """
        store = (store or Store()).checked()
        return cls(store, canonical_tables(orders, items, tickets, store.time_zone))

    def until(self, at: Instant | str | None) -> "History":
        """Return the same past as of an instant."""
        return replace(self, at=None if at is None else Instant(at))

    def of(self, customers: pa.Array | pd.Index | list[str]) -> "History":
        """Return the history of some of the customers alone, as of the same instant."""
        ids = pa.array(customers, pa.string())
        if self.wanted is not None:
            ids = ids.filter(pc.is_in(ids, self.wanted["customer_id"].combine_chunks()))
        bounds = pc.min_max(ids).as_py()
        # Rows of a customer lie together: what is out of this range is not even read.
        narrowed = self.between(bounds["min"], bounds["max"]) if len(ids) else replace(self, at=self.end)
        return replace(narrowed, wanted=pa.table({"customer_id": ids}))

    def between(self, first: str, last: str) -> "History":
        """Return the history of those customers whose ids lie in a range, both ends included."""
        low, high = (value.replace("'", "''") for value in (first, last))
        within = f"customer_id BETWEEN '{low}' AND '{high}'"
        return replace(self, at=self.end, within=f"{self.within} AND {within}" if self.within else within)

    def sample(self, most: int, seed: int, most_rows: int | None = None) -> "History":
        """Return the history of at most so many customers, the first in the seeded order; itself if it has no more.

        ``most_rows`` bounds their orders and lines together; two customers are kept whatever they hold.
        """
        customers = self.customers
        if most_rows is None and len(customers) <= most:
            return self
        order = customer_order(pd.Index(customers.to_pandas()), seed)[:most]
        drawn = self.of(customers.take(pa.array(np.sort(order))))
        if most_rows is None:
            return drawn
        n_rows = np.empty(len(order), dtype=np.int64)
        n_rows[np.argsort(order)] = drawn._rows(_compiled("rows a customer"))["n_rows"].to_numpy()
        order = order[: max(int((np.cumsum(n_rows) <= most_rows).sum()), 2)]
        return self.of(customers.take(pa.array(np.sort(order))))

    def parts(self, part_orders: int = PART_ORDERS) -> list["History"]:
        """Cut the customers into ranges of about so many orders, in ascending order of their ids; one part or more."""
        population = self.population
        total = np.cumsum(population["n_orders"].to_numpy())
        if self.wanted is not None or not len(total) or total[-1] <= 1.5 * part_orders:
            return [self]
        n_parts = max(round(total[-1] / part_orders), 2)
        cuts = np.unique(np.searchsorted(total, np.arange(1, n_parts) * total[-1] / n_parts))
        edges = [0, *(int(cut) + 1 for cut in cuts if cut + 1 < len(total)), len(total)]
        ids = population["customer_id"]
        return [self.between(ids[start].as_py(), ids[stop - 1].as_py()) for start, stop in pairwise(edges)]

    @cached_property
    def end(self) -> Instant:
        """The instant, exclusive: the one asked for, else the end of the local day of the last order."""
        if self.at is not None:
            return self.at
        with self._engine() as engine:
            self._views(engine, ["raw_orders"])
            last = engine.arrow("SELECT max(order_date) AS last FROM raw_orders")["last"][0].as_py()
        return NOTHING if last is None else end_of_day(Instant(last), self.store.time_zone)

    @cached_property
    def population(self) -> pa.Table:
        """``customer_id`` and ``n_orders`` of everybody with a visible order, by id."""
        return self._rows(_compiled("population"))

    @property
    def customers(self) -> pa.Array:
        """Ids of everybody with a visible order, ascending."""
        return self.population["customer_id"].combine_chunks()

    @cached_property
    def n_customers(self) -> int:
        """Customers with a visible order, counted where the rows are; their ids stay there."""
        return int(self._figures("customers")["n"])

    @cached_property
    def span(self) -> tuple[Instant, Instant]:
        """Instants of the first and the last visible order."""
        figures = self._figures("span")
        return Instant(figures["first_order"] or NOTHING), Instant(figures["last_order"] or NOTHING)

    @cached_property
    def n_products(self) -> int:
        """Products on visible lines."""
        return int(self._figures("products")["n"])

    @cached_property
    def n_writers_without_order(self) -> int:
        """Customers who wrote to the store's support but have no visible order: nobody's profile."""
        return int(self._figures("writers")["n"] or 0)

    @cached_property
    def recorded(self) -> frozenset[str]:
        """Columns that hold a value in any visible row.

        ``"orders.<column>"``, ``"items.<column>"``, ``"tickets.<column>"``; ``"orders.time_of_day"`` if any local order
        time is not midnight; ``"orders.refund"`` if refunds are recorded on orders or lines; ``"tickets.topic"`` if
        tickets have tags or subjects. Without any order: every column, so that nothing in is not taken for nothing
        recorded.
        """
        figures = {name: self._figures(f"recorded {name}") for name in ("orders", "items", "tickets")}
        if not figures["orders"]["n"]:
            every = {f"{name.removeprefix('raw_')}.{c}" for name, columns in CANONICAL.items() for c in columns}
            return frozenset({*every, "orders.time_of_day", "orders.refund", "tickets.topic"})
        filled = {f"{table}.{c}" for table, counts in figures.items() for c, n in counts.items() if n and c != "n"}
        either = {
            "orders.refund": {"orders.refund_amount", "items.refund_amount"},
            "tickets.topic": {"tickets.tags", "tickets.subject"},
        }
        return frozenset(filled | {name for name, columns in either.items() if columns & filled})

    def frames(self) -> Frames:
        """Return the canonical rows of visible orders and tickets in pandas; meant for a bounded number of customers.

        Refunds stand as recorded, later ones too: what of them counts at an instant is the relations' business.
        """
        tables = self._visible_rows().values()
        return Frames(*(table.to_pandas(strings_to_categorical=False) for table in tables))

    def in_memory(self) -> "History":
        """Return the same history with its rows in memory; meant for a bounded number of customers.

        It is cheap to look at as of several instants, up to this one.
        """
        return History(self.store, self._visible_rows(), self.end)

    def _visible_rows(self) -> dict[str, pa.Table]:
        with self.open() as engine:
            return {f"raw_{name}": engine.arrow(_compiled(f"rows {name}")) for name in ("orders", "items", "tickets")}

    def visible(self, name: str) -> pa.Table:
        """Return visible ``orders`` (with ``refund``), ``items`` or ``tickets`` of a bounded number of customers."""
        return self._rows(_compiled(f"visible {name}"))

    def events(self) -> Iterator[pa.RecordBatch]:
        """Yield ``customer_id``, ``order_date`` and ``total_price`` of visible orders, by customer and time."""
        with self.open() as engine:
            yield from engine.batches(_compiled("events"))

    def spending(self, last_days: int) -> pd.DataFrame:
        """Return what each of a bounded number of customers ordered and spent, net of refunds; by ``customer_id``.

        float64: ``n_orders`` >= 1, ``n_paid_orders`` >= 0 (worth more than 0), ``spent`` >= 0; ``tenure_days`` >=
        ``days_since_last_order`` >= 0; ``recent_orders`` and ``recent_spend`` of the last days before the end.
        """
        rows = self._rows(_spending_sql(last_days)).to_pandas()
        by_customer: pd.DataFrame = rows.astype({"customer_id": "str"}).set_index("customer_id").astype(np.float64)
        return by_customer

    @cached_property
    def totals(self) -> dict[str, float]:
        """What all customers' ``orders`` come to: how many, ``spend`` net of refunds, ``refunds``."""
        return {name: float(value or 0) for name, value in self._figures("totals").items()}

    def orders_a_day(self, days: int) -> NDArray[np.int64]:
        """Count the store's orders on each of the last days before the end, the last day first; shape (days,)."""
        rows = self._rows(_compiled("days"))
        counts = np.zeros(days, dtype=np.int64)
        place = rows["days_ago"].to_numpy()
        counts[place[place < days]] = rows["n"].to_numpy()[place < days]
        return counts

    def most_within(self, days: Iterable[int], share: float) -> dict[tuple[str, int], int]:
        """Return how many orders, orders refunded and tickets a share of those who have any has at most, by days.

        By (``orders``, ``returned`` or ``tickets``, days before the end); nothing of what nobody had.
        """
        rows = self._rows(_within_sql(tuple(days), share)).to_pylist()
        return {(row["what"], row["days"]): row["most"] for row in rows}

    def times_the_middle(self, share: float) -> float | None:
        """Return how many times the middle order of its customer a share of orders cost at most, of who ordered again.

        Of orders that something was paid for. None: nobody ordered again.
        """
        (row,) = self._rows(_times_sql(share)).to_pylist()
        return None if row["most"] is None else float(row["most"])

    @contextmanager
    def open(self, threads: int | None = None) -> Iterator[DuckEngine]:
        """Open DuckDB on the history's rows and clock."""
        with self._engine(threads) as engine:
            self.register(engine)
            yield engine

    def _engine(self, threads: int | None = None) -> DuckEngine:
        return DuckEngine(threads, own=not all(isinstance(t, pa.Table) or is_local(t) for t in self.tables.values()))

    def register(self, engine: Engine, names: Iterable[str] | None = None) -> None:
        """Make the history's tables, or some, and its clock readable on an engine."""
        self._views(engine, self.tables if names is None else names)
        engine.view("clock", pa.table({"observation_end": pa.array([self.end], pa.timestamp("us"))}))

    def _views(self, engine: Engine, names: Iterable[str]) -> None:
        conditions = [self.within] if self.within else []
        if self.wanted is not None:
            engine.view("wanted", self.wanted)
            conditions.append("customer_id IN (SELECT customer_id FROM wanted)")
        for name in names:
            engine.view(name, self.tables[name], " AND ".join(conditions))

    def _rows(self, sql: str) -> pa.Table:
        with self._engine() as engine:
            self.register(engine, [name for name in self.tables if name in sql])
            return engine.arrow(sql)

    def _figures(self, question: str) -> dict[str, Any]:
        return dict(self._rows(_compiled(question)).to_pylist()[0])


@lru_cache(maxsize=64)
def _compiled(name: str) -> str:
    """Compile one of the questions about a history, for DuckDB."""
    return str(ibis.to_sql(_QUESTIONS[name](), dialect="duckdb"))


@lru_cache(maxsize=64)
def _spending_sql(last_days: int) -> str:
    orders = visible_orders()
    # Added up in whole ten-thousandths: the same sum in whatever order engines take them.
    parts = ((orders.total_price - orders.refund) * ibis.literal(MONEY_PARTS)).round().cast("int64")
    is_recent = orders.order_date >= orders.observation_end - ibis.interval(days=last_days)
    days_ago = days_between(orders.order_date, orders.observation_end)
    customers = orders.group_by("customer_id").agg(
        n_orders=orders.count(),
        n_paid_orders=(parts > 0).sum().fill_null(0),
        spent=parts.sum().fill_null(0) / ibis.literal(MONEY_PARTS),
        tenure_days=days_ago.max(),
        days_since_last_order=days_ago.min(),
        recent_orders=is_recent.sum(),
        recent_spend=parts.sum(where=is_recent).fill_null(0) / ibis.literal(MONEY_PARTS),
    )
    return str(ibis.to_sql(customers.order_by("customer_id"), dialect="duckdb"))


def _within_sql(days: tuple[int, ...], share: float) -> str:
    orders, tickets = _compiled("visible orders"), _compiled("visible tickets")
    listed = ", ".join(f"({day:d})" for day in days)
    return f"""
        WITH placed AS (SELECT customer_id, order_date AS happened_at, refund FROM ({orders})), happened AS (
            SELECT 'orders' AS what, customer_id, happened_at FROM placed
            UNION ALL SELECT 'returned', customer_id, happened_at FROM placed WHERE refund > 0
            UNION ALL SELECT 'tickets', customer_id, created_at FROM ({tickets})
        ), counted AS (
            SELECT what, days, customer_id, count(*) AS n FROM happened CROSS JOIN clock
            JOIN (VALUES {listed}) AS horizon (days) ON happened_at >= observation_end - to_days(days) GROUP BY ALL
        )
        SELECT what, days, CAST(quantile_disc(n, {share:f}) AS INTEGER) AS most FROM counted GROUP BY ALL
    """


def _times_sql(share: float) -> str:
    return f"""
        WITH paid AS (SELECT customer_id, total_price FROM ({_compiled("visible orders")}) WHERE total_price > 0),
        middle AS (SELECT customer_id, median(total_price) AS price FROM paid GROUP BY customer_id HAVING count(*) > 1)
        SELECT quantile_disc(total_price / price, {share:f}) AS most FROM paid JOIN middle USING (customer_id)
    """


def _counts(table: ir.Table, columns: Iterable[str], **more: ir.Value) -> ir.Table:
    return table.aggregate(n=table.count(), **{c: table[c].count() for c in columns}, **more)


def _recorded_orders() -> ir.Table:
    orders = orders_before()
    timed = (orders.order_date_local != orders.order_date_local.truncate("D")).sum()
    return _counts(orders, CANONICAL["raw_orders"], time_of_day=timed)


def _recorded_items() -> ir.Table:
    """What a line shows of a refund that was yet to come is not recorded."""
    items = visible_items()
    items = items.mutate(refund_amount=items.is_hidden.ifelse(ibis.null("float64"), items.refund_amount))
    return _counts(items, [column for column in CANONICAL["raw_items"] if column != "customer_id"])


def _rows_a_customer() -> ir.Table:
    rows = orders_before().select("customer_id").union(visible_items().select("customer_id"))
    return rows.group_by("customer_id").agg(n_rows=rows.count().cast("int64")).order_by("customer_id")


def _totals() -> ir.Table:
    orders = visible_orders()
    spent = orders.total_price - orders.refund
    return orders.aggregate(orders=orders.count(), spend=spent.sum(), refunds=orders.refund.sum())


def _days() -> ir.Table:
    orders = orders_before()
    seconds = days_between(orders.order_date, orders.observation_end) * ibis.literal(float(SECONDS_PER_DAY))
    days_ago = ((seconds - ibis.literal(1e-6)) / ibis.literal(float(SECONDS_PER_DAY))).floor().cast("int64")
    # An order in the last fraction of a second is in whole seconds no time ago.
    return orders.group_by(days_ago=ibis.greatest(days_ago, ibis.literal(0, "int64"))).agg(n=orders.count())


_QUESTIONS = {
    "population": lambda: (
        orders_before().group_by("customer_id").agg(n_orders=lambda t: t.count().cast("int64")).order_by("customer_id")
    ),
    "customers": lambda: orders_before().aggregate(n=lambda t: t.customer_id.nunique()),
    "span": lambda: orders_before().aggregate(
        first_order=lambda t: t.order_date.min(), last_order=lambda t: t.order_date.max()
    ),
    "products": lambda: visible_items().aggregate(n=lambda t: t.product_id.nunique()),
    "writers": lambda: (
        visible_tickets()
        .anti_join(orders_before().select("customer_id").distinct(), "customer_id")
        .aggregate(n=lambda t: t.customer_id.nunique())
    ),
    "recorded orders": _recorded_orders,
    "recorded items": _recorded_items,
    "recorded tickets": lambda: _counts(visible_tickets(), CANONICAL["raw_tickets"]),
    "rows orders": lambda: (
        orders_before().select(*CANONICAL["raw_orders"]).order_by("customer_id", "order_date", "order_id")
    ),
    "rows items": lambda: (
        ibis.table(CANONICAL["raw_items"], name="raw_items")
        .semi_join(orders_before(), "order_id")
        .order_by("customer_id", "order_id", "line_no")
    ),
    "rows tickets": lambda: (
        _raw("raw_tickets")
        .filter(lambda t: t.created_at < t.observation_end)
        .select(*CANONICAL["raw_tickets"])
        .order_by("customer_id", "created_at", "ticket_id")
    ),
    "visible orders": lambda: visible_orders().select(*CANONICAL["raw_orders"], "refund"),
    "visible items": lambda: visible_items().select(*CANONICAL["raw_items"]),
    "visible tickets": lambda: visible_tickets().select(*CANONICAL["raw_tickets"]),
    "events": lambda: (
        orders_before()
        .select("customer_id", "order_date", "total_price")
        .order_by("customer_id", "order_date", "total_price")
    ),
    "days": _days,
    "totals": _totals,
    "rows a customer": _rows_a_customer,
}
