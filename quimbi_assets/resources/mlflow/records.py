"""What fitted axes leave in MLflow, under names that never change, so that runs of different weeks and stores compare.

Belongs here: the run of a materialization, and what is logged of an axis below it. Does not: how a run is written
(``runs``), registered models (``registry``), what else is logged (``reports``), any decision about models. Nothing of a
customer is recorded but counts, aggregates and a digest.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from quimbi_assets.axis_table import ACTIVE, INACTIVE, WEAK
from quimbi_assets.clustering.axis_fit import AxisFit
from quimbi_assets.clustering.candidates import BOOTSTRAP_SIZE, N_BOOTSTRAPS, N_INIT, SILHOUETTE_SAMPLE
from quimbi_assets.clustering.model import AxisModel, bins_table
from quimbi_assets.clustering.noise_test import NoiseTest
from quimbi_assets.clustering.promotion import Decision
from quimbi_assets.clustering.quality import effective_segments
from quimbi_assets.clustering.scaling import WINSOR
from quimbi_assets.clustering.selection import chosen_subset
from quimbi_assets.profiles.stays import StayModel
from quimbi_assets.resources.mlflow.registry import HELD, PASSED, LoadedModel, model_description
from quimbi_assets.resources.mlflow.runs import NOTE, STORE_REFERENCE, Run, Tracking, spreadsheet_csv

BY_K = (
    "silhouette", "calinski_harabasz", "davies_bouldin", "largest_share", "smallest_share", "stability_ari",
    "smallest_jaccard",
)  # fmt: skip
"""Metrics of every candidate, logged with the number of segments as step."""
SETTINGS = ("min_orders", "min_k", "max_k", "max_sample", "temperature", "random_state")
"""Parameters of a model that are logged as they are."""
COMPARED = ("churn", "silhouette_change", "stability_change")
"""Metrics of a refit against the champion."""
SHARED_VIEW = "mlflow.sharedViewState."
"""Of an experiment the tags that hold what MLflow's "Share" writes down: how its page of runs is to look."""
COMPARED_OVER_TIME = ("silhouette_best", "best_k", "stability_ari_best", "halves_ari")
"""Metrics of an axis's fits that are looked at side by side, each a chart and a column."""


@contextmanager
def materialization(
    tracking: Tracking, store_id: str, dagster_run_id: str, options: Mapping[str, object]
) -> Iterator["MaterializationLog"]:
    """Open the run of one materialization, parent of its axes' runs; it ends as finished or failed with the block.

    Dagster's run is tagged on every run, so that the two UIs can be matched; options are tagged on the parent.
    """
    tags = {"dagster_run_id": dagster_run_id}
    name = f"{store_id} {time.strftime('%Y-%m-%d %H:%M', time.gmtime())}"
    note = {NOTE: f"All axes of store **{store_id}** fitted at once; figures of all of them here, of each below."}
    options = {f"option.{key}": value for key, value in options.items()}
    with tracking.run(store_id, name, {**tags, **note, **options}) as run:
        log = MaterializationLog(tracking, store_id, run, tags)
        yield log
        run.log(log.summary())


@dataclass(frozen=True)
class MaterializationLog:
    """Logs the axes of one materialization below its run."""

    tracking: Tracking
    store_id: str
    run: Run
    tags: Mapping[str, str]
    states: dict[str, tuple[str, AxisModel | None]] = field(default_factory=dict)
    """Status of each axis and the model that was fitted, None where it is inactive."""

    def summary(self) -> dict[str, float]:
        """Return what the run says of all its axes: how many are what, means of what they have been judged by."""
        states = Counter(state for state, _ in self.states.values())
        models = [model for _, model in self.states.values() if model is not None]
        means = {
            name: np.nanmean([getattr(model, f"{name}_") for model in models]) if models else np.nan
            for name in ("silhouette", "halves_ari", "stability_ari")
        }
        figures = {f"axes_{state}": float(states[state]) for state in (ACTIVE, WEAK, INACTIVE)}
        figures["segments"] = float(sum(model.k_ for model in models))
        figures["customers_fitted"] = float(max((model.n_fit_ for model in models), default=0))
        return figures | {f"mean_{name}": float(mean) for name, mean in means.items() if np.isfinite(mean)}

    def axis(
        self, axis_name: str, fit: AxisFit, features: pd.DataFrame, as_of: str, reference: pd.DataFrame | None = None
    ) -> LoadedModel:
        """Log a fitted axis and register its model, which waits until a publication is made with it.

        ``features`` (n rows indexed by customer, of data up to ``as_of``, naive UTC, exclusive) leave a digest and
        counts only; ``reference`` is what they were measured against, where the axis has one.
        """
        model, decision = fit.model, fit.decision
        tags = {**self.tags, "as_of": as_of, "axis": axis_name, "promotion.reason": decision.reason}
        tags |= {
            "promotion": "promoted" if decision.promoted else "held",
            "promotion.failed": ", ".join(decision.failed),
        }
        fate = (PASSED if decision.promoted else HELD, decision.reason)
        tags[NOTE] = model_description(self.store_id, axis_name)
        with self.tracking.run(self.store_id, f"{axis_name} {as_of[:10]}", tags, parent=self.run) as run:
            # MLflow's page of two runs draws the parameters in which they differ, and compares nothing else by default.
            run.log(metrics(model, decision), {"as_of": as_of[:10], **params(model)})
            _log_dataset(run, self.store_id, axis_name, features)
            self.tracking.client.set_experiment_tag(
                run.experiment_id, f"{SHARED_VIEW}{axis_name}", fits_over_time(axis_name)
            )
            beside = {} if reference is None else {STORE_REFERENCE: spreadsheet_csv(reference)}
            run.write({**tables(model), **fit.pictures, **beside})
            return self.tracking.registry.register(
                run, self.store_id, axis_name, model, input_example(model), as_of, fate, version_facts(model)
            )

    def judged(self, logged: LoadedModel, test: NoiseTest, stays: StayModel) -> None:
        """Add to an axis's run whether its customers really differ, and how they stay in the segments that serve."""
        tags = {"status": test.status} | ({"reason": test.reason} if test.reason else {})
        metrics = {**test.metrics(), **stays.figures()}
        Run(self.tracking.client, logged.run_id, self.run.experiment_id).log(metrics, tags=tags)
        axis_name = logged.model.axis
        self.tracking.registry.judged(self.store_id, axis_name, logged.version, test.status)
        self.states[axis_name] = test.status, logged.model

    def inactive(self, axis_name: str, reason: str) -> None:
        """Note that an axis is inactive, and why."""
        self.run.log(tags={f"inactive.{axis_name}": reason})
        self.states[axis_name] = INACTIVE, None


