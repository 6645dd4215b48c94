"""How much trouble do a customer's orders bring: refunds, changes of mind, dependence on discounts, big baskets?

``product_switching`` counts two signs of a purchase that did not fit: a category bought for the first time within
30 days after a refund, and an order of a single line whose product was never bought again; per order.
"""

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._axis import ONE_TIME_BUYERS, Axis, Feature, Outcome, Word
from quimbi_assets.axes._measures import join, months, number, ratio, share
from quimbi_assets.axes._tables import Tables

SWITCH_DAYS = 30


def measure(tables: Tables) -> ir.Table:
    """Refunds by value and by month, product switching, discount dependency, lines an order."""
    customers, lines = tables.customers, tables.lines
    n_lines = lines.group_by("customer_id").agg(n_lines=lines.order_id.count().cast("int64"))
    t = join(customers, n_lines, _switched_categories(tables), _single_tries(tables))
    zero = ibis.literal(0, "int64")
    switches = t.n_switched.fill_null(zero) + t.n_single_tries.fill_null(zero)
    known = t.n_lines.notnull().ifelse(switches, ibis.null("int64"))
    return t.select(
        "customer_id",
        refund_rate=share(t.refund, t.gross_value),
        returns_per_month=t.n_refunded_orders.cast("float64") / months(t.tenure_days, at_least=30),
        product_switching=ratio(known, t.n_orders),
        discount_dependency=share(t.discount, t.gross_value),
        avg_lines_per_order=ratio(t.n_lines, t.n_orders),
    )


def _switched_categories(tables: Tables) -> ir.Table:
    """Categories first bought within 30 days after a refund; an undated refund counts from its order."""
    lines, orders, categories = tables.lines, tables.orders, tables.categories
    dated = lines.filter((lines.refund > 0) & lines.refund_days_ago.notnull())
    dated = dated.select("customer_id", refund_days_ago=dated.refund_days_ago)
    with_date = lines.filter(lines.refund_days_ago.notnull()).select("order_id").distinct()
    undated = orders.filter(orders.refund > 0).anti_join(with_date, "order_id")
    undated = undated.select("customer_id", refund_days_ago=undated.days_ago)
    joined = categories.join(dated.union(undated), "customer_id")
    elapsed = joined.refund_days_ago - joined.first_days_ago
    after = joined.filter((elapsed > 0) & (elapsed <= number(SWITCH_DAYS)))
    return after.group_by("customer_id").agg(n_switched=after.category.nunique().cast("int64"))


def _single_tries(tables: Tables) -> ir.Table:
    lines, products = tables.lines, tables.products
    per_order = lines.group_by("customer_id", "order_id").agg(
        n=lines.order_id.count().cast("int64"), product_id=lines.product_id.min()
    )
    once = products.filter(products.n_orders == 1).select("customer_id", "product_id")
    tries = per_order.filter(per_order.n == 1).semi_join(once, ["customer_id", "product_id"])
    return tries.group_by("customer_id").agg(n_single_tries=tries.order_id.count().cast("int64"))


_HARDLY = "hardly ever have anything refunded"

AXIS = Axis(
    name="problem_complexity_profile", question="How much trouble do their orders bring?", kind="support",
    people="customers", measure=measure, description=__doc__, min_orders=2, usual="ordinary_order",
    structural=(ONE_TIME_BUYERS,),
    outcomes=(Outcome("refund_rate"), Outcome("discount_dependency"), Outcome("avg_lines_per_order", log=True)),
    features=(
        Feature.share(
            "refund_rate", "Refunded share of the value bought",
            tells="are refunded {} of the value of what they buy",
            words=(Word("refund_prone", 1, low=0.05, times=1.5, of_few=True), Word("at_times_refunded", 1)),
            about="refunds", needs=("orders.refund",),
        ),
        Feature(
            "returns_per_month", "returns a month", "Orders with a refund, a month",
            words=(
                Word(
                    "trouble_free", high=0.02, tells=_HARDLY,
                    where=(("product_switching", 0, 0.1), ("discount_dependency", 0, 0.1)),
                ),
                Word("seldom_refunded", high=0.02, tells=_HARDLY),
            ),
            about="refunds",
            low=0, transform="log1p", needs=("orders.refund",),
        ),
        Feature(
            "product_switching", "per order", "Purchases that look like a change of mind, per order",
            tells="seem to change their mind {} times in ten orders", figure="in_ten",
            words=(Word("undecided", 1, low=0.1, of_few=True), Word("more_decided", -1), Word("less_decided", 1)),
            low=0, transform="log1p", needs=("items.product_id",),
        ),
        Feature.share(
            "discount_dependency", "Discount as a share of the value before discount",
            tells="get {} off the value of what they buy",
            synonyms=("", "discount_driven bargain deal_seeking discount_hunting"), about="discounts",
            needs=("orders.discount_amount",),
        ),
        Feature(
            "avg_lines_per_order", "lines an order", "Order lines in an average order",
            tells="put {} different things into an order", figure="number",
            words=(
                Word("small_basket", -1, high=5, times=1.3, of_few=True),
                Word("full_basket", 1, low=5, times=1.3, of_few=True),
                Word("smaller_basket", -1), Word("fuller_basket", 1),
            ),
            synonyms=("few_item", "large_basket big_basket many_item"), about="order_size",
            low=0, transform="log1p", needs=("items.product_id",),
        ),
    ),
)  # fmt: skip
