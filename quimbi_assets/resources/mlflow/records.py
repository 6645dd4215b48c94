"""What a fitted model leaves in MLflow, axes' and churn models alike, under names that never change.

Belongs here: the names, so that runs of different weeks and stores compare, and what is logged of a fit. Does not: how
a run is written (``runs``), registered models (``registry``), what is logged where nothing was fitted (``reports``),
any decision about models. Nothing of a customer is recorded but counts, aggregates and a digest.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.churn.evaluation import Figures, bins_of
from quimbi_assets.churn.history import measure, read_history
from quimbi_assets.churn.training import ChurnFit
from quimbi_assets.clustering.axis_fit import AxisFit
from quimbi_assets.clustering.candidates import BOOTSTRAP_SIZE, N_BOOTSTRAPS, N_INIT, SILHOUETTE_SAMPLE
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.noise_test import NoiseTest
from quimbi_assets.clustering.promotion import Decision
from quimbi_assets.clustering.quality import effective_segments
from quimbi_assets.clustering.scaling import WINSOR
from quimbi_assets.clustering.selection import chosen_subset
from quimbi_assets.clustering.summary import bins_table
from quimbi_assets.history import History
from quimbi_assets.resources.mlflow.registry import CHURN, FOR_PAST, HELD, PASSED, LoadedModel
from quimbi_assets.resources.mlflow.runs import STORE_REFERENCE, Run, Tracking

BY_K = (
    "silhouette",
    "calinski_harabasz",
    "davies_bouldin",
    "largest_share",
    "smallest_share",
    "stability_ari",
    "smallest_jaccard",
)
"""Metrics of every candidate, logged with the number of segments as step."""
COMPARED = ("churn", "silhouette_change", "stability_change")
"""Metrics of a refit against the champion."""


@contextmanager
def materialization(
    tracking: Tracking, store_id: str, dagster_run_id: str, options: Mapping[str, object]
) -> Iterator["MaterializationLog"]:
    """Open the run of one materialization, parent of its axes' runs; it ends as finished or failed with the block.

    Parameters
    ----------
    tracking : Tracking
    store_id : str
    dagster_run_id : str
        Tagged on every run, so that the two UIs can be matched.
    options : mapping
        Of the run, tagged on the parent.
    """
    tags = {"dagster_run_id": dagster_run_id}
    name = f"{store_id} {time.strftime('%Y-%m-%d %H:%M', time.gmtime())}"
    with tracking.run(store_id, name, {**tags, **{f"option.{key}": value for key, value in options.items()}}) as run:
        yield MaterializationLog(tracking, store_id, run, tags)


@dataclass(frozen=True)
class MaterializationLog:
    """Logs the axes of one materialization below its run."""

    tracking: Tracking
    store_id: str
    run: Run
    tags: Mapping[str, str]

    def axis(
        self, axis_name: str, fit: AxisFit, features: pd.DataFrame, as_of: str, reference: pd.DataFrame | None = None
    ) -> LoadedModel:
        """Log a fitted axis and register its model, which waits until a publication is made with it.

        Parameters
        ----------
        axis_name : str
        fit : AxisFit
            Its model, the decision and pictures.
        features : DataFrame of n rows indexed by customer
            What it was fitted on; leaves a digest and counts only.
        as_of : str
            Where these end, naive UTC, exclusive.
        reference : DataFrame, optional
            The store reference that they were measured against, where the axis has one.
        """
        tags = {**self.tags, "as_of": as_of, "axis": axis_name}
        model, decision = fit.model, fit.decision
        fate = (PASSED if decision.promoted else HELD, decision.reason)
        with self.tracking.run(self.store_id, f"{axis_name} {as_of[:10]}", tags, parent=self.run) as run:
            # MLflow's page of two runs draws the parameters in which they differ, and compares nothing else by default.
            run.log(metrics(model, decision), {"as_of": as_of[:10], **params(model)}, decision_tags(decision))
            _log_dataset(run, self.store_id, axis_name, features)
            kept = {} if reference is None else {STORE_REFERENCE: reference.to_csv(index=False)}
            run.write({**tables(model), **fit.pictures, **kept})
            return self.tracking.registry.register(
                run,
                self.store_id,
                axis_name,
                model,
                input_example(model),
                as_of,
                fate,
                version_facts(model),
            )

    def differences(self, logged: LoadedModel, found: NoiseTest) -> None:
        """Add to an axis's run whether its customers really differ: tags ``status`` and ``reason``, and figures."""
        tags = {"status": found.status} | ({"reason": found.reason} if found.reason else {})
        Run(self.tracking.client, logged.run_id, self.run.experiment_id).log(found.metrics(), tags=tags)

    def inactive(self, axis_name: str, reason: str) -> None:
        """Note that an axis is inactive, and why."""
        self.run.log(tags={f"inactive.{axis_name}": reason})


