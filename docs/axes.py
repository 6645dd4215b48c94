"""Writes ``axes.md``: what every axis asks, measures and declares, out of ``quimbi_assets.axes``.

``.venv/bin/python docs/axes.py``. Formulas in short stand here, everything else in the axes; a test holds the page to
both. An axis without formulas here is described by its docstring.
"""

from pathlib import Path

from quimbi_assets.axes import AXES, Axis, Feature
from quimbi_assets.profiles import stays

PAGE = Path(__file__).with_name("axes.md")
HEAD = f"""# The axes

Written by `docs/axes.py` out of `quimbi_assets/axes/`; a test compares names, questions, units and states.

An axis answers one question about a customer. Every feature is computed as of an instant, exclusive: orders, refunds
and tickets at or after it are invisible. It depends on no other customer; what is measured against the whole store
(cheap and luxury prices, the usual gap) is fitted with the model and kept with it. What cannot be defined is NULL,
never 0 or 1. Money is net of refunds unless it says gross, in the store's currency; an order refunded in full counts,
with value 0. A month has 30.4375 days; clock and calendar are the store's own. A feature whose columns a store does
not record is left out, and an axis with fewer than two left is inactive, with the reason.

N orders, L lines, P different products, C different categories, T days since the first order, g days between
consecutive orders; mean and sd (n - 1) over a customer's own. *Unit* and *range* are those of the values; *scaled by*
is what is applied before values are cut at the store's 1st and 99th percentile and standardised by the fitted mean
and deviation.

## From features to segments

Of d features that cluster, a customer's **distance** to each centre is Euclidean in scaled space, and the
**membership** in segment i is `exp(-d_i) / sum_j exp(-d_j)`: 0 to 1, summing to 1 per customer and axis. Distances
0.5, 2.0 and 3.5 give 0.786, 0.175 and 0.039. The **dominant segment** is the nearest. A **state** that many customers
share exactly may be a segment of its own, by a rule; the others are divided.

- **`membership_strength`** says how clear memberships are: `strong` if the first is above 0.7, `balanced` if it is
  above 0.4 and the second above 0.3, else `weak`.
- **`stays`** is the chance to be in the same dominant segment one horizon on (the churn horizon, from the store's own
  gaps between orders): `g + (1 - g) max_j m_j^(1/t) / sum_j m_j^(1/t)`, with temperature t and stayers g learnt from
  the store's last horizon; for those in a state the share of them that stayed. **`stays_strength`** says it in words:
  `strong` from {stays.SURE} on, `balanced` from {stays.LIKELY} on, else `weak`. It is what sentences and people go by
  ([ADR 17](adr/0017-stays.md)).
- **Evidence** is `low` for who has fewer orders than an axis needs, or no feature defined: they shape no
  segment but a state, undefined values count as average, and no sentence says where they belong.
- An axis is **weak** where customers differ no more than if orders were dealt anew ([ADR 5](adr/0005-abstention.md)).
"""
SCALES = {
    "identity": "nothing",
    "log1p": "ln(1 + x)",
    "signed_log1p": "sign(x) ln(1 + abs x)",
    "logit_shrunk": "ln((x + 0.05) / (1.05 - x))",
}
VALUE_TREND = "slope of ln(1 + net order value) over the order's number; N >= 3"
REPEAT_RATE = "products bought in two or more different orders / P; N >= 2"
REFUND_RATE = "refunds / (paid + discounts)"
DEPTH = "discounts / (paid + discounts)"
STEADY = "1 / (1 + sd / mean) of net order values; N >= 2"
WEEKEND = "orders on Saturday or Sunday / N"
OFFICE = "orders Monday to Friday within the store's business hours / N"
CHANNEL = "orders of that channel / orders with a channel"
TOPIC = "tickets with such words in tags, or in the subject where no tag says a topic / tickets with either"
FORMULAS = {
    "purchase_frequency": {
        "orders_per_month": "N / max(T, 30 days) in months",
        "avg_days_between_orders": "mean g; N >= 2",
        "purchase_consistency": "1 / (1 + sd(g) / mean(g)); N >= 3",
        "days_since_last_order": "from the last order to the instant",
        "recent_orders_90d": "orders of the last 90 days",
    },
    "purchase_value": {
        "lifetime_value": "sum of net order values",
        "avg_order_value": "mean of net order values",
        "value_trend": VALUE_TREND,
        "median_order_value": "median of net order values",
        "max_order_value": "largest net order value",
        "value_consistency": STEADY,
    },
    "category_exploration": {
        "unique_categories": "C",
        "category_diversity": "(entropy of line shares + (C - 1) / 2L) / ln C, at most 1; C >= 2",
        "exploration_breadth": "P / L",
        "primary_category": "most lines; of equals the first in the alphabet",
        "unique_products": "P",
    },
    "price_sensitivity": {
        "discount_rate": "orders with a discount / N",
        "discount_depth": DEPTH,
        "full_price_value_share": "paid in orders without a discount / (paid + discounts)",
        "full_price_ratio": "1 - discount_rate",
        "avg_discount_amount": "discounts / orders with a discount",
    },
    "purchase_cadence": {
        "weekend_ratio": WEEKEND,
        "business_hours_ratio": OFFICE,
        "hour_sin": "mean sine of the clock angle / hour_concentration",
        "hour_cos": "mean cosine of the clock angle / hour_concentration",
        "hour_concentration": "length of the mean clock angle; N >= 2",
        "season_concentration": "length of the mean angle of months; N >= 4",
        "preferred_time": "morning 6-12, afternoon 12-17, evening 17-22, else night",
        "preferred_weekday": "weekday with most orders",
    },
    "customer_maturity": {
        "tenure_months": "T in months",
        "active_span_ratio": "(last - first order) / T",
        "acceleration": "(pace of the last 90 days - N / T) / (their sum); T > 90 days",
        "lifecycle_stage": (
            "dormant after half a year of silence; else new below 3 months, developing below 12, established"
        ),
        "maturity_score": "T >= 24 months +2, >= 12 +1; N >= 20 +3, >= 10 +2, >= 5 +1",
    },
    "repurchase_behavior": {
        "repeat_rate": REPEAT_RATE,
        "repeat_order_ratio": "orders after the first with a product bought before / (N - 1); N >= 2",
        "loyalty_index": "lines of the fifth of products bought most, at least one / L; N >= 2",
        "favourite_product_id": "product in most orders; N >= 2",
        "avg_repurchase_count": "mean orders a product is in; N >= 2",
    },
    "return_behavior": {
        "refund_rate": REFUND_RATE,
        "items_returned_pct": "refunded lines / L",
        "return_order_ratio": "orders with a refund / N",
        "total_refunds": "refunds",
        "days_to_refund": "mean days from order to dated refund of its lines",
    },
    "communication_preference": {
        "channel_web": CHANNEL,
        "channel_pos": CHANNEL,
        "channel_draft_order": CHANNEL,
        "channel_other": CHANNEL,
        "channel_switching_rate": "changes of channel / pairs of consecutive orders with one",
        "weekend_ratio": WEEKEND,
        "business_hours_ratio": OFFICE,
        "primary_channel": "of most tickets, else of most orders",
        "preferred_contact_time": "part of the day of most tickets, else of most orders",
    },
    "problem_complexity_profile": {
        "refund_rate": REFUND_RATE,
        "returns_per_month": "orders with a refund / max(T, 30 days) in months",
        "product_switching": (
            "(categories first bought within 30 days after a refund "
            "+ orders of one line whose product is in no other) / N"
        ),
        "discount_dependency": DEPTH,
        "avg_lines_per_order": "L / N",
    },
    "loyalty_trajectory": {
        "frequency_trend": (
            "slope of orders over equal bins of about 30 days up to the instant / their mean; N >= 2, 3 bins"
        ),
        "value_trend": VALUE_TREND,
        "overdue_ratio": "days since the last order / median g, at least a day (the store's where N = 1)",
        "recency_momentum": "- slope of ln g, at least an hour, over the gap's number; 3 gaps",
        "is_accelerating": "frequency_trend > 0.05",
        "is_decelerating": "frequency_trend < -0.05",
        "expected_next_order_date": "last order + median g (the store's where N = 1)",
    },
    "product_knowledge": {
        "product_concentration": "pairs of lines of one product / all pairs of lines; L >= 2",
        "repeat_rate": REPEAT_RATE,
        "categories_mastered": "categories in three or more orders",
        "new_product_rate": "lines after the first order of products never bought before / these lines",
        "primary_category_dominance": "lines of the main category / L",
    },
    "value_sophistication": {
        "avg_item_price": "sum of price x quantity / sum of quantity",
        "price_dispersion": "sd of ln price; L >= 2",
        "discount_hunt_score": (
            "lines at or below the cheapest tenth of the product's own prices / lines of products that have one; where "
            "these are under half of the lines, discounts / (paid + discounts)"
        ),
        "spend_consistency": STEADY,
        "luxury_item_rate": "lines above the 80th percentile of the category's prices / lines of such categories",
        "big_splurge_rate": "orders above twice the customer's median / N; N >= 3",
    },
    "support_history": {
        "satisfaction_avg": "mean rating",
        "avg_resolution_hours": "mean hours from ticket to resolution",
        "tickets_per_order": "tickets / N",
        "reopen_rate": "tickets opened again / tickets of which that is recorded",
        "topic_complaint": TOPIC,
        "topic_product_question": TOPIC,
        "avg_first_response_hours": "mean hours from ticket to first response",
        "negative_rate": "ratings of 1 or 2 / ratings",
        "topic_shipping": TOPIC,
        "topic_return_request": TOPIC,
        "n_tickets": "tickets",
        "last_ticket_at": "local day of the last ticket",
        "primary_ticket_channel": "channel of most tickets",
    },
}


