"""The features of every axis computed the plain way: one customer after another, in pandas and NumPy.

Belongs here: a second, independent reading of the formulas, slow and obvious. It is the yardstick for the
speed of ``extract_features`` and the oracle its tests compare with. Does not: anything of ``quimbi_assets``;
sharing code with what it judges would make it blind to the same mistakes.

Frames are canonical: naive UTC ``order_date`` and ``refunded_at``, store-local ``order_date_local``, text
ids.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

MONTH_DAYS = 30.4375
Row = dict[str, Any]


@dataclass
class Customer:
    """What is visible of one customer: orders in time (``at`` in whole seconds), their lines, tickets in time."""

    orders: pd.DataFrame
    lines: pd.DataFrame
    tickets: pd.DataFrame
    end: int
    discounts_recorded: bool

    def __post_init__(self) -> None:
        """Work out what several axes read."""
        self.n = len(self.orders)
        self.at = self.orders["at"].to_numpy()
        self.days_ago = (self.end - self.at) / 86_400
        self.tenure = float(self.days_ago[0])
        self.gaps = np.diff(self.at) / 86_400
        self.paid, self.refund = self.orders["total_price"].to_numpy(), self.orders["refund"].to_numpy()
        self.net = self.paid - self.refund
        self.discount = self.orders["discount_amount"].fillna(0).to_numpy()
        self.gross = self.paid + self.discount
        self.local = self.orders["order_date_local"].dt
        self.products = self.lines.dropna(subset="product_id")
        self.categories = self.lines.dropna(subset="category")


def canonical(orders: pd.DataFrame, items: pd.DataFrame, time_zone: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bring frames with UTC instants into canonical form.

    Parameters
    ----------
    orders, items : DataFrame
        ``order_date`` and ``refunded_at`` are UTC, with or without saying so.
    time_zone : str
        IANA name of the store's time zone.

    Returns
    -------
    orders, items : DataFrame
        With naive UTC times, ``order_date_local``, and every column (NaN where absent).
    """
    utc = pd.to_datetime(orders["order_date"], utc=True)
    orders = orders.assign(
        order_date=utc.dt.tz_localize(None),
        order_date_local=utc.dt.tz_convert(time_zone).dt.tz_localize(None),
        **{name: np.nan for name in ("discount_amount", "refund_amount", "source") if name not in orders},
    )
    absent = [name for name in ("category", "refund_amount", "refunded_at") if name not in items]
    items = items.assign(**dict.fromkeys(absent, np.nan))
    return orders, items.assign(refunded_at=pd.to_datetime(items["refunded_at"], utc=True).dt.tz_localize(None))


def canonical_tickets(tickets: pd.DataFrame, time_zone: str) -> pd.DataFrame:
    """Bring tickets with UTC instants into canonical form: naive UTC times and ``created_at_local``."""
    instants = {n: pd.to_datetime(tickets[n], utc=True) for n in ("created_at", "first_response_at", "resolved_at")}
    local = instants["created_at"].dt.tz_convert(time_zone).dt.tz_localize(None)
    return tickets.assign(created_at_local=local, **{n: times.dt.tz_localize(None) for n, times in instants.items()})


