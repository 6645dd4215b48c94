"""How much does a customer spend, in total and each time, and is it growing?

Money is net of refunds; a fully refunded order counts as an order of value 0.
"""

import ibis.expr.types as ir

from quimbi_assets.axes._axis import Axis, Feature, Outcome, Word
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
    description=__doc__, usual="mid_range",
    usual_k=5,
    outcomes=(Outcome("lifetime_value", absent=0, log=True), Outcome("avg_order_value", log=True)),
    features=(
        Feature(
            "lifetime_value", "money", "Spent in all, net of refunds",
            tells="have spent {} in all",
            words=(
                Word("heavy", 1, times=1.5, of_few=True, like="big top vip premium"),
                Word("light", -1, times=1.5, of_few=True, like="modest budget small"),
                Word("bigger", 1), Word("smaller", -1),
            ),
            synonyms=("low_value", "high_value"), about="spend", low=0, transform="log1p",
        ),
        Feature(
            "avg_order_value", "money", "Average value of an order, net of refunds",
            tells="spend {} an order",
            words=(
                Word("zero_value", high=0.005),
                Word("big_order", 1, times=1.3, of_few=True, like="big_ticket high_ticket large big"),
                Word("small_order", -1, times=1.3, of_few=True, like="small_ticket small"),
                Word("bigger_order", 1), Word("smaller_order", -1),
            ),
            synonyms=("low_value", ""), about="order_size", low=0, transform="log1p",
        ),
        Feature(
            "value_trend", "index", "How fast order values grow or shrink from one order to the next",
            tells="spend {} less with every order|spend {} more with every order", figure="growth",
            words=(Word("shrinking", -1, high=-0.05), Word("growing", 1, low=0.05)),
            synonyms=("declining falling decreasing", "rising increasing climbing"),
            transform="signed_log1p", neutral=0, about="trend",
        ),
        Feature("median_order_value", "money", "Typical (median) order value", low=0, clusters=False),
        Feature("max_order_value", "money", "Largest order value", low=0, clusters=False),
        Feature(
            "value_consistency", "index", "How alike the order values are (1 = always the same)",
            low=0, high=1, clusters=False,
        ),
    ),
)  # fmt: skip
