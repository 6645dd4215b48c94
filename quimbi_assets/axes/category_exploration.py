"""How widely does a customer shop: over how many categories, how evenly, and with how many different products?

The entropy of few lines is too low by nature; the Miller-Madow term takes that bias off. A customer who has
bought from a single category has no evenness over categories: NULL, not 0.

References
----------
Miller (1955), Note on the bias of information estimates: ``H + (C - 1) / (2 L)``.
"""

import ibis.expr.types as ir

from quimbi_assets.axes._axis import Axis, Feature, Outcome, Word
from quimbi_assets.axes._measures import clip, join, most_common, number, ratio, share, where
from quimbi_assets.axes._tables import Tables


def measure(tables: Tables) -> ir.Table:
    """Number of categories, evenness over them, distinct products a line, and the main category."""
    categories, products = tables.categories, tables.products
    n = categories.n_lines.cast("float64")
    counts = categories.group_by("customer_id").agg(
        unique_categories=categories.category.count().cast("int64"),
        n_category_lines=categories.n_lines.sum(),
        n_log_n=(n * n.ln()).sum(),
    )
    bought = products.group_by("customer_id").agg(
        unique_products=products.product_id.count().cast("int64"), n_product_lines=products.n_lines.sum()
    )
    top = most_common(categories, "category", "n_lines", "primary_category")
    t = join(tables.customers.select("customer_id"), counts, bought, top)
    lines = t.n_category_lines.cast("float64")
    n_categories = t.unique_categories.cast("float64")
    entropy = lines.ln() - t.n_log_n / lines + (n_categories - number(1)) / (number(2) * lines)
    diversity = clip(ratio(entropy, n_categories.ln()), 0, 1)
    return t.select(
        "customer_id",
        "unique_categories",
        "unique_products",
        "primary_category",
        category_diversity=where(t.unique_categories >= 2, diversity),
        exploration_breadth=share(t.unique_products, t.n_product_lines),
    )


AXIS = Axis(
    name="category_exploration", question="How widely do they shop?", kind="marketing", people="shoppers",
    measure=measure, description=__doc__, usual="balanced",
    essential=("items.category",),
    usual_k=5,
    outcomes=(Outcome("unique_categories", log=True), Outcome("category_diversity"), Outcome("exploration_breadth")),
    features=(
        Feature(
            "unique_categories", "categories", "Different categories bought from",
            tells="buy from {}",
            words=(
                Word("one_category", -1, high=1.4, like="single_category"),
                Word("two_category", -1, low=1.5, high=2.4), Word("three_category", low=2.5, high=3.4),
                Word("few_category", -1, high=5, times=1.5, of_few=True),
                Word("narrow_range", -1, times=1.5, of_few=True), Word("wide_range", 1, times=1.5, of_few=True),
            ),
            synonyms=("narrow", "broad wide varied wide_ranging"), about="breadth",
            low=0, transform="log1p", needs=("items.category",),
        ),
        Feature(
            "category_diversity", "index", "How evenly purchases spread over the categories bought from (1 = evenly)",
            words=(Word("focused", -1, high=0.85, tells="keep mostly to a few of their categories"),),
            synonyms=("narrow concentrated", "diverse broad varied"), about="breadth",
            low=0, high=1, needs=("items.category",),
        ),
        Feature.share(
            "exploration_breadth", "Different products for every line bought",
            tells="choose a product new to them for {} of what they buy",
            words=(
                Word("habitual", -1, high=0.6),
                Word(
                    "exploring", 1, low=0.75, noun="explorers",
                    never_beside="one_category few_category narrow_range focused",
                ),
            ),
            synonyms=("repetitive", "adventurous curious exploratory"), about="novelty",
            transform="identity", needs=("items.product_id",),
        ),
        Feature.text("primary_category", "Category bought most often", ("items.category",)),
        Feature(
            "unique_products", "count", "Different products bought", low=0, clusters=False, needs=("items.product_id",)
        ),
    ),
)  # fmt: skip
