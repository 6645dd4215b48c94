"""Stores are partitions; the names every stage shares.

Belongs here: the partitions definition, asset keys, owners. Does not: any asset.
"""

import dagster as dg

STORES = dg.DynamicPartitionsDefinition(name="stores")

OWNERS = ["team:data"]

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
PROFILES_KEY = dg.AssetKey(["profiles", "customer_profiles"])


def out_name(key: dg.AssetKey) -> str:
    """Output name of an asset key within a multi_asset."""
    return "__".join(key.path)
