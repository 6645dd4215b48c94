"""How sure is a customer of what they want: a few known products, or always something new?

The Herfindahl index of few lines is too high by nature; the unbiased form counts pairs of different lines, so a
single line has none. ``new_product_rate`` looks at the lines after the first order only.

References
----------
Simpson (1949), Measurement of diversity: ``Σ n (n - 1) / (L (L - 1))``.
"""

import ibis.expr.types as ir

from quimbi_assets.axes._axis import ONE_TIME_BUYERS, Axis, Feature, Outcome, Word
from quimbi_assets.axes._measures import count_if, join, number, ratio, repeat_rates, share, where
from quimbi_assets.axes._tables import Tables

MASTERY_ORDERS = 3


def measure(tables: Tables) -> ir.Table:
    """Concentration on products, repeat rate, mastered categories, share of never-bought products later on."""
    customers, products, categories = tables.customers, tables.products, tables.categories
    n = products.n_lines.cast("float64")
    pairs = products.group_by("customer_id").agg(same_pairs=(n * (n - number(1))).sum(), n_lines=products.n_lines.sum())
    by_category = categories.group_by("customer_id").agg(
        categories_mastered=count_if(categories.n_orders >= MASTERY_ORDERS),
        primary_category_dominance=ratio(categories.n_lines.max(), categories.n_lines.sum()),
    )
    t = join(
        customers.select("customer_id", "n_orders"), pairs, by_category, repeat_rates(products), _new_products(tables)
    )
    lines = t.n_lines.cast("float64")
    came_back = t.n_orders >= 2
    return t.select(
        "customer_id",
        "categories_mastered",
        "primary_category_dominance",
        "new_product_rate",
        product_concentration=where(t.n_lines >= 2, share(t.same_pairs, lines * (lines - number(1)))),
        repeat_rate=where(came_back, t.repeat_rate),
    )


def _new_products(tables: Tables) -> ir.Table:
    first = tables.products.select("customer_id", "product_id", "first_order_index")
    lines = tables.lines.join(first, ["customer_id", "product_id"])
    later = lines.filter(lines.order_index > 1)
    new = count_if(later.first_order_index == later.order_index)
    return later.group_by("customer_id").agg(new_product_rate=share(new, later.order_id.count()))


_NEEDS = ("items.product_id",)

AXIS = Axis(
    name="product_knowledge", question="How sure are they of what they want?", kind="support", people="shoppers",
    measure=measure, description=__doc__, usual="mixed_taste",
    essential=_NEEDS,
    min_orders=2,
    structural=(ONE_TIME_BUYERS,),
    outcomes=(Outcome("lines_of_new_products"), Outcome("product_concentration")),
    features=(
        Feature(
            "product_concentration", "index", "Chance that two of their lines are the same product",
            tells="choose among about {} products", figure="choice",
            words=(
                Word("same_product", 1, low=0.25), Word("few_product", 1, low=0.1),
                Word("narrow_choice", 1, times=2, of_few=True, like="focused"),
            ),
            synonyms=("wide_ranging", ""), about="novelty", low=0, high=1, transform="logit_shrunk", needs=_NEEDS,
        ),
        Feature.share(
            "repeat_rate", "Share of products bought in at least two different orders",
            tells="came back for {} of the products they tried",
            synonyms=("variety_seeking sampling", "loyal repeating rebuying"), about="novelty", needs=_NEEDS,
        ),
        Feature(
            "categories_mastered", "categories", "Categories bought from in at least three orders",
            tells="come back again and again to {}",
            words=(Word("category_loyal", 1, low=1, times=2, of_few=True, where=(("new_product_rate", 0.98, 1),)),),
            synonyms=("novice", "expert"), about="breadth", low=0, transform="log1p", needs=("items.category",),
        ),
        Feature.share(
            "new_product_rate", "Share of lines after the first order that are products never bought before",
            tells="chose something new to them with {} of what they bought after the first order",
            words=(
                Word("settled", high=0.35), Word("favourites_and_finds", high=0.65), Word("curious", high=0.85),
                Word("novelty_seeking", noun="novelty_seekers"),
            ),
            synonyms=("", "adventurous"), about="novelty", needs=_NEEDS,
        ),
        Feature.share(
            "primary_category_dominance", "Share of lines in the main category",
            transform="identity", clusters=False, needs=("items.category",),
        ),
    ),
)  # fmt: skip
