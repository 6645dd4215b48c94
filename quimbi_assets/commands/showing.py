"""Prints what a run found: segments by axis, and profiles.

Belongs here: reading the published tables and laying them out. Does not: computing anything.
"""

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from quimbi_assets.commands.console import out
from quimbi_assets.profiles.rendering import profile_record, render_profile
from quimbi_assets.resources.database import open_database
from quimbi_assets.resources.publishing import read_profiles, read_segments
from quimbi_assets.resources.stores import read_store
from quimbi_assets.resources.succession import read_held_reasons


def segments_of(store_id: str) -> dict[str, Any]:
    """Return the structure of ``quimbi segments --json``.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store or it was never run.
    """
    from quimbi_assets.axes import AXES
    from quimbi_assets.segments.table import segments_table

    database = open_database()
    read_store(database, store_id)
    axes, segments = read_segments(database, store_id)
    by_name = axes.set_index("axis_name").to_dict("index")
    ordered = {name: by_name[name] for name in AXES if name in by_name}
    return segments_table(store_id, axes["as_of"].max(), ordered, segments)


def held_reasons_of(store_id: str) -> dict[str, str]:
    """Return why the last refits of a store's axes do not serve, by axis; those that serve are left out."""
    return read_held_reasons(open_database(), store_id)


def print_segments(found: dict[str, Any]) -> None:
    """Print every axis with its segments, largest first, then the inactive ones with their reasons."""
    active = [axis for axis in found["axes"] if axis["segments"]]
    out.print(
        f"[bold]{found['store_id']}[/bold]  as of {found['as_of']}  {len(active)} of {len(found['axes'])} axes active"
    )
    for axis in active:
        title = f"{axis['axis']}  (silhouette {axis['silhouette']:.2f}, stability {axis['stability_ari']:.2f})"
        table = Table(title=title, title_justify="left", title_style="bold", expand=True)
        table.add_column("segment", no_wrap=True)
        table.add_column("customers", justify="right")
        table.add_column("share", justify="right")
        table.add_column("who they are", ratio=1)
        for segment in axis["segments"]:
            share = f"{segment['population_percentage']:.1f} %"
            table.add_row(segment["segment_name"], f"{segment['customer_count']:,}", share, segment["interpretation"])
        out.print(table)
    for axis in found["axes"]:
        if not axis["segments"]:
            out.print(f"[dim]{axis['axis']}: {axis['status']}, {axis['reason']}[/dim]")


def profiles_of(store_id: str, customer_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of ``customer_profiles`` as JSON-able objects, in the order asked for.

    Raises
    ------
    UnknownStoreError, BadInputError
        If the store or any customer is unknown.
    """
    database = open_database()
    read_store(database, store_id)
    frame = read_profiles(database, store_id, customer_ids)
    return [profile_record(row) for row in frame.to_dict("records")]


def print_profiles(store_id: str, profiles: list[dict[str, Any]]) -> None:
    """Print profiles one below the other, in words."""
    from quimbi_assets.axes import AXES

    database = open_database()
    currency = read_store(database, store_id).currency or ""
    _, segments = read_segments(database, store_id)
    by_axis = {str(name): frame for name, frame in segments.groupby("axis_name")}
    for profile in profiles:
        out.print(render_profile(profile, AXES, by_axis, currency), markup=False)
        out.print()


def print_json(value: Any) -> None:
    """Print JSON on stdout, nothing else."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False, default=str))  # noqa: T201
