"""Store-wide quantities that a few features are measured against, fitted with the models and saved beside them.

Belongs here: what is cheap for a product, what is luxury within a category, the store's usual gap. Does not:
anything measured on one customer.
"""

from dataclasses import dataclass
from functools import cache

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from quimbi_assets.axes._tables import REFERENCE_SCHEMAS
from quimbi_assets.history import History, days_between, orders_before, visible_items

#: Sales from which a product's own price history is long enough to call a price cheap.
MIN_PRICE_HISTORY = 10
CHEAP_QUANTILE = 0.1
LUXURY_QUANTILE = 0.8


@dataclass(frozen=True)
class StoreReference:
    """Fitted store-wide quantities."""

    product_prices: pd.DataFrame
    """``product_id``, ``cheap_price``: the 10 % quantile of the product's own unit prices, for products sold at least
    10 times at more than one price level."""
    category_prices: pd.DataFrame
    """``category``, ``luxury_price``: the 80 % quantile of unit prices within the category."""
    median_gap_days: float | None = None
    """Median days between consecutive orders of the same customer."""

    @classmethod
    def empty(cls) -> "StoreReference":
        """Return a reference that knows nothing."""
        return cls(
            pd.DataFrame({"product_id": pd.Series(dtype="str"), "cheap_price": pd.Series(dtype="float64")}),
            pd.DataFrame({"category": pd.Series(dtype="str"), "luxury_price": pd.Series(dtype="float64")}),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return everything as one table: ``kind`` (product, category, gap), ``key``, ``value``."""
        gap = pd.DataFrame({"key": ["median_gap_days"], "value": [self.median_gap_days]})
        products = self.product_prices[["product_id", "cheap_price"]]
        categories = self.category_prices[["category", "luxury_price"]]
        by_kind = {"product": products, "category": categories, "gap": gap}
        tables = [table.set_axis(["key", "value"], axis=1).assign(kind=kind) for kind, table in by_kind.items()]
        frame = pd.concat(tables, ignore_index=True)[["kind", "key", "value"]]
        return frame.astype({"kind": "str", "key": "str", "value": "float64"})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "StoreReference":
        """Rebuild a reference from ``to_frame``.

        >>> empty = StoreReference.empty()
        >>> reference = StoreReference(empty.product_prices, empty.category_prices, median_gap_days=30.0)
        >>> StoreReference.from_frame(reference.to_frame()).median_gap_days
        30.0
        """
        by_kind = {kind: frame[frame["kind"] == kind].reset_index(drop=True) for kind in ("product", "category", "gap")}
        gap = by_kind["gap"]["value"].iloc[0]
        return cls(
            by_kind["product"][["key", "value"]].set_axis(["product_id", "cheap_price"], axis=1),
            by_kind["category"][["key", "value"]].set_axis(["category", "luxury_price"], axis=1),
            None if pd.isna(gap) else float(gap),
        )

    def content(self) -> int:
        """Return a number that is the same for references that features come out the same against."""
        frame = self.to_frame().sort_values(["kind", "key"])
        return hash(tuple(pd.util.hash_pandas_object(frame, index=False)))

    def tables(self) -> dict[str, pa.Table]:
        """Return the input tables ``product_prices``, ``category_prices`` and ``store_gaps``."""
        frames = {
            "product_prices": self.product_prices,
            "category_prices": self.category_prices,
            "store_gaps": pd.DataFrame({"median_gap_days": [self.median_gap_days]}),
        }
        schemas = {name: ibis.schema(columns).to_pyarrow() for name, columns in REFERENCE_SCHEMAS.items()}
        return {name: pa.table(frame[schemas[name].names], schema=schemas[name]) for name, frame in frames.items()}


def fit_reference(history: History) -> StoreReference:
    """Fit the store-wide quantities on what was visible at the history's end.

    DuckDB does this for stores on Spark too: exact quantiles hold two numbers a line (0.3 GB for the 16.8 million lines
    of a million customers), and what else passes ``engines.MEMORY`` goes to disk.
    """
    with history.open() as engine:
        gap, products, categories = (engine.arrow(question).to_pandas() for question in _compiled())
    median = gap["median_gap_days"].iloc[0]
    return StoreReference(
        products.astype({"product_id": "str"}),
        categories.astype({"category": "str"}),
        None if pd.isna(median) else float(median),
    )


@cache
def _compiled() -> list[str]:
    """Compile the three questions, for DuckDB."""
    questions = (_median_gap(), _cheap_prices(), _luxury_prices())
    return [str(ibis.to_sql(question, dialect="duckdb")) for question in questions]


def _median_gap() -> ir.Table:
    orders = orders_before()
    in_time = ibis.window(group_by="customer_id", order_by="order_date")
    gaps = orders.select(gap_days=days_between(orders.order_date.lag().over(in_time), orders.order_date))
    return gaps.aggregate(median_gap_days=gaps.gap_days.quantile(0.5))


def _sold() -> ir.Table:
    lines = visible_items(guests=True)
    return lines.filter((lines.price > 0) & (lines.quantity > 0))


def _cheap_prices() -> ir.Table:
    lines = _sold()
    history = lines.group_by("product_id").agg(
        n=lines.count(), median=lines.price.quantile(0.5), cheap_price=lines.price.quantile(CHEAP_QUANTILE)
    )
    # A product that hardly ever changes price has no cheapest decile to hunt for.
    varied = history.filter((history.n >= MIN_PRICE_HISTORY) & (history.cheap_price < history["median"]))
    return varied.filter(varied.product_id.notnull()).select("product_id", "cheap_price").order_by("product_id")


def _luxury_prices() -> ir.Table:
    lines = _sold()
    known = lines.filter(lines.category.notnull())
    return known.group_by("category").agg(luxury_price=known.price.quantile(LUXURY_QUANTILE)).order_by("category")
