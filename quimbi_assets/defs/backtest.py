"""Beside the stages: whether segments of past instants told what customers did next, beside RFM.

Belongs here: running the backtest of a store, its record in MLflow and what the UI shows of it. Does not: the
statistics (``quimbi_assets.backtest``). It fits models of its own at every instant and touches none that serves.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from quimbi_assets.axis_table import Facts
from quimbi_assets.backtest.evaluation import COMPARISONS, SHARES, Backtest, backtest
from quimbi_assets.defs.events import Metadata, StageEvent, facts, mlflow_links
from quimbi_assets.defs.partitions import BACKTEST_KEY, HISTORY, OWNERS, STORES
from quimbi_assets.defs.runs import retried
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, Tables
from quimbi_assets.resources.mlflow.reports import log_backtest
from quimbi_assets.resources.mlflow.runs import run_url

SHOWN = (*(f"{prefix}verdict" for prefix in COMPARISONS), *SHARES, "outcomes", "reason")


@dataclass(frozen=True)
class BacktestFacts(Facts):
    """Facts about a backtest's table; ``cuts`` are instants, ISO, naive UTC."""

    cuts: tuple[str, ...]
    horizon_days: int
    mlflow_run_id: str
    mlflow_url: str


@dg.asset(
    key=BACKTEST_KEY,
    deps=HISTORY,
    partitions_def=STORES,
    group_name="backtest",
    owners=OWNERS,
    kinds={"scikitlearn", "mlflow"},
    description="History is cut at several instants and every axis fitted there: what share of the variance of the "
    "next 90 days its segments explain, and memberships in them, beside as many RFM groups. One row an axis; run it "
    "before you act on them.",
)
@retried
def backtest_report(
    context: dg.AssetExecutionContext, tables: Tables, tracking: Mlflow, progress: Listener
) -> Iterator[StageEvent]:
    """Backtest the partition's store."""
    store_id = context.partition_key
    report = backtest(
        tables.history(store_id), progress=lambda message, done: progress.step(message, 0.05 + 0.9 * done)
    )
    progress.step("logging to MLflow", 0.97)
    run_id = log_backtest(tracking, store_id, report, {"dagster_run_id": context.run_id})
    cuts = tuple(cut.isoformat() for cut in report.cut_offs)
    backtest_facts = BacktestFacts(cuts, report.horizon_days, run_id, run_url(run_id))
    tables.write(BACKTEST_KEY, store_id, report.axes.reset_index(), backtest_facts)
    yield dg.MaterializeResult(metadata=_metadata(report, run_id))


def _metadata(report: Backtest, run_id: str) -> Metadata:
    n_measured = len(report.measured)
    columns = [column for column in SHOWN if column in report.axes]
    return facts(
        len(report.axes),
        axes_measured=n_measured,
        axes_better_than_rfm=report.better(""),
        axes_with_memberships_better_than_rfm=report.better("memberships_"),
        axes_with_memberships_adding_to_rfm=report.better("added_"),
        cuts=", ".join(f"{cut:%Y-%m-%d}" for cut in report.cut_offs),
        axes=report.axes[columns].reset_index(),
    ) | mlflow_links(run_id, ["backtest.png"] if n_measured else [])
