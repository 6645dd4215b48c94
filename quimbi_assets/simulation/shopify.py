"""A simulated store as Shopify would export it: for trying out, and for showing, what a shop does with its own files.

Belongs here: columns and values of Shopify's exports of orders, products and customers, and of a help desk's tickets.
Does not: drawing the store; reading exports (``ingest``). Of the 79 columns of an order export those are written that
are read.
"""

from pathlib import Path
from typing import Unpack

import pandas as pd

from quimbi_assets.simulation.store import StoreOptions, simulate_store

OF_ORDER = {
    "Financial Status": "status",
    "Currency": "currency",
    "Total": "total_price",
    "Discount Amount": "discount_amount",
    "Refunded Amount": "refund_amount",
    "Source": "source",
}
"""Columns that an export fills in an order's first line alone, by the simulation's."""


def write_exports(n_customers: int, out_dir: str | Path, **options: Unpack[StoreOptions]) -> dict[str, int]:
    """Write exports of orders, products and customers, and ``tickets.csv``; return the rows of each, by its name.

    A customer is known by e-mail, as in Shopify; times have the store's offset. One in five customers does not accept
    marketing. The options are those of `simulate_store`; the store is drawn in memory.
    """
    store, folder = simulate_store(n_customers, **options), Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    zone = options.get("time_zone", "America/New_York")
    products = store.order_items.drop_duplicates("product_id").sort_values("product_id")
    customers = store.labels["customer_id"]
    accepts = customers.str[-1].isin(["3", "8"]).map({True: "no", False: "yes"})
    tables = {
        "orders_export": _orders(store.orders, store.order_items, zone),
        "products_export": pd.DataFrame(
            {
                "Handle": products["product_id"],
                "Title": _title(products),
                "Product Category": products["category"],
                "Type": products["product_type"],
                "Variant SKU": products["product_id"].str.upper(),
            }
        ),
        "customers_export": pd.DataFrame(
            {"Customer ID": "'" + customers.str[1:], "Email": _email(customers), "Accepts Email Marketing": accepts}
        ),
        "tickets": store.support_tickets.assign(customer_email=_email(store.support_tickets["customer_id"])).drop(
            columns="customer_id"
        ),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return {name: len(table) for name, table in tables.items()}


def _orders(orders: pd.DataFrame, items: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return one row a line, in the order of the orders' numbers."""
    numbered = orders.sort_values("order_date").reset_index(drop=True)
    numbered["Name"] = [f"#{number}" for number in range(1001, 1001 + len(numbered))]
    lines = numbered.merge(items, on="order_id", suffixes=("", "_of_line"))
    first = ~lines["Name"].duplicated()
    placed = lines["order_date"].dt.tz_convert(zone).dt.strftime("%Y-%m-%d %H:%M:%S %z")
    export = {"Name": lines["Name"], "Email": _email(lines["customer_id"]), "Created at": placed}
    export |= {name: lines[column].where(first) for name, column in OF_ORDER.items()}
    export |= {
        "Lineitem quantity": lines["quantity"],
        "Lineitem name": _title(lines),
        "Lineitem price": lines["price"],
        "Lineitem sku": lines["product_id"].str.upper(),
        "Id": lines["Name"].str[1:].where(first),
    }
    return pd.DataFrame(export)


def _title(lines: pd.DataFrame) -> pd.Series:
    return lines["product_type"] + " " + lines["product_id"].str[1:]


def _email(customers: pd.Series) -> pd.Series:
    return customers + "@example.com"
