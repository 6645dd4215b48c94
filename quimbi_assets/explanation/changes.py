"""What a customer could do next: orders and tickets that may come, and the histories they would make.

Belongs here: the catalogue of changes, and rows of orders, lines and tickets as if one had come. Does not: which of
them moves anybody (``search``).

A change is told as it is made: so many orders of a kind, one every so many days, the last just before it is looked at.
Whatever is not said of an order is as in the customer's last one. To look at a customer on a later day their rows are
moved back by as many days before the one instant at which all are measured, their local times left as they are: every
feature comes out as on that day, and one extraction measures all changes on all days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.axes import StoreReference
from quimbi_assets.history import History
from quimbi_assets.ingest.canonical import canonical_tables

Things = Literal["same", "favourite", "new", "new_category", "many", "one"]
When = Literal["usual", "weekend", "office", "morning", "evening", "night"]
HOURS: Mapping[str, int] = {"morning": 8, "evening": 20, "night": 23}
MOST, MOST_TICKETS = 12, 6
"""Orders, and requests to support, of a change."""
MANY = 3
"""Times as many different things as in their average order, in an order of many."""
SEPARATOR = "#"
"""Between an order's id and the number of the change whose history it is in."""
DATES = ("order_date", "refunded_at", "created_at", "first_response_at", "resolved_at")
SATURDAY = 5
CENT = 0.01
LINE = ["line_no", "product_id", "category", "product_type", "quantity", "price"]
"""Columns of an order's lines."""
NONE = np.empty(0, dtype=np.int64)
NO_ORDERS = pd.DataFrame({"order_id": [], "customer_id": [], "order_date": pd.to_datetime([]), "total_price": []})


@dataclass(frozen=True)
class Kind:
    """A kind of order or ticket.

    ``one`` and ``many`` say it after a number. ``value``: times the worth of the last order, by as many pieces;
    ``price``: times the price of a piece; ``discount``: share off, None as in the last order. ``needs``: columns that
    the store has to record for it. ``lead_days``: how long before the day it is looked at it comes at the latest.
    """

    name: str
    one: str
    many: str
    value: float = 1.0
    price: float = 1.0
    discount: float | None = None
    things: Things = "same"
    when: When = "usual"
    source: str | None = None
    is_returned: bool = False
    ticket: Mapping[str, Any] | None = None
    needs: tuple[str, ...] = ()
    lead_days: int = 1

    @property
    def counted(self) -> str:
        """As what ``History.most_within`` counts it."""
        return "tickets" if self.ticket is not None else "returned" if self.is_returned else "orders"


def _order(name: str, words: str, **declared: Any) -> Kind:
    """Declare a kind of order by what follows the noun."""
    return Kind(name, f"order {words}", f"orders {words}", **declared)


def _ticket(name: str, noun: str, words: str, **columns: Any) -> Kind:
    """Declare a kind of ticket; hours until it is answered and solved, rating and topic are its ``columns``."""
    needs = ("tickets.ticket_id",)
    return Kind(name, f"{noun} {words}", f"{noun}s {words}", ticket=columns, needs=needs, lead_days=6)


