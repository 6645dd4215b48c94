"""Formulas that more than one axis uses, each written once as an Ibis expression.

Belongs here: engine-independent building blocks (ratios, exact medians, trends, most common value), and
features that two axes share. Does not: anything only one axis needs.
"""

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._axis import Feature, Word
from quimbi_assets.axes._tables import DAYS_PER_MONTH
from quimbi_assets.store import BusinessHours

WEEKEND_RATIO = Feature.share(
    "weekend_ratio", "Share of orders placed on a Saturday or Sunday",
    tells="place {} of their orders on a Saturday or Sunday",
    words=(Word("weekend", 1, low=0.5), Word("often_weekend", 1, low=0.3), Word("weekday", -1, high=0.1)),
    synonyms=("weekdays", "weekends"), about="weekend",
)  # fmt: skip
BUSINESS_HOURS_RATIO = Feature.share(
    "business_hours_ratio", "Share of orders placed Monday to Friday within opening hours",
    tells="place {} of their orders Monday to Friday within opening hours",
    words=(Word("office_hours", 1, low=0.5), Word("after_hours", -1, high=0.25)),
    synonyms=("", "business_hours working_hours daytime"), about="clock",
    needs=("orders.time_of_day",),
)  # fmt: skip


def number(value: float) -> ir.FloatingScalar:
    """A float64 literal (a bare ``86400.0`` is a DECIMAL on Spark)."""
    return ibis.literal(float(value), "float64")


def ratio(part: ir.NumericValue, whole: ir.NumericValue) -> ir.FloatingValue:
    """``part / whole`` as float64; NULL where the whole is 0 or NULL."""
    return part.cast("float64") / whole.cast("float64").nullif(number(0))


def share(part: ir.NumericValue, whole: ir.NumericValue) -> ir.FloatingValue:
    """``ratio`` held to [0, 1] against rounding in its last digits."""
    return clip(ratio(part, whole), 0, 1)


def clip(value: ir.NumericValue, low: float, high: float) -> ir.FloatingValue:
    """``value`` limited to [low, high]; NULL stays NULL (``least`` and ``greatest`` skip NULLs on some engines)."""
    limited = ibis.greatest(ibis.least(value, number(high)), number(low))
    return value.isnull().ifelse(ibis.null("float64"), limited)


def where(condition: ir.BooleanValue, value: ir.Value) -> ir.Value:
    """``value`` where the condition holds, NULL elsewhere."""
    return condition.ifelse(value, ibis.null(value.type()))


def count_if(condition: ir.BooleanValue) -> ir.IntegerScalar:
    """Number of rows on which the condition holds (NULL counts as no)."""
    return condition.ifelse(ibis.literal(1, "int64"), ibis.literal(0, "int64")).sum().fill_null(0).cast("int64")


def months(days: ir.FloatingValue, at_least: float = 0.0) -> ir.FloatingValue:
    """Days as months of 30.4375 days; ``at_least`` is a floor in days."""
    return ibis.greatest(days, number(at_least)) / number(DAYS_PER_MONTH)


def consistency(sd: ir.FloatingValue, mean: ir.FloatingValue) -> ir.FloatingValue:
    """``1 / (1 + sd / mean)`` in (0, 1]; NULL where the mean is 0 or the sample sd is undefined."""
    return number(1) / (number(1) + ratio(sd, mean))


def value_consistency(orders: ir.Table) -> ir.FloatingScalar:
    """``consistency`` of ``net_value`` in an aggregation by customer; NULL below 2 orders."""
    return where(orders.order_id.count() >= 2, consistency(orders.net_value.std(how="sample"), orders.net_value.mean()))


def slope(x: ir.NumericColumn, y: ir.NumericColumn, n_rows: ir.IntegerScalar) -> ir.FloatingScalar:
    """Least-squares slope ``(n Σxy - Σx Σy) / (n Σx² - (Σx)²)``, in an aggregation by customer."""
    x, n = x.cast("float64"), n_rows.cast("float64")
    return ratio(n * (x * y).sum() - x.sum() * y.sum(), n * (x * x).sum() - x.sum() * x.sum())


def value_trend(orders: ir.Table) -> ir.FloatingScalar:
    """``slope`` of ``log1p(net_value)`` on ``order_index``; NULL below 3 orders."""
    n_orders = orders.order_id.count()
    return where(n_orders >= 3, slope(orders.order_index, (orders.net_value + number(1)).ln(), n_orders))


def medians(table: ir.Table, value: str, name: str) -> ir.Table:
    """Exact median of ``value`` per customer, NULLs left out (engines' own medians differ or approximate).

    The table has ``customer_id`` and ``name``; customers without a value are absent.
    """
    known = table.filter(table[value].notnull()).select("customer_id", value=table[value].cast("float64"))
    sorted_ = ibis.window(group_by="customer_id", order_by="value")
    whole = ibis.window(group_by="customer_id")
    ranked = known.mutate(
        position=ibis.row_number().over(sorted_).cast("int64") * 2, size=known.value.count().over(whole).cast("int64")
    )
    middle = ranked.filter((ranked.position >= ranked.size - 2) & (ranked.position <= ranked.size))
    return middle.group_by("customer_id").agg(middle.value.mean().name(name))


def most_common(counts: ir.Table, value: str, n: str, name: str) -> ir.Table:
    """Value with the highest count per customer; ties go to the smaller value.

    ``counts`` has one row per customer and value, in the columns ``value`` and ``n``. The table has ``customer_id`` and
    ``name``.
    """
    order = ibis.window(group_by="customer_id", order_by=[ibis.desc(counts[n]), ibis.asc(counts[value])])
    ranked = counts.mutate(position=ibis.row_number().over(order))
    top = ranked.filter(ranked.position == 0)
    return top.select("customer_id", top[value].name(name))


def join(first: ir.Table, *others: ir.Table) -> ir.Table:
    """Left-join tables keyed by ``customer_id`` to the first, dropping the repeated key."""
    for other in others:
        first = first.left_join(other, "customer_id").drop("customer_id_right")
    return first


def calendar_shares(orders: ir.Table, hours: BusinessHours) -> dict[str, ir.FloatingScalar]:
    """``WEEKEND_RATIO`` and ``BUSINESS_HOURS_RATIO`` in an aggregation by customer."""
    hour, n_orders = orders.local_time.hour(), orders.order_id.count()
    is_weekend = orders.local_time.day_of_week.index() >= 5
    is_business_time = (~is_weekend) & (hour >= hours.opens) & (hour < hours.closes)
    return {
        WEEKEND_RATIO.name: share(count_if(is_weekend), n_orders),
        BUSINESS_HOURS_RATIO.name: share(count_if(is_business_time), n_orders),
    }


def part_of_day(local_time: ir.TimestampValue) -> ir.StringValue:
    """``morning`` 6-12, ``afternoon`` 12-17, ``evening`` 17-22, ``night`` otherwise, store-local."""
    hour = local_time.hour()
    return ibis.cases(
        ((hour >= 6) & (hour < 12), "morning"),
        ((hour >= 12) & (hour < 17), "afternoon"),
        ((hour >= 17) & (hour < 22), "evening"),
        else_="night",
    )


def repeat_rates(products: ir.Table) -> ir.Table:
    """``repeat_rate`` per customer: products bought in two or more different orders, as a share of ``n_products``."""
    again = count_if(products.n_orders >= 2)
    n_products = products.product_id.count().cast("int64")
    return products.group_by("customer_id").agg(n_products=n_products, repeat_rate=share(again, n_products))
