"""How often does a customer buy, how regularly, and how long ago was the last time?

Rates are measured over the whole time since the first order, silence included; the floor of 30 days stops a
customer of yesterday from reading thirty orders a month.
"""

import ibis.expr.types as ir

from quimbi_assets.axes._axis import ONE_TIME_BUYERS, Axis, Feature, Outcome
from quimbi_assets.axes._measures import consistency, count_if, join, months, number, where
from quimbi_assets.axes._tables import Tables


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


AXIS = Axis(
    name="purchase_frequency", question="How often do they buy?", kind="marketing", people="buyers", measure=measure,
    description=__doc__, min_orders=2,
    structural=(ONE_TIME_BUYERS,),
    order_rate="orders_per_month",
    stay_temperature=0.7, stayers=0.1,
    outcomes=(Outcome("orders", absent=0, log=True),),
    features=(
        Feature(
            "orders_per_month", "orders a month", "Orders a month since the first order",
            few="rare", many="frequent",
            synonyms=(
                "infrequent infrequently rarely seldom occasional occasionally sporadic sporadically",
                "frequently often constant",
            ),
            fact="rate", low=0, transform="log1p",
        ),
        Feature(
            "avg_days_between_orders", "days", "Average days from one order to the next",
            few="quickly_returning", many="slowly_returning", synonyms=("fast quick rapid", "slow"), fact="rate",
            low=0, transform="log1p",
        ),
        Feature(
            "purchase_consistency", "index", "How regular the time between orders is (1 = like clockwork)",
            few="irregular", many="regular", synonyms=("erratic unpredictable", "steady predictable clockwork"),
            low=0, high=1,
        ),
        Feature(
            "days_since_last_order", "days", "Days since the last order",
            few="recent", many="lapsed",
            synonyms=("recently fresh current", "dormant inactive lost silent gone absent departed"),
            low=0, transform="log1p",
        ),
        Feature("recent_orders_90d", "count", "Orders in the last 90 days", low=0, clusters=False),
    ),
)  # fmt: skip
