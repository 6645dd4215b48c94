"""At what price point does a customer buy, and how steadily?

Unit prices, weighted by quantity. What is cheap for a product and what is luxury within a category are store-wide
quantities: they are fitted once with the model (``StoreReference``) and NULL without it, so that no customer's
feature depends on who else is present.
"""

import ibis.expr.types as ir

from quimbi_assets.axes._axis import ONE_TIME_BUYERS, Axis, Feature, Outcome, Word
from quimbi_assets.axes._measures import count_if, join, medians, ratio, share, value_consistency, where
from quimbi_assets.axes._tables import Tables

#: A line is a splurge when its order is worth more than this many of the customer's median orders.
SPLURGE = 2.0


def measure(tables: Tables) -> ir.Table:
    """Average unit price, its spread, bargain and luxury lines, steadiness of order values."""
    orders, lines, customers = tables.orders, tables.lines, tables.customers
    priced = lines.filter((lines.price > 0) & (lines.quantity > 0))
    prices = priced.group_by("customer_id").agg(
        avg_item_price=ratio((priced.price * priced.quantity).sum(), priced.quantity.sum()),
        price_dispersion=priced.price.ln().std(how="sample"),
    )
    values = orders.group_by("customer_id").agg(spend_consistency=value_consistency(orders))
    t = join(
        customers.select("customer_id", "discount", "gross_value"),
        prices,
        values,
        _bargains(tables, priced),
        _luxuries(tables, priced),
        _splurges(orders),
    )
    hunt = where(t.n_judged * 2 >= t.n_priced, share(t.n_bargains, t.n_judged))
    if "orders.discount_amount" in tables.recorded:
        hunt = hunt.fill_null(share(t.discount, t.gross_value))
    return t.mutate(discount_hunt_score=hunt)


def _bargains(tables: Tables, priced: ir.Table) -> ir.Table:
    judged = priced.left_join(tables.product_prices, "product_id")
    return judged.group_by("customer_id").agg(
        n_priced=judged.price.count().cast("int64"),
        n_judged=judged.cheap_price.count().cast("int64"),
        n_bargains=count_if(judged.price <= judged.cheap_price),
    )


def _luxuries(tables: Tables, priced: ir.Table) -> ir.Table:
    judged = priced.join(tables.category_prices, "category")
    return judged.group_by("customer_id").agg(
        luxury_item_rate=share(count_if(judged.price > judged.luxury_price), judged.price.count())
    )


def _splurges(orders: ir.Table) -> ir.Table:
    usual = medians(orders, "net_value", "median_order_value")
    joined = orders.join(usual, "customer_id")
    n_orders = joined.order_id.count()
    big = count_if(joined.net_value > joined.median_order_value * SPLURGE)
    return joined.group_by("customer_id").agg(big_splurge_rate=where(n_orders >= 3, share(big, n_orders)))


_NEEDS = ("items.price",)

_ALIKE = "keep to things of much the same price"

AXIS = Axis(
    name="value_sophistication", question="At what price point do they buy, and how steadily?", kind="support",
    people="buyers", measure=measure, description=__doc__, usual="mid_price",
    essential=_NEEDS,
    min_orders=2,
    structural=(ONE_TIME_BUYERS,),
    reference=True,
    outcomes=(Outcome("avg_item_price", log=True), Outcome("luxury_item_rate")),
    features=(
        Feature(
            "avg_item_price", "money", "Average price of a unit bought",
            tells="pay {} for a unit",
            words=(
                Word("premium", 1, times=1.3, of_few=True, like="luxury upscale high_end expensive pricey"),
                Word("low_price", -1, times=1.3, of_few=True, like="cheap inexpensive budget"),
                Word("higher_price", 1), Word("lower_price", -1),
            ),
            synonyms=("", "high_price"), about="price", low=0, transform="log1p", needs=_NEEDS,
        ),
        Feature(
            "price_dispersion", "index", "How widely unit prices spread (0 = always the same price)",
            words=(
                Word("one_price", -1, high=0.05, tells=_ALIKE),
                Word("one_price_level", -1, high=0.25, tells=_ALIKE),
                Word("mixed_price", 1, low=0.9, tells="buy things of very different prices"),
                Word("one_price_level", -1, high=0.5, times=1.3, tells=_ALIKE),
            ),
            synonyms=("uniform", "varied"), low=0, transform="log1p", needs=_NEEDS,
        ),
        Feature.share(
            "discount_hunt_score", "Share of lines bought at the product's cheapest prices",
            tells="buy {} of their things at the cheapest price of the product",
            words=(Word("bargain_hunting", 1, low=0.35, times=1.5, of_few=True, noun="bargain_hunters"),),
            about="discounts", needs=_NEEDS,
        ),
        Feature(
            "spend_consistency", "index", "How alike the order values are (1 = always the same)",
            words=(
                Word("steady_amount", 1, low=0.7, tells="spend about the same with every order"),
                Word("varying_amount", -1, high=0.6, tells="spend very differently from order to order"),
            ),
            of_several=True, low=0, high=1,
        ),
        Feature.share(
            "luxury_item_rate", "Share of lines priced above four fifths of their category",
            tells="take {} of their things from the dearest fifth of a category",
            words=(
                Word("top_shelf", 1, low=0.5),
                Word("no_frills", -1, high=0.05, tells="hardly ever buy from the dearest fifth of a category"),
            ),
            about="price",
            needs=("items.price", "items.category"),
        ),
        Feature.share(
            "big_splurge_rate", "Share of orders worth more than twice their usual order",
            transform="identity", clusters=False,
        ),
    ),
)  # fmt: skip
