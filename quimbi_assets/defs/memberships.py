"""Stage 3, applied: every customer's membership in every segment of every active axis.

Belongs here: scoring with the registered champion. Does not: the formula (``clustering.membership``).
"""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES, Axis
from quimbi_assets.defs.checks import rule_check
from quimbi_assets.defs.partitions import axis_key, axis_spec
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.stage_tables import INACTIVE, StageEvent, facts, inactive_reason, inactive_result
from quimbi_assets.profiles.scores import score_axis, scores_to_frame
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import FrameIOManager
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.progress import Progress

CHECK = "memberships_sum_to_1"
TOLERANCE = 1e-9


def _spec(axis: Axis) -> dg.AssetSpec:
    return axis_spec(
        "memberships",
        axis.name,
        [axis_key("features", axis.name), axis_key("models", axis.name)],
        f"How much each customer belongs to each segment of {axis.name.replace('_', ' ')}: "
        "0 to 1, summing to 1 per customer (`m:` columns), distances to the centres (`d:`) and evidence.",
        {"numpy", "mlflow"},
    )


@dg.multi_asset(
    name="memberships",
    specs=[_spec(axis) for axis in AXES.values()],
    can_subset=True,
    check_specs=[dg.AssetCheckSpec(CHECK, asset=axis_key("memberships", name), blocking=True) for name in AXES],
)
@retried
def memberships(
    context: dg.AssetExecutionContext,
    frames: dg.ResourceParam[FrameIOManager],
    store: StoreDatabase,
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
) -> Iterator[StageEvent]:
    """Score every customer of the partition's store on the selected axes."""
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("memberships", name) in context.selected_asset_keys]
    fitted = {name: frames.read(axis_key("models", name), store_id) for name in selected}
    reasons = {name: inactive_reason(frame) for name, frame in fitted.items()}
    progress.step("scoring customers", 0.68)
    champions = tracking.champions(store_id, [name for name in selected if reasons[name] is None])
    for name in selected:
        key, table = axis_key("memberships", name), frames.read(axis_key("features", name), store_id)
        reason = reasons[name] or inactive_reason(table)
        if reason or table is None:
            yield inactive_result(key, str(reason))
            yield dg.AssetCheckResult(asset_key=key, check_name=CHECK, passed=True, metadata={"status": INACTIVE})
            continue
        scored = scores_to_frame(score_axis(champions[name].model, table))
        scored.attrs = {**table.attrs, "model_version": str(champions[name].version)}
        yield dg.MaterializeResult(asset_key=key, value=scored, metadata=_metadata(scored))
        yield _sum_check(key, scored)
    store.publish_serving(store_id, champions)


def _of_members(scored: pd.DataFrame) -> pd.DataFrame:
    return scored[[column for column in scored if column.startswith("m:")]]


def _metadata(scored: pd.DataFrame) -> dict[str, dg.MetadataValue]:
    members = _of_members(scored)
    top = members.idxmax(axis=1).str.removeprefix("m:").value_counts(normalize=True)
    return facts(
        len(scored),
        model_version=scored.attrs["model_version"],
        median_top_membership=float(members.max(axis=1).median()),
        low_evidence_share=float((scored["evidence"] == "low").mean()),
        dominant=pd.DataFrame({"segment": top.index, "share of customers": [f"{s:.1%}" for s in top]}),
    )


def _sum_check(key: dg.AssetKey, scored: pd.DataFrame) -> dg.AssetCheckResult:
    values = _of_members(scored).to_numpy()
    worst = float(np.abs(values.sum(axis=1) - 1).max()) if len(values) else 0.0
    passed = bool(worst <= TOLERANCE and np.isfinite(values).all() and (values >= 0).all())
    return rule_check(key, CHECK, passed, "Memberships of every customer sum to 1 within 1e-9.", largest_error=worst)