_DISCOUNT, _LINES = ("orders.discount_amount",), ("items.product_id",)
_CATEGORY, _CLOCK, _CHANNEL = ("items.category",), ("orders.time_of_day",), ("orders.source",)
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        _order("again", "like the last one"),
        _order("full_price", "like the last one at full price", discount=0.0, needs=_DISCOUNT),
        _order("discounted", "like the last one at 30 % off", discount=0.3, needs=_DISCOUNT),
        _order("deep_discount", "like the last one at 60 % off", discount=0.6, needs=_DISCOUNT),
        _order("double", "worth twice the last one", value=2.0),
        _order("fivefold", "worth five times the last one", value=5.0),
        _order("quarter", "worth a quarter of the last one", value=0.25),
        _order("favourite", "of nothing but what they buy most", things="favourite", needs=_LINES),
        _order("new_things", "of things new to them", things="new", needs=_LINES),
        _order("new_category", "from another category new to them", things="new_category", needs=_CATEGORY),
        _order("many_things", "of three times as many things as usual", things="many", needs=_LINES),
        _order("one_thing", "of a single thing", things="one", needs=_LINES),
        _order("dear", "of things at three times the price", price=3.0, things="new", needs=("items.price",)),
        _order("cheap", "of things at a third of the price", price=1 / 3, things="new", needs=("items.price",)),
        _order("weekend", "at the weekend", when="weekend"),
        _order("office", "on a weekday in opening hours", when="office", needs=_CLOCK),
        _order("morning", "on a weekday at 8 in the morning", when="morning", needs=_CLOCK),
        _order("evening", "on a weekday at 8 in the evening", when="evening", needs=_CLOCK),
        _order("night", "on a weekday at 11 at night", when="night", needs=_CLOCK),
        _order("web", "in the web shop", source="web", needs=_CHANNEL),
        _order("shop", "in a physical shop", source="pos", needs=_CHANNEL),
        _order("staff", "written by staff", source="draft_order", needs=_CHANNEL),
        _order("returned", "sent back in full", is_returned=True, needs=("orders.refund",), lead_days=3),
        _ticket(
            "praised", "question", "to support, solved in 4 hours and rated 5",
            answer=1, solve=4, rating=5, topic="product question",
        ),
        _ticket(
            "question", "question", "to support, solved in a day",
            answer=4, solve=24, rating=None, topic="order status",
        ),
        _ticket("complaint", "complaint", "to support, rated 1", answer=24, solve=96, rating=1, topic="complaint"),
    )
}  # fmt: skip
RELEVANT: Mapping[str, tuple[str, ...]] = {
    "category_exploration": ("new_category", "new_things", "favourite", "again"),
    "customer_maturity": ("again",),
    "price_sensitivity": ("full_price", "discounted", "deep_discount"),
    "purchase_cadence": ("weekend", "office", "evening", "morning", "night"),
    "purchase_frequency": ("again",),
    "purchase_value": ("again", "double", "quarter", "fivefold"),
    "repurchase_behavior": ("favourite", "again", "new_things"),
    "return_behavior": ("again", "returned"),
    "communication_preference": ("web", "shop", "staff", "weekend", "office"),
    "loyalty_trajectory": ("again", "double", "quarter"),
    "problem_complexity_profile": (
        "again", "favourite", "one_thing", "many_things", "full_price", "discounted", "returned",
    ),
    "product_knowledge": ("favourite", "again", "new_things", "new_category"),
    "value_sophistication": ("again", "dear", "cheap", "discounted", "double", "quarter"),
    "support_history": ("praised", "question", "complaint", "again"),
}  # fmt: skip
"""What bears on the question of an axis, what is least out of the way first."""


@dataclass(frozen=True)
class Change:
    """So many orders or tickets of a kind, one every so many days; none (``kind`` empty): waiting without any.

    ``days`` after the present it is looked at; less than 0: before it.
    """

    kind: str
    n: int
    every: int
    days: int

    @classmethod
    def of(cls, kind: str, n: int, every: int) -> "Change":
        """Return a change that is looked at when its last order is in."""
        return cls(kind, n, every, n * every)

    @classmethod
    def waiting(cls, days: int) -> "Change":
        """Return no order for so many days."""
        return cls("", 0, 0, days)


