"""What a comparison found, as rows of the tables.

Belongs here: columns. Does not: comparing, writing.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from quimbi_assets.defs.week_comparison import Compared
from quimbi_assets.defs.week_models import WeekModels
from quimbi_assets.resources.postgres.tables.history import MIGRATION_COLUMNS
from quimbi_assets.weekly.alerts import alert_causes
from quimbi_assets.weekly.causes import NEW, SILENT
from quimbi_assets.weekly.change import acceleration, severity, velocity
from quimbi_assets.weekly.floors import DRIFT
from quimbi_assets.weekly.history import drift_texts
from quimbi_assets.weekly.psi import feature_drift, population_stability
from quimbi_assets.weekly.sides import Side


def customer_rows(found: Compared) -> pd.DataFrame:
    """Return drift and alert of every customer, as columns of ``customer_history``."""
    week = found.week
    customers = week.index.astype(str)
    if found.older is None:
        return pd.DataFrame({"customer_id": customers, "drift": None, "alert": None, "alert_cause": None})
    columns = [column for column in week if column.startswith(DRIFT)]
    drifts = {column.removeprefix(DRIFT): week[column].to_numpy(dtype=np.float64) for column in columns}
    days = week.attrs["days"]
    speeds = {axis: velocity(drift, days) for axis, drift in drifts.items()}
    changes = {axis: acceleration([*_speeds(found, axis), speeds[axis]]) for axis in drifts}
    cause = week["cause"].to_numpy()
    is_noise = (cause == SILENT) & ~week["fallen"].to_numpy(dtype=bool)
    texts = pd.array(drift_texts(drifts, speeds, changes, cause, is_noise), dtype=pd.ArrowDtype(pa.string()))
    texts = pd.Series(texts).where(cause != NEW)
    alerts = week["alert"].to_numpy(dtype=object)
    return pd.DataFrame(
        {"customer_id": customers, "drift": texts, "alert": alerts, "alert_cause": alert_causes(alerts)}
    )


def migration_rows(found: Compared, at: pd.Timestamp) -> pd.DataFrame:
    """Return the rows of ``segment_migrations``."""
    if found.moves.empty:
        return pd.DataFrame(columns=list(MIGRATION_COLUMNS))
    moves = found.moves
    words = severity(moves["drift"].fillna(0.0).to_numpy())
    rows = moves.assign(
        from_week=found.older, at=at.tz_localize("UTC"), severity=pd.Series(words).where(moves["drift"].notna())
    )
    return rows[list(MIGRATION_COLUMNS)]


def population_rows(models: WeekModels, features: dict[str, pd.DataFrame], side: Side) -> pd.DataFrame:
    """Return the rows of ``population_drift``; models fitted before bins were kept have shares only."""
    parts = []
    for axis, score in side.scores.items():
        k = len(score.segment_ids)
        shares = np.bincount(score.dominant, minlength=k) / max(len(score.dominant), 1)
        parts.append(_rows(axis, "segment_share", score.segment_ids, shares))
        bins = getattr(models.loaded[axis].model, "reference_bins_", None)
        if bins is not None:
            psi = feature_drift(bins, features[axis])
            parts.append(_rows(axis, "feature_psi", psi["feature"].tolist(), psi["psi"].to_numpy()))
            reference = np.asarray(bins["segments"], dtype=np.float64)
            size = population_stability(reference, shares, int(bins["n"]), len(score.dominant))
            parts.append(_rows(axis, "segment_psi", [axis], np.array([size])))
    return pd.concat(parts, ignore_index=True)


def _speeds(found: Compared, axis: str) -> list[np.ndarray]:
    return [
        velocity(table[DRIFT + axis].reindex(found.week.index).to_numpy(dtype=np.float64), table.attrs["days"])
        if DRIFT + axis in table
        else np.full(len(found.week), np.nan)
        for table in found.earlier
    ]


def _rows(axis: str, figure: str, names: list[str], values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"axis_name": axis, "figure": figure, "name": names, "value": values})