def params(model: AxisModel) -> dict[str, str]:
    """Return what determined the fit, as text."""
    return {
        "axis": model.axis,
        "features": ", ".join(model.features_),
        "features_dropped": json.dumps(model.dropped_),
        "transforms": json.dumps(dict(zip(model.features_, model.transforms_, strict=True))),
        "structural": json.dumps([list(state) for state in model.structural]),
        "min_orders": str(model.min_orders),
        "min_k": str(model.min_k),
        "max_k": str(model.max_k),
        "max_sample": str(model.max_sample),
        "temperature": str(model.temperature),
        "random_state": str(model.random_state),
        "winsor": json.dumps(WINSOR),
        "n_init": str(N_INIT),
        "n_bootstraps": str(N_BOOTSTRAPS),
        "bootstrap_size": str(BOOTSTRAP_SIZE),
        "silhouette_sample": str(SILHOUETTE_SAMPLE),
    }


def metrics(model: AxisModel, decision: Decision) -> Iterator[tuple[str, float, int]]:
    """Yield metrics of the fit and of its comparison with the champion.

    Yields
    ------
    tuple of (str, float, int)
        Name, value (finite), step: the number of segments for :data:`BY_K`, the segment's number for
        ``segment_share`` and ``segment_stability``, else 0.
    """
    chosen = model.selection_[model.selection_["chosen"]].iloc[0]
    final = {
        "best_k": model.k_,
        "silhouette_best": model.silhouette_,
        "stability_ari_best": model.stability_ari_,
        "smallest_jaccard_best": chosen["smallest_jaccard"],
        "effective_segments": effective_segments(model.shares_),
        "largest_segment_share": model.shares_.max(),
        "smallest_segment_share": model.shares_.min(),
        "customers_fitted": model.n_fit_,
        "customers_low_evidence": model.n_low_evidence_,
        **({} if decision.comparison is None else {name: getattr(decision.comparison, name) for name in COMPARED}),
    }
    stepped = [
        (name, row[name], int(row["k"])) for _, row in chosen_subset(model.selection_).iterrows() for name in BY_K
    ]
    segments = [("segment_share", share, i + 1) for i, share in enumerate(model.shares_)]
    segments += [("segment_stability", value, i + 1) for i, value in enumerate(model.segment_stability_)]
    for name, value, step in [*((n, v, 0) for n, v in final.items()), *stepped, *segments]:
        if np.isfinite(value):
            yield name, float(value), step


def decision_tags(decision: Decision) -> dict[str, str]:
    """Return whether and why a fit is to serve, as tags of its run."""
    return {
        "promotion": "promoted" if decision.promoted else "held",
        "promotion.reason": decision.reason,
        "promotion.failed": ", ".join(decision.failed),
    }


def version_facts(model: AxisModel) -> dict[str, str]:
    """Return what MLflow's page of a version shows of its model, as tags."""
    return {
        "segment_ids": json.dumps(model.segment_ids_),
        "k": str(model.k_),
        "silhouette": f"{model.silhouette_:.4f}",
        "stability_ari": f"{model.stability_ari_:.4f}",
    }


def tables(model: AxisModel) -> dict[str, str]:
    """Return the tables of a fit by file name."""
    centres = model.centers_shop_.where(model.coverage_ > 0)
    centres.insert(0, "share", model.shares_)
    return {
        "centres.csv": centres.rename_axis("segment_id").to_csv(),
        "centres.json": centres.to_json(orient="index", indent=1),
        "quantiles.csv": model.quantiles_.to_csv(),
        "population.csv": model.population_.rename_axis("feature").to_csv(),
        "selection.csv": model.selection_.to_csv(index=False),
        "lineage.csv": model.lineage_.to_csv(index=False),
        "reference_bins.csv": bins_table(model.reference_bins_).to_csv(index=False),
        "scaler.json": json.dumps(model.scaler_params(), indent=1),
    }


def input_example(model: AxisModel) -> pd.DataFrame:
    """Return three made-up customers: the population's lower decile, median and upper decile of every feature."""
    return model.population_[["p10", "median", "p90"]].T.reset_index(drop=True)


