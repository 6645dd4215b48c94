"""What a fitted axis does for a customer: distances, memberships, evidence. The same for one and for millions.

Belongs here: the two formulas of distance and membership, applying fitted figures, the state they are saved in, which
columns are read, how NULL arrives, whose evidence counts. Does not: fitting (``model``), scaling.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from quimbi_assets.clustering.scaling import Array, Scaler, State
from quimbi_assets.errors import InactiveAxisError

N_ORDERS = "n_orders"
USUAL_K = 4
"""Number of segments that a choice is nearest to where an axis declares no other: the middle of two to six (ADR 4)."""
_FRAME = "frame:"


class FittedAxis(BaseEstimator):
    """Scoring half of :class:`quimbi_assets.clustering.model.AxisModel`, of k segments told by d columns.

    ``axis`` is the prefix of segment ids. ``transforms`` are the clustering features, in order, with the name of each
    one's transform (``scaling.TRANSFORMS``); None: every numeric column except ``n_orders``, untransformed.
    ``structural`` are states that may be segments of their own: any column of the frame, the value that is the state,
    its name. Customers are evidence from ``min_orders`` orders on, where the frame has ``n_orders``. Structural
    segments are counted in ``min_k``, ``max_k`` and ``usual_k``, which decides between numbers of segments that divide
    customers equally well. At most ``max_sample`` customers shape the fit, drawn by a seeded hash of the index.

    Attributes
    ----------
    features_ : list of str of length d
        Columns read: clustering features used, in declared order, then those of states that are no feature. The others
        are ``dropped_``, with the reason.
    winsor_low_, winsor_high_, mean_, scale_ : ndarray of shape (d,)
        Limits, mean and standard deviation, in transformed units.
    cluster_centers_ : ndarray of shape (k, d)
        In scaled space; structural segments, which have a state's name in ``structural_``, first, then by the first
        feature. Ids and lineage are as ``segment_ids.give_ids`` gave them.
    halves_ari_ : float
        ``AxisModel.agreement_of_halves``; NaN where it was not measured.
    """

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
    halves_ari_: float = float("nan")
    lineage_: pd.DataFrame

    def __init__(
        self,
        axis: str = "",
        transforms: dict[str, str] | None = None,
        *,
        structural: tuple[tuple[str, float, str], ...] = (),
        min_orders: int = 1,
        min_k: int = 2,
        max_k: int = 6,
        usual_k: int = USUAL_K,
        max_sample: int = 50_000,
        temperature: float = 1.0,
        random_state: int = 0,
    ) -> None:
        self.axis = axis
        self.transforms = transforms
        self.structural = structural
        self.min_orders = min_orders
        self.min_k = min_k
        self.max_k = max_k
        self.usual_k = usual_k
        self.max_sample = max_sample
        self.temperature = temperature
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """Declare to scikit-learn that NULL is allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def distances(self, values: Array) -> Array:
        """Distance to every centre, without any checking: the fast path; shape (n, k).

        Takes raw values of ``features_``, in that order, shape (n, d), NaN where undefined.
        """
        return distances_to(self.scaled(values), self.cluster_centers_)

    def scaled(self, values: Array) -> Array:
        """Raw values of ``features_`` in scaled space; shape (n, d), finite."""
        limits = (self.winsor_low_, self.winsor_high_)
        return Scaler(self.transforms_, *limits, self.mean_, self.scale_, self.states_).scale_values(values)

    def transform(self, X: Any) -> Array:
        """Euclidean distance of every customer to every segment's centre, in scaled space; shape (n, k), at least 0.

        ``X`` is as given to ``fit``; columns may come in any order, extra ones are ignored.
        """
        return self.distances(self._values(X))

    def predict_proba(self, X: Any) -> Array:
        """Memberships of every customer; shape (n, k), rows sum to 1."""
        return memberships_from_distances(self.transform(X), self.temperature)

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Position of every customer's dominant segment; shape (n,), 0 ... k-1, the first of equals."""
        return np.asarray(np.argmin(self.transform(X), axis=1), dtype=np.intp)

    def evidence(self, X: Any) -> NDArray[np.object_]:
        """Whether each customer has enough orders for this axis, shape (n,).

        ``"low"`` below ``min_orders`` or where every clustering feature is undefined, else ``"ok"``.
        """
        return np.where(evident(X, self._values(X), self.min_orders), "ok", "low").astype(object)

    def scaler_params(self) -> dict[str, dict[str, Any]]:
        """Return, per feature and ready for JSON, how its scaled value comes about.

        ``transform``; ``winsor_low``, ``winsor_high``, ``mean`` and ``scale`` in transformed units; ``states``, a list
        of ``equals`` (raw value) and ``score`` (its scaled value).
        """
        check_is_fitted(self)
        figures = zip(self.winsor_low_, self.winsor_high_, self.mean_, self.scale_, strict=True)
        keys = ("winsor_low", "winsor_high", "mean", "scale")
        return {
            name: {
                "transform": self.transforms_[i],
                **dict(zip(keys, map(float, row), strict=True)),
                "states": [{"equals": equals, "score": score} for column, equals, score in self.states_ if column == i],
            }
            for i, (name, row) in enumerate(zip(self.features_, figures, strict=True))
        }

    def _values(self, X: Any) -> Array:
        check_is_fitted(self)
        return read_values(self, X, self.features_)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state in plain types, as it is saved."""
        return to_plain(dict(super().__getstate__()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a saved state, of before there was a usual number of segments, too."""
        super().__setstate__({"usual_k": USUAL_K, **from_plain(state)})


