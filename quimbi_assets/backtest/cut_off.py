"""One cut-off: fit on what was known, group, and hold both groupings against what came.

Belongs here: a single cut-off. Does not: the choice of cut-offs, the verdict over them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import Features, Outcome, fit_reference, measure
from quimbi_assets.backtest.baseline import explained_share, resample_weights, rfm_groupings, rfm_scores, sharp
from quimbi_assets.backtest.hold_out import HoldOut, measure_hold_out
from quimbi_assets.backtest.outcomes import measure_outcome, outcomes_of
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.history import History
from quimbi_assets.instants import Instant
from quimbi_assets.pipeline import fit_store

Array = NDArray[np.float64]
N_RESAMPLES = 200
FEWEST_CUSTOMERS = 100
"""Customers with a defined outcome below which nothing is said about it."""


@dataclass(frozen=True)
class Finding:
    """What one axis's segments and as many RFM groups explained after one cut-off.

    Parameters
    ----------
    axis : str
        Axis.
    cut : Timestamp
        Naive UTC.
    n_segments : int
        Segments of the axis, and RFM groups.
    n_customers : int
        Customers with a defined outcome; of several outcomes the fewest.
    outcomes : tuple of str
        What was explained.
    segments, memberships, rfm : float
        Explained share of variance, mean over the outcomes: by each customer's dominant segment, by the memberships in
        all of them, and by the one of the two RFM groupings that explains more.
    differences, membership_differences : ndarray of shape (n_resamples,)
        Segments less RFM, and memberships less RFM, over resampled customers.
    """

    axis: str
    cut: pd.Timestamp
    n_segments: int
    n_customers: int
    outcomes: tuple[str, ...]
    segments: float
    memberships: float
    rfm: float
    differences: Array
    membership_differences: Array


def evaluate_cut_off(
    history: History, cut_off: Instant, days: int, *, random_state: int = 0
) -> tuple[list[Finding], dict[str, str]]:
    """Fit every axis as of ``cut_off`` and see what its segments tell about the next ``days`` days.

    Parameters
    ----------
    history : History
        Of the store; of its customers known at the cut-off, a seeded sample as large as that of a fit is looked at.
    cut_off : Instant
    days : int
        Length of the hold-out, over by the history's end.
    random_state : int
        Seed of sample, fits, RFM groups and resamples.

    Returns
    -------
    findings : list of Finding
    reasons : dict of axis to str
        Why an axis has no finding.
    """
    options, then = FitOptions(random_state=random_state, pictures=False), history.until(cut_off)
    reference, recorded = fit_reference(then), then.recorded
    sample = then.sample(options.max_sample, random_state)
    known = Features(measure(sample, reference=reference, recorded=recorded))
    fitted = fit_store(then, features=known, reference=reference, recorded=recorded, options=options, noise_test=False)
    reasons = known.inactive | dict(fitted.inactive)
    frequency, value = known["purchase_frequency"], known["purchase_value"]
    hold_out = measure_hold_out(history, frequency.index, cut_off, days, recorded=recorded, reference=reference)
    scores = rfm_scores(frequency["days_since_last_order"], frequency["n_orders"], value["lifetime_value"])
    findings = []
    for name, model in fitted.models.items():
        groups = rfm_groupings(scores, model.k_, random_state)
        finding = _finding(name, cut_off, hold_out, model.predict_proba(known[name]), groups, random_state)
        if finding is None:
            reasons[name] = "its outcome is not recorded, the same for everyone, or defined for too few customers"
        else:
            findings.append(finding)
    return findings, reasons


def _finding(
    name: str,
    cut: pd.Timestamp,
    hold_out: HoldOut,
    memberships: Array,
    yardsticks: Sequence[NDArray[np.intp]],
    random_state: int,
) -> Finding | None:
    """Explain an axis's outcomes by its segments and by the better yardstick; None where there is none to explain."""
    found = [(o, v) for o in outcomes_of(name) if (v := _values(name, o, hold_out)) is not None]
    if not found:
        return None
    weights = resample_weights(len(memberships), N_RESAMPLES, random_state)
    values = [v for _, v in found]
    own = _explained(values, sharp(np.argmax(memberships, axis=1)), weights)
    fuzzy = _explained(values, memberships, weights)
    rfm = max((_explained(values, sharp(other), weights) for other in yardsticks), key=lambda shares: shares[0])
    return Finding(
        axis=name,
        cut=cut,
        n_segments=memberships.shape[1],
        n_customers=min(int(np.isfinite(values).sum()) for _, values in found),
        outcomes=tuple(outcome.name for outcome, _ in found),
        segments=float(own[0]),
        memberships=float(fuzzy[0]),
        rfm=float(rfm[0]),
        differences=own[1:] - rfm[1:],
        membership_differences=fuzzy[1:] - rfm[1:],
    )


def _explained(outcomes: Sequence[Array], memberships: Array, weights: Array) -> Array:
    """Mean share of variance explained over the outcomes: of the customers, then of every resample of them."""
    counted = np.vstack([np.ones(len(memberships)), weights])
    defined = [np.isfinite(values) for values in outcomes]
    shares = [explained_share(v[d], memberships[d], counted[:, d]) for v, d in zip(outcomes, defined, strict=True)]
    # In a resample where a rare outcome never occurs there is nothing to explain.
    return np.asarray(np.mean(np.nan_to_num(shares), axis=0), dtype=np.float64)


def _values(axis_name: str, outcome: Outcome, hold_out: HoldOut) -> Array | None:
    """Return an outcome worth explaining: recorded, defined for enough customers, and not the same for all."""
    values = measure_outcome(axis_name, outcome, hold_out)
    if values is None:
        return None
    defined = values[np.isfinite(values)]
    return values if len(defined) >= FEWEST_CUSTOMERS and np.ptp(defined) > 0 else None