def fits_over_time(axis_name: str) -> str:
    """Return how MLflow's page of a store's runs is to show an axis: all its fits, oldest first, and their figures."""
    section = "fits"
    charts = [
        {"uuid": metric, "type": "BAR", "metricKey": metric, "metricSectionId": section, "runsCountToCompare": 100}
        for metric in COMPARED_OVER_TIME
    ]
    view = {
        "searchFilter": f"tags.axis = '{axis_name}'",
        "orderByKey": "params.`as_of`",  # by when they were made, MLflow would fold them under the runs above them
        "orderByAsc": True,
        "selectedColumns": [
            "params.`as_of`",
            *(f"metrics.`{metric}`" for metric in COMPARED_OVER_TIME),
            *(f"tags.`{tag}`" for tag in ("status", "promotion")),
        ],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [chart | {"deleted": False, "isGenerated": False} for chart in charts],
        "compareRunSections": [
            {"uuid": section, "name": axis_name, "display": True, "isReordered": False, "isGenerated": False}
        ],
    }
    return json.dumps(view)


def params(model: AxisModel) -> dict[str, object]:
    """Return what determined the fit."""
    return {
        "axis": model.axis,
        "features": ", ".join(model.features_),
        "features_dropped": json.dumps(model.dropped_),
        "transforms": json.dumps(dict(zip(model.features_, model.transforms_, strict=True))),
        "structural": json.dumps([list(state) for state in model.structural]),
        **{name: getattr(model, name) for name in SETTINGS},
        "winsor": json.dumps(WINSOR),
        "n_init": N_INIT,
        "n_bootstraps": N_BOOTSTRAPS,
        "bootstrap_size": BOOTSTRAP_SIZE,
        "silhouette_sample": SILHOUETTE_SAMPLE,
    }


def metrics(model: AxisModel, decision: Decision) -> Iterator[tuple[str, float, int]]:
    """Yield name, value (finite) and step of the metrics of the fit and of its comparison with the champion.

    The step is the number of segments for :data:`BY_K`, the segment's number for ``segment_share`` and
    ``segment_stability``, else 0.
    """
    chosen = model.selection_[model.selection_["chosen"]].iloc[0]
    final = {
        "best_k": model.k_,
        "silhouette_best": model.silhouette_,
        "halves_ari": model.halves_ari_,
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


def version_facts(model: AxisModel) -> dict[str, str]:
    """Return what MLflow's page of a version shows of its model, as tags."""
    return {
        "segment_ids": json.dumps(model.segment_ids_),
        "k": str(model.k_),
        "silhouette": f"{model.silhouette_:.4f}",
        "halves_ari": f"{model.halves_ari_:.4f}",
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

    profile = {"num_rows": len(features), "defined": {str(c): int(n) for c, n in features.notna().sum().items()}}
    dataset = Dataset(
        name=f"{store_id}.{axis_name}",
        digest=digest(features),
        source_type="quimbi",
        source=json.dumps({"store": store_id, "asset": f"features/{axis_name}"}),
        profile=json.dumps(profile),
    )
    run.client.log_inputs(run.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def digest(features: pd.DataFrame) -> str:
    """Digest of a feature frame indexed by customer: 16 hexadecimal digits, whatever the order of its rows."""
    rows = np.sort(pd.util.hash_pandas_object(features).to_numpy())
    columns = ",".join(map(str, features.columns)).encode()
    return hashlib.blake2b(rows.tobytes() + columns, digest_size=8).hexdigest()
