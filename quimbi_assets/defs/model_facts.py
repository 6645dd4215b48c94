"""What is said about an axis's model: the UI's figures, its checks.

Belongs here: turning a fit, its promotion and its test against chance into these. Does not: fitting (``models``), the
rules (``clustering.promotion``, ``clustering.noise_test``), moving aliases (``resources``).
"""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

from quimbi_assets.clustering.axis_fit import AxisFit
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.noise_test import REAL_SHARE, NoiseTest
from quimbi_assets.clustering.promotion import MAX_CHURN, Decision
from quimbi_assets.defs.events import Metadata, StageEvent, facts, rule_check
from quimbi_assets.resources.mlflow.registry import LoadedModel

BALANCE_CHECK = "no_giant_segment"
NOISE_CHECK = "real_differences"
PROMOTION_CHECK = "refit_promoted"
CHECKS = (BALANCE_CHECK, NOISE_CHECK, PROMOTION_CHECK)
GIANT = 0.85
"""A share of customers beyond which a segment that no declared state explains says little about anybody."""
SHOWN = ("k", "silhouette", "stability_ari", "largest_share", "smallest_share", "chosen", "reason")
"""Columns of the candidates' table that the UI shows; MLflow holds all."""


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
    yield dg.MaterializeResult(asset_key=key, metadata=_metadata(fit, logged, page, noise))
    yield _balance_check(key, serving, features)
    yield _noise_check(key, noise)
    yield _promotion_check(key, fit.decision)


def _metadata(fit: AxisFit, logged: LoadedModel, page: str, noise: NoiseTest) -> Metadata:
    model, decision = logged.model, fit.decision
    return facts(
        status=noise.status,
        reason=noise.reason,
        real_differences=_noise_figures(noise),
        segments=model.k_,
        silhouette=float(model.silhouette_),
        stability_ari=float(model.stability_ari_),
        largest_share=float(model.shares_.max()),
        customers_fitted=int(model.n_fit_),
        customers_of_low_evidence=int(model.n_low_evidence_),
        features_dropped=dict(model.dropped_) or None,
        registered_version=logged.version,
        promotion=("promoted: " if decision.promoted else "held, the champion keeps serving: ") + decision.reason,
        lineage=model.lineage_,
        mlflow_run=page,
        choice_of_k=model.selection_[[column for column in SHOWN if column in model.selection_]],
        silhouette_by_k=fit.pictures["silhouette_by_k.png"],
        centres=fit.pictures["centres.png"],
    )


def _balance_check(key: dg.AssetKey, model: AxisModel, features: pd.DataFrame) -> dg.AssetCheckResult:
    """Check that no segment without a declared state holds nearly everybody, as the model that serves assigns them."""
    counts = np.bincount(model.predict(features), minlength=model.k_)
    free = [count for count, state in zip(counts, model.structural_, strict=True) if state is None]
    largest = max(free) / max(len(features), 1)
    return rule_check(
        key,
        BALANCE_CHECK,
        largest <= GIANT,
        f"No segment without a declared state holds more than {GIANT:.0%} of customers.",
        largest_share=float(largest),
    )


def _noise_check(key: dg.AssetKey, noise: NoiseTest) -> dg.AssetCheckResult:
    """Warn where neither half of the tested features nor rates tell customers apart; the axis keeps its segments."""
    return rule_check(
        key,
        NOISE_CHECK,
        not noise.is_chance,
        f"Customers differ more than orders dealt anew would make them in at least {REAL_SHARE:.0%} of the features, "
        "or in how often they order where that is the question.",
        warn=True,
        status=noise.status,
        reason=noise.reason,
        real_features_share=noise.real_share,
        customers_compared=noise.n_customers,
        figures=_noise_figures(noise),
    )


def _noise_figures(noise: NoiseTest) -> pd.DataFrame:
    figures = noise.figures
    verdict = figures["is_real"].map({True: "real", False: "chance"}).where(figures["is_tested"], "cannot be tested")
    return pd.DataFrame(
        {
            "feature": figures["feature"],
            "verdict": verdict,
            "variance ratio": figures["variance_ratio"],
            "z": figures["variance_z"],
            "reliability": figures["reliability"],
            "by chance": figures["reliability_by_chance"],
            "z of reliability": figures["reliability_z"],
            "customers": figures["n_customers"],
            "rates vary by": figures["rate_spread"],
            "dealt to": figures["is_count"].map({True: "anybody who had begun", False: "as many each as before"}),
        }
    )


def _promotion_check(key: dg.AssetKey, decision: Decision) -> dg.AssetCheckResult:
    """Report whether a fit serves; a held one is a warning, no error: the champion keeps serving, the run goes on."""
    figures: dict[str, float] = {}
    if (compared := decision.comparison) is not None:
        figures = {
            "label_churn": compared.churn,
            "silhouette_change": compared.silhouette_change,
            "stability_change": compared.stability_change,
        }
    return rule_check(
        key,
        PROMOTION_CHECK,
        decision.promoted,
        f"A refit serves only if it moves under {MAX_CHURN:.0%} of customers, is no worse than the champion beyond "
        "noise and loses no segment that has customers; else the champion keeps serving.",
        warn=True,
        reason=decision.reason,
        failed=", ".join(decision.failed) or "none",
        **figures,
    )
