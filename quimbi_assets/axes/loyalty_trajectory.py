"""Is a customer warming or cooling?

Trends run to the instant of observation, so that silence counts against them. The time from the first order to
``observation_end`` is cut into equal bins as near to 30 days as it allows, which leaves no half-filled last bin to
look like a decline. A single order has no trend.
"""

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._axis import ONCE_OR_TWICE_BUYERS, Axis, Feature, Outcome, Word
from quimbi_assets.axes._measures import join, medians, number, ratio, slope, value_trend, where
from quimbi_assets.axes._tables import Tables
from quimbi_assets.history import SECONDS_PER_DAY

BIN_DAYS = 30
#: Relative slope beyond which a customer is called accelerating or decelerating (for people to read).
NOTABLE_TREND = 0.05


def measure(tables: Tables) -> ir.Table:
    """Order-rate trend, value trend, overdue ratio and the momentum of the gaps."""
    orders, customers = tables.orders, tables.customers
    trends = orders.group_by("customer_id").agg(
        value_trend=value_trend(orders), last_local_time=orders.local_time.max()
    )
    t = join(
        customers.select("customer_id", "n_orders", "days_since_last_order"),
        trends,
        _frequency_trend(tables),
        _recency_momentum(orders),
        medians(orders, "gap_days", "median_gap_days"),
    ).cross_join(tables.store_gaps.select(store_gap_days="median_gap_days"))
    usual_gap = (t.n_orders == 1).ifelse(t.store_gap_days, t.median_gap_days)
    # Assumption: a purchase split into orders minutes apart has no "usual gap" of minutes; a day is the least.
    overdue = ratio(t.days_since_last_order, where(usual_gap.notnull(), ibis.greatest(usual_gap, number(1))))
    return t.select(
        "customer_id",
        "frequency_trend",
        "value_trend",
        "recency_momentum",
        overdue_ratio=overdue,
        is_accelerating=(t.frequency_trend > number(NOTABLE_TREND)).cast("boolean"),
        is_decelerating=(t.frequency_trend < number(-NOTABLE_TREND)).cast("boolean"),
        expected_next_order_date=_days_after(t.last_local_time, usual_gap),
    )


def _days_after(time: ir.TimestampValue, days: ir.FloatingValue) -> ir.StringValue:
    """ISO date of ``time`` plus ``days``; NULL where the days are unknown."""
    seconds = time.truncate("s").epoch_seconds().cast("float64") + days * number(SECONDS_PER_DAY)
    return seconds.round().cast("int64").as_timestamp("s").date().cast("string")


def _frequency_trend(tables: Tables) -> ir.Table:
    """Slope of orders per bin on the bin's number, over the mean; empty bins need no rows of their own.

    With bins 0..b-1: ``slope = (Σ_orders bin - N (b-1)/2) / (b (b²-1) / 12)``, divided by ``N / b``.
    """
    customers = tables.customers.select("customer_id", "tenure_days", n="n_orders")
    n_bins = ibis.greatest((customers.tenure_days / number(BIN_DAYS)).round().cast("int64"), 1)
    customers = customers.mutate(n_bins=n_bins)
    orders = tables.orders.select("customer_id", "days_ago").join(customers, "customer_id")
    b = orders.n_bins.cast("float64")
    # Multiplied before it is divided, so that an order on a boundary of whole days falls where it should.
    elapsed_bins = ratio((orders.tenure_days - orders.days_ago) * b, orders.tenure_days)
    bin_ = ibis.least(elapsed_bins.floor(), b - number(1))
    sums = orders.mutate(bin=bin_).group_by("customer_id", "n_bins", "n").agg(bins=ibis._.bin.sum())
    b, n = sums.n_bins.cast("float64"), sums.n.cast("float64")
    slope = (sums.bins - n * (b - number(1)) / number(2)) / (b * (b * b - number(1)) / number(12)).nullif(number(0))
    trend = where((sums.n >= 2) & (sums.n_bins >= 3), ratio(slope * b, n))
    return sums.select("customer_id", frequency_trend=trend)


def _recency_momentum(orders: ir.Table) -> ir.Table:
    """Minus the slope of ``log(gap)`` on the gap's number; 3 gaps at least, gaps shorter than an hour as an hour."""
    gaps = orders.filter(orders.gap_days.notnull())
    log_gap = ibis.greatest(gaps.gap_days, number(1 / 24)).ln()
    n_gaps = gaps.order_id.count()
    momentum = slope(gaps.order_index - 1, log_gap, n_gaps) * number(-1)
    return gaps.group_by("customer_id").agg(recency_momentum=where(n_gaps >= 3, momentum))


AXIS = Axis(
    name="loyalty_trajectory", question="Are they warming or cooling?", kind="support", people="customers",
    measure=measure, description=__doc__, min_orders=3, usual="mixed_trend",
    structural=ONCE_OR_TWICE_BUYERS,
    stay_temperature=0.8, stayers=0.05,
    reference=True, is_state=True,
    # Not the change against the days before: who ordered much then orders less by mere regression to the mean, which
    # groups "explained" to 13-18 % in a store generated at random.
    outcomes=(Outcome("orders", absent=0, log=True),),
    features=(
        Feature(
            "frequency_trend", "index", "Change in monthly orders, month over month, relative to the average month",
            tells="order {} less from month to month|order {} more from month to month", figure="change",
            words=(
                Word(
                    "steady", low=-NOTABLE_TREND, high=NOTABLE_TREND, of_half=True,
                    tells="come about as often as before",
                ),
                Word("fading", -1, high=-NOTABLE_TREND), Word("warming", 1, low=NOTABLE_TREND),
                Word("slightly_fading", high=-NOTABLE_TREND), Word("slightly_warming", low=NOTABLE_TREND),
            ),
            synonyms=("cooling slowing declining waning", "warming accelerating speeding_up"),
            transform="signed_log1p", neutral=0, about="trend",
        ),
        Feature(
            "value_trend", "index", "How fast order values grow or shrink from one order to the next",
            tells="spend {} less with every order|spend {} more with every order", figure="growth",
            words=(Word("shrinking_order", -1, high=-0.05), Word("growing_order", 1, low=0.05)),
            synonyms=("declining falling decreasing", "rising increasing climbing"),
            transform="signed_log1p", neutral=0, about="trend",
        ),
        Feature(
            "overdue_ratio", "times", "Days since the last order in multiples of the usual gap",
            tells="have been silent for {} their usual gap", figure="times",
            words=(
                # None for who is in time: of whom a segment gathers some are late, and lifecycle says who.
                Word("long_overdue", 1, low=5), Word("overdue", 1, low=1.5),
            ),
            synonyms=("", "late lapsed"), about="silence", low=0, transform="log1p", neutral=1,
        ),
        Feature(
            "recency_momentum", "index", "How fast the gaps between orders shorten (negative: lengthen)",
            transform="signed_log1p", neutral=0, about="trend",
        ),
        Feature("is_accelerating", "yes/no", "Orders clearly more often than before", clusters=False, kind="flag"),
        Feature("is_decelerating", "yes/no", "Orders clearly less often than before", clusters=False, kind="flag"),
        Feature(
            "expected_next_order_date", "date", "When the next order would come at the usual gap",
            clusters=False, kind="date",
        ),
    ),
)  # fmt: skip