@dataclass(frozen=True)
class Past:
    """One customer's rows, in memory, as of the present, and what of the store bears on their next order.

    A ``history`` of one customer with at least one order; columns that the store records; its ``reference``; how many
    orders and tickets its customers have at most within so many days (``usual_most``; empty: nothing bounds them), and
    how many times their middle order they pay for one (``usual_times``; None: nothing bounds it).
    """

    history: History
    recorded: frozenset[str]
    reference: StoreReference = field(default_factory=StoreReference.empty)
    usual: Mapping[tuple[str, int], int] = field(default_factory=dict)
    usual_times: float | None = None

    @cached_property
    def tables(self) -> dict[str, pa.Table]:
        """Canonical tables, which are in memory."""
        return {name: table for name, table in self.history.tables.items() if isinstance(table, pa.Table)}

    def possible(self, axes: Sequence[str]) -> list[Kind]:
        """Return the kinds of orders and tickets that bear on some axes and that the store records."""
        names = {name for axis in axes for name in RELEVANT.get(axis, ("again",))}
        kinds = [kind for kind in KINDS.values() if kind.name in names and set(kind.needs) <= self.recorded]
        return [kind for kind in kinds if kind.things == "same" or len(self.lines)]

    def most(self, kind: Kind) -> int:
        """Return how many orders or tickets of a kind there can be at most."""
        if kind.ticket is not None:
            return MOST_TICKETS
        return len(self.new_categories) if kind.things == "new_category" else MOST

    def usual_most(self, change: Change) -> int | None:
        """Return how many orders or tickets of a change's kind 95 of 100 who have any have in its time; at least 1.

        None: nobody counted.
        """
        most = None if not self.usual else self.usual.get((KINDS[change.kind].counted, change.days), 0)
        return None if most is None else max(most, 1)

    @cached_property
    def usual_worth(self) -> float | None:
        """What 95 of 100 orders of customers whose middle order is this one's cost at most, or one of theirs did.

        None: nothing bounds it.
        """
        paid = self.tables["raw_orders"]["total_price"].to_numpy()
        paid = paid[paid > 0]
        return (
            None if self.usual_times is None or not len(paid) else max(self.usual_times * np.median(paid), paid.max())
        )

    def is_usual_worth(self, change: Change) -> bool:
        """Whether an order of a change costs no more than that; to the cent."""
        total, most = self.order_total(change), self.usual_worth
        return total is None or most is None or total <= most + CENT

    def is_attainable(self, change: Change) -> bool:
        """Whether customers of the store do so much in that time, and pay as much for an order, or this one did."""
        return self.is_usual_worth(change) and self.is_usual_number(change)

    def is_usual_number(self, change: Change) -> bool:
        """Whether customers of the store do so much in that time, or this one did."""
        most = self.usual_most(change)
        if most is None or change.n <= most:
            return True
        at = np.sort(self._times_had[KINDS[change.kind].counted])
        spans = at[change.n - 1 :] - at[: max(len(at) - change.n + 1, 0)]
        return bool(len(spans) and spans.min() <= np.timedelta64(change.days, "D"))

    @cached_property
    def _times_had(self) -> dict[str, NDArray[np.datetime64]]:
        orders, tickets = self.tables["raw_orders"], self.tables["raw_tickets"]
        returned = pc.greater(pc.fill_null(orders["refund_amount"], 0.0), 0.0)
        return {
            "orders": orders["order_date"].to_numpy(),
            "returned": orders.filter(returned)["order_date"].to_numpy(),
            "tickets": tickets["created_at"].to_numpy(),
        }

    def with_changes(self, changes: Sequence[Change]) -> History:
        """Return the histories that changes would make, each as a customer called by its place among them.

        Each is seen at the present instant as it would be on its own day.
        """
        added, number = self._added(changes), np.arange(len(changes))
        days = np.array([change.days for change in changes])
        tables = {}
        for name, rows in self.tables.items():
            copied = rows.take(pa.array(np.tile(np.arange(len(rows)), len(number))))
            owner = np.concatenate([np.repeat(number, len(rows)), added[name]["change"].to_numpy()])
            moved = _moved(pa.concat_tables([copied, added[name].drop_columns("change")]), owner, days[owner])
            tables[name] = moved.take(pa.array(np.argsort(owner, kind="stable")))
        return History(self.history.store, tables, self.history.end)

    def applied(self, change: Change) -> History:
        """Return the customer's history with a change added to it, as of its day: what ``with_changes`` says of it."""
        end = self.history.end + timedelta(days=change.days)
        added = self._added([change])
        tables = {name: pa.concat_tables([t, added[name].drop_columns("change")]) for name, t in self.tables.items()}
        return History(self.history.store, tables, end)

    def dates(self, change: Change) -> list[pd.Timestamp]:
        """Return the store-local times of a change's orders or tickets."""
        if not change.kind:
            return []
        every = np.full(change.n, change.every)
        return list(self._times(KINDS[change.kind], np.arange(change.n), every))

    def order_total(self, change: Change) -> float | None:
        """Return what is paid for one order of a change; None of tickets and waiting."""
        kind = KINDS.get(change.kind)
        return None if kind is None or kind.ticket is not None else float(self._orders[kind.name][0]["total_price"])

    def _places(self, changes: Sequence[Change]) -> pd.DataFrame:
        """Return each order or ticket of changes: number of the ``change``, ``kind``, ``j`` from 0, local time ``at``.

        ``key`` is its id, which ends with the change's number.
        """
        wanted = [(number, one.kind, one.n, one.every) for number, one in enumerate(changes) if one.kind]
        number, kinds, n, every = (np.array(column) for column in zip(*wanted, strict=True)) if wanted else [NONE] * 4
        whose = np.repeat(np.arange(len(wanted)), n)
        j = np.arange(len(whose)) - np.repeat(np.cumsum(n) - n, n)
        of_kind, at = kinds[whose].astype(object), np.empty(len(whose), dtype="datetime64[us]")
        for name in dict.fromkeys(kinds.tolist()):
            is_it = of_kind == name
            at[is_it] = self._times(KINDS[name], j[is_it], every[whose][is_it])
        places = pd.DataFrame({"change": number[whose], "kind": of_kind, "j": j, "at": at})
        keys = SEPARATOR + places["kind"] + "-" + places["j"].astype(str) + SEPARATOR + places["change"].astype(str)
        return places.assign(key=keys.astype(str))

    def _times(self, kind: Kind, j: NDArray[np.int64], every: NDArray[np.int64]) -> pd.DatetimeIndex:
        """Return the local times of the ``j``-th orders of a kind, one every so many days; none before the present."""
        latest = (self._present + pd.to_timedelta((j + 1) * every - kind.lead_days, unit="D")).normalize()
        weekday = latest.weekday.to_numpy()
        if kind.when == "weekend":
            back = np.where(weekday >= SATURDAY, 0, weekday + 7 - SATURDAY - 1)
        else:
            back = np.zeros(len(j), int) if kind.when == "usual" else np.maximum(weekday - SATURDAY + 1, 0)
        at = latest - pd.to_timedelta(back, unit="D") + self._time_of_day(kind)
        return at.where(at >= self._present, self._present)

    @cached_property
    def _present(self) -> pd.Timestamp:
        zone = self.history.store.time_zone
        return self.history.end.tz_localize("UTC").tz_convert(zone).tz_localize(None)

    def _time_of_day(self, kind: Kind) -> pd.Timedelta:
        if kind.when == "office":
            hours = self.history.store.hours
            return pd.Timedelta(hours=(hours.opens + hours.closes) // 2)
        if kind.when in HOURS:
            return pd.Timedelta(hours=HOURS[kind.when])
        usual = pd.Timestamp(self.last_order["order_date_local"])
        return usual - usual.normalize()

    def _added(self, changes: Sequence[Change]) -> dict[str, pa.Table]:
        """Return the rows that changes add, by canonical table, with the number of the ``change``."""
        places = self._places(changes)
        kinds = [KINDS[name] for name in places["kind"].unique()]
        made = {kind.name: self._orders[kind.name] for kind in kinds if kind.ticket is None}
        orders = pd.DataFrame([{"kind": name, **order} for name, (order, _) in made.items()], columns=None)
        tickets = [
            self._tickets(kind, places[places["kind"] == kind.name]) for kind in kinds if kind.ticket is not None
        ]
        if not made:
            return self._canonical(None, None, tickets)
        things = pd.concat([lines.assign(kind=name) for name, (_, lines) in made.items()], ignore_index=True)
        lines = self._each_new(places.merge(things, on="kind"))
        return self._canonical(places.merge(orders, on="kind"), lines, tickets)

    def _each_new(self, lines: pd.DataFrame) -> pd.DataFrame:
        """Let what is new to them in one order be something else in the next, and say when it was sent back."""
        is_new = lines["product_id"].str.startswith(SEPARATOR)
        lines["product_id"] = lines["product_id"].where(~is_new, lines["product_id"] + "-" + lines["j"].astype(str))
        elsewhere = (lines["kind"] == "new_category").to_numpy()
        if elsewhere.any():
            category = np.array(self.new_categories, dtype=object)[np.where(elsewhere, lines["j"], 0)]
            lines["category"] = lines["category"].astype(object).where(~elsewhere, category)
        if "refund_amount" in lines:
            refunded = _utc(lines["at"], self.history.store.time_zone) + pd.Timedelta(days=2)
            lines["refunded_at"] = refunded.where(lines["refund_amount"].notna())
        return lines

    def _canonical(
        self, orders: pd.DataFrame | None, lines: pd.DataFrame | None, tickets: list[pd.DataFrame]
    ) -> dict[str, pa.Table]:
        """Bring added rows into the canonical form."""
        customer, zone = self.tables["raw_orders"]["customer_id"][0].as_py(), self.history.store.time_zone
        made = canonical_tables(NO_ORDERS, None, None, zone)
        if orders is not None and lines is not None:
            rows = orders.rename(columns={"key": "order_id", "at": "order_date_local"})
            rows = rows.assign(customer_id=customer, order_date=_utc(rows["order_date_local"], zone))
            made = canonical_tables(rows, lines.rename(columns={"key": "order_id"}), None, zone)
        if tickets:
            rows = pd.concat(tickets, ignore_index=True).rename(columns={"key": "ticket_id"})
            rows = rows.assign(customer_id=customer)
            made["raw_tickets"] = canonical_tables(NO_ORDERS, None, rows, zone)["raw_tickets"]
        return {name: _with_change(table) for name, table in made.items()}

    @cached_property
    def _orders(self) -> dict[str, tuple[dict[str, Any], pd.DataFrame]]:
        """One order of every kind that the store records: its columns, and its lines."""
        return {kind.name: self._order(kind) for kind in self.possible(list(RELEVANT)) if kind.ticket is None}

    def _order(self, kind: Kind) -> tuple[dict[str, Any], pd.DataFrame]:
        """Return the columns of one order of a kind, and its lines."""
        last = self.last_order
        share_off = _share(last["discount_amount"], last["total_price"]) if kind.discount is None else kind.discount
        usual, things = self._last_lines, self._things(kind)
        before = float(last["total_price"]) + float(np.nan_to_num(last["discount_amount"]))
        worth = [float((rows["price"] * rows["quantity"]).sum()) for rows in (usual, things)]
        gross = before * (worth[1] / worth[0] if worth[0] > 0 else kind.price) * kind.value
        things = things.assign(quantity=things["quantity"] * kind.value)
        off = round(gross * share_off, 2)
        total = round(gross, 2) - off
        order: dict[str, Any] = {"total_price": total, "source": kind.source or last["source"]}
        if "orders.discount_amount" in self.recorded:
            order["discount_amount"] = off
        if kind.is_returned:
            order["refund_amount"] = total
            if "items.refund_amount" in self.recorded:
                things = things.assign(refund_amount=things["price"] * things["quantity"])
        return order, things

    def _things(self, kind: Kind) -> pd.DataFrame:
        """Return the lines of an order of a kind, before its value is considered."""
        lines, last = self.lines, self._last_lines
        if not len(last):
            return last[LINE]
        new = [f"{SEPARATOR}new {i}" for i in range(len(last))]
        match kind.things:
            case "favourite":
                counts = lines.groupby("product_id")["order_id"].nunique()
                product = counts.sort_values(ascending=False, kind="stable").index[0]
                last = lines[lines["product_id"] == product].tail(1)
            case "new" | "new_category":
                last = last.assign(product_id=new)
            case "one":
                last = last.sort_values("price", kind="stable").tail(1)
            case "many":
                n = int(np.ceil(MANY * len(lines) / max(lines["order_id"].nunique(), 1)))
                last = last.iloc[np.arange(n) % len(last)].assign(product_id=[f"{SEPARATOR}new {i}" for i in range(n)])
        priced = last.assign(price=last["price"] * kind.price, line_no=np.arange(1, len(last) + 1))
        return priced[LINE]

    @cached_property
    def last_order(self) -> pd.Series:
        """Return their last order that was worth something and has lines, if lines are recorded; else the last."""
        orders = self.tables["raw_orders"].to_pandas().sort_values(["order_date", "order_id"])
        with_lines = orders["order_id"].isin(self.tables["raw_items"]["order_id"].to_pandas())
        paid = orders["total_price"] > 0
        for choice in (orders[paid & with_lines], orders[paid], orders):
            if len(choice):
                last: pd.Series = choice.iloc[-1]
                return last
        raise ValueError("a customer without an order")

    @cached_property
    def lines(self) -> pd.DataFrame:
        """Their lines of known products, in pandas."""
        rows: pd.DataFrame = self.tables["raw_items"].to_pandas()
        return rows[(rows["quantity"] > 0) & rows["product_id"].notna()]

    @cached_property
    def _last_lines(self) -> pd.DataFrame:
        rows: pd.DataFrame = self.lines[self.lines["order_id"] == self.last_order["order_id"]]
        return rows

    @cached_property
    def new_categories(self) -> list[str]:
        """Return categories they never bought from, first those whose dear things cost most nearly what theirs do."""
        lines, prices = self.lines, self.reference.category_prices
        others = prices[~prices["category"].isin(lines["category"].dropna())]
        apart = (others["luxury_price"] - lines["price"].max()).abs().sort_values(kind="stable")
        return [str(one) for one in others["category"].loc[apart.index[:MOST]]]

    def _tickets(self, kind: Kind, each: pd.DataFrame) -> pd.DataFrame:
        ticket = kind.ticket or {}
        created = _utc(each["at"], self.history.store.time_zone)
        channels = self.tables["raw_tickets"]["channel"].drop_null()
        columns = {
            "channel": channels[-1].as_py() if len(channels) else None,
            "first_response_at": created + pd.Timedelta(hours=ticket["answer"]),
            "resolved_at": created + pd.Timedelta(hours=ticket["solve"]),
            "satisfaction_score": ticket["rating"],
            "reopen_count": float(ticket["rating"] == 1),
            "tags" if "tickets.tags" in self.recorded else "subject": ticket["topic"],
        }
        recorded = {name: column for name, column in columns.items() if f"tickets.{name}" in self.recorded}
        return pd.DataFrame({"key": each["key"], "change": each["change"], "created_at": created, **recorded})


def _with_change(rows: pa.Table) -> pa.Table:
    """Return added rows with the number of their change, which ends their key."""
    key = "ticket_id" if "ticket_id" in rows.column_names else "order_id"
    number = pc.list_element(pc.split_pattern(rows[key], SEPARATOR), 2).cast(pa.int64())
    return rows.append_column("change", number)


def _moved(rows: pa.Table, owner: np.ndarray, days: np.ndarray) -> pa.Table:
    """Give rows to the customer of each change, and move them back by its days; shape (n,)."""
    number = pa.array(owner).cast(pa.string())
    back = pa.array(days * 86_400_000_000, pa.duration("us"))
    for place, name in enumerate(rows.column_names):
        if name == "customer_id":
            rows = rows.set_column(place, name, pc.utf8_lpad(number, 6, "0"))
        elif name in ("order_id", "ticket_id"):
            rows = rows.set_column(place, name, pc.binary_join_element_wise(rows[name], number, "@"))
        elif name in DATES:
            rows = rows.set_column(place, name, pc.subtract(rows[name], back))
    return rows


def _utc(local: pd.Series, zone: str) -> pd.Series:
    stamps = pd.to_datetime(local).dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    return stamps.dt.tz_convert("UTC").dt.tz_localize(None)


def _share(discount: float, total: float) -> float:
    off = float(np.nan_to_num(discount))
    return off / (off + total) if off + total > 0 else 0.0
