"""What the UI says about a refit: whether it serves from now on, and if not, why.

Belongs here: the check of a promotion. Does not: the rule (``clustering.promotion``), moving aliases (``resources``).
"""

import dagster as dg

from quimbi_assets.clustering.promotion import MAX_CHURN, Decision

CHECK = "refit_promoted"


def promotion_check(key: dg.AssetKey, decision: Decision | None) -> dg.AssetCheckResult:
    """Report whether a fit was promoted; None: there was no fit, the axis being inactive.

    Parameters
    ----------
    key : AssetKey
        The axis's model.
    decision : Decision or None
        From ``consider``.

    Returns
    -------
    AssetCheckResult
        A held fit is a warning, not an error: the champion keeps serving and the run goes on.
    """
    if decision is None:
        return dg.AssetCheckResult(asset_key=key, check_name=CHECK, passed=True, metadata={"status": "inactive"})
    found = decision.comparison
    figures: dict[str, float] = (
        {}
        if found is None
        else {
            "label_churn": found.churn,
            "silhouette_change": found.silhouette_change,
            "stability_change": found.stability_change,
        }
    )
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=CHECK,
        passed=decision.promoted,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"A refit serves only if it moves under {MAX_CHURN:.0%} of customers, is no worse than the "
        "champion beyond noise and loses no segment that has customers; else the champion keeps serving.",
        metadata={"reason": decision.reason, "failed": ", ".join(decision.failed) or "none", **figures},
    )
