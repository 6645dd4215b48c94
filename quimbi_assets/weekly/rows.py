"""Rows that people query: ``customer_history``, ``segment_migrations`` and ``population_drift``.

Belongs here: the tables' columns. Does not: scoring, what moved means (``drift``), writing tables.
"""

from collections.abc import Iterator, Mapping
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.axis_table import AxisTable
from quimbi_assets.instants import Instant
from quimbi_assets.marketing import GROUPINGS
from quimbi_assets.naming.rows import to_json
from quimbi_assets.profiles.interpretation import figure
from quimbi_assets.profiles.json_text import NULL, flat_objects, nested_objects, number_texts, quoted
from quimbi_assets.weekly.causes import NEW, SILENT
from quimbi_assets.weekly.compare import Comparison
from quimbi_assets.weekly.drift import SEVERITIES, feature_drift, population_stability, severity
from quimbi_assets.weekly.notifications import ALERT_CAUSES
from quimbi_assets.weekly.rescore import PART_ROWS
from quimbi_assets.weekly.snapshot import TakenPart, WeekModels

CHURN = "churn_risk"
"""Stands in ``model_versions`` where an axis's name would, for the churn model."""
FIGURES = ("drift", "velocity_per_day", "acceleration", "severity", "cause")
MIGRATION_COLUMNS = (
    "customer_id", "axis_name", "cause", "from_segment", "to_segment", "from_week", "at", "drift", "severity",
)  # fmt: skip
DECIMALS = 6
MEMBERSHIP_DECIMALS = 12
"""Far more than means anything, and fewer than two machines agree to."""


def history_rows(week: date, at: Instant, part: TakenPart, models: WeekModels) -> pd.DataFrame:
    """Describe customers of a store at a week's end, ``at``, as scored by these models.

    The columns of ``customer_history`` but ``store_id`` and those on drift; Arrow-backed, JSON as text.
    """
    scores = part.scored.scores
    axes, scored = list(scores), list(scores.values())
    customers, archetypes = part.scored.customers, part.scored.archetypes
    n = len(customers)
    lifetime = figure(part.snapshot.features, "lifetime_value", n)
    risk = np.full(n, np.nan) if part.risk is None else part.risk
    versions = {axis: models.versions[axis] for axis in axes}
    if models.churn_version is not None:
        versions[CHURN] = models.churn_version
    dominant = np.column_stack([score.dominant for score in scored])
    table = pa.table(
        {
            "customer_id": pa.array(customers.astype(str), pa.string()),
            "week": pa.repeat(pa.scalar(week, pa.date32()), n),
            "as_of": pa.repeat(pa.scalar(at.tz_localize("UTC"), pa.timestamp("us", "UTC")), n),
            "archetype_id": pa.nulls(n, pa.string()) if archetypes is None else pa.array(archetypes, pa.string()),
            "segment_memberships": nested_objects(
                {axis: score.segment_ids for axis, score in scores.items()},
                number_texts(np.hstack([score.memberships for score in scored]).round(MEMBERSHIP_DECIMALS)),
            ),
            "dominant_segments": flat_objects(axes, [quoted(s.segment_ids) for s in scored], dominant),
            "lifetime_value": pa.array(lifetime, pa.float64(), from_pandas=True),
            "churn_risk_score": pa.array(risk, pa.float64(), from_pandas=True),
            "model_versions": pa.repeat(pa.scalar(to_json(versions), pa.string()), n),
            **{name: pa.array(ids, pa.string()) for name, ids in part.scored.groups.items()},
        }
    )
    return pd.DataFrame(table.to_pandas(types_mapper=pd.ArrowDtype))