def extract(
    orders: pd.DataFrame,
    items: pd.DataFrame,
    observation_end: pd.Timestamp,
    *,
    tickets: pd.DataFrame | None = None,
    cheap_prices: dict[str, float] | None = None,
    luxury_prices: dict[str, float] | None = None,
    store_gap_days: float | None = None,
) -> dict[str, pd.DataFrame]:
    """Compute every axis for every customer, one after another.

    Parameters
    ----------
    orders, items : DataFrame
        Canonical frames with all their columns.
    observation_end : Timestamp
        Naive UTC, exclusive.
    tickets : DataFrame, optional
        Canonical, with all their columns; without it there is no ``support_history``.
    cheap_prices, luxury_prices : dict of str to float, optional
        Cheapest-decile price by product, 80th percentile of prices by category.
    store_gap_days : float, optional
        The store's median gap.

    Returns
    -------
    dict of str to DataFrame
        By axis, (n_customers, n_features), indexed by ``customer_id``; NaN or None where undefined.
    """
    fitted = (cheap_prices or {}, luxury_prices or {}, store_gap_days)
    axes = {axis: measure for axis, measure in AXES.items() if axis != "support_history" or tickets is not None}
    rows: dict[str, dict[Hashable, Row]] = {axis: {} for axis in axes}
    seen = orders.assign(**dict.fromkeys(TICKET_COLUMNS)).iloc[:0] if tickets is None else tickets
    for customer_id, customer in customers(orders, items, seen, observation_end):
        for axis, measure in axes.items():
            rows[axis][customer_id] = measure(customer, *fitted) if axis in FITTED else measure(customer)
    return {axis: pd.DataFrame.from_dict(found, orient="index") for axis, found in rows.items()}


def customers(
    orders: pd.DataFrame, items: pd.DataFrame, tickets: pd.DataFrame, end: pd.Timestamp
) -> Iterable[tuple[Hashable, Customer]]:
    """Cut to what was visible at ``end``, net the refunds, and hand out one customer at a time."""
    orders = orders[(orders["order_date"] < end) & orders["customer_id"].notna()]
    owner = orders[["order_id", "customer_id", "order_date"]]
    lines = items.merge(owner, on="order_id")
    later = lines["refunded_at"] >= end
    amount = lines["refund_amount"].fillna(0.0)
    lines["refund"], lines["hidden"] = amount.where(~later, 0.0), amount.where(later, 0.0)
    lines["refunded_at"] = lines["refunded_at"].where(~later)
    by_order = lines.groupby("order_id")[["refund", "hidden"]].sum()
    known = orders[["order_id"]].merge(by_order, left_on="order_id", right_index=True, how="left").fillna(0.0)
    own = orders["refund_amount"].to_numpy(dtype=float)
    on_lines = (known["refund"] + known["hidden"]).to_numpy()
    refund = np.where(np.isnan(own), on_lines, own) - known["hidden"].to_numpy()
    refund = np.asarray(refund, dtype=float).round(6)
    orders = orders.assign(
        refund=np.clip(refund, 0.0, orders["total_price"].to_numpy()), at=_seconds(orders["order_date"])
    ).sort_values(["customer_id", "order_date", "order_id"])
    orders["index"] = orders.groupby("customer_id").cumcount() + 1
    lines = lines.merge(orders[["order_id", "index", "at"]], on="order_id")
    discounts = bool(orders["discount_amount"].notna().any())
    lines_of = dict(list(lines.groupby("customer_id")))
    tickets = _visible_tickets(tickets, end)
    tickets_of = dict(list(tickets.groupby("customer_id")))
    for customer_id, own in orders.groupby("customer_id"):
        bought, written = lines_of.get(customer_id, lines.iloc[:0]), tickets_of.get(customer_id, tickets.iloc[:0])
        yield customer_id, Customer(own, bought, written, int(end.timestamp()), discounts)


def _visible_tickets(tickets: pd.DataFrame, end: pd.Timestamp) -> pd.DataFrame:
    tickets = tickets[pd.to_datetime(tickets["created_at"]) < end]
    answered, resolved = pd.to_datetime(tickets["first_response_at"]), pd.to_datetime(tickets["resolved_at"])
    hidden = resolved.fillna(answered).fillna(pd.to_datetime(tickets["created_at"])) >= end
    return tickets.assign(
        first_response_at=answered.where(answered < end),
        resolved_at=resolved.where(resolved < end),
        **{name: tickets[name].astype(float).mask(hidden) for name in ("satisfaction_score", "reopen_count")},
    )


def _seconds(times: pd.Series) -> np.ndarray:
    return times.to_numpy().astype("datetime64[s]").astype("int64")


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.cov(x, y)[0, 1] / np.var(x, ddof=1))


