"""A made-up store's result, to publish: two axes, their segments, two archetypes, some customers."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa

from quimbi_assets.resources.postgres.tables.publications import AxisState, Publication

AS_OF = pd.Timestamp("2024-06-01 12:00", tz="UTC").to_pydatetime()


def axis_state(version, status="active", **facts):
    return AxisState(status, k=2, silhouette=0.4, stability_ari=0.9, mlflow_run_id="r", model_version=version,
                     as_of=AS_OF, **facts)  # fmt: skip


def segments(store_id, axis, version, names=("few", "many"), at=None):
    ids = [f"{axis}_{i + 1}" for i in range(len(names))]
    return pd.DataFrame(
        {
            "store_id": store_id,
            "axis_name": axis,
            "segment_id": ids,
            "segment_name": list(names),
            "interpretation": "who they are",
            "cluster_center": '{"n": 1.5}',
            "scaler_params": "{}",
            "population_percentage": 50.0,
            "customer_count": 2,
            "valid_from": pd.Timestamp.now("UTC") if at is None else at,
            "valid_to": pd.Series([pd.NaT] * len(ids), dtype="datetime64[us, UTC]"),
            "model_version": version,
            "stability": [0.9, *[np.nan] * (len(ids) - 1)],
            "name_source": "rules",
            "text_source": "rules",
        }
    )


def archetypes(store_id, mark="all customers", at=None):
    return pd.DataFrame(
        {
            "store_id": store_id,
            "archetype_id": ["x", "y"],
            "name": [mark, f"others of {mark}"],
            "traits": '{"a": {"segment_id": "a_1", "segment_name": "few"}}',
            "customer_count": [3, 1],
            "population_percentage": [75.0, 25.0],
            "valid_from": pd.Timestamp.now("UTC") if at is None else at,
            "valid_to": None,
            "as_of": AS_OF,
        }
    )


def profiles(n, versions, mark="said"):
    """One batch of n customers of ``few`` on every axis."""
    axes = [axis for axis in versions if axis != "churn_risk"]
    members = {axis: {f"{axis}_1": 0.75, f"{axis}_2": 0.25} for axis in axes}
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i:04d}" for i in range(n)],
            "archetype_id": "x",
            "segment_memberships": json.dumps(members),
            "dominant_segments": json.dumps({axis: f"{axis}_1" for axis in axes}),
            "membership_strength": json.dumps(dict.fromkeys(axes, "strong")),
            "stays": json.dumps(dict.fromkeys(axes, 0.75)),
            "stays_strength": json.dumps(dict.fromkeys(axes, "balanced")),
            "fingerprint": [np.array([0.5, float(i)], dtype="float32") for i in range(n)],
            "lifetime_value": [None, *range(n - 1)],
            "interpretation": f'{mark}: comma, "quote", newline\n, ünï',
            "model_versions": json.dumps(versions),
            "as_of": pd.Timestamp(AS_OF),
        }
    )
    return pa.Table.from_pandas(frame, preserve_index=False)


def publication(store_id, versions, batches=None, **changes):
    """All of a store's result by these versions, by axis and ``churn_risk``."""
    axes = [axis for axis in versions if axis != "churn_risk"]
    lineage = pd.DataFrame(
        {"segment_id": ["s"], "previous_segment_id": [None], "relation": ["born"], "score": [np.nan]}
    )
    given = {
        "axes": {axis: axis_state(versions[axis]) for axis in axes},
        "segments": {axis: segments(store_id, axis, versions[axis]) for axis in axes},
        "archetypes": lambda: archetypes(store_id),
        "lineage": [(axis, versions[axis], lineage) for axis in axes],
    }
    batches = [profiles(4, versions)] if batches is None else batches
    rows = (batch.append_column("store_id", pa.repeat(store_id, len(batch))) for batch in batches)
    return Publication(
        store_id=store_id, run_id="run", as_of=AS_OF, profiles=rows, model_versions=versions, **(given | changes)
    )
