"""A store's churn model in MLflow: one run a fit, its test on unseen history, and the registered version that serves.

Belongs here: what is logged of it, and which version serves as of an instant. Does not: fitting (``churn``), the
registry (``model_registry``).

A version serves from when it is registered: there is no identity to protect, and the test on unseen history has already
chosen what serves. As of the past it is the last version whose data end no later, as with the axes' models.
"""

import tempfile
import time
from pathlib import Path

import pandas as pd
from dagster import AssetKey

from quimbi_assets.churn.history import measure, read_history
from quimbi_assets.churn.training import ChurnFit
from quimbi_assets.churn.trial import Figures, bins_of
from quimbi_assets.resources.mlflow.promotion import keep_for_past, promote
from quimbi_assets.resources.mlflow.registry import CHURN, LoadedModel
from quimbi_assets.resources.mlflow.tracking import Tracking
from quimbi_assets.resources.parquet_io import FrameIOManager

CHURN_KEY = AssetKey(["churn", "model"])
INSTANT = "observation_end"


def log_churn(
    tracking: Tracking,
    store_id: str,
    fit: ChurnFit,
    as_of: str,
    tags: dict[str, str],
    picture: bytes,
    *,
    for_past: bool = False,
) -> LoadedModel:
    """Log a churn model as a finished run, register it and let it serve.

    Parameters
    ----------
    tracking : Tracking
        Where to.
    store_id : str
        The store.
    fit : ChurnFit
        Model and test; figures of all customers together, never of one.
    as_of : str
        Instant its data end at, naive UTC.
    tags : dict of str to str
        Such as ``dagster_run_id``.
    picture : bytes
        Its calibration, PNG.
    for_past : bool
        Whether it is to score snapshots of its time only: then no alias moves.
    """
    from mlflow.entities import Metric, Param

    run_id = tracking.start_run(store_id, f"churn {as_of[:10]}", {**tags, "as_of": as_of, "kind": "churn"})
    try:
        now = int(time.time() * 1000)
        tracking.client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in trial_metrics(fit).items()],
            params=[Param(name, str(value)) for name, value in _params(fit).items()],
        )
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "calibration.png").write_bytes(picture)
            bins = pd.DataFrame(
                bins_of(fit.trial.windows, fit.trial.told), columns=["risk", "stayed_away", "customers"]
            )
            bins.to_csv(Path(folder) / "calibration.csv", index=False)
            fit.trial.by_window.to_csv(Path(folder) / "test_windows.csv", index=False)
            tracking.client.log_artifacts(run_id, folder)
        experiment_id = tracking.experiment(store_id)
        example = _example(fit.model.horizon_days)
        version = tracking.registry.register_churn(experiment_id, run_id, store_id, fit.model, example, as_of)
        if for_past:
            keep_for_past(tracking.client, store_id, CHURN, version, None)
        else:
            promote(tracking.client, store_id, CHURN, version, fit.trial.serves)
    except BaseException:
        tracking.finish(run_id, "FAILED")
        raise
    tracking.finish(run_id)
    return LoadedModel(fit.model, version, run_id)


def serving_churn(frames: FrameIOManager, tracking: Tracking, store_id: str, as_of: str) -> LoadedModel | str:
    """Return the churn model that serves as of an instant, or why there is none.

    Parameters
    ----------
    frames : FrameIOManager
        Holds the table of the asset ``churn/model``.
    tracking : Tracking
        Holds the models.
    store_id : str
        The store.
    as_of : str
        Naive UTC, exclusive.
    """
    summary = frames.read(CHURN_KEY, store_id)
    if summary is not None and summary.empty and summary.attrs.get(INSTANT) == as_of:
        return str(summary.attrs["reason"])
    found = tracking.load_predecessors(store_id, {CHURN: as_of}).get(CHURN)
    return found or f"no churn model was fitted on data up to {as_of}; quimbi run --store-id {store_id} fits one"


def trial_metrics(fit: ChurnFit) -> dict[str, float]:
    """Return the figures of a fit's test by the names they have in MLflow."""
    trial = fit.trial
    difference = trial.difference
    return {
        **_figures("model", trial.model),
        **_figures("silence", trial.silence),
        "base_rate.brier": trial.base_brier,
        "auc_difference": difference.value,
        "auc_difference.low": difference.low,
        "auc_difference.high": difference.high,
        "worst_window.calibration_error": trial.worst_calibration_error,
        "test_customers": float(trial.n_customers),
        "test_stayed_away": trial.away_share,
        "examples_fitted": float(fit.model.n_fit_),
    }


def _figures(name: str, found: Figures) -> dict[str, float]:
    return {
        f"{name}.auc": found.auc.value,
        f"{name}.auc.low": found.auc.low,
        f"{name}.auc.high": found.auc.high,
        f"{name}.brier": found.brier,
        f"{name}.calibration_error": found.calibration_error,
        f"{name}.lift_top_decile": found.lift,
    }


def _params(fit: ChurnFit) -> dict[str, object]:
    return {
        "kind_chosen": fit.trial.kind,
        "kind_served": fit.trial.serves,
        "horizon_days": fit.trial.horizon_days,
        "test_windows_from": ", ".join(f"{window.cut:%Y-%m-%d}" for window in fit.trial.windows),
        "training_cuts": ", ".join(f"{cut:%Y-%m-%d}" for cut in fit.trial.windows[0].training),
    }


def _example(horizon_days: int) -> pd.DataFrame:
    """Return features of one made-up customer."""
    end = pd.Timestamp("2025-01-01")
    dates = [end - pd.Timedelta(days=days) for days in (90, 60, 35, 10)]
    orders = pd.DataFrame({"customer_id": "example", "order_date": dates, "total_price": [20.0, 35.0, 15.0, 30.0]})
    return measure(read_history(orders, end), end, horizon_days).reset_index(drop=True)
