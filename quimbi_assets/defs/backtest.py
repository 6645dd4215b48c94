"""Beside the stages: whether segments of past instants told what customers did next, beside RFM.

Belongs here: running the backtest of a store, its record in MLflow and what the UI shows of it. Does not: the
statistics (``quimbi_assets.backtest``). It fits models of its own at every instant and touches none that serves.
"""

import os

import dagster as dg
import pandas as pd

from quimbi_assets.backtest.picture import draw_backtest
from quimbi_assets.backtest.verdict import BETTER, UNKNOWN, Backtest, backtest
from quimbi_assets.defs.partitions import FRAMES, ITEMS_KEY, ORDERS_KEY, OWNERS, STORES
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.stage_tables import business_hours, facts
from quimbi_assets.resources.mlflow.backtest import log_backtest
from quimbi_assets.resources.mlflow.resource import DEFAULT_UI, UI_VARIABLE, MlflowTracking
from quimbi_assets.resources.parquet_io import FrameIOManager
from quimbi_assets.resources.progress import Progress

BACKTEST_KEY = dg.AssetKey(["backtest", "report"])
SHOWN = ("verdict", "segments", "memberships", "rfm", "difference", "memberships_verdict", "outcomes", "reason")


@dg.asset(
    key=BACKTEST_KEY,
    deps=[ORDERS_KEY, ITEMS_KEY],
    partitions_def=STORES,
    group_name="backtest",
    owners=OWNERS,
    kinds={"scikitlearn", "mlflow"},
    io_manager_key=FRAMES,
    description="History is cut at several instants and every axis fitted there: what share of the variance of the "
    "next 90 days its segments explain, and memberships in them, beside as many RFM groups. One row an axis; run it "
    "before you act on them.",
)
@retried
def backtest_report(
    context: dg.AssetExecutionContext,
    frames: dg.ResourceParam[FrameIOManager],
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
) -> dg.Output[pd.DataFrame]:
    """Backtest the partition's store."""
    store_id = context.partition_key
    orders, items = frames.read(ORDERS_KEY, store_id), frames.read(ITEMS_KEY, store_id)
    if orders is None:
        raise dg.Failure(f"store {store_id} has no orders yet: materialize raw/orders")
    found = backtest(
        orders,
        items,
        time_zone=orders.attrs.get("time_zone", "UTC"),
        business_hours=business_hours(orders),
        progress=lambda message, done: progress.step(message, 0.05 + 0.9 * done),
    )
    progress.step("logging to MLflow", 0.97)
    run_id = log_backtest(tracking.tracking(), store_id, found, {"dagster_run_id": context.run_id})
    url = tracking.tracking().run_url(run_id, os.environ.get(UI_VARIABLE, DEFAULT_UI))
    table = found.axes.reset_index()
    table.attrs = {
        "cuts": [cut.isoformat() for cut in found.cuts],
        "horizon_days": found.horizon_days,
        "mlflow_run_id": run_id,
        "mlflow_url": url,
    }
    return dg.Output(table, metadata=_metadata(found, url))


def _metadata(found: Backtest, url: str) -> dict[str, dg.MetadataValue]:
    measured = found.axes[found.axes["verdict"] != UNKNOWN]
    columns = [column for column in SHOWN if column in found.axes]
    return facts(
        len(found.axes),
        axes_measured=len(measured),
        axes_better_than_rfm=int((measured["verdict"] == BETTER).sum()),
        axes_with_memberships_better_than_rfm=int((measured["memberships_verdict"] == BETTER).sum()),
        cuts=", ".join(f"{cut:%Y-%m-%d}" for cut in found.cuts),
        mlflow_run=url,
        axes=found.axes[columns].reset_index(),
        picture=draw_backtest(found) if len(measured) else None,
    )
