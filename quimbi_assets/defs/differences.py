"""Stage 3, beside the fit: whether the customers of a store really differ on each axis.

Belongs here: its check and its table in the UI. Does not: the test (``clustering.abstention``), the rule and its words
(``clustering.verdict``). A weak axis keeps its segments.
"""

from typing import Any

import dagster as dg
import pandas as pd

from quimbi_assets.clustering.noise_test import REAL_SHARE, NoiseTest
from quimbi_assets.defs.metadata import facts

CHECK = "real_differences"


def differences_check(key: dg.AssetKey, differences: NoiseTest) -> dg.AssetCheckResult:
    """Warn where less than half of the axis's tested features tell customers apart."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=CHECK,
        passed=not differences.is_chance,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Customers differ more than orders dealt anew would make them in at least {REAL_SHARE:.0%} of "
        "the features.",
        metadata=facts(
            status=differences.status,
            reason=differences.reason,
            real_features_share=differences.real_share,
            customers_compared=differences.n_customers,
            figures=_table(differences),
        ),
    )


def differences_facts(differences: NoiseTest) -> dict[str, Any]:
    """Return the verdict and its figures for the model's metadata."""
    return {"status": differences.status, "reason": differences.reason, "real_differences": _table(differences)}


def _table(differences: NoiseTest) -> pd.DataFrame:
    figures = differences.figures
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
        }
    )
