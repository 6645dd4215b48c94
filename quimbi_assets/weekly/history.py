"""Rows of ``customer_history``: where a customer stood at a week's end, and how far they had moved.

Belongs here: the table's columns. Does not: scoring, what moved means (``change``), writing tables.
"""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.naming.rows import to_json
from quimbi_assets.profiles.json_text import NULL, flat_objects, nested_objects, number_texts, quoted
from quimbi_assets.profiles.scores import AxisScores
from quimbi_assets.weekly.change import SEVERITIES, severity

FIGURES = ("drift", "velocity_per_day", "acceleration", "severity", "cause")
DECIMALS = 6
MEMBERSHIP_DECIMALS = 12
"""Far more than means anything, and fewer than two machines agree to."""


def history_rows(
    week: date,
    as_of: pd.Timestamp,
    scores: Mapping[str, AxisScores],
    versions: Mapping[str, str],
    archetypes: np.ndarray | None,
    lifetime_value: np.ndarray | None,
    churn_risk_score: np.ndarray | None = None,
) -> pd.DataFrame:
    """Describe all customers of a store at a week's end.

    Parameters
    ----------
    week : date
        The Monday that opens it.
    as_of : Timestamp
        Its end, naive UTC.
    scores : mapping of axis to AxisScores
        Of n customers in one order; one axis or more.
    versions : mapping of axis to str
        Versions of the models that scored them.
    archetypes : ndarray of str of shape (n,), optional
    lifetime_value, churn_risk_score : ndarray of shape (n,), optional
        NULL where not known.

    Returns
    -------
    DataFrame of n rows
        The columns of ``customer_history`` but ``store_id`` and those on drift; Arrow-backed, JSON as text.
    """
    axes, own = list(scores), list(scores.values())
    customers = own[0].customers
    n = len(customers)
    dominant = np.column_stack([score.dominant for score in own])
    table = pa.table(
        {
            "customer_id": pa.array(customers.astype(str), pa.string()),
            "week": pa.repeat(pa.scalar(week, pa.date32()), n),
            "as_of": pa.repeat(pa.scalar(as_of.tz_localize("UTC"), pa.timestamp("us", "UTC")), n),
            "archetype_id": pa.nulls(n, pa.string()) if archetypes is None else pa.array(archetypes, pa.string()),
            "segment_memberships": nested_objects(
                {axis: score.segment_ids for axis, score in scores.items()},
                number_texts(_rounded([score.memberships for score in own])),
            ),
            "dominant_segments": flat_objects(axes, _looked_up([quoted(s.segment_ids) for s in own], dominant)),
            "lifetime_value": _numbers(lifetime_value, n),
            "churn_risk_score": _numbers(churn_risk_score, n),
            "model_versions": pa.repeat(pa.scalar(to_json(dict(versions)), pa.string()), n),
        }
    )
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def drift_texts(
    drift: Mapping[str, np.ndarray],
    velocity: Mapping[str, np.ndarray],
    acceleration: Mapping[str, np.ndarray],
    cause: np.ndarray,
    is_noise: np.ndarray,
) -> pa.StringArray:
    """Write the column ``drift``: one object of objects a customer.

    Parameters
    ----------
    drift, velocity, acceleration : mapping of axis to ndarray of shape (n,)
        NaN where there is nothing to compare with.
    cause : ndarray of str of shape (n,)
        Why the customer moved.
    is_noise : ndarray of bool of shape (n,)
        Whether only time passed, and no more of it than is usual for them: their severity is ``stable``.
    """
    axes = list(drift)
    numbers = np.stack([np.stack([part[axis] for part in (drift, velocity, acceleration)]) for axis in axes])
    texts = number_texts(np.round(numbers.transpose(2, 0, 1).reshape(len(cause), -1), DECIMALS))
    words = quoted(SEVERITIES)
    causes, position = np.unique(cause.astype(str), return_inverse=True)
    pool = pa.concat_arrays([texts, words, quoted(causes.tolist()), pa.array([NULL], pa.string())])
    start, last = len(texts), len(pool) - 1
    places = np.empty((len(cause), len(axes), len(FIGURES)), dtype=np.int64)
    places[:, :, :3] = np.arange(len(texts)).reshape(len(cause), len(axes), 3)
    for j, axis in enumerate(axes):
        known = np.isfinite(drift[axis])
        word = np.searchsorted(sorted(SEVERITIES), severity(np.where(is_noise, 0.0, np.nan_to_num(drift[axis]))))
        in_order = np.argsort(SEVERITIES)[word]
        places[:, j, 3] = np.where(known, start + in_order, last)
        places[:, j, 4] = np.where(known, start + len(words) + position, last)
    return nested_objects(dict.fromkeys(axes, FIGURES), pc.take(pool, pa.array(places.ravel())))


def _rounded(memberships: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.asarray(np.round(np.hstack(memberships), MEMBERSHIP_DECIMALS), dtype=np.float64)


def _looked_up(vocabularies: list[pa.StringArray], codes: np.ndarray) -> pa.StringArray:
    starts = np.cumsum([0, *map(len, vocabularies)])[:-1]
    return pc.take(pa.concat_arrays(vocabularies), pa.array((codes + starts).ravel()))


def _numbers(values: np.ndarray | None, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, pa.float64())
    return pa.array(values, pa.float64(), mask=np.isnan(values))