def _steadiness(values: np.ndarray) -> float:
    return 1 / (1 + np.std(values, ddof=1) / np.mean(values)) if np.mean(values) > 0 else np.nan


def _per(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else np.nan


def _top(values: Iterable[Any]) -> Any:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value)) if counts else None


def _value_trend(c: Customer) -> float:
    return _slope(np.arange(1, c.n + 1), np.log1p(c.net)) if c.n >= 3 else np.nan


def _weekend(c: Customer) -> np.ndarray:
    return (c.local.dayofweek >= 5).to_numpy()


def _office(c: Customer) -> np.ndarray:
    return ~_weekend(c) & (c.local.hour >= 9).to_numpy() & (c.local.hour < 17).to_numpy()


def _parts_of_day(local: pd.Series) -> list[str]:
    cuts = ["night"] * 6 + ["morning"] * 6 + ["afternoon"] * 5 + ["evening"] * 5 + ["night"] * 2
    return [cuts[when.hour] for when in local]


def _repeat_rate(c: Customer) -> float:
    in_orders = c.products.groupby("product_id")["order_id"].nunique()
    return _per((in_orders >= 2).sum(), len(in_orders)) if c.n >= 2 else np.nan


def purchase_frequency(c: Customer) -> Row:
    """Rate, gaps, their regularity, silence."""
    return {
        "orders_per_month": c.n / (max(c.tenure, 30) / MONTH_DAYS),
        "avg_days_between_orders": c.gaps.mean() if c.n >= 2 else np.nan,
        "purchase_consistency": _steadiness(c.gaps) if c.n >= 3 else np.nan,
        "days_since_last_order": c.days_ago[-1],
        "recent_orders_90d": (c.days_ago <= 90).sum(),
    }


def purchase_value(c: Customer) -> Row:
    """Money, net of refunds."""
    return {
        "lifetime_value": c.net.sum(),
        "avg_order_value": c.net.mean(),
        "value_trend": _value_trend(c),
        "median_order_value": np.median(c.net),
        "max_order_value": c.net.max(),
        "value_consistency": _steadiness(c.net) if c.n >= 2 else np.nan,
    }


def category_exploration(c: Customer) -> Row:
    """Entropy with the Miller-Madow term over ln(C)."""
    counts = c.categories["category"].value_counts()
    n_lines, n_categories = counts.sum(), len(counts)
    shares = counts.to_numpy() / n_lines if n_lines else np.array([])
    entropy = -(shares * np.log(shares)).sum() + (n_categories - 1) / (2 * n_lines) if n_lines else np.nan
    unique = c.products["product_id"].nunique()
    return {
        "unique_categories": n_categories or np.nan,
        "category_diversity": min(entropy / np.log(n_categories), 1.0) if n_categories >= 2 else np.nan,
        "exploration_breadth": _per(unique, len(c.products)),
        "primary_category": _top(c.categories["category"]),
        "unique_products": unique or np.nan,
    }


def price_sensitivity(c: Customer) -> Row:
    """Discounts by order and by value."""
    used = c.discount > 0
    return {
        "discount_rate": used.mean(),
        "discount_depth": _per(c.discount.sum(), c.gross.sum()),
        "full_price_value_share": _per(c.gross[~used].sum(), c.gross.sum()),
        "full_price_ratio": (~used).mean(),
        "avg_discount_amount": _per(c.discount.sum(), used.sum()),
    }


def purchase_cadence(c: Customer) -> Row:
    """Clock and calendar, as unit vectors."""
    clock = np.exp(2j * np.pi * (c.local.hour + c.local.minute / 60).to_numpy() / 24).mean()
    season = np.exp(2j * np.pi * (c.local.month - 1).to_numpy() / 12).mean()
    direction = clock / abs(clock) if abs(clock) > 1e-6 else complex(np.nan, np.nan)
    return {
        "weekend_ratio": _weekend(c).mean(),
        "business_hours_ratio": _office(c).mean(),
        "hour_sin": direction.imag,
        "hour_cos": direction.real,
        "hour_concentration": abs(clock) if c.n >= 2 else np.nan,
        "season_concentration": abs(season) if c.n >= 4 else np.nan,
        "preferred_time": _top(_parts_of_day(c.orders["order_date_local"])),
        "preferred_weekday": _top(c.local.day_name()),
    }


