"""Store-wide quantities that a few features are measured against, fitted with the models and saved beside them.

Belongs here: what is cheap for a product, what is luxury within a category, the store's usual gap. Does not:
anything measured on one customer.
"""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from quimbi_assets.axes._inputs import naive_utc
from quimbi_assets.axes._tables import CATEGORY_PRICES_SCHEMA, PRODUCT_PRICES_SCHEMA, STORE_GAPS_SCHEMA
from quimbi_assets.ingest.keys import among

#: Sales from which a product's own price history is long enough to call a price cheap.
MIN_PRICE_HISTORY = 10
CHEAP_QUANTILE = 0.1
LUXURY_QUANTILE = 0.8


@dataclass(frozen=True)
class StoreReference:
    """Fitted store-wide quantities.

    Parameters
    ----------
    product_prices : DataFrame
        ``product_id``, ``cheap_price``: the 10 % quantile of the product's own unit prices, for products sold at
        least 10 times at more than one price level.
    category_prices : DataFrame
        ``category``, ``luxury_price``: the 80 % quantile of unit prices within the category.
    median_gap_days : float or None
        Median days between consecutive orders of the same customer.
    """

    product_prices: pd.DataFrame
    category_prices: pd.DataFrame
    median_gap_days: float | None = None

    @classmethod
    def empty(cls) -> "StoreReference":
        """Return a reference that knows nothing."""
        return cls(
            pd.DataFrame({"product_id": pd.Series(dtype="str"), "cheap_price": pd.Series(dtype="float64")}),
            pd.DataFrame({"category": pd.Series(dtype="str"), "luxury_price": pd.Series(dtype="float64")}),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return everything as one table: ``kind`` (product, category, gap), ``key``, ``value``."""
        products = pd.DataFrame(
            {"kind": "product", "key": self.product_prices["product_id"], "value": self.product_prices["cheap_price"]}
        )
        categories = pd.DataFrame(
            {"kind": "category", "key": self.category_prices["category"], "value": self.category_prices["luxury_price"]}
        )
        gap = pd.DataFrame({"kind": ["gap"], "key": ["median_gap_days"], "value": [self.median_gap_days]})
        frame = pd.concat([products, categories, gap], ignore_index=True)
        return frame.astype({"kind": "str", "key": "str", "value": "float64"})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "StoreReference":
        """Rebuild a reference from ``to_frame``.

        Examples
        --------
        >>> reference = StoreReference(*_empty_frames(), median_gap_days=30.0)
        >>> StoreReference.from_frame(reference.to_frame()).median_gap_days
        30.0
        """
        by_kind = {kind: frame[frame["kind"] == kind].reset_index(drop=True) for kind in ("product", "category", "gap")}
        gap = by_kind["gap"]["value"].iloc[0]
        return cls(
            by_kind["product"][["key", "value"]].set_axis(list(PRODUCT_PRICES_SCHEMA), axis=1),
            by_kind["category"][["key", "value"]].set_axis(list(CATEGORY_PRICES_SCHEMA), axis=1),
            None if pd.isna(gap) else float(gap),
        )

    def tables(self) -> dict[str, pa.Table]:
        """Return the input tables ``product_prices``, ``category_prices`` and ``store_gaps``."""
        string, float64 = pa.string(), pa.float64()
        return {
            "product_prices": pa.table(
                self.product_prices[list(PRODUCT_PRICES_SCHEMA)],
                schema=pa.schema([("product_id", string), ("cheap_price", float64)]),
            ),
            "category_prices": pa.table(
                self.category_prices[list(CATEGORY_PRICES_SCHEMA)],
                schema=pa.schema([("category", string), ("luxury_price", float64)]),
            ),
            "store_gaps": pa.table({next(iter(STORE_GAPS_SCHEMA)): pa.array([self.median_gap_days], float64)}),
        }


def fit_reference(orders: pd.DataFrame, items: pd.DataFrame | None, observation_end: pd.Timestamp) -> StoreReference:
    """Fit the store-wide quantities on orders before ``observation_end``.

    Parameters
    ----------
    orders, items : DataFrame
        As for ``extract_features``.
    observation_end : Timestamp
        Naive UTC, exclusive.

    Returns
    -------
    StoreReference
    """
    orders = orders[["order_id", "customer_id"]].assign(order_date=naive_utc(orders["order_date"]))
    visible = orders[orders["order_date"] < observation_end]
    ordered = visible.sort_values(["customer_id", "order_date"])
    gaps = ordered.groupby("customer_id")["order_date"].diff().dropna().dt.total_seconds() / 86_400
    median_gap = float(gaps.median()) if len(gaps) else None
    if items is None or items.empty:
        return StoreReference(*_empty_frames(), median_gap)
    lines = items.loc[among(items["order_id"], visible["order_id"]) & (items["price"] > 0) & (items["quantity"] > 0)]
    return StoreReference(_cheap_prices(lines), _luxury_prices(lines), median_gap)


def _empty_frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    empty = StoreReference.empty()
    return empty.product_prices, empty.category_prices


def _cheap_prices(lines: pd.DataFrame) -> pd.DataFrame:
    by_product = lines.groupby("product_id")["price"]
    history = by_product.agg(n="size", median="median")
    history["cheap_price"] = by_product.quantile(CHEAP_QUANTILE)
    # A product that hardly ever changes price has no cheapest decile to hunt for.
    kept = history[(history["n"] >= MIN_PRICE_HISTORY) & (history["cheap_price"] < history["median"])]
    return _keyed(kept["cheap_price"])


def _luxury_prices(lines: pd.DataFrame) -> pd.DataFrame:
    if "category" not in lines or lines["category"].isna().all():
        return _empty_frames()[1]
    by_category = lines.groupby("category")["price"].quantile(LUXURY_QUANTILE)
    return _keyed(by_category.rename("luxury_price"))


def _keyed(prices: pd.Series) -> pd.DataFrame:
    """Prices with their key as a text column, as the engine joins it."""
    return prices.set_axis(prices.index.astype("str")).reset_index()
