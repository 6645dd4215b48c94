"""How much does a customer spend, in total and each time, and is it growing?

Money is net of refunds; a fully refunded order counts as an order of value 0.
"""

import ibis.expr.types as ir

from quimbi_assets.axes._axis import Axis, Feature, Outcome
from quimbi_assets.axes._measures import join, medians, value_consistency, value_trend
from quimbi_assets.axes._tables import Tables


def measure(tables: Tables) -> ir.Table:
    """Total, average, median and largest order value, their spread and their trend."""
    orders = tables.orders
    values = orders.group_by("customer_id").agg(
        lifetime_value=orders.net_value.sum(),
        avg_order_value=orders.net_value.mean(),
        value_trend=value_trend(orders),
        max_order_value=orders.net_value.max(),
        value_consistency=value_consistency(orders),
    )
    return join(values, medians(orders, "net_value", "median_order_value"))


AXIS = Axis(
    name="purchase_value", question="How much do they spend?", kind="marketing", people="spenders", measure=measure,
    description=__doc__,
    outcomes=(Outcome("lifetime_value", absent=0, log=True), Outcome("avg_order_value", log=True)),
    features=(
        Feature(
            "lifetime_value", "money", "Spent in all, net of refunds",
            few="light", many="heavy",
            synonyms=("low_value light modest budget", "high_value big heavy top vip premium"),
            low=0, transform="log1p",
        ),
        Feature(
            "avg_order_value", "money", "Average value of an order, net of refunds",
            few="small_basket", many="big_basket",
            synonyms=("small small_ticket low_value", "large big big_ticket high_ticket"),
            low=0, transform="log1p",
        ),
        Feature(
            "value_trend", "index", "How fast order values grow or shrink from one order to the next",
            few="shrinking", many="growing", synonyms=("declining falling decreasing", "rising increasing climbing"),
            transform="signed_log1p", neutral=0,
        ),
        Feature("median_order_value", "money", "Typical (median) order value", low=0, clusters=False),
        Feature("max_order_value", "money", "Largest order value", low=0, clusters=False),
        Feature(
            "value_consistency", "index", "How alike the order values are (1 = always the same)",
            low=0, high=1, clusters=False,
        ),
    ),
)  # fmt: skip