def customer_maturity(c: Customer) -> Row:
    """Life with the store so far."""
    recent, lifetime = (c.days_ago <= 90).sum() / 90, _per(c.n, c.tenure)
    months = c.tenure / MONTH_DAYS
    stage = "new" if months < 3 else "developing" if months < 12 else "established"
    return {
        "tenure_months": months,
        "active_span_ratio": _per(c.tenure - c.days_ago[-1], c.tenure),
        "acceleration": (recent - lifetime) / (recent + lifetime) if c.tenure > 90 else np.nan,
        "lifecycle_stage": "dormant" if c.days_ago[-1] > 182.5 else stage,
        "maturity_score": (months >= 12) * 1 + (months >= 24) * 1 + (c.n >= 5) + (c.n >= 10) + (c.n >= 20),
    }


def repurchase_behavior(c: Customer) -> Row:
    """Coming back to the same products."""
    undefined = ("repeat_rate", "repeat_order_ratio", "loyalty_index", "avg_repurchase_count")
    if c.n < 2 or c.products.empty:
        return dict.fromkeys(undefined, np.nan) | {"favourite_product_id": None}
    bought: set[str] = set()
    n_again = 0
    for index, products in c.products.groupby("index")["product_id"]:
        n_again += index > 1 and not bought.isdisjoint(products)
        bought.update(products)
    lines = c.products["product_id"].value_counts()
    in_orders = c.products.drop_duplicates(["product_id", "order_id"])["product_id"]
    return {
        "repeat_rate": _repeat_rate(c),
        "repeat_order_ratio": n_again / (c.n - 1),
        "loyalty_index": lines.to_numpy()[: max(len(lines) // 5, 1)].sum() / lines.sum(),
        "favourite_product_id": _top(in_orders),
        "avg_repurchase_count": len(in_orders) / len(lines),
    }


def return_behavior(c: Customer) -> Row:
    """Refunds by value, line and order."""
    back = c.lines[c.lines["refund"] > 0]
    waited = (back["refunded_at"] - back["order_date"]).dropna()
    return {
        "refund_rate": _per(c.refund.sum(), c.gross.sum()),
        "items_returned_pct": _per(len(back), len(c.lines)),
        "return_order_ratio": (c.refund > 0).mean(),
        "total_refunds": c.refund.sum(),
        "days_to_refund": waited.dt.total_seconds().mean() / 86_400 if len(waited) else np.nan,
    }


def _channel(source: str) -> str:
    known = {
        "web": "web",
        "online": "web",
        "pos": "pos",
        "draft_order": "draft_order",
        "shopify_draft_order": "draft_order",
    }
    return known.get(source.lower(), "other")


def communication_preference(c: Customer) -> Row:
    """Channel shares; understands the plain channel names only."""
    sources = c.orders["source"]
    channels = np.array([_channel(s) if isinstance(s, str) else None for s in sources], dtype=object)
    known = channels != None  # noqa: E711  (element by element)
    pairs = known[1:] & known[:-1]
    written = c.tickets["channel"].dropna().str.lower()
    at = c.tickets["created_at_local"] if len(c.tickets) else c.orders["order_date_local"]
    row = {f"channel_{k}": _per((channels == k).sum(), known.sum()) for k in ("web", "pos", "draft_order", "other")}
    return row | {
        "channel_switching_rate": _per((channels[1:] != channels[:-1])[pairs].sum(), pairs.sum()),
        "weekend_ratio": _weekend(c).mean(),
        "business_hours_ratio": _office(c).mean(),
        "primary_channel": _top(written) if len(written) else _top(channels[known]),
        "preferred_contact_time": _top(_parts_of_day(at)),
    }


def problem_complexity_profile(c: Customer) -> Row:
    """Refunds, changes of mind, discounts, basket size."""
    dated = c.lines[(c.lines["refund"] > 0) & c.lines["refunded_at"].notna()]
    has_date = set(c.lines.loc[c.lines["refunded_at"].notna(), "order_id"])
    undated = c.orders[(c.orders["refund"] > 0) & ~c.orders["order_id"].isin(has_date)]
    refunds = [*_seconds(dated["refunded_at"]), *undated["at"]]
    first = c.categories.groupby("category")["at"].min()
    n_new = sum(any(0 < at - refund <= 30 * 86_400 for refund in refunds) for at in first)
    n_lines = c.lines.groupby("order_id")["product_id"].transform("size")
    in_orders = c.lines.groupby("product_id")["order_id"].transform("nunique")
    n_single = ((n_lines == 1) & (in_orders == 1)).sum()
    return {
        "refund_rate": _per(c.refund.sum(), c.gross.sum()),
        "returns_per_month": (c.refund > 0).sum() / (max(c.tenure, 30) / MONTH_DAYS),
        "product_switching": (n_new + n_single) / c.n if len(c.lines) else np.nan,
        "discount_dependency": _per(c.discount.sum(), c.gross.sum()),
        "avg_lines_per_order": len(c.lines) / c.n if len(c.lines) else np.nan,
    }


def _frequency_trend(c: Customer) -> float:
    n_bins = max(int(np.floor(c.tenure / 30 + 0.5)), 1)
    if c.n < 2 or n_bins < 3:
        return np.nan
    life = c.end - int(c.at[0])
    counts = np.bincount([int(at - c.at[0]) * n_bins // life for at in c.at], minlength=n_bins)
    return _slope(np.arange(n_bins), counts) / counts.mean()


def loyalty_trajectory(c: Customer, _cheap: Row, _luxury: Row, store_gap: float | None) -> Row:
    """Trends down to the last instant observed."""
    momentum = -_slope(np.arange(1, c.n), np.log(np.maximum(c.gaps, 1 / 24))) if c.n >= 4 else np.nan
    usual = (np.nan if store_gap is None else store_gap) if c.n == 1 else float(np.median(c.gaps))
    trend = _frequency_trend(c)
    due = None if np.isnan(usual) else (c.local.floor("s").max() + pd.Timedelta(round(usual * 86_400), "s"))
    return {
        "frequency_trend": trend,
        "value_trend": _value_trend(c),
        "overdue_ratio": c.days_ago[-1] / max(usual, 1.0) if not np.isnan(usual) else np.nan,
        "recency_momentum": momentum,
        "is_accelerating": None if np.isnan(trend) else bool(trend > 0.05),
        "is_decelerating": None if np.isnan(trend) else bool(trend < -0.05),
        "expected_next_order_date": None if due is None else str(due.date()),
    }


def product_knowledge(c: Customer) -> Row:
    """Pairs of equal lines, mastery, novelty."""
    counts = c.products["product_id"].value_counts().to_numpy()
    n_lines, seen = counts.sum(), c.products.groupby("product_id")["index"].transform("min")
    later = c.products["index"] > 1
    by_category = c.categories.groupby("category")["order_id"]
    lines, orders = by_category.size(), by_category.nunique()
    return {
        "product_concentration": _per((counts * (counts - 1)).sum(), n_lines * (n_lines - 1)),
        "repeat_rate": _repeat_rate(c),
        "categories_mastered": (orders >= 3).sum() if len(orders) else np.nan,
        "new_product_rate": _per((seen == c.products["index"])[later].sum(), later.sum()),
        "primary_category_dominance": _per(lines.max(), lines.sum()) if len(lines) else np.nan,
    }


def value_sophistication(c: Customer, cheap: Row, luxury: Row, _store_gap: float | None) -> Row:
    """Unit prices against the product's and the category's own."""
    priced = c.lines[(c.lines["price"] > 0) & (c.lines["quantity"] > 0)]
    price, quantity = priced["price"].to_numpy(), priced["quantity"].to_numpy()
    limits = priced["product_id"].map(cheap).astype(float)
    judged, bounds = limits.notna(), priced["category"].map(luxury).astype(float)
    depth = _per(c.discount.sum(), c.gross.sum()) if c.discounts_recorded else np.nan
    hunts = len(priced) and judged.sum() >= len(priced) / 2
    return {
        "avg_item_price": _per((price * quantity).sum(), quantity.sum()),
        "price_dispersion": np.std(np.log(price), ddof=1) if len(price) >= 2 else np.nan,
        "discount_hunt_score": _per((price <= limits).sum(), judged.sum()) if hunts else depth,
        "spend_consistency": _steadiness(c.net) if c.n >= 2 else np.nan,
        "luxury_item_rate": _per((price > bounds).sum(), bounds.notna().sum()),
        "big_splurge_rate": (c.net > 2 * np.median(c.net)).mean() if c.n >= 3 else np.nan,
    }


def _hours(tickets: pd.DataFrame, event: str) -> float:
    seconds = _seconds(tickets[event]) - _seconds(tickets["created_at"])
    known = seconds[(tickets[event].notna() & (seconds >= 0)).to_numpy()]
    return known.mean() / 3_600 if len(known) else np.nan


def support_history(c: Customer) -> Row:
    """How tickets went and what they were about; understands the plain tags and subjects of ``TOPIC_OF`` only."""
    rated = c.tickets["satisfaction_score"].dropna()
    reopened = c.tickets["reopen_count"].dropna()
    told = c.tickets[c.tickets["tags"].notna() | c.tickets["subject"].notna()]
    topics = [
        [TOPIC_OF[tag] for tag in str(tags).split(",") if tag in TOPIC_OF] or [TOPIC_OF.get(subject)]
        for tags, subject in zip(told["tags"], told["subject"], strict=True)
    ]
    last = c.tickets["created_at_local"].max()
    return {
        "tickets_per_order": len(c.tickets) / c.n,
        "avg_resolution_hours": _hours(c.tickets, "resolved_at"),
        "reopen_rate": _per((reopened > 0).sum(), len(reopened)),
        "satisfaction_avg": rated.mean() if len(rated) else np.nan,
        "avg_first_response_hours": _hours(c.tickets, "first_response_at"),
        "negative_rate": _per((rated <= 2).sum(), len(rated)),
        "n_tickets": len(c.tickets),
        "last_ticket_at": str(last.date()) if len(c.tickets) else None,
        "primary_ticket_channel": _top(c.tickets["channel"].dropna()),
    } | {
        f"topic_{topic}": _per(sum(topic in own for own in topics), len(topics))
        for topic in ("shipping", "product_question", "return_request", "complaint")
    }


TICKET_COLUMNS = (
    "created_at", "created_at_local", "channel", "subject", "tags", "first_response_at", "resolved_at",
    "satisfaction_score", "reopen_count",
)  # fmt: skip
TOPIC_OF = {
    "product_question": "product_question", "shipping": "shipping", "delivery": "shipping", "complaint": "complaint",
    "return_request": "return_request", "refund": "return_request", "Where is my order?": "shipping",
    "Question about a product": "product_question", "I would like to return an item": "return_request",
    "Not happy with my order": "complaint",
}  # fmt: skip
FITTED = {"loyalty_trajectory", "value_sophistication"}
AXES = {
    function.__name__: function
    for function in (
        purchase_frequency, purchase_value, category_exploration, price_sensitivity, purchase_cadence,
        customer_maturity, repurchase_behavior, return_behavior, communication_preference,
        problem_complexity_profile, loyalty_trajectory, product_knowledge, value_sophistication, support_history,
    )
}  # fmt: skip