def drift_rows(comparison: Comparison) -> Iterator[pd.DataFrame]:
    """Yield drift and alert of the customers as columns of ``customer_history``, some customers at a time."""
    moved = comparison.movement
    is_noise = (moved.cause == SILENT) & ~comparison.lapsed
    days = comparison.facts.days
    for start in range(0, len(moved.customers), PART_ROWS):
        rows = slice(start, start + PART_ROWS)
        texts: pa.Array = pa.nulls(len(moved.customers[rows]), pa.string())
        if days is not None:
            drift = {axis: values[rows] for axis, values in moved.drift.items()}
            velocity = {axis: values / days for axis, values in drift.items()}
            change = {axis: values[rows] for axis, values in comparison.acceleration.items()}
            written = drift_texts(drift, velocity, change, moved.cause[rows], is_noise[rows])
            texts = pc.if_else(pa.array(moved.cause[rows] != NEW), written, pa.scalar(None, pa.string()))
        alerts = comparison.alert[rows]
        yield pd.DataFrame(
            {
                "customer_id": moved.customers[rows].astype(str),
                "drift": _texts(texts),
                "alert": _texts(pa.array(alerts, pa.string())),
                "alert_cause": _texts(pa.array([ALERT_CAUSES.get(alert) for alert in alerts], pa.string())),
            }
        )


def drift_texts(
    drift: Mapping[str, np.ndarray],
    velocity: Mapping[str, np.ndarray],
    acceleration: Mapping[str, np.ndarray],
    cause: np.ndarray,
    is_noise: np.ndarray,
) -> pa.StringArray:
    """Write the column ``drift``: one object of objects a customer; arrays of shape (n,).

    Drift, velocity and acceleration are NaN where there is nothing to compare with. Where only time passed, and no more
    of it than is usual for the customer (``is_noise``), the severity is ``stable``.
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
        severities = pd.Index(severity(np.where(is_noise, 0.0, np.nan_to_num(drift[axis]))))
        word = pd.Index(SEVERITIES).get_indexer(severities)
        places[:, j, 3] = np.where(known, start + word, last)
        places[:, j, 4] = np.where(known, start + len(words) + position, last)
    return nested_objects(dict.fromkeys(axes, FIGURES), pc.take(pool, pa.array(places.ravel())))


def _texts(values: pa.Array) -> pd.api.extensions.ExtensionArray:
    return pd.array(values, dtype=pd.ArrowDtype(pa.string()))


def migration_rows(comparison: Comparison, at: Instant) -> pd.DataFrame:
    """Return the rows of ``segment_migrations``."""
    moves = comparison.moves
    words = severity(moves["drift"].fillna(0.0).to_numpy())
    rows = moves.assign(
        from_week=None if comparison.facts.older is None else date.fromisoformat(comparison.facts.older),
        at=at.tz_localize("UTC"),
        severity=pd.Series(words, dtype=object).where(moves["drift"].notna(), None),
    )
    return rows[list(MIGRATION_COLUMNS)]


def population_rows(comparison: Comparison, snapshot: AxisTable, models: WeekModels) -> pd.DataFrame:
    """Return the rows of ``population_drift`` of a snapshot at rest."""
    parts = []
    for axis in comparison.movement.drift:
        segments, bins = comparison.movement.segments[axis], models.models[axis].reference_bins_
        codes = comparison.movement.dominant[axis]
        shares = np.bincount(codes, minlength=len(segments)) / max(len(codes), 1)
        features = pa.concat_arrays(snapshot.read([axis])[axis].chunks).flatten()
        names = snapshot.schema.field(axis).type.names
        psi = feature_drift(bins, dict(zip(names, (values.to_numpy(False) for values in features), strict=True)))
        reference = np.asarray(bins["segments"], dtype=np.float64)
        size = population_stability(reference, shares, int(bins["n"]), len(codes))
        parts.append(_rows(axis, "segment_share", segments, shares))
        parts.append(_rows(axis, "feature_psi", list(psi), list(psi.values())))
        parts.append(_rows(axis, "segment_psi", [axis], [size]))
    for name, codes in comparison.movement.dominant.items():
        if name in GROUPINGS:
            shares = np.bincount(codes[codes >= 0], minlength=len(GROUPINGS[name])) / max(len(codes), 1)
            parts.append(_rows(name, "segment_share", list(GROUPINGS[name]), shares))
    return pd.concat(parts, ignore_index=True)


def _rows(axis: str, figure: str, names: list[str], values: NDArray[np.float64] | list[float]) -> pd.DataFrame:
    return pd.DataFrame({"axis_name": axis, "figure": figure, "name": names, "value": values})
