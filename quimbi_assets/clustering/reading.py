"""Input of the estimator: frames and arrays as float64 values by feature name.

Belongs here: which columns are read, how NULL arrives, and whose evidence counts.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from quimbi_assets.clustering.transforms import Array
from quimbi_assets.errors import InactiveAxisError

N_ORDERS = "n_orders"


def read_training(model: BaseEstimator, X: Any, declared: list[str] | None, others: list[str]) -> pd.DataFrame:
    """Read what fitting needs, and let scikit-learn note names and number of features.

    Parameters
    ----------
    model : estimator
        Receives ``n_features_in_`` and, from a frame, ``feature_names_in_``.
    X : DataFrame or array of n rows
        Input of ``fit``. Columns of an array are called ``x0``, ``x1`` ...
    declared : list of str, optional
        Clustering features; None: every numeric column except ``n_orders``.
    others : list of str
        Columns of the frame that are read besides, where there are.

    Returns
    -------
    DataFrame of n rows
        float64, NaN for NULL; clustering features first.

    Raises
    ------
    InactiveAxisError
        If a frame has none of the declared features.
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
    """Read the features a fitted model uses.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : DataFrame or array of n rows
        A frame may order its columns in any way and have more; an array has the columns it was fitted with.
    features : list of str of length d
        Names, as in ``features_``.

    Returns
    -------
    ndarray of shape (n, d)
        float64, NaN for NULL.

    Raises
    ------
    ValueError
        If a feature is missing or an array has another number of columns.
    """
    if isinstance(X, pd.DataFrame):
        missing = [name for name in features if name not in X]
        if missing:
            raise ValueError(f"the frame lacks the feature(s) {', '.join(missing)}")
        return numbers(X, features)
    values = validate_data(model, X, dtype=np.float64, ensure_all_finite=False, reset=False)
    names = getattr(model, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])])
    return np.asarray(values[:, [list(names).index(name) for name in features]])


def evident(X: Any, values: Array, min_orders: int) -> NDArray[np.bool_]:
    """Whether each customer is evidence: enough orders, and some clustering feature defined; shape (n,)."""
    defined = np.asarray(np.isfinite(values).any(axis=1))
    if isinstance(X, pd.DataFrame) and N_ORDERS in X:
        defined &= numbers(X, [N_ORDERS])[:, 0] >= min_orders
    return defined


def numbers(frame: pd.DataFrame, names: list[str]) -> Array:
    """Return columns as float64 with NaN for NULL; shape (n, len(names))."""
    return frame[names].to_numpy(dtype=np.float64, na_value=np.nan)
