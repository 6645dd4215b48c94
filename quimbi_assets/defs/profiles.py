"""Stage 5: memberships × segments → one profile a customer, replaced as a whole.

Belongs here: gathering what the axes found and publishing it in one transaction. Does not: what a profile says
(``profiles``).
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.defs.checks import schema_check
from quimbi_assets.defs.partitions import FRAMES, ORDERS_KEY, OWNERS, PROFILES_KEY, STORES, axis_key
from quimbi_assets.defs.stage_tables import facts, inactive_reason
from quimbi_assets.profiles.assemble import ProfileContext, assemble
from quimbi_assets.profiles.schema import PROFILE_SCHEMA
from quimbi_assets.resources.frames import FrameIOManager
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.store import StoreDatabase

CHECK = "profile_schema"
STAGES = ("features", "memberships", "segments")


@dg.asset(
    key=PROFILES_KEY,
    deps=[axis_key(stage, name) for stage in STAGES for name in AXES],
    partitions_def=STORES,
    group_name="profiles",
    owners=OWNERS,
    kinds={"postgres"},
    io_manager_key=FRAMES,
    check_specs=[dg.AssetCheckSpec(CHECK, asset=PROFILES_KEY)],
    description="Who each customer is: memberships, dominant segments, strengths, archetype, fingerprint and value, "
    "published to `quimbi.customer_profiles` in one transaction.",
)
def customer_profiles(
    context: dg.AssetExecutionContext,
    frames: dg.ResourceParam[FrameIOManager],
    store: StoreDatabase,
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.Output | dg.AssetCheckResult]:
    """Assemble and publish the profiles of the partition's store."""
    store_id = context.partition_key
    progress.step("assembling profiles", 0.8)
    tables = {stage: _active(frames, stage, store_id) for stage in STAGES}
    axes, as_of, left_out = _of_one_instant(tables, context.run_id)
    orders = frames.read(ORDERS_KEY, store_id)
    profile_context = ProfileContext(
        store_id=store_id,
        as_of=pd.Timestamp(as_of).to_pydatetime(),
        segments={name: tables["segments"][name] for name in axes},
        versions={name: tables["memberships"][name].attrs["model_version"] for name in axes},
        currency="" if orders is None else orders.attrs.get("currency") or "",
    )
    profiles = assemble(
        {name: tables["memberships"][name] for name in axes},
        {name: tables["features"][name] for name in axes},
        profile_context,
    )
    check = schema_check(PROFILES_KEY, CHECK, profiles, PROFILE_SCHEMA)
    if not check.passed:
        yield check
        raise dg.Failure("profiles do not fulfil their schema and were not published", metadata=check.metadata)
    progress.step("publishing profiles", 0.9)
    store.publish_profiles(store_id, profiles)
    yield dg.Output(profiles, metadata=_metadata(profiles, axes, as_of, left_out))
    yield check


def _active(frames: FrameIOManager, stage: str, store_id: str) -> dict[str, pd.DataFrame]:
    found = {name: frames.read(axis_key(stage, name), store_id) for name in AXES}
    return {name: table for name, table in found.items() if table is not None and inactive_reason(table) is None}


def _of_one_instant(tables: dict[str, dict[str, pd.DataFrame]], run_id: str) -> tuple[list[str], str, dict[str, str]]:
    """Choose the axes that describe the same customers as of the same instant.

    The instant is that of the axes computed by this run, or the latest one when profiles run alone.
    """
    complete = [name for name in AXES if all(name in tables[stage] for stage in STAGES)]
    if not complete:
        raise dg.Failure("no axis is active for this store: there is nothing to profile")
    instants = {name: tables["memberships"][name].attrs["observation_end"] for name in complete}
    own = [name for name in complete if tables["memberships"][name].attrs.get("run_id") == run_id]
    leader = own[0] if own else max(complete, key=lambda name: instants[name])
    customers = tables["memberships"][leader].index
    left_out = {
        name: f"computed as of {instants[name]} or for other customers"
        for name in complete
        if instants[name] != instants[leader] or not all(tables[s][name].index.equals(customers) for s in STAGES[:2])
    }
    return [name for name in complete if name not in left_out], instants[leader], left_out


def _metadata(
    profiles: pd.DataFrame, axes: list[str], as_of: str, left_out: dict[str, str]
) -> dict[str, dg.MetadataValue]:
    archetypes = profiles["archetype_id"].value_counts()
    sample = profiles[["customer_id", "archetype_id", "lifetime_value", "interpretation"]].head(5)
    return facts(
        len(profiles),
        as_of=as_of,
        active_axes=", ".join(axes),
        axes_left_out=left_out or None,
        archetypes=len(archetypes),
        largest_archetype_share=float(archetypes.iloc[0] / len(profiles)),
        total_lifetime_value=float(profiles["lifetime_value"].sum()),
        examples=sample,
    )
