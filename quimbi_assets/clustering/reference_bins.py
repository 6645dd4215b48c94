"""How features and segments were distributed when a model was fitted: what later weeks are compared with.

Belongs here: learning bins from the customers of the fit, and from nobody else. Does not: comparing (``drift.psi``).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.clustering.transforms import Array

N_BINS = 10


def learn_bins(values: Array, names: Sequence[str], shares: Array) -> dict[str, Any]:
    """Learn bins of about equally many customers.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        Features in shop units of all customers at the fit, NaN where undefined.
    names : sequence of str of length d
        The features.
    shares : ndarray of shape (k,)
        Share of these customers in each segment.

    Returns
    -------
    dict
        ``n``; ``features``: per feature ``edges`` (at most 9, increasing; a value equal to an edge lies below it) and
        ``shares``, one a bin and at last that of undefined values; ``segments``: the shares.
    """
    features = {name: _bins(values[:, i]) for i, name in enumerate(names)}
    return {"n": len(values), "features": features, "segments": [float(share) for share in shares]}


def _bins(values: Array) -> dict[str, list[float]]:
    defined = values[np.isfinite(values)]
    levels = np.linspace(0, 1, N_BINS + 1)[1:-1]
    edges = np.unique(np.quantile(defined, levels)) if len(defined) else np.empty(0)
    counts = np.bincount(np.searchsorted(edges, defined, side="left"), minlength=len(edges) + 1)
    shares = np.concatenate([counts, [len(values) - len(defined)]]) / max(len(values), 1)
    return {"edges": edges.tolist(), "shares": shares.tolist()}


def bins_table(bins: dict[str, Any]) -> pd.DataFrame:
    """Return the bins as a table for people: ``feature``, ``up_to`` (the last but one open, the last undefined)."""
    rows = [
        (name, edge, share)
        for name, learnt in bins["features"].items()
        for edge, share in zip([*learnt["edges"], np.inf, np.nan], learnt["shares"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["feature", "up_to", "share"])
