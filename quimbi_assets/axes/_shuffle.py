"""Stores in which customers do not differ: the same orders and tickets dealt anew among the same customers.

Belongs here: making such a store and one in which every customer is split in two, measuring several at once, counting
orders dealt to anybody. Does not: any feature, any statistic (``clustering.abstention``).

A customer keeps their number of orders and the instant of their first one. What an order holds (value, lines,
discount, refund, channel, weekday and time of day) is dealt; when later orders happen is redrawn. A customer keeps
the instants of their support tickets too; what a ticket holds and how it went is dealt.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.history import Frames

Instants = NDArray[np.int64]
"""Microseconds since 1970."""
Counts = tuple[NDArray[np.int32], NDArray[np.float64]]
Extract = Callable[[Frames], dict[str, pd.DataFrame]]
MAX_ROWS = 1_500_000
"""Most orders and lines extracted at once, a bound of memory: 8 stores of 67,000 rows take half the time of 8 calls."""

_WEEK = 7 * 86_400_000_000
#: 1970-01-01 was a Thursday: weeks begin on the Monday before it.
_MONDAY = -3 * 86_400_000_000
#: How long, and how many, the stretches of time are in which later orders are counted.
STRETCH_WEEKS, FEWEST_STRETCHES, MOST_STRETCHES = 3, 8, 24
#: Steps towards the calendar's rate; the tenth moves no value by more than 1e-4.
N_ITERATIONS = 10
#: Stands in for a sum of nothing.
TINY = 1e-300
#: What happens to a ticket after its creation.
_TICKET_INSTANTS = ("first_response_at", "resolved_at")
#: Marks the half of a customer in ``halve_customers``; no id contains it.
HALF = "\x1f"


def shuffle_orders(store: Frames, observation_end: pd.Timestamp, seed: int) -> Frames:
    """Deal the orders and tickets of a store anew among its customers.

    The same orders get other ``customer_id``, ``order_date`` and ``order_date_local``: each customer has as many as
    before, the first at the same instant. Lines stay; ``refunded_at`` moves with the order, at most to the last second
    before ``observation_end``, naive UTC and exclusive. The same tickets get other ``customer_id``, ``created_at`` and
    ``created_at_local``: each customer wrote as many as before, at the same instants; a response and a resolution move
    likewise.

    Notes
    -----
    Each customer's later orders are taken for a Poisson process whose rate is the customer's own level times one
    rate of the calendar, common to all; ``H(t)`` is its integral. Given how many orders follow a customer's first at
    ``f``, they are independent and uniform on ``(H(f), H(end)]``: so they are drawn there and mapped back to instants
    of the store's orders. The jump of ``H`` at a later order at ``s`` is one over the sum of the levels of customers
    who came before ``s``, a level being later orders over ``H(end) - H(f)``: a fixed point, found by iterating. (With
    equal levels for all, a store shuffled twice differed from one shuffled once: 1.07 in the variance of
    ``acceleration``, 0.81 in ``overdue_ratio``.)

    The local clock is the month of the slot and the weekday and time of day of the dealt order or ticket: seasons
    belong to the slot, habits of the week and the day to what is dealt.

    References
    ----------
    Lawless, Nadeau: Some simple robust methods for the analysis of recurrent events, Technometrics 37 (1995).
    """
    orders, items, tickets = store
    rng = np.random.default_rng(seed)
    dealt = rng.permutation(len(orders))
    dates = _microseconds(orders["order_date"])
    source, redrawn = _redraw(orders["customer_id"], dates, rng)
    local = _microseconds(orders["order_date_local"])
    shuffled = orders.take(dealt).assign(
        customer_id=orders["customer_id"].array,
        order_date=redrawn.astype("datetime64[us]"),
        order_date_local=_near(local[source], local[dealt]),
    )
    moved = pd.Series(redrawn - dates[dealt], index=shuffled["order_id"].array)
    shuffled = shuffled.reset_index(drop=True)
    by = pd.to_timedelta(items["order_id"].map(moved), unit="us")
    lines = items.assign(refunded_at=_moved(items["refunded_at"], by, observation_end))
    return Frames(shuffled, lines, _shuffle_tickets(tickets, observation_end, rng))


def _shuffle_tickets(tickets: pd.DataFrame, end: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    dealt = rng.permutation(len(tickets))
    slot, held = (_microseconds(tickets["created_at"]), _microseconds(tickets["created_at_local"]))
    shuffled = tickets.take(dealt).assign(
        customer_id=tickets["customer_id"].array,
        created_at=slot.astype("datetime64[us]"),
        created_at_local=_near(held, held[dealt]),
    )
    by = pd.Series(pd.to_timedelta(slot - slot[dealt], unit="us"), index=shuffled.index)
    moved = {name: _moved(shuffled[name], by, end) for name in _TICKET_INSTANTS}
    return shuffled.assign(**moved).reset_index(drop=True)


def _near(slot: Instants, held: Instants) -> NDArray[np.datetime64]:
    """Local times in the month of the slot, on the weekday and at the time of day of what is dealt to it.

    They are in the week of the slot, or, where that leads into another month, in the next one within the month.
    """
    same_week = (slot - _MONDAY) // _WEEK * _WEEK + _MONDAY + (held - _MONDAY) % _WEEK
    month, led_to = (times.astype("datetime64[us]").astype("datetime64[M]") for times in (slot, same_week))
    moved: Instants = same_week + _WEEK * np.sign((month - led_to).astype(np.int64))
    return moved.astype("datetime64[us]")


def halve_customers(store: Frames) -> Frames:
    """Split every customer in two: their first, third ... orders and tickets, and their second, fourth ...

    ``customer_id`` of orders and tickets then ends in ``HALF`` and ``0`` or ``1``.

    >>> orders = pd.DataFrame({"customer_id": ["a", "a", "a"], "order_id": ["1", "2", "3"],
    ...                        "order_date": pd.to_datetime(["2025-01-01", "2025-01-03", "2025-01-02"])})
    >>> nobody_wrote = pd.DataFrame(columns=["customer_id", "ticket_id", "created_at"])
    >>> halve_customers(Frames(orders, orders, nobody_wrote)).orders.customer_id.str[-1].to_list()
    ['0', '1', '0']
    """
    orders, items, tickets = store
    halves = _halved(orders, ["order_date", "order_id"]), _halved(tickets, ["created_at", "ticket_id"])
    return Frames(halves[0], items, halves[1])


def _halved(rows: pd.DataFrame, in_time: list[str]) -> pd.DataFrame:
    ordered = rows.sort_values(["customer_id", *in_time])
    half = (ordered.groupby("customer_id").cumcount() % 2).astype("str")
    return ordered.assign(customer_id=ordered["customer_id"].astype("str") + HALF + half)


def count_later_orders(orders: pd.DataFrame, n_deals: int, seed: int) -> Counts:
    """Count the orders after each customer's first, by stretch of time: in the store, dealt to anybody.

    Counts of shape (1 + n_deals, n, w), those of the store first, and what is expected of each customer, shape (n, w).
    A deal gives each later order to one of those who had begun before it, all equally likely: calendar and time since
    the first order are accounted for. Orders at the very instant of the first are left out. Stretches are of
    three weeks, an eighth of a shorter history, a 24th of a longer one. ``orders`` are by customer and time;
    customers come out by their first order.
    """
    dates = _microseconds(orders["order_date"])
    is_first = ~orders["customer_id"].duplicated().to_numpy()
    first, customer = dates[is_first], np.cumsum(is_first) - 1
    n, is_later = len(first), dates > first[customer]
    later = dates[is_later]
    begun = np.searchsorted(np.sort(first), later)
    start, end = (later.min(), later.max() + 1) if len(later) else (0, 1)
    span = end - start
    length = max(span / MOST_STRETCHES, min(STRETCH_WEEKS * _WEEK, span / FEWEST_STRETCHES))
    w = int(np.ceil(span / length))
    stretch = ((later - start) / length).astype(np.intp)
    of_last_begun = np.bincount(w * (begun - 1) + stretch, 1 / begun, w * n).reshape(n, w)
    rng = np.random.default_rng(seed)
    deals = ((rng.random(len(begun)) * begun).astype(np.intp) for _ in range(n_deals))
    placed_by = np.argsort(np.argsort(first, kind="stable"))[customer[is_later]]
    counts = [np.bincount(w * who + stretch, minlength=w * n).astype(np.int32) for who in (placed_by, *deals)]
    return np.stack(counts).reshape(-1, n, w), of_last_begun[::-1].cumsum(axis=0)[::-1]


def _microseconds(dates: pd.Series) -> Instants:
    return dates.to_numpy("datetime64[us]").astype(np.int64)


def _redraw(customers: pd.Series, dates: Instants, rng: np.random.Generator) -> tuple[NDArray[np.intp], Instants]:
    """Return, per slot, the order whose instant it gets, and that instant; first orders keep theirs."""
    is_first = ~customers.duplicated().to_numpy()
    first = dates[is_first][np.cumsum(is_first) - 1]
    later = np.flatnonzero(~is_first)
    source, redrawn = np.arange(len(dates)), first.copy()
    if not len(later):
        return source, redrawn
    later_in_time = later[np.argsort(dates[later], kind="stable")]
    times = dates[later_in_time]
    start = np.searchsorted(times, first[later], side="right")
    integral = _calendar_rate(start, np.searchsorted(np.sort(first[later]), times, side="left"))
    low = integral[start]
    drawn = low + rng.random(len(later)) * (integral[-1] - low)
    position = np.clip(np.searchsorted(integral, drawn, side="right") - 1, 0, len(times) - 1)
    possible = low < integral[-1]  # else no order came after this customer's first: all are at that instant
    source[later[possible]] = later_in_time[position[possible]]
    redrawn[later[possible]] = times[position[possible]]
    return source, redrawn


def _calendar_rate(start: NDArray[np.intp], n_begun: NDArray[np.intp]) -> NDArray[np.float64]:
    """Integral of the calendar's rate, up to a factor: shape (m + 1,), from 0 to 1, entry i before later order i.

    Per later order, shape (m,): ``start``, how many later orders of the store are not after its customer's first;
    ``n_begun``, in order of time, how many later orders belong to customers whose first was before it.
    """
    begun = np.sort(start)
    integral = np.linspace(0.0, 1.0, len(start) + 1)
    for _ in range(N_ITERATIONS):
        ahead = 1.0 - integral[begun]
        level = np.cumsum(1.0 / np.where(ahead > 0, ahead, np.inf))
        common = np.where(n_begun > 0, level[np.maximum(n_begun, 1) - 1], 0.0)
        jumps = np.divide(1.0, common, out=np.zeros_like(common), where=common > 0)
        integral = np.concatenate([[0.0], np.cumsum(jumps) / max(jumps.sum(), TINY)])
    return integral


def _moved(instants: pd.Series, by: pd.Series, end: pd.Timestamp) -> pd.Series:
    """Move what happened before ``end`` by some time, at most to the last second before it."""
    last = end - pd.Timedelta(seconds=1)
    moved_to = (instants + by).where(instants + by <= last, last)
    return moved_to.where(instants <= last, instants)


def extract_together(stores: Sequence[Frames], extract: Extract) -> list[dict[str, pd.DataFrame]]:
    """Compute features of several stores that share everything but customers, orders and tickets.

    They are about equally large; the same ids may occur in several.
    ``extract`` has the instant, the recorded columns and the store-wide reference given: a customer's features then
    depend on that customer's rows alone, and come out as for one store.
    """
    largest = max(sum(map(len, store)) for store in stores)
    size = max(MAX_ROWS // max(largest, 1), 1)
    groups = [stores[start : start + size] for start in range(0, len(stores), size)]
    return [features for group in groups for features in _extract_group(group, extract)]


def _extract_group(stores: Sequence[Frames], extract: Extract) -> Iterator[dict[str, pd.DataFrame]]:
    width = len(str(len(stores)))
    marks = [f"{i:0{width}}" for i in range(len(stores))]
    ids = ["customer_id", "order_id"], ["order_id"], ["customer_id"]
    together = extract(Frames(*map(_joined, zip(*stores, strict=True), ids, [marks] * len(ids))))
    for mark in marks:
        rows = {axis: table[table.index.str.startswith(mark)] for axis, table in together.items()}
        yield {axis: t.set_axis(t.index.str.slice(width).rename(t.index.name)) for axis, t in rows.items()}


def _joined(frames: Sequence[pd.DataFrame], ids: list[str], marks: list[str]) -> pd.DataFrame:
    rows = [
        frame.assign(**{column: mark + frame[column].astype("str") for column in ids})
        for frame, mark in zip(frames, marks, strict=True)
    ]
    return pd.concat(rows, ignore_index=True)
