"""Where is a customer in their life with the store: how long, how much of it active, speeding up or slowing?

Acceleration compares the last 90 days with the whole life, so it is defined only for customers known for longer
than 90 days; before that there is nothing to compare with.
"""

import math

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._axis import ONE_TIME_BUYERS, Axis, Feature, Outcome, Word
from quimbi_assets.axes._measures import count_if, join, months, number, ratio, share, where
from quimbi_assets.axes._tables import DAYS_PER_MONTH, Tables

RECENT_DAYS = 90
#: How long a customer is new.
NEW_DAYS = 90
#: Pace, against the lifetime's, that is as good as none.
QUIET = -0.8


def measure(tables: Tables) -> ir.Table:
    """Tenure, active share of it, recent rate against the lifetime rate, stage and score."""
    orders, customers = tables.orders, tables.customers
    recent = orders.group_by("customer_id").agg(n_recent=count_if(orders.days_ago <= number(RECENT_DAYS)))
    t = join(customers.select("customer_id", "n_orders", "tenure_days", "days_since_last_order"), recent)
    recent_rate = t.n_recent.cast("float64") / number(RECENT_DAYS)
    lifetime_rate = ratio(t.n_orders, t.tenure_days)
    tenure_months = months(t.tenure_days)
    return t.select(
        "customer_id",
        tenure_months=tenure_months,
        active_span_ratio=share(t.tenure_days - t.days_since_last_order, t.tenure_days),
        acceleration=where(
            t.tenure_days > number(RECENT_DAYS), ratio(recent_rate - lifetime_rate, recent_rate + lifetime_rate)
        ),
        lifecycle_stage=_lifecycle_stage(t, tenure_months),
        maturity_score=_maturity_score(t, tenure_months),
    )


def _lifecycle_stage(t: ir.Table, tenure_months: ir.FloatingValue) -> ir.StringValue:
    # Assumption: half a year of silence is "dormant"; stages are for people to read and never cluster.
    return ibis.cases(
        (t.days_since_last_order > number(182.5), "dormant"),
        (tenure_months < number(3), "new"),
        (tenure_months < number(12), "developing"),
        else_="established",
    )


def _maturity_score(t: ir.Table, tenure_months: ir.FloatingValue) -> ir.IntegerValue:
    by_tenure = ibis.cases((tenure_months >= number(24), 2), (tenure_months >= number(12), 1), else_=0)
    by_orders = ibis.cases((t.n_orders >= 20, 3), (t.n_orders >= 10, 2), (t.n_orders >= 5, 1), else_=0)
    return (by_tenure + by_orders).cast("int64")


_PACE = "came {} often in the last 90 days than over all their time"

AXIS = Axis(
    name="customer_maturity", question="Where are they in their life with the store?", kind="marketing",
    people="customers", measure=measure, description=__doc__, usual="in_between",
    structural=(ONE_TIME_BUYERS,), is_state=True,
    usual_k=5,
    outcomes=(Outcome("bought_at_all"),),
    stay_temperature=1.5, stayers=0.1,
    features=(
        Feature(
            "tenure_months", "months", "Months since the first order",
            tells="first ordered {} ago",
            words=(
                Word(
                    "recently_joined", high=NEW_DAYS / DAYS_PER_MONTH,
                    like="new newcomer newcomers newly newest recent young",
                ),
                Word("first_year", -1, high=12, times=1.3, untypical=True),
                Word("longtime", 1, low=12, times=1.1, like="veteran veterans long_standing long_time old"),
                Word("newer", -1, high=12, times=1.3),
                Word("second_year", -1, low=12, high=24, untypical=True), Word("early_joined", 1),
            ),
            synonyms=("", "established"), about="tenure",
            low=0, transform="log1p",
        ),
        Feature.share(
            "active_span_ratio", "Share of their time with the store between first and last order",
            words=(
                Word("still_buying", 1, low=0.6, tells="keep coming", where=(("acceleration", -0.6, 1),)),
                Word(
                    "soon_stopped", -1, high=0.3, tells="stopped coming early on",
                    where=(("tenure_months", 3, math.inf), ("acceleration", -1, QUIET)),
                ),
            ),
            about="silence", of_several=True, transform="identity",
        ),
        Feature(
            "acceleration", "index", "Pace of the last 90 days against the lifetime pace (-1 stopped, 0 unchanged)",
            tells=f"{_PACE.format('{} less')}|{_PACE.format('{} more')}", figure="pace",
            words=(
                Word("quiet", -1, high=QUIET, like="stopped", tells="have hardly ordered in the last 90 days"),
                Word("easing_off", -1, high=-0.1), Word("speeding_up", 1, low=0.1),
                Word(
                    "even_paced", low=-0.1, high=0.11, of_half=True, tells="come about as often as over all their time",
                ),
            ),
            synonyms=("cooling fading declining waning slowing", "warming quickening accelerating"),
            low=-1, high=1, neutral=0, about="silence",
        ),
        Feature.text("lifecycle_stage", "Stage of life with the store"),
        Feature("maturity_score", "points", "Maturity score from tenure and orders", low=0, high=5, clusters=False),
    ),
)  # fmt: skip
