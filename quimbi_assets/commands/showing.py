"""Prints what a run found: segments by axis, and profiles.

Belongs here: reading the published tables and laying them out. Does not: computing anything.
"""

import json
from collections.abc import Sequence
from typing import Any

from rich.padding import Padding
from rich.text import Text

from quimbi_assets.commands.console import out
from quimbi_assets.profiles.rendering import profile_record, render_profile
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.reading import common_currency
from quimbi_assets.resources.postgres.tables.lineage import read_held_reasons
from quimbi_assets.resources.postgres.tables.segments import read_profiles, read_segments
from quimbi_assets.resources.postgres.tables.stores import read_store

#: Columns that a segment's sentence is moved in, below its name.
INDENT = 20
NEIGHBOURS = 3
"""Most similar customers that a printed profile names."""


def segments_of(store_id: str) -> dict[str, Any]:
    """Return the structure of ``quimbi segments --json``.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store or it was never run.
    """
    from quimbi_assets.axes import AXES
    from quimbi_assets.naming.table import segments_table

    database = open_database()
    read_store(database, store_id)
    axes, segments = read_segments(database, store_id)
    by_name = axes.set_index("axis_name").to_dict("index")
    ordered = {name: by_name[name] for name in AXES if name in by_name}
    return segments_table(store_id, axes["as_of"].max(), ordered, segments)


def held_reasons_of(store_id: str) -> dict[str, str]:
    """Return why the last refits of a store's axes do not serve, by axis; those that serve are left out."""
    return read_held_reasons(open_database(), store_id)


def churn_of(store_id: str) -> str:
    """Say which churn model serves a store and how it did on unseen history, or why there is none."""
    from quimbi_assets.resources.mlflow.churn import CHURN_KEY
    from quimbi_assets.resources.parquet_io import frame_io_manager

    found = frame_io_manager().read(CHURN_KEY, store_id)
    if found is None or found.empty:
        return f"inactive: {'not computed yet' if found is None else found.attrs['reason']}"
    row = found.iloc[0]
    weak = f"weak ({row['reason']}), " if row["status"] == "weak" else ""
    serves = (
        "days since the last order alone serve" if row["serves"] == "silence" else f"a model of {row['serves']} serves"
    )
    n_windows = int(row.get("windows_tested", 1))
    tested = (
        f"on the last {n_windows} times {row['horizon_days']}"
        if n_windows > 1
        else f"on the last {row['horizon_days']}"
    )
    return (
        f"{weak}no order in {row['horizon_days']} days: {serves}; {tested}, unseen, AUC "
        f"{row['auc_of_chosen']:.3f} against {row['auc_of_silence']:.3f} of days since the last order alone, "
        f"calibration error {100 * row['calibration_error']:.1f} points"
    )


def print_segments(found: dict[str, Any]) -> None:
    """Print every axis with its segments, largest first, weak ones as such, then the inactive ones with reasons."""
    from quimbi_assets.axes import AXES

    shown = [axis for axis in found["axes"] if axis["segments"]]
    n_weak = sum(axis["status"] == "weak" for axis in shown)
    weak = f", {n_weak} of them weak: their segments may be chance" if n_weak else ""
    count = f"{len(shown)} of {len(found['axes'])} axes active{weak}"
    out.print(f"[bold]store {found['store_id']}[/bold], as of {found['as_of']}: {count}")
    for axis in shown:
        is_weak = axis["status"] == "weak"
        figures = f"silhouette {axis['silhouette']:.2f}, stability {axis['stability_ari']:.2f}"
        mark = "  WEAK" if is_weak else ""
        out.print(f"\n[bold]{axis['axis']}[/bold]{mark}  {AXES[axis['axis']].question}  [dim]({figures})[/dim]")
        if axis["reason"]:
            out.print(Padding(Text(f"{axis['status']}: {axis['reason']}", style="dim"), (0, 0, 0, 2)), soft_wrap=False)
        style = "dim" if is_weak else "bold cyan"
        for segment in axis["segments"]:
            share, customers = f"{segment['population_percentage']:.1f} %", f"{segment['customer_count']:,}"
            out.print(f"  {share:>7} {customers:>9}  [{style}]{segment['segment_name']}[/{style}]")
            out.print(Padding(Text(segment["interpretation"]), (0, 0, 0, INDENT)), soft_wrap=False)
    out.print()
    for axis in found["axes"]:
        if not axis["segments"]:
            out.print(f"{axis['axis']}: {axis['status']}, {axis['reason']}", style="dim", markup=False)


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
    """Print profiles one below the other, in words, each with its archetype's name and the customers most like it."""
    from quimbi_assets.axes import AXES
    from quimbi_assets.profiles.neighbours import nearest_customers
    from quimbi_assets.resources.postgres.tables.archetypes import read_archetypes, read_fingerprints

    database = open_database()
    currency = read_store(database, store_id).currency or common_currency(database, store_id) or ""
    axes, segments = read_segments(database, store_id)
    weak = set(axes.loc[axes["status"] == "weak", "axis_name"])
    by_axis = {str(name): frame for name, frame in segments.groupby("axis_name")}
    names = read_archetypes(database, store_id).set_index("archetype_id")["name"]
    near = nearest_customers(read_fingerprints(database, store_id), [p["customer_id"] for p in profiles], NEIGHBOURS)
    alike = {str(customer): list(rows["neighbour_id"]) for customer, rows in near.groupby("customer_id")}
    for profile in profiles:
        name = names.get(profile["archetype_id"], "")
        text = render_profile(profile, AXES, by_axis, currency, name, alike.get(profile["customer_id"], ()), weak)
        out.print(text, markup=False)
        out.print()


def print_json(value: Any) -> None:
    """Print JSON on stdout, nothing else."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False, default=str))  # noqa: T201
