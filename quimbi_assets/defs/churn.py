"""Beside the axes: raw orders → who is about to stay away, one model a store.

Belongs here: the asset, its check and what people read about it. Does not: learning (``churn``), any MLflow call
(``resources.mlflow``), the profile's columns (``profiles.risk``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd

from quimbi_assets.axis_table import ACTIVE, INACTIVE, WEAK
from quimbi_assets.churn.evaluation import MOST_CUSTOMERS, ChurnFit, Evaluation, bins_of, draw_calibration, train_churn
from quimbi_assets.defs.events import Metadata, Rule, StageEvent, facts, inactive_events, mlflow_links
from quimbi_assets.defs.labels import data_version, table_metadata
from quimbi_assets.defs.partitions import CHURN_KEY, HISTORY, OWNERS, STORES
from quimbi_assets.defs.runs import retried
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.instants import to_instant
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, StoreDatabase, Tables
from quimbi_assets.resources.mlflow.registry import CHURN, LoadedModel
from quimbi_assets.resources.mlflow.reports import log_churn
from quimbi_assets.resources.postgres.tables.promotions import FITS, FitRecord, choose_versions, write_fit

MOST_ERROR = 0.05
"""Calibration error from which risks are not what happens."""
CHECK = Rule(
    "risk_is_calibrated",
    "Over the last windows, each unseen, risk and what happened differ by at most "
    f"{100 * MOST_ERROR:.0f} points on average over tenths of customers.",
    "order customers by their risk, and do not read it as a chance: a season turned, or the store changed its ways. "
    "The page of `churn/model` has the windows; the next refit (`quimbi run`) learns from them.",
    warns=True,
)

LATER = {"dagster/priority": "-1"}
"""Of the steps that could be next, this one comes last: MLflow is imported by then, while the database answered."""


class ForecastOptions(dg.Config):
    """As of when, how many customers to learn from, and the seed that draws them."""

    as_of: str | None = None
    most_customers: int = MOST_CUSTOMERS
    random_state: int = 0


@dg.asset(
    key=CHURN_KEY,
    deps=[*HISTORY],
    partitions_def=STORES,
    group_name="churn",
    op_tags=LATER,
    owners=OWNERS,
    kinds={"scikitlearn", "mlflow", "postgres"},
    check_specs=[CHECK.spec(CHURN_KEY)],
    description="Who is about to stay away: learnt from the store's own past, tested on its last stretches beside days "
    "since the last order alone, which serve instead where they tell better. Registered in MLflow as "
    "`<store>.churn_risk`.",
)
@retried
def churn_model(
    context: dg.AssetExecutionContext,
    config: ForecastOptions,
    database: StoreDatabase,
    tracking: Mlflow,
    tables: Tables,
    progress: Listener,
) -> Iterator[StageEvent]:
    """Fit, test, log and register the churn model of the partition's store."""
    progress.step("learning who stays away")
    store_id = context.partition_key
    as_of = None if config.as_of is None else to_instant(config.as_of, "as_of")
    history = tables.history(store_id).until(as_of)
    end = history.end
    try:
        fit = train_churn(history, most_customers=config.most_customers, random_state=config.random_state)
    except InsufficientHistoryError as why:
        write_fit(database, store_id, context.run_id, CHURN, end, FitRecord(INACTIVE, str(why)))
        yield from inactive_events(CHURN_KEY, str(why), [CHECK], table_metadata(database, FITS))
        return
    picture = draw_calibration(fit.evaluation)
    logged = log_churn(tracking, store_id, fit, str(end), {"dagster_run_id": context.run_id}, picture)
    summary, evaluation = _summary(fit, logged), fit.evaluation
    fitted = FitRecord(WEAK if evaluation.weak_reason else ACTIVE, evaluation.weak_reason, logged.version, summary)
    write_fit(database, store_id, context.run_id, CHURN, end, fitted)
    choose_versions(database, store_id, {CHURN: logged.choice()})
    metadata = forecast_facts(fitted, logged.run_id, evaluation.by_hold_out) | table_metadata(database, FITS)
    yield dg.MaterializeResult(asset_key=CHURN_KEY, metadata=metadata, data_version=data_version(logged.version))
    yield _check(evaluation)


def forecast_facts(fit: FitRecord, run_id: str, test_windows: pd.DataFrame) -> Metadata:
    """Return what the page of a forecast shows: its status, its figures, a row a window tested, their picture."""
    figures = {"status": fit.status, "reason": fit.reason, **fit.figures}
    figures.pop("calibration_bins", None)  # drawn
    figures.pop("mlflow_run_id")  # linked
    return facts(**figures, test_windows=test_windows) | mlflow_links(run_id, ["calibration.png"])


def _summary(fit: ChurnFit, logged: LoadedModel) -> dict[str, Any]:
    """Say which model serves and what the test found."""
    evaluation = fit.evaluation
    return {
        "serves": evaluation.serves,
        "chosen": evaluation.kind,
        "horizon_days": evaluation.horizon_days,
        "auc": evaluation.served.auc.value,
        "auc_of_chosen": evaluation.model.auc.value,
        "auc_of_silence": evaluation.baseline.auc.value,
        "auc_difference": evaluation.difference.value,
        "auc_difference_low": evaluation.difference.low,
        "auc_difference_high": evaluation.difference.high,
        "brier": evaluation.served.brier,
        "brier_of_silence": evaluation.baseline.brier,
        "brier_of_base_rate": evaluation.base_brier,
        "calibration_error": evaluation.served.calibration_error,
        "calibration_bins": bins_of(evaluation.hold_outs, evaluation.risk_served).round(4).tolist(),
        "worst_calibration_error": evaluation.worst_calibration_error,
        "lift_top_decile": evaluation.served.lift,
        "tested_from": str(evaluation.hold_outs[-1].cut_off),
        "windows_tested": len(evaluation.hold_outs),
        "customers_tested": evaluation.n_customers,
        "stayed_away": evaluation.away_share,
        "mlflow_run_id": logged.run_id,
        "model_version": logged.version,
    }


def _check(evaluation: Evaluation) -> dg.AssetCheckResult:
    return CHECK.result(
        CHURN_KEY,
        evaluation.served.calibration_error <= MOST_ERROR,
        horizon_days=evaluation.horizon_days,
        calibration_error=float(evaluation.served.calibration_error),
        windows=len(evaluation.hold_outs),
        calibration_error_of_the_worst_window=float(evaluation.worst_calibration_error),
        brier=float(evaluation.served.brier),
        auc=float(evaluation.served.auc.value),
        serves=evaluation.serves,
    )
