"""What is said about an axis's model: the row that later stages read, the UI's figures, the check of its balance.

Belongs here: turning a fitted model into these. Does not: fitting (``models``), a refit's promotion (``promotions``),
differences against chance (``differences``).
"""

from collections.abc import Iterator, Mapping

import dagster as dg
import numpy as np
import pandas as pd

from quimbi_assets.clustering.axis_fit import AxisFit
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.noise_test import NoiseTest
from quimbi_assets.clustering.promotion import Decision
from quimbi_assets.defs.checks import rule_check
from quimbi_assets.defs.differences import differences_check, differences_facts
from quimbi_assets.defs.metadata import StageEvent, facts
from quimbi_assets.defs.promotions import promotion_check
from quimbi_assets.resources.mlflow.registry import LoadedModel

CHECK = "no_giant_segment"
#: A share of customers beyond which a segment that no declared state explains says little about anybody.
GIANT = 0.85
#: Columns of the candidates' table that the UI shows; MLflow holds all.
SHOWN = ("k", "silhouette", "stability_ari", "largest_share", "smallest_share", "chosen", "reason")


def model_summary(serving: LoadedModel, decision: Decision) -> pd.DataFrame:
    """Return one row about the model that serves: the new fit, or the champion where the fit is held."""
    model = serving.model
    return pd.DataFrame(
        {
            "k": [model.k_],
            "silhouette": [model.silhouette_],
            "stability_ari": [model.stability_ari_],
            "mlflow_run_id": [serving.run_id],
            "held_reason": [None if decision.promoted else decision.reason],
        }
    )


def fit_events(
    key: dg.AssetKey,
    fit: AxisFit,
    logged: LoadedModel,
    page: str,
    serving: AxisModel,
    noise: NoiseTest,
    features: pd.DataFrame,
) -> Iterator[StageEvent]:
    """Yield what is said of a fit: its figures and pictures, and the checks of the model that is to serve."""
    yield dg.MaterializeResult(asset_key=key, metadata=model_metadata(logged, page, fit.pictures, noise, fit.decision))
    yield giant_check(key, serving, features)
    yield differences_check(key, noise)
    yield promotion_check(key, fit.decision)


def model_metadata(
    fit: LoadedModel, page: str, pictures: Mapping[str, bytes], differences: NoiseTest, decision: Decision
) -> dict[str, dg.MetadataValue]:
    """Return the figures and pictures of a new fit, whether it is to serve or not."""
    model = fit.model
    return facts(
        **differences_facts(differences),
        segments=model.k_,
        silhouette=float(model.silhouette_),
        stability_ari=float(model.stability_ari_),
        largest_share=float(model.shares_.max()),
        customers_fitted=int(model.n_fit_),
        customers_of_low_evidence=int(model.n_low_evidence_),
        features_dropped=dict(model.dropped_) or None,
        registered_version=fit.version,
        promotion=("promoted: " if decision.promoted else "held, the champion keeps serving: ") + decision.reason,
        lineage=model.lineage_,
        mlflow_run=page,
        choice_of_k=model.selection_[[column for column in SHOWN if column in model.selection_]],
        silhouette_by_k=pictures["silhouette_by_k.png"],
        centres=pictures["centres.png"],
    )


def giant_check(key: dg.AssetKey, model: AxisModel, table: pd.DataFrame) -> dg.AssetCheckResult:
    """Check that no segment without a declared state holds nearly everybody, as the model that serves assigns them."""
    counts = np.bincount(model.predict(table), minlength=model.k_)
    free = [count for count, state in zip(counts, model.structural_, strict=True) if state is None]
    largest = max(free) / max(len(table), 1)
    return rule_check(
        key,
        CHECK,
        bool(largest <= GIANT),
        f"No segment without a declared state holds more than {GIANT:.0%} of customers.",
        largest_share=float(largest),
    )
