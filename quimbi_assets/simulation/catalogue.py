"""What the simulated store sells: products, their popularity and their price history.

Belongs here: everything about products. Does not: who buys them (``baskets``).
"""

from dataclasses import dataclass

import numpy as np

from quimbi_assets.simulation.archetypes import BASE_PRICE, Floats, Ints

CATEGORIES: dict[str, tuple[str, ...]] = {
    "Kitchen": ("Cookware", "Knives", "Bakeware", "Storage"),
    "Clothing": ("Shirts", "Trousers", "Knitwear", "Socks"),
    "Bedding": ("Duvets", "Pillows", "Sheets", "Throws"),
    "Garden": ("Tools", "Seeds", "Planters", "Lighting"),
    "Beauty": ("Skincare", "Haircare", "Fragrance", "Bath"),
    "Toys": ("Puzzles", "Building sets", "Plush", "Board games"),
    "Books": ("Fiction", "Cookery", "Travel", "Children's"),
    "Sports": ("Yoga", "Cycling", "Running", "Camping"),
    "Stationery": ("Notebooks", "Pens", "Cards", "Wrapping"),
    "Electronics": ("Audio", "Cables", "Lamps", "Chargers"),
    "Pets": ("Food", "Leads", "Beds", "Treats"),
    "Coffee & Tea": ("Beans", "Leaf tea", "Brewers", "Mugs"),
}
"""Categories, most popular first, each with its product types."""
PRODUCT_TYPES = tuple(name for types in CATEGORIES.values() for name in types)

PRODUCTS_PER_POOL = 84  # products of one category and price tier; 12 x 2 x 84 = 2,016 in all
N_TIERS = len(BASE_PRICE)
POPULARITY_EXPONENT = 1.0  # Zipf exponent of popularity within a pool


@dataclass(frozen=True)
class Catalogue:
    """Products of one store; product p belongs to pool ``p // PRODUCTS_PER_POOL`` = category x tier."""

    product_type: Ints  # position in `PRODUCT_TYPES`, shape (n_products,)
    category_popularity: Floats  # cumulated, ends at 1; shape (n_categories,)
    popularity: Floats  # pool number + cumulated popularity within the pool: increasing throughout; shape (n_products,)
    price_cents: Ints  # of a unit in every week of the window, shape (n_products, n_weeks)

    def draw_category(self, position: Floats) -> Ints:
        """Return the category at a 0-1 position on the scale of popularity, shape as given."""
        return np.searchsorted(self.category_popularity, position, side="right")

    def draw_product(self, category: Ints, tier: Ints, position: Floats, further: Ints) -> Ints:
        """Return products of pools (category and tier) at 0-1 positions on their scales of popularity; shape (n,).

        `further` are ranks to go on from there (past the last, from the first again): different numbers give
        different products until the pool is through.
        """
        first = (category * N_TIERS + tier) * PRODUCTS_PER_POOL
        rank = np.searchsorted(self.popularity, first // PRODUCTS_PER_POOL + position, side="right") - first
        return first + (rank + further) % PRODUCTS_PER_POOL

    def category_of(self, product: Ints) -> Ints:
        """Return the category code of products, shape as given."""
        return product // (PRODUCTS_PER_POOL * N_TIERS)


def build_catalogue(rng: np.random.Generator, n_days: int) -> Catalogue:
    """Draw a catalogue with a price history over `n_days`.

    A product's price drifts by about 3 % a year in steps every 13 weeks, and about one week in thirty it is on
    sale at 15-30 % off. Sales change the unit price; they are no recorded discount.
    """
    n_pools = len(CATEGORIES) * N_TIERS
    rank_weight = np.arange(1.0, PRODUCTS_PER_POOL + 1) ** -POPULARITY_EXPONENT
    within = np.cumsum(rank_weight) / rank_weight.sum()
    category_weight = np.arange(1.0, len(CATEGORIES) + 1) ** -0.5
    n_products = n_pools * PRODUCTS_PER_POOL
    pool = np.arange(n_products) // PRODUCTS_PER_POOL
    types_each = len(next(iter(CATEGORIES.values())))
    return Catalogue(
        product_type=pool // N_TIERS * types_each + rng.integers(0, types_each, n_products),
        category_popularity=np.cumsum(category_weight) / category_weight.sum(),
        popularity=pool + np.tile(within, n_pools),
        price_cents=_price_history(rng, BASE_PRICE[pool % N_TIERS], n_days // 7 + 1),
    )


def _price_history(rng: np.random.Generator, base: Floats, n_weeks: int) -> Ints:
    """Return unit prices in cents, shape (n_products, n_weeks), all at least 50."""
    n_products = len(base)
    level = base * rng.lognormal(0.0, 0.2, n_products)
    quarter = np.arange(n_weeks) // 13
    steps = rng.normal(0.0075, 0.012, (n_products, quarter[-1] + 1))
    drift = np.exp(np.cumsum(steps, axis=1))[:, quarter]
    on_sale = rng.random((n_products, n_weeks)) < 1 / 30
    sale = np.where(on_sale, 1 - rng.uniform(0.15, 0.30, (n_products, n_weeks)), 1.0)
    return np.maximum(np.rint(level[:, None] * drift * sale * 10).astype(np.int64) * 10 - 1, 50)
