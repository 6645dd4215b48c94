"""Beside the axes: raw orders → who is about to stay away, one model a store.

Belongs here: the asset, its check and what people read about it. Does not: learning (``churn``), any MLflow call
(``resources.churn_tracking``), the profile's columns (``profiles.risk``).
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from quimbi_assets.churn.picture import draw_calibration
from quimbi_assets.churn.training import MOST_CUSTOMERS, ChurnFit, train_churn
from quimbi_assets.churn.trial import Trial
from quimbi_assets.defs.partitions import CHURN_KEY, FRAMES, ORDERS_KEY, OWNERS, STORES
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.stage_tables import INACTIVE, facts, inactive_frame, instant_of
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.resources.mlflow.churn import INSTANT
from quimbi_assets.resources.mlflow.registry import LoadedModel
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.progress import Progress

CHECK = "risk_is_calibrated"
MOST_ERROR = 0.05
"""Calibration error from which risks are not what happens."""


LATER = {"dagster/priority": "-1"}
"""Of the steps that could be next, this one comes last: MLflow is imported by then, while the database answered."""


class ChurnOptions(dg.Config):
    """As of when, how many customers to learn from, and the seed that draws them."""

    as_of: str | None = None
    most_customers: int = MOST_CUSTOMERS
    random_state: int = 0


@dg.asset(
    key=CHURN_KEY,
    ins={"orders": dg.AssetIn(ORDERS_KEY)},
    partitions_def=STORES,
    group_name="churn",
    op_tags=LATER,
    owners=OWNERS,
    kinds={"scikitlearn", "mlflow"},
    io_manager_key=FRAMES,
    check_specs=[dg.AssetCheckSpec(CHECK, asset=CHURN_KEY)],
    description="Who is about to stay away: learnt from the store's own past, tested on its last stretches beside days "
    "since the last order alone, which serve instead where they tell better. Registered in MLflow as "
    "`<store>.churn_risk`.",
)
@retried
def churn_model(
    context: dg.AssetExecutionContext,
    config: ChurnOptions,
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
    orders: pd.DataFrame,
) -> Iterator[dg.Output | dg.AssetCheckResult]:
    """Fit, test, log and register the churn model of the partition's store."""
    progress.step("learning who stays away")
    end = instant_of(config.as_of, orders)
    try:
        fit = train_churn(orders, end, most_customers=config.most_customers, random_state=config.random_state)
    except InsufficientHistoryError as why:
        frame = inactive_frame(str(why))
        frame.attrs[INSTANT] = str(end)
        yield dg.Output(frame, metadata={"status": INACTIVE, "reason": str(why)})
        yield dg.AssetCheckResult(asset_key=CHURN_KEY, check_name=CHECK, passed=True, metadata={"status": INACTIVE})
        return
    picture = draw_calibration(fit.trial)
    logged = tracking.log_churn(context.partition_key, fit, str(end), context.run_id, picture)
    frame = _summary(fit, logged)
    frame.attrs = {INSTANT: str(end), "run_id": context.run_id}
    url = tracking.run_url(logged.run_id)
    tested = {"test_windows": fit.trial.by_window, "calibration": picture}
    yield dg.Output(frame, metadata=facts(**frame.iloc[0].to_dict(), mlflow_run=url, **tested))
    yield _check(fit.trial)


def _summary(fit: ChurnFit, logged: LoadedModel) -> pd.DataFrame:
    """Return one row about the model that serves and what the test found."""
    trial = fit.trial
    row = {
        "status": "active" if trial.weak_reason is None else "weak",
        "reason": trial.weak_reason,
        "serves": trial.serves,
        "chosen": trial.kind,
        "horizon_days": trial.horizon_days,
        "auc": trial.served.auc.value,
        "auc_of_chosen": trial.model.auc.value,
        "auc_of_silence": trial.silence.auc.value,
        "auc_difference": trial.difference.value,
        "auc_difference_low": trial.difference.low,
        "auc_difference_high": trial.difference.high,
        "brier": trial.served.brier,
        "brier_of_silence": trial.silence.brier,
        "brier_of_base_rate": trial.base_brier,
        "calibration_error": trial.served.calibration_error,
        "worst_calibration_error": trial.worst_calibration_error,
        "lift_top_decile": trial.served.lift,
        "tested_from": str(trial.windows[-1].cut),
        "windows_tested": len(trial.windows),
        "customers_tested": trial.n_customers,
        "stayed_away": trial.away_share,
        "mlflow_run_id": logged.run_id,
        "model_version": str(logged.version),
    }
    return pd.DataFrame([row])


def _check(trial: Trial) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=CHURN_KEY,
        check_name=CHECK,
        passed=bool(trial.served.calibration_error <= MOST_ERROR),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Over the last windows of {trial.horizon_days} days, each unseen, risk and what happened differ "
        f"by at most {100 * MOST_ERROR:.0f} points on average over tenths of customers.",
        metadata=facts(
            calibration_error=float(trial.served.calibration_error),
            windows=len(trial.windows),
            calibration_error_of_the_worst_window=float(trial.worst_calibration_error),
            brier=float(trial.served.brier),
            auc=float(trial.served.auc.value),
            serves=trial.serves,
        ),
    )
