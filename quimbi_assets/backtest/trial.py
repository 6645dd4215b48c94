"""One cut: fit on what was known, group, and hold both groupings against what came.

Belongs here: a single cut. Does not: the choice of cuts, the verdict over them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import AXES, BusinessHours, extract_features, fit_reference
from quimbi_assets.backtest.explained import explained_share, resample_weights, sharp
from quimbi_assets.backtest.outcomes import Outcome, outcomes_of
from quimbi_assets.backtest.rfm import rfm_groupings, rfm_scores
from quimbi_assets.backtest.window import Window, measure_window
from quimbi_assets.clustering.axis_model import axis_model
from quimbi_assets.errors import InactiveAxisError

Array = NDArray[np.float64]
N_RESAMPLES = 200
FEWEST_CUSTOMERS = 100
"""Customers with a defined outcome below which nothing is said about it."""


@dataclass(frozen=True)
class Finding:
    """What one axis's segments and as many RFM groups explained after one cut.

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


def try_cut(
    orders: pd.DataFrame,
    items: pd.DataFrame | None,
    cut: pd.Timestamp,
    days: int,
    *,
    time_zone: str = "UTC",
    business_hours: BusinessHours | None = None,
    random_state: int = 0,
) -> tuple[list[Finding], dict[str, str]]:
    """Fit every axis as of ``cut`` and see what its segments tell about the next ``days`` days.

    Parameters
    ----------
    orders, items : DataFrame
        As for ``extract_features``; ``order_date`` naive UTC.
    cut : Timestamp
        Naive UTC.
    days : int
        Length of the window.
    time_zone, business_hours
        Of the store.
    random_state : int
        Seed of fits, RFM groups and resamples.

    Returns
    -------
    findings : list of Finding
    reasons : dict of axis to str
        Why an axis has no finding.
    """
    reference = fit_reference(orders, items, cut)
    known = extract_features(
        orders,
        items,
        observation_end=cut,
        reference=reference,
        time_zone=time_zone,
        business_hours=business_hours,
    )
    reasons = dict(known.inactive)
    frequency, value = known["purchase_frequency"], known["purchase_value"]
    customers = frequency.index
    window = measure_window(
        orders,
        items,
        customers,
        cut,
        days,
        recorded=known.recorded,
        reference=reference,
        time_zone=time_zone,
        business_hours=business_hours,
    )
    scores = rfm_scores(frequency["days_since_last_order"], frequency["n_orders"], value["lifetime_value"])
    findings = []
    for name, table in known.items():
        try:
            model = axis_model(AXES[name], random_state=random_state).fit(table)
        except InactiveAxisError as error:
            reasons[name] = str(error)
            continue
        memberships = model.predict_proba(table)
        finding = _finding(name, cut, window, memberships, rfm_groupings(scores, model.k_, random_state), random_state)
        if finding is None:
            reasons[name] = "its outcome is not recorded, the same for everyone, or defined for too few customers"
        else:
            findings.append(finding)
    return findings, reasons


def _finding(
    name: str,
    cut: pd.Timestamp,
    window: Window,
    memberships: Array,
    yardsticks: Sequence[NDArray[np.intp]],
    random_state: int,
) -> Finding | None:
    """Explain an axis's outcomes by its segments and by the better yardstick; None where there is none to explain."""
    found = [(o, v) for o in outcomes_of(name) if (v := _values(o, window)) is not None]
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


def _values(outcome: Outcome, window: Window) -> Array | None:
    """Return an outcome worth explaining: recorded, defined for enough customers, and not the same for all."""
    values = outcome.values(window)
    if values is None:
        return None
    defined = values[np.isfinite(values)]
    return values if len(defined) >= FEWEST_CUSTOMERS and np.ptp(defined) > 0 else None
