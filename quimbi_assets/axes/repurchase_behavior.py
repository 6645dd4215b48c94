"""Does a customer come back to the same things?

Only a second order can repeat anything: with one order every feature here is NULL, not 0.
"""

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._axis import ONE_TIME_BUYERS, Axis, Feature, Outcome, Structural, Word
from quimbi_assets.axes._measures import join, most_common, number, ratio, repeat_rates, share, where
from quimbi_assets.axes._tables import Tables

TOP_SHARE = 0.2


def measure(tables: Tables) -> ir.Table:
    """Repeat rate of products, share of later orders with a known product, concentration on favourites."""
    customers, products = tables.customers, tables.products
    t = join(
        customers.select("customer_id", "n_orders"),
        repeat_rates(products),
        _repeat_orders(tables),
        _loyalty(products),
        most_common(products, "product_id", "n_orders", "favourite_product_id"),
        products.group_by("customer_id").agg(avg_repurchase_count=products.n_orders.mean()),
    )
    came_back = t.n_orders >= 2
    no_repeats = t.n_products.notnull().ifelse(ibis.literal(0, "int64"), ibis.null("int64"))
    return t.select(
        "customer_id",
        favourite_product_id=where(came_back, t.favourite_product_id),
        avg_repurchase_count=where(came_back, t.avg_repurchase_count),
        repeat_rate=where(came_back, t.repeat_rate),
        repeat_order_ratio=where(came_back, share(t.n_repeat_orders.fill_null(no_repeats), t.n_orders - 1)),
        loyalty_index=where(came_back, t.loyalty_index),
    )


def _repeat_orders(tables: Tables) -> ir.Table:
    lines, products = tables.lines, tables.products
    known = products.select("customer_id", "product_id", "first_order_index")
    joined = lines.join(known, ["customer_id", "product_id"])
    repeats = joined.filter(joined.order_index > joined.first_order_index)
    return repeats.group_by("customer_id").agg(n_repeat_orders=repeats.order_id.nunique().cast("int64"))


def _loyalty(products: ir.Table) -> ir.Table:
    order = ibis.window(group_by="customer_id", order_by=[ibis.desc(products.n_lines), ibis.asc(products.product_id)])
    whole = ibis.window(group_by="customer_id")
    n_products = products.product_id.count().over(whole).cast("float64")
    n_top = ibis.greatest((n_products * number(TOP_SHARE)).floor().cast("int64"), ibis.literal(1, "int64"))
    ranked = products.mutate(position=ibis.row_number().over(order), n_top=n_top)
    top_lines = (ranked.position < ranked.n_top).ifelse(ranked.n_lines, ibis.literal(0, "int64")).sum()
    return ranked.group_by("customer_id").agg(loyalty_index=ratio(top_lines, ranked.n_lines.sum()))


_NEEDS = ("items.product_id",)

AXIS = Axis(
    name="repurchase_behavior", question="Do they come back to the same things?", kind="marketing", people="shoppers",
    measure=measure, description=__doc__, usual="mixed_basket",
    essential=_NEEDS,
    min_orders=2,
    structural=(
        Structural("repeat_order_ratio", 0, "never_rebuyers", "never bought the same product twice"),
        ONE_TIME_BUYERS,
    ),
    outcomes=(Outcome("orders_with_a_known_product"), Outcome("repeat_rate")),
    features=(
        Feature.share(
            "repeat_rate", "Share of products bought in at least two different orders",
            tells="came back for {} of the products they tried",
            synonyms=("variety_seeking novelty_seeking", "loyal repeating rebuying"), about="repetition", needs=_NEEDS,
        ),
        Feature.share(
            "repeat_order_ratio", "Share of later orders that hold a product bought before",
            tells="bought something again in {} of their later orders",
            words=(
                Word("product_loyal", low=0.85, where=(("repeat_rate", 0.35, 1),)),
                Word("staples_and_variety", low=0.85, where=(("repeat_rate", 0, 0.35),)),
                Word("mostly_rebuying", low=0.65), Word("often_rebuying", 1, low=0.4),
                Word("partly_rebuying", -1, low=0.4), Word("sometimes_rebuying", low=0.15, high=0.5),
                Word("seldom_rebuying", high=0.15),
            ),
            synonyms=("variety_seeking", "loyal repeating"), about="repetition", needs=_NEEDS,
        ),
        Feature.share(
            "loyalty_index", "Share of lines taken by the favourite fifth of products",
            tells="take {} of what they buy from the favourite fifth of their products",
            about="repetition", transform="identity", needs=_NEEDS,
        ),
        Feature.text("favourite_product_id", "Product bought in most orders", _NEEDS),
        Feature(
            "avg_repurchase_count", "orders a product", "Orders in which an average product of theirs appears",
            low=1, clusters=False, needs=_NEEDS,
        ),
    ),
)  # fmt: skip
