"""What a person decides for a store: its plan, which model version serves an axis, what a segment is called.

Belongs here: ``quimbi plan``, ``promote`` and ``rename``: checking names and values, noting the decision, publishing
what follows from it. Does not: what follows from a plan (``StorePlan``), the automatic rule of promotion
(``clustering.promotion``), names by rule or by Claude (``naming``).
"""

import re
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from quimbi_assets.commands.console import out, steps
from quimbi_assets.commands.running import republish, store_lock
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables.naming import write_rename
from quimbi_assets.resources.postgres.tables.promotions import choose_versions, read_promotions
from quimbi_assets.resources.postgres.tables.publications import read_publication, read_segments
from quimbi_assets.resources.postgres.tables.shops import publication_ended
from quimbi_assets.resources.postgres.tables.stores import planned_stores, read_store, write_plan


def plan_of(store_id: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Set fields of a store's ``StorePlan``, if any, and return the structure of ``quimbi plan --json``.

    ``next_due`` is when the weekly work comes next, ISO, by the store's clock.
    """
    database = open_database()
    read_store(database, store_id)
    (planned,) = [store for store in planned_stores(database) if store.store_id == store_id]
    plan = replace(planned.plan, **changes)
    if changes:
        write_plan(database, store_id, plan)
    # A week from now its last instant is the next one from here.
    following = plan.last_due(pd.Timestamp.now("UTC") + pd.Timedelta(weeks=1), planned.time_zone)
    return {"store_id": store_id, "time_zone": planned.time_zone, **asdict(plan), "next_due": following.isoformat()}


def print_plan(plan: dict[str, Any]) -> None:
    """Print a store's plan in words."""
    when = {"weekly": "every week", "monthly": "on the first such day of a month", "never": "never"}
    lines = (
        f"store {plan['store_id']}: weekly work on {plan['weekday']} at {plan['hour']}:00 ({plan['time_zone']}), "
        f"next on {plan['next_due'][:16].replace('T', ' ')}",
        f"  models are fitted anew {when[plan['refit']]}",
        f"  the week that ended is recorded {when[plan['snapshot']]}",
        f"  stale when older than {plan['stale_after_days']} days",
        f"  messages name nobody twice in {plan['repeat_after_weeks']} weeks, and {plan['holdout_share']:.0%} of "
        "customers never, to compare with",
        "Schedules run while `quimbi ui` does, once they are switched on there under Automation.",
    )
    for line in lines:
        out.print(line, markup=False)


def promote_and_publish(store_id: str, axis_name: str, version: str, *, wait: bool = False) -> None:
    """Choose a registered version of an axis, score the store's customers with it, publish the result."""
    with steps(store_id) as progress, store_lock(store_id, progress, wait=wait) as lock:
        published = read_publication(open_database(), store_id)
        serves = published is not None and published.model_versions.get(axis_name) == version
        if serves and publication_ended(open_database(), store_id):
            promote_version(store_id, axis_name, version)
            out.print(f"it is what people see already: quimbi segments --store-id {store_id}", markup=False)
            return
        refuse_unfinished(store_id, axis_name)
        promote_version(store_id, axis_name, version)
        republish(lock, store_id, axis_name, progress, ai_naming=True)
    out.print(
        f"published: quimbi segments --store-id {store_id}. The next run refits, from this version on.", markup=False
    )


def promote_version(store_id: str, axis_name: str, version: str) -> None:
    """Choose a registered version of an axis: it serves from the next publication on, and refits go on from it."""
    from quimbi_assets.axes import checked_axes
    from quimbi_assets.resources.dagster_resources import open_tracking

    database = open_database()
    read_store(database, store_id)
    checked_axes(axis_name)
    model = open_tracking().registry.load_versions(store_id, {axis_name: version})[axis_name]
    before = read_promotions(database, store_id).chosen().get(axis_name, "none")
    choose_versions(database, store_id, {axis_name: model.choice(by_hand=True)})
    instead = "" if before == version else f" instead of {before}"
    out.print(f"axis {axis_name} of store {store_id}: version {version} serves{instead}", markup=False)


def rename_segment(store_id: str, axis_name: str, segment: str, name: str, *, wait: bool = False) -> None:
    """Name a segment, given by its id or present name, and publish the axis and the profiles with that name."""
    with steps(store_id) as progress, store_lock(store_id, progress, wait=wait) as lock:
        segment_id, before = find_segment(store_id, axis_name, segment, name)
        refuse_unfinished(store_id, axis_name)
        write_rename(open_database(), store_id, axis_name, segment_id, name)
        republish(lock, store_id, axis_name, progress, ai_naming=False)
    instead = ", as before" if before == name else f" instead of {before}"
    out.print(
        f"axis {axis_name} of store {store_id}: segment {segment_id} is {name}{instead}; "
        "runs and refits keep that name, profiles and archetypes show it",
        markup=False,
    )


def refuse_unfinished(store_id: str, axis_name: str) -> None:
    """BadInputError if to publish an axis anew would publish what a run left that did not end."""
    from quimbi_assets.axes import AXES
    from quimbi_assets.defs.partitions import last_tables
    from quimbi_assets.profiles.alignment import active_tables
    from quimbi_assets.resources.parquet_io import parquet_tables

    database, profiled = open_database(), active_tables(last_tables(parquet_tables(), store_id, AXES))
    published, rows = read_publication(database, store_id), read_promotions(database, store_id).rows
    if published is None:
        return
    chosen = [row for row in rows if row.axis == axis_name and not row.for_past]
    is_left = bool(chosen) and not (chosen[-1].is_published or chosen[-1].by_hand)
    for stage in ("features", "memberships"):
        for name, table in profiled[stage].items():
            is_left |= table.facts.at != published.as_of
            if stage == "memberships" and name != axis_name:  # those of the axis are scored anew
                version = table.facts.model_version
                is_left |= version != published.model_versions.get(name, version)
    if is_left:
        raise BadInputError(
            f"the last run of store {store_id} did not end or was refused, and what it left would be published too; "
            f"first: quimbi run --store-id {store_id}"
        )


def find_segment(store_id: str, axis_name: str, segment: str, name: str) -> tuple[str, str]:
    """Return the id and present name of the segment that is to be called ``name``, or refuse as ``rename_segment``."""
    from quimbi_assets.axes import checked_axes
    from quimbi_assets.naming.validators import FORM_RULE, bad_form, taken

    database = open_database()
    read_store(database, store_id)
    checked_axes(axis_name)
    if bad_form(name):
        raise BadInputError(f"--to {name!r} cannot be a name: {FORM_RULE}, such as weekend_regulars")
    if re.fullmatch(rf"{axis_name}_\d+", name):
        raise BadInputError(f"--to {name} cannot be a name: ids of segments look so")
    _, segments = read_segments(database, store_id)
    of_axis = segments[segments["axis_name"] == axis_name]
    names = dict(zip(of_axis["segment_id"].astype(str), of_axis["segment_name"].astype(str), strict=True))
    ids = [segment] if segment in names else [one for one, present in names.items() if segment == present]
    if not ids:
        known = ", ".join(f"{segment_id} ({present})" for segment_id, present in names.items())
        known = known or "none: the axis is inactive"
        raise BadInputError(f"axis {axis_name} of store {store_id} has no segment {segment!r}; there are: {known}")
    if taken(name, [present for segment_id, present in names.items() if segment_id != ids[0]]):
        raise BadInputError(f"another segment of axis {axis_name} is called {name}; names tell segments apart")
    return ids[0], names[ids[0]]