def _log_dataset(run: Run, store_id: str, axis_name: str, features: pd.DataFrame) -> None:
    """Note which customers' features were used: a digest and counts, never a row."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=f"{store_id}.{axis_name}",
        digest=digest(features),
        source_type="quimbi",
        source=json.dumps({"store": store_id, "asset": f"features/{axis_name}"}),
        profile=json.dumps(dataset_profile(features)),
    )
    run.client.log_inputs(run.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def digest(features: pd.DataFrame) -> str:
    """Digest of a feature frame that does not depend on the order of its rows.

    Parameters
    ----------
    features : DataFrame of n rows indexed by customer
        The axis's frame.

    Returns
    -------
    str
        16 hexadecimal digits; equal for equal customers, columns and values.
    """
    rows = np.sort(pd.util.hash_pandas_object(features).to_numpy())
    columns = ",".join(map(str, features.columns)).encode()
    return hashlib.blake2b(rows.tobytes() + columns, digest_size=8).hexdigest()


def dataset_profile(features: pd.DataFrame) -> dict[str, Any]:
    """Return counts of a feature frame: rows, and per column how many values are defined."""
    return {"num_rows": len(features), "defined": {str(c): int(n) for c, n in features.notna().sum().items()}}


def log_churn(
    tracking: Tracking,
    store_id: str,
    fit: ChurnFit,
    as_of: str,
    tags: Mapping[str, str],
    picture: bytes,
    *,
    for_past: bool = False,
) -> LoadedModel:
    """Log a churn model as a run of its own and register it; it waits until a publication is made with it.

    A fit is to serve without further checks: there is no identity to protect, and the test on unseen history has
    already chosen between it and days since the last order alone.

    Parameters
    ----------
    tracking : Tracking
    store_id : str
    fit : ChurnFit
        Model and test; figures of all customers together, never of one.
    as_of : str
        Instant its data end at, naive UTC.
    tags : mapping of str to str
        Such as ``dagster_run_id``.
    picture : bytes
        Its calibration, PNG.
    for_past : bool
        Whether it is to score snapshots of its time only.
    """
    own = {**tags, "as_of": as_of, "kind": "churn"}
    bins = pd.DataFrame(
        bins_of(fit.evaluation.hold_outs, fit.evaluation.risk_served), columns=["risk", "stayed_away", "customers"]
    )
    with tracking.run(store_id, f"churn {as_of[:10]}", own) as run:
        run.log(churn_metrics(fit), _churn_params(fit))
        run.write(
            {
                "calibration.png": picture,
                "calibration.csv": bins.to_csv(index=False),
                "test_windows.csv": fit.evaluation.by_hold_out.to_csv(index=False),
            }
        )
        return tracking.registry.register(
            run,
            store_id,
            CHURN,
            fit.model,
            _churn_example(fit.model.horizon_days),
            as_of,
            (PASSED, FOR_PAST if for_past else fit.evaluation.serves),
            {"kind": fit.model.kind, "horizon_days": str(fit.model.horizon_days)},
        )


def churn_metrics(fit: ChurnFit) -> dict[str, float]:
    """Return the figures of a churn fit's test by the names they have in MLflow."""
    found = fit.evaluation
    difference = found.difference
    return {
        **_figures("model", found.model),
        **_figures("silence", found.baseline),
        "base_rate.brier": found.base_brier,
        "auc_difference": difference.value,
        "auc_difference.low": difference.low,
        "auc_difference.high": difference.high,
        "worst_window.calibration_error": found.worst_calibration_error,
        "test_customers": float(found.n_customers),
        "test_stayed_away": found.away_share,
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


def _churn_params(fit: ChurnFit) -> dict[str, object]:
    return {
        "kind_chosen": fit.evaluation.kind,
        "kind_served": fit.evaluation.serves,
        "horizon_days": fit.evaluation.horizon_days,
        "test_windows_from": ", ".join(f"{one.cut_off:%Y-%m-%d}" for one in fit.evaluation.hold_outs),
        "training_cuts": ", ".join(f"{cut:%Y-%m-%d}" for cut in fit.evaluation.hold_outs[0].training),
    }


def _churn_example(horizon_days: int) -> pd.DataFrame:
    """Return features of one made-up customer."""
    end = pd.Timestamp("2025-01-01")
    dates = [end - pd.Timedelta(days=days) for days in (90, 60, 35, 10)]
    orders = {"customer_id": "example", "order_date": dates, "total_price": [20.0, 35.0, 15.0, 30.0]}
    history = History.from_frames(pd.DataFrame(orders).reset_index(names="order_id")).until(end)
    return measure(read_history(history), end, horizon_days).reset_index(drop=True)
