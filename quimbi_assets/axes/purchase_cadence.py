"""When does a customer buy: weekday or weekend, office hours or evenings, all year or in one season?

Clock times are the store's own. An hour of day is an angle, so that 23:00 and 01:00 are close; its concentration
is the mean resultant length. One order has an hour but no concentration.
"""

import math

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._axis import ONCE_OR_TWICE_BUYERS, Axis, Feature, Outcome, Word
from quimbi_assets.axes._measures import (
    BUSINESS_HOURS_RATIO,
    WEEKEND_RATIO,
    calendar_shares,
    clip,
    join,
    most_common,
    number,
    part_of_day,
    where,
)
from quimbi_assets.axes._tables import Tables

#: Below this resultant length the orders point to no hour at all.
NO_DIRECTION = 1e-6


def measure(tables: Tables) -> ir.Table:
    """Weekend and office-hour shares, mean clock angle and its concentration, seasonal concentration."""
    orders = tables.orders
    time = orders.local_time
    minutes = time.hour().cast("float64") * number(60) + time.minute().cast("float64")
    hour = minutes * number(2 * math.pi / 1440)  # an angle: midnight 0, noon pi
    month = (time.month().cast("float64") - number(1)) * number(2 * math.pi / 12)  # January 0, July pi
    means = orders.group_by("customer_id").agg(
        n=orders.order_id.count(),
        **calendar_shares(orders, tables.business_hours),
        mean_sin=hour.sin().mean(),
        mean_cos=hour.cos().mean(),
        season=_resultant(month.sin().mean(), month.cos().mean()),
    )
    length = _resultant(means.mean_sin, means.mean_cos)
    means = means.mutate(length=where(length > number(NO_DIRECTION), length))
    times = orders.select("customer_id", value=part_of_day(time))
    weekdays = orders.select("customer_id", value=time.day_of_week.full_name())
    t = join(means, _favourite(times, "preferred_time"), _favourite(weekdays, "preferred_weekday"))
    return t.select(
        "customer_id",
        "weekend_ratio",
        "business_hours_ratio",
        "preferred_time",
        "preferred_weekday",
        hour_sin=clip(t.mean_sin / t.length, -1, 1),
        hour_cos=clip(t.mean_cos / t.length, -1, 1),
        hour_concentration=where(t.n >= 2, _resultant(t.mean_sin, t.mean_cos)),
        season_concentration=where(t.n >= 4, t.season),
    )


def _resultant(mean_sin: ir.FloatingValue, mean_cos: ir.FloatingValue) -> ir.FloatingValue:
    """Mean resultant length of angles, 0 (spread evenly) to 1 (all alike); Mardia & Jupp (2000), section 2.3."""
    return clip((mean_sin * mean_sin + mean_cos * mean_cos).sqrt(), 0, 1)


def _favourite(values: ir.Table, name: str) -> ir.Table:
    counts = values.group_by("customer_id", "value").agg(n=ibis._.count())
    return most_common(counts, "value", "n", name)


_CLOCK = ("orders.time_of_day",)

AXIS = Axis(
    name="purchase_cadence", question="When do they buy?", kind="marketing", people="shoppers", measure=measure,
    description=__doc__, min_orders=3, usual="any_time",
    structural=ONCE_OR_TWICE_BUYERS,
    outcomes=(Outcome("weekend_ratio"), Outcome("business_hours_ratio"), Outcome("hour_sin"), Outcome("hour_cos")),
    features=(
        WEEKEND_RATIO,
        BUSINESS_HOURS_RATIO,
        Feature(
            "hour_sin", "index", "Average time of day as the sine of the clock angle (1 = 6:00, -1 = 18:00)",
            about="clock", low=-1, high=1, needs=_CLOCK,
        ),
        Feature(
            "hour_cos", "index", "Average time of day as the cosine of the clock angle (1 = midnight, -1 = noon)",
            about="clock", low=-1, high=1, needs=_CLOCK,
        ),
        Feature(
            "hour_concentration", "index", "How tightly orders gather around one time of day (1 = always the same)",
            words=(
                Word("same_hour", 1, low=0.9, tells="come at nearly the same time of day"),
                Word("any_hour", -1, high=0.5, tells="come at any time of day"),
            ), about="clock", of_several=True,
            low=0, high=1, needs=_CLOCK,
        ),
        Feature(
            "season_concentration", "index", "How tightly orders gather around one time of year (1 = one month only)",
            words=(
                Word("part_year", 1, low=0.6, tells="came mostly in one part of the year"),
                Word("all_year", -1, high=0.3, tells="come all year round"),
            ), of_several=True, low=0, high=1,
        ),
        Feature.text("preferred_time", "Part of the day with most orders", _CLOCK),
        Feature.text("preferred_weekday", "Weekday with most orders"),
    ),
)  # fmt: skip
