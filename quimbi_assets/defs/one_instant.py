"""Which axes can be looked at together: those of the same customers as of the same instant.

Belongs here: choosing among what the stages left behind. Does not: any asset.
"""

import dagster as dg
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.defs.partitions import axis_key
from quimbi_assets.defs.stage_tables import inactive_reason
from quimbi_assets.resources.parquet_io import FrameIOManager

STAGES = ("features", "memberships", "segments")
ACTIVE = "active"


def active_tables(frames: FrameIOManager, store_id: str) -> dict[str, dict[str, pd.DataFrame]]:
    """Return the tables of every stage by axis; inactive axes are left out."""
    return {stage: _active(frames, stage, store_id) for stage in STAGES}


def axes_not_weak(frames: FrameIOManager, store_id: str, axes: list[str]) -> list[str]:
    """Return those of the axes whose model calls them active rather than weak."""
    fitted = {name: frames.read(axis_key("models", name), store_id) for name in axes}
    return [name for name, table in fitted.items() if table is not None and (table["status"] == ACTIVE).all()]


def _active(frames: FrameIOManager, stage: str, store_id: str) -> dict[str, pd.DataFrame]:
    found = {name: frames.read(axis_key(stage, name), store_id) for name in AXES}
    return {name: table for name, table in found.items() if table is not None and inactive_reason(table) is None}


def of_one_instant(tables: dict[str, dict[str, pd.DataFrame]], run_id: str) -> tuple[list[str], str, dict[str, str]]:
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
