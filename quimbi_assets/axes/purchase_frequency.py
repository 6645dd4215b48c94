"""How often does a customer buy, how regularly, and how long ago was the last time?

Rates are measured over the whole time since the first order, silence included; the floor of 30 days stops a
customer of yesterday from reading thirty orders a month.
"""

import math

import ibis.expr.types as ir

from quimbi_assets.axes._axis import ONE_TIME_BUYERS, Axis, Feature, Outcome, Word
from quimbi_assets.axes._measures import consistency, count_if, join, months, number, where
from quimbi_assets.axes._tables import DAYS_PER_MONTH, Tables


def measure(tables: Tables) -> ir.Table:
    """Order rate, gaps between orders and their regularity, days since the last order."""
    orders, customers = tables.orders, tables.customers
    gaps = orders.group_by("customer_id").agg(
        avg_days_between_orders=orders.gap_days.mean(),
        gap_sd=orders.gap_days.std(how="sample"),
        recent_orders_90d=count_if(orders.days_ago <= number(90)),
    )
    joined = join(customers.select("customer_id", "n_orders", "tenure_days", "days_since_last_order"), gaps)
    return joined.select(
        "customer_id",
        "avg_days_between_orders",
        "days_since_last_order",
        "recent_orders_90d",
        orders_per_month=joined.n_orders.cast("float64") / months(joined.tenure_days, at_least=30),
        purchase_consistency=where(joined.n_orders >= 3, consistency(joined.gap_sd, joined.avg_days_between_orders)),
    )


_GAP = "avg_days_between_orders"
# Windows narrow enough for "monthly" to be what a calendar calls so; and they still come so.
_RHYTHMS = tuple(
    Word(text, low=0.6 * DAYS_PER_MONTH / high, where=((_GAP, low, high), ("days_since_last_order", 0, 2 * high)))
    for text, low, high in (
        ("twice_weekly", 2.5, 4.5), ("weekly", 5.5, 9), ("fortnightly", 11.5, 18), ("monthly", 24, 38),
        ("two_monthly", 50, 70), ("quarterly", 78, 110), ("half_yearly", 150, 215), ("yearly", 320, 420),
    )
)  # fmt: skip
# Silence in days that is long, for who came about so often.
_SILENCES = ((90, 45), (180, 90), (365, 180))
_GONE = "dormant inactive gone absent departed"

AXIS = Axis(
    name="purchase_frequency", question="How often do they buy?", kind="marketing", people="buyers", measure=measure,
    description=__doc__, min_orders=2, usual="in_no_rhythm",
    structural=(ONE_TIME_BUYERS,),
    order_rate="orders_per_month",
    stay_temperature=0.7, stayers=0.1,
    outcomes=(Outcome("orders", absent=0, log=True),),
    features=(
        Feature(
            "orders_per_month", "orders a month", "Orders a month since the first order",
            tells="place {}", told_by=_GAP,
            words=(
                *_RHYTHMS,
                Word(
                    "occasional", high=0.5, where=((_GAP, 60, math.inf),),
                    like="rare infrequent infrequently rarely seldom sporadic sporadically",
                ),
                Word("frequent", 1, low=1, of_few=True, where=((_GAP, 0, 31),), like="frequently constant"),
            ),
            synonyms=("rare rarely seldom infrequent occasional occasionally", "often"), about="rate",
            low=0, transform="log1p",
        ),
        Feature(
            _GAP, "days", "Average days from one order to the next",
            tells="order every {}",
            synonyms=("fast quick rapid", "slow"), about="rate",
            low=0, transform="log1p",
        ),
        Feature(
            "purchase_consistency", "index", "How regular the time between orders is (1 = like clockwork)",
            words=(
                Word("regular", 1, low=0.6, tells="come at regular intervals"),
                Word("irregular", -1, high=0.45, tells="come at irregular intervals"),
            ),
            synonyms=("erratic unpredictable", "steady predictable clockwork"),
            low=0, high=1,
        ),
        Feature(
            "days_since_last_order", "days", "Days since the last order",
            tells="last ordered {} ago",
            words=(
                Word("recent", -1, high=30, like="recently fresh current"),
                *(
                    Word("silent", low=days, where=((_GAP, 0, gap),), of_most=True, like=_GONE)
                    for days, gap in _SILENCES
                ),
                Word("less_recent", 1),
            ),
            synonyms=("", f"lapsed lost {_GONE}"), about="silence", low=0, transform="log1p",
        ),
        Feature("recent_orders_90d", "count", "Orders in the last 90 days", low=0, clusters=False),
    ),
)  # fmt: skip