def read_training(model: BaseEstimator, X: Any, declared: list[str] | None, others: list[str]) -> pd.DataFrame:
    """Read what fitting needs as float64, NaN for NULL, clustering features first; scikit-learn notes names and number.

    ``declared`` are clustering features, by default every numeric column but ``n_orders``; ``others`` are read besides,
    where there are. Columns of an array are called ``x0``, ``x1`` ... Raises ``InactiveAxisError`` if a frame has none
    of the declared features.
    """
    if not isinstance(X, pd.DataFrame):
        values = validate_data(model, X, dtype=np.float64, ensure_all_finite=False, ensure_min_samples=2)
        return pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])])
    wanted = declared or [c for c in X.select_dtypes("number").columns.tolist() if c != N_ORDERS]
    features = [name for name in wanted if name in X]
    if not features:
        raise InactiveAxisError("none of its features is recorded")
    names = list(dict.fromkeys([*features, *(name for name in [N_ORDERS, *others] if name in X)]))
    frame = pd.DataFrame(numbers(X, names), columns=names, index=X.index)
    validate_data(model, frame[features], ensure_all_finite=False)
    return frame


def read_values(model: BaseEstimator, X: Any, features: list[str]) -> Array:
    """Read the features a fitted model uses; shape (n, d), float64, NaN for NULL.

    A frame may order its columns in any way and have more; an array has the columns it was fitted with.
    """
    if isinstance(X, pd.DataFrame):
        missing = [name for name in features if name not in X]
        if missing:
            raise ValueError(f"the frame lacks {', '.join(missing)}")
        return numbers(X, features)
    values = validate_data(model, X, dtype=np.float64, ensure_all_finite=False, reset=False)
    names = getattr(model, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])])
    return np.asarray(values[:, [list(names).index(name) for name in features]])


def evident(X: Any, values: Array, min_orders: int) -> NDArray[np.bool_]:
    """Whether each customer is evidence: enough orders, and some clustering feature defined; shape (n,)."""
    defined = np.asarray(np.isfinite(values).any(axis=1))
    if isinstance(X, pd.DataFrame) and N_ORDERS in X:
        defined &= X[N_ORDERS].to_numpy(dtype=np.float64, na_value=np.nan) >= min_orders
    return defined


def numbers(frame: pd.DataFrame, names: list[str]) -> Array:
    """Return columns as float64 with NaN for NULL; shape (n, len(names))."""
    return frame[names].to_numpy(dtype=np.float64, na_value=np.nan)


def distances_to(points: Array, centers: Array) -> Array:
    """Euclidean distance of every point (n, d) to every centre (k, d), in scaled space, finite; shape (n, k).

    Differences are squared and added feature by feature rather than expanded into a matrix product: a row's
    result then does not depend, even in its last bit, on which other rows are scored with it.
    """
    squared = np.zeros((len(points), len(centers)))
    for feature in range(points.shape[1]):
        difference = points[:, feature, None] - centers[None, :, feature]
        squared += difference * difference
    return np.sqrt(squared, out=squared)


def memberships_from_distances(distances: ArrayLike, temperature: float = 1.0) -> Array:
    """Share of a customer that belongs to each segment of an axis; shape (n, k), 0-1, every row sums to 1.

    ``distances``, shape (n, k), are at least 0; infinite is allowed. The ``temperature`` is above 0: small values make
    memberships crisp. ``m_i = exp(-d_i / t) / sum_j exp(-d_j / t)``, computed after subtracting the row's smallest
    distance, so that nothing underflows. A row of infinite distances belongs to all segments alike.

    >>> memberships_from_distances([[0.5, 2.0, 3.5]]).round(3)
    array([[0.786, 0.175, 0.039]])
    """
    d = np.asarray(distances, dtype=np.float64)
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    if not (d >= 0).all():
        raise ValueError("distances must be numbers of at least 0")
    nearest = d.min(axis=1, keepdims=True)
    gaps = np.where(np.isinf(nearest), 0.0, d - np.where(np.isinf(nearest), 0.0, nearest))
    weights = np.exp(-gaps / temperature)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def to_plain(state: dict[str, Any]) -> dict[str, Any]:
    """Replace frames by lists: each becomes a dict under its name prefixed with ``frame:``.

    skops, a format that refuses to run code while loading, does not know pandas' internals; and a model that holds none
    also loads under another version of pandas.

    >>> to_plain({"k": 2, "t": pd.DataFrame({"a": [1.5]}, index=["x"])})
    {'k': 2, 'frame:t': {'columns': ['a'], 'values': [[1.5]], 'index': ['x'], 'names': [None]}}
    """
    return {_FRAME + name if isinstance(value, pd.DataFrame) else name: _lists(value) for name, value in state.items()}


def from_plain(state: dict[str, Any]) -> dict[str, Any]:
    """Undo :func:`to_plain`; state without frames is returned as it is."""
    return {name.removeprefix(_FRAME): _frame(v) if name.startswith(_FRAME) else v for name, v in state.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, pd.DataFrame):
        return value
    return {
        "columns": value.columns.tolist(),
        "values": [value[column].tolist() for column in value],
        "index": value.index.tolist(),
        "names": list(value.index.names),
    }


def _frame(lists: dict[str, Any]) -> pd.DataFrame:
    keys, names = lists["index"], lists["names"]
    index = pd.MultiIndex.from_tuples(keys, names=names) if len(names) > 1 else pd.Index(keys, name=names[0])
    return pd.DataFrame(dict(zip(lists["columns"], lists["values"], strict=True)), index=index)
