"""What a fitted axis does for a customer: distances, memberships, evidence. The same for one and for millions.

Belongs here: applying fitted figures, and the state they are saved in. Does not: fitting (``model``), the two
formulas (``scaling``, ``membership``).
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from quimbi_assets.clustering.membership import distances_to, memberships_from_distances
from quimbi_assets.clustering.plain_state import from_plain, to_plain
from quimbi_assets.clustering.reading import evident, read_values
from quimbi_assets.clustering.scaling import Scaler, State
from quimbi_assets.clustering.transforms import Array


class FittedAxis(BaseEstimator):
    """Scoring half of :class:`quimbi_assets.clustering.model.AxisModel`, which documents the attributes."""

    features_: list[str]
    dropped_: dict[str, str]
    transforms_: list[str]
    winsor_low_: Array
    winsor_high_: Array
    mean_: Array
    scale_: Array
    states_: list[State]
    cluster_centers_: Array
    structural_: list[str | None]
    segment_ids_: list[str]
    segments_named_: int
    k_: int
    stability_ari_: float
    stability_spread_: float
    lineage_: pd.DataFrame
    axis: str
    min_k: int
    max_k: int
    random_state: int
    min_orders: int
    temperature: float

    def distances(self, values: Array) -> Array:
        """Distance to every centre, without any checking: the fast path.

        Parameters
        ----------
        values : ndarray of shape (n, d)
            Raw values of ``features_``, in that order; NaN where undefined.

        Returns
        -------
        ndarray of shape (n, k)
            Euclidean distances in scaled space.
        """
        return distances_to(self._scaler.scale_values(values), self.cluster_centers_)

    def scaled(self, values: Array) -> Array:
        """Raw values of ``features_`` in scaled space; shape (n, d), finite."""
        return self._scaler.scale_values(values)

    def transform(self, X: Any) -> Array:
        """Distance of every customer to every segment's centre.

        Parameters
        ----------
        X : DataFrame or array of n rows
            As given to ``fit``; columns in any order, extra ones ignored.

        Returns
        -------
        ndarray of shape (n, k)
            Euclidean distances in scaled space, at least 0.
        """
        return self.distances(self._values(X))

    def predict_proba(self, X: Any) -> Array:
        """Memberships of every customer; shape (n, k), rows sum to 1."""
        return memberships_from_distances(self.transform(X), self.temperature)

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Position of every customer's dominant segment; shape (n,), 0 ... k-1, the first of equals."""
        return np.argmin(self.transform(X), axis=1)

    def evidence(self, X: Any) -> NDArray[np.object_]:
        """Whether each customer has enough orders for this axis.

        Parameters
        ----------
        X : DataFrame or array of n rows
            As given to ``fit``.

        Returns
        -------
        ndarray of str of shape (n,)
            ``"low"`` below ``min_orders`` or where every clustering feature is undefined, else ``"ok"``.
        """
        known = evident(X, self._values(X), self.min_orders)
        return np.where(known, "ok", "low").astype(object)

    def scaler_params(self) -> dict[str, dict[str, Any]]:
        """Return, per feature and ready for JSON, how its scaled value comes about.

        Returns
        -------
        dict of str to dict
            ``transform``; ``winsor_low``, ``winsor_high``, ``mean`` and ``scale`` in transformed units;
            ``states``, a list of ``equals`` (raw value) and ``score`` (its scaled value).
        """
        check_is_fitted(self)
        return self._scaler.params(self.features_)

    def _values(self, X: Any) -> Array:
        check_is_fitted(self)
        return read_values(self, X, self.features_)

    @property
    def _scaler(self) -> Scaler:
        return Scaler(self.transforms_, self.winsor_low_, self.winsor_high_, self.mean_, self.scale_, self.states_)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state in plain types, as it is saved."""
        return to_plain(dict(super().__getstate__()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        super().__setstate__(from_plain(state))
