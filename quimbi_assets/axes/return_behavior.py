"""Does a customer send things back: how much of the value, how many of the lines, in how many orders?

A refund counts from its own date; where the store records none, from the order's. Refunds are measured against
gross value (paid plus discount).
"""

import ibis.expr.types as ir

from quimbi_assets.axes._axis import Axis, Feature, Outcome, Structural, Word
from quimbi_assets.axes._measures import count_if, join, share, where
from quimbi_assets.axes._tables import Tables


def measure(tables: Tables) -> ir.Table:
    """Refunded share of value, lines and orders; total refunded and days until it happened."""
    lines, customers = tables.lines, tables.customers
    n_lines = lines.order_id.count()
    days = where(lines.refund > 0, lines.days_ago - lines.refund_days_ago)
    by_line = lines.group_by("customer_id").agg(
        items_returned_pct=share(count_if(lines.refund > 0), n_lines), days_to_refund=days.mean()
    )
    t = join(customers, by_line)
    return t.select(
        "customer_id",
        "items_returned_pct",
        "days_to_refund",
        refund_rate=share(t.refund, t.gross_value),
        return_order_ratio=share(t.n_refunded_orders, t.n_orders),
        total_refunds=t.refund,
    )


_NEEDS = ("orders.refund",)

AXIS = Axis(
    name="return_behavior", question="Do they send things back?", kind="marketing", people="buyers", measure=measure,
    description=__doc__, usual="mixed_refund",
    essential=_NEEDS,
    min_orders=2,
    usual_k=3,
    structural=(
        Structural("return_order_ratio", 0, "never_returners", "never sent anything back"),
        Structural("n_orders", 1, "one_time_returners", "bought exactly once and sent something back"),
    ),
    outcomes=(Outcome("refund_rate"), Outcome("return_order_ratio")),
    features=(
        Feature.share(
            "refund_rate", "Refunded share of the value bought",
            tells="are refunded {} of the value of what they buy",
            synonyms=("low_refund", "high_refund"), about="refunds", needs=_NEEDS,
        ),
        Feature.share(
            "items_returned_pct", "Share of lines refunded",
            tells="send back {} of the things they buy",
            about="refunds", needs=("items.refund_amount",),
        ),
        Feature.share(
            "return_order_ratio", "Share of orders with a refund",
            tells="have something refunded in {} of their orders",
            words=(
                Word("heavily_refunded", low=0.7), Word("repeatedly_refunded", low=0.4),
                Word("often_refunded", 1, low=0.2), Word("sometimes_refunded", low=0.1),
                Word("rarely_refunded", high=0.1),
            ),
            about="refunds", needs=_NEEDS,
        ),
        Feature("total_refunds", "money", "Refunded in all", low=0, clusters=False, needs=_NEEDS),
        Feature(
            "days_to_refund", "days", "Average days from an order to its refund",
            clusters=False, needs=("items.refunded_at",),
        ),
    ),
)  # fmt: skip
