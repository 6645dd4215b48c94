"""Stores are partitions; the names every stage shares.

Belongs here: the partitions definition, asset keys, owners. Does not: any asset.
"""

from collections.abc import Sequence

import dagster as dg

from quimbi_assets.resources import churn_tracking

STORES = dg.DynamicPartitionsDefinition(name="stores")

OWNERS = ["team:data"]

#: Tag of runs of one store, whatever their partitions: the queue lets one of them run at a time.
STORE_TAG = "quimbi/store"

#: Resource keys used across the definitions.
FRAMES = "frames"


def axis_key(stage: str, axis_name: str) -> dg.AssetKey:
    """Key of an axis's asset in a stage, e.g. ``features/purchase_value``."""
    return dg.AssetKey([stage, axis_name])


ORDERS_KEY = dg.AssetKey(["raw", "orders"])
ITEMS_KEY = dg.AssetKey(["raw", "order_items"])
TICKETS_KEY = dg.AssetKey(["raw", "support_tickets"])
REFERENCE_KEY = dg.AssetKey(["features", "store_reference"])
#: Stages that have one asset an axis, in order.
AXIS_STAGES = ("features", "models", "memberships", "segments")
CHURN_KEY = churn_tracking.CHURN_KEY
PROFILES_KEY = dg.AssetKey(["profiles", "customer_profiles"])
#: The check that looks at all stores at once; no store's run includes it.
FRESHNESS_CHECK = dg.AssetCheckKey(PROFILES_KEY, "every_store_is_fresh")


def axis_spec(
    stage: str, axis_name: str, deps: Sequence[dg.AssetKey], description: str, kinds: set[str]
) -> dg.AssetSpec:
    """Specify an axis's asset: skippable within its stage's multi_asset, with dependencies of its own axis only."""
    return dg.AssetSpec(
        axis_key(stage, axis_name),
        deps=deps,
        skippable=True,
        description=description,
        group_name=stage,
        owners=OWNERS,
        kinds=kinds,
        partitions_def=STORES,
    ).with_io_manager_key(FRAMES)


def out_name(key: dg.AssetKey) -> str:
    """Output name of an asset key within a multi_asset."""
    return "__".join(key.path)