def span(feature: Feature) -> str:
    """Return the range of a feature's values; nothing where it has none."""
    if feature.low is None and feature.high is None:
        return ""
    return (
        f"{'' if feature.low is None else f'{feature.low:g}'} … {'' if feature.high is None else f'{feature.high:g}'}"
    )


def row(feature: Feature, formula: str) -> str:
    """Return a feature's line of its axis's table."""
    name = f"**`{feature.name}`**" if feature.clusters else f"`{feature.name}`"
    columns = ", ".join(f"`{column}`" for column in feature.needs)
    scale = SCALES[feature.transform] if feature.clusters else ""
    return f"| {' | '.join([name, feature.meaning, formula, feature.unit, span(feature), scale, columns])} |"


def section(axis: Axis) -> str:
    """Return what there is to say of an axis."""
    formulas = FORMULAS.get(axis.name) or dict.fromkeys((feature.name for feature in axis.features), "")
    if set(formulas) != {feature.name for feature in axis.features}:
        raise ValueError(
            f"{axis.name}: formulas of {sorted(set(formulas) ^ {f.name for f in axis.features})} are amiss"
        )
    states = [f"`{s.name}` ({s.meaning}: `{s.feature}` is {s.equals:g})" for s in axis.structural]
    facts = {
        "evidence": f"from {axis.min_orders} order{'s' if axis.min_orders > 1 else ''} on",
        "needs": ", ".join(f"`{column}`" for column in axis.essential),
        "states": ", ".join(states),
        "measured against": "the store reference" if axis.reference else "",
        "judged": "by what it foretells beyond orders and tenure, too" if axis.is_state else "",
        "held to by `quimbi backtest`": ", ".join(f"`{outcome.name}`" for outcome in axis.outcomes),
        "usual temperature and stayers": f"{axis.stay_temperature:g} and {axis.stayers:g}",
    }
    head = ["| feature | meaning | formula | unit | range | scaled by | columns |", "|---|---|---|---|---|---|---|"]
    table = [*head, *(row(feature, formulas[feature.name]) for feature in axis.features)]
    text = axis.description.strip().replace("References\n----------\n", "Source: ")
    lines = [f"### {axis.name}: {axis.question}", "", text, "", *table, ""]
    return "\n".join([*lines, *(f"- {name}: {fact}" for name, fact in facts.items() if fact)])


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for kind in ("marketing", "support"):
        parts.append(
            f"## {kind.capitalize()} axes\n\nFeatures in bold shape the segments; the others are for people to read."
        )
        parts += [section(axis) for axis in AXES.values() if axis.kind == kind]
    return "\n\n".join(part.strip() for part in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
