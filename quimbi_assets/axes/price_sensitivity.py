"""Does a customer need a discount to buy: how often, how deep, and how much is bought without one?

Gross value is what the customer paid plus the discount given. A store that records no discounts at all has no
such axis; one where nobody uses them has it, with zeros.
"""

import ibis.expr.types as ir

from quimbi_assets.axes._axis import Axis, Feature, Outcome, Structural, Word
from quimbi_assets.axes._measures import number, ratio, share, where
from quimbi_assets.axes._tables import Tables


def measure(tables: Tables) -> ir.Table:
    """Share of orders with a discount, depth of discounts, share of value bought at full price."""
    orders, customers = tables.orders, tables.customers
    undiscounted = (orders.discount > 0).ifelse(number(0), orders.gross_value)
    full_price = orders.group_by("customer_id").agg(full_price_value=undiscounted.sum())
    t = customers.join(full_price, "customer_id")
    discount_rate = share(t.n_discounted_orders, t.n_orders)
    return t.select(
        "customer_id",
        discount_rate=discount_rate,
        discount_depth=share(t.discount, t.gross_value),
        full_price_value_share=share(t.full_price_value, t.gross_value),
        full_price_ratio=number(1) - discount_rate,
        avg_discount_amount=where(t.n_discounted_orders > 0, ratio(t.discount, t.n_discounted_orders)),
    )


_NEEDS = ("orders.discount_amount",)

AXIS = Axis(
    name="price_sensitivity", question="Do they need a discount?", kind="marketing", people="buyers", measure=measure,
    description=__doc__, usual="mixed_discount",
    essential=_NEEDS,
    min_orders=2,
    structural=(
        Structural("discount_rate", 0, "full_price_buyers", "never used a discount"),
        Structural("n_orders", 1, "one_time_deal_buyers", "bought exactly once, with a discount"),
    ),
    usual_k=5,
    outcomes=(Outcome("discount_rate"), Outcome("discount_depth")),
    features=(
        Feature.share(
            "discount_rate", "Share of orders with a discount",
            tells="use a discount in {} of their orders",
            words=(
                Word("discount_only", low=1), Word("almost_always_discount", low=0.9),
                Word("mostly_discount", low=0.7), Word("often_discount", 1, low=0.4),
                Word("part_discount", -1, low=0.4), Word("sometimes_discount", low=0.1, high=0.5),
                Word("seldom_discount", high=0.1),
            ),
            synonyms=("", "discount_driven bargain deal_seeking discount_hunting coupon"), about="discounts",
            needs=_NEEDS,
        ),
        Feature.share(
            "discount_depth", "Discount as a share of the value before discount",
            tells="get {} off the value of what they buy",
            words=(Word("deep_discount", 1, low=0.25, times=1.3),),
            synonyms=("", "discount_driven bargain deal_seeking discount_hunting"), about="discounts",
            needs=_NEEDS,
        ),
        Feature.share(
            "full_price_value_share", "Share of value bought in orders without any discount",
            tells="pay the full price for {} of what they buy",
            words=(Word("mostly_full_price", 1, low=0.7),), about="discounts", needs=_NEEDS,
        ),
        Feature.share(
            "full_price_ratio", "Share of orders without a discount", clusters=False, needs=_NEEDS, transform="identity"
        ),
        Feature(
            "avg_discount_amount", "money", "Average discount of a discounted order",
            low=0, clusters=False, needs=_NEEDS,
        ),
    ),
)  # fmt: skip
