"""Runs a store through the asset graph in this process, recorded in the same instance that the UI shows.

Belongs here: choosing assets, configuring a run, saying in a few lines what came of it or would. Does not: any work of
the assets, full tables (``showing``).
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from quimbi_assets.axis_table import WEAK
from quimbi_assets.commands.console import Steps, out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import to_instant
from quimbi_assets.resources.home import home_catalogue
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.run_lock import RunLock
from quimbi_assets.resources.postgres.tables.publications import read_held_reasons
from quimbi_assets.resources.postgres.tables.stores import read_store, require_order_before

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Dagster's events are in the instance; on the terminal stands our own progress."""


@dataclass(frozen=True)
class RunOptions:
    """What a run computes: of which axes (None: all), as of which instant (ISO 8601; None: the last order's day's end).

    ``engine`` is ``duckdb`` or ``spark``; ``promote`` lets refits serve whatever the promotion checks say.
    """

    axes: Sequence[str] | None = None
    as_of: str | None = None
    min_population: int = 100
    min_k: int = 2
    max_k: int = 6
    engine: str = "duckdb"
    promote: bool = False
    ai_naming: bool = True

    def checked(self) -> "RunOptions":
        """Return itself; ``BadInputError`` if any option cannot be, with what it may be."""
        from quimbi_assets.axes import checked_axes
        from quimbi_assets.clustering.axis_fit import MOST_SEGMENTS as MOST

        if self.axes is not None and not checked_axes(self.axes):
            raise BadInputError("--axes names no axis; leave it out for all of them")
        if not 2 <= self.min_k <= self.max_k <= MOST:
            raise BadInputError(f"--min-k {self.min_k} --max-k {self.max_k}: need 2 <= min-k <= max-k <= {MOST}")
        if self.min_population < 2:
            raise BadInputError(f"--min-population {self.min_population}: at least 2 customers are needed")
        if self.as_of is not None:
            instant = to_instant(self.as_of, "--as-of")
            if instant > pd.Timestamp.now("UTC").tz_localize(None) + pd.Timedelta(days=1):
                raise BadInputError(f"--as-of {self.as_of} lies in the future: nobody knows what will be then")
        return self


@contextmanager
def store_lock(
    store_id: str, progress: Steps, *, wait: bool, require: Callable[[Database, str], object] = read_store
) -> Iterator[RunLock]:
    """Hold the right to run a store for as long as the block runs.

    If somebody else runs it: ``StoreBusyError``, unless this is to wait; ``progress`` then hears for whom. `require`
    raises where there is nothing that could be run.
    """
    progress.step("starting the database", 0.0)
    database = open_database()
    require(database, store_id)
    with closing(RunLock(database)) as lock:
        lock.take([store_id], progress.step if wait else None)
        yield lock


def run_store(store_id: str, options: RunOptions, progress: Steps, *, wait: bool = False) -> str:
    """Materialize the graph for one store and return the id of Dagster's run."""
    options = options.checked()
    require = partial(require_order_before, at=None if options.as_of is None else to_instant(options.as_of, "--as-of"))
    with store_lock(store_id, progress, wait=wait, require=require) as lock:
        return materialize(lock, store_id, "store", progress, _selection(options.axes), _run_config(options))


def materialize(
    lock: RunLock,
    store_id: str,
    job_name: str,
    progress: Steps,
    selection: Sequence[Any] | None = None,
    run_config: dict[str, Any] | None = None,
    partition: str | None = None,
) -> str:
    """Run a job of ``defs.schedules`` for one store in this process and return the id of Dagster's run.

    ``selection`` are those keys of its assets to materialize, ``partition`` is the job's where it is not the store's.
    """
    progress.step("starting Dagster and MLflow", 0.01)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    from dagster._core.utils import make_new_run_id

    from quimbi_assets.definitions import build_defs
    from quimbi_assets.resources.dagster_resources import open_tracking
    from quimbi_assets.resources.parquet_io import parquet_tables
    from quimbi_assets.resources.publishing import sweep

    # Places that cannot be are refused in their own words, which Dagster would wrap.
    tables, tracking = parquet_tables(), open_tracking()
    if cleared := sweep(open_database(), tables, tracking, store_id):
        progress.warn(cleared)
    run_id = make_new_run_id()
    lock.serve(run_id)
    job = build_defs(progress=progress, run_lock=lock).resolve_job_def(job_name)
    config = {**(run_config or {}), **QUIET}
    _execute(job, store_id, run_id, partition_key=partition or store_id, asset_selection=selection, run_config=config)
    progress.step("done", 1.0)
    return run_id


def _execute(job: Any, store_id: str, run_id: str, **options: Any) -> None:
    """Execute a job in this process as a run that stands where those of the UI do."""
    from dagster import DagsterExecutionInterruptedError

    from quimbi_assets.defs.partitions import STORE_TAG, STORES
    from quimbi_assets.resources import dagster_instance as dagster

    # Nobody but its own terminal begins a command anew.
    tags = {STORE_TAG: store_id, dagster.PROCESS_TAG: dagster.process_tag(run_id), "dagster/max_retries": "0"}
    with dagster.open_instance() as instance:
        instance.add_dynamic_partitions(str(STORES.name), [store_id])
        dagster.end_dead_runs(instance)
        dagster.seen_by_ui(instance, job.name)
        try:
            job.execute_in_process(instance=instance, run_id=run_id, tags=tags, **options)
        except DagsterExecutionInterruptedError as error:
            raise KeyboardInterrupt from error


def republish(lock: RunLock, store_id: str, axis_name: str, progress: Steps, *, ai_naming: bool) -> str:
    """Score with the axis's champion, and publish its segments and the profiles anew; features stay as they are."""
    from quimbi_assets.defs.audiences import AUDIENCE_KEYS
    from quimbi_assets.defs.exports import EXPORT_KEYS
    from quimbi_assets.defs.partitions import ACTIONS_KEY, PROFILES_KEY, axis_key

    selection = [
        axis_key("memberships", axis_name),
        axis_key("segments", axis_name),
        PROFILES_KEY,
        ACTIONS_KEY,
        *AUDIENCE_KEYS,
        *EXPORT_KEYS,
    ]
    config = {"ops": {"segments": {"config": {"ai_naming": ai_naming}}}}
    return materialize(lock, store_id, "store", progress, selection, config)


def _selection(axes: Sequence[str] | None) -> Any:
    if axes is None:
        return None
    from quimbi_assets.defs.audiences import AUDIENCE_KEYS
    from quimbi_assets.defs.exports import EXPORT_KEYS
    from quimbi_assets.defs.partitions import (
        ACTIONS_KEY,
        AXIS_STAGES,
        FORECAST_KEYS,
        HISTORY,
        LIFT_KEY,
        PROFILES_KEY,
        REFERENCE_KEY,
        axis_key,
    )

    chosen = [axis_key(stage, name) for stage in AXIS_STAGES for name in axes]
    published = (PROFILES_KEY, ACTIONS_KEY, *AUDIENCE_KEYS, *EXPORT_KEYS, LIFT_KEY)
    return [*HISTORY, REFERENCE_KEY, *chosen, *FORECAST_KEYS, *published]


def _run_config(options: RunOptions) -> dict[str, Any]:
    configs = {
        "features": ("as_of", "min_population", "engine"),
        "churn__model": ("as_of",),
        "value__model": ("as_of",),
        "models": ("min_k", "max_k", "promote"),
        "segments": ("ai_naming",),
    }
    return {"ops": {op: {"config": {name: getattr(options, name) for name in names}} for op, names in configs.items()}}


def plan_store(store_id: str, options: RunOptions) -> dict[str, Any]:
    """Say what a run would do, without fitting or writing anything; ``axes``: active or the reason why not."""
    from quimbi_assets.clustering.axis_fit import FitOptions
    from quimbi_assets.pipeline import foresee_axes
    from quimbi_assets.resources.postgres.reading import stored_history

    options = options.checked()
    with tempfile.TemporaryDirectory(prefix="quimbi-plan-") as folder:
        history, report = stored_history(open_database(), store_id, Path(folder))
        history = history.until(None if options.as_of is None else to_instant(options.as_of, "--as-of"))
        history = history.until(history.end)
        reasons = foresee_axes(history, options.axes, FitOptions(min_k=options.min_k, max_k=options.max_k))
        return {
            "store_id": store_id,
            "as_of": str(history.end),
            "customers": history.n_customers,
            "orders": sum(history.population["n_orders"].to_pylist()),
            "policy": report,
            "axes": {axis: reason or "active" for axis, reason in reasons.items()},
        }


def read_files_of_home() -> None:
    """Refuse, as bad input, what a run would stumble over at its end: the project's catalogue, audiences and rules."""
    from quimbi_assets.marketing.catalogue import Catalogue
    from quimbi_assets.resources.actions import project_rules
    from quimbi_assets.resources.audiences import project_definitions

    Catalogue.read(home_catalogue())
    project_definitions()
    project_rules()


def run_and_summarise(store_id: str, options: RunOptions, *, wait: bool = False) -> None:
    """Run a store and print, per axis, how many segments were found or why none."""
    started = time.monotonic()
    read_files_of_home()
    with steps(store_id) as progress:
        run_id = run_store(store_id, options, progress, wait=wait)
    from quimbi_assets.commands.showing import affinities_of, cannot_tell, churn_of, segments_of, value_of

    published, held = segments_of(store_id), read_held_reasons(open_database(), store_id)
    weak = []
    for axis in published["axes"]:
        if options.axes is not None and axis["axis"] not in options.axes:
            continue
        weak += [axis["axis"].replace("_", " ")] if axis["status"] == WEAK else []
        if not axis["segments"]:
            out.print(f"{axis['axis']:28} {axis['status']}: {axis['reason']}", markup=False)
            continue
        names = ", ".join(segment["segment_name"] for segment in axis["segments"])
        provisional = "provisional, " if axis["provisional"] else ""
        doubt = "weak, " if axis["status"] == WEAK else provisional
        out.print(f"{axis['axis']:28} {doubt}{axis['k']} segments: {names}", markup=False)
        if reason := held.get(axis["axis"]):
            out.print(f"{'':28} refit held, the earlier model serves: {reason} (--promote accepts it)", markup=False)
    if weak:
        doubt = f"weak: {cannot_tell(open_database(), store_id)}"
        out.print(f"{doubt}: {', '.join(weak)} (quimbi segments --why)", markup=False)
    out.print(f"{'churn risk':28} {churn_of(store_id)}", markup=False)
    out.print(f"{'value to come':28} {value_of(store_id)}", markup=False)
    for line in affinities_of(store_id):
        out.print(f"{'what they buy most':28} {line}", markup=False)
    out.print(
        f"store {store_id} as of {published['as_of']}: run {run_id} took {time.monotonic() - started:.1f} s. "
        f"Its page: quimbi report --store-id {store_id} --out {store_id}.html, or live: quimbi ui; whom to write to: "
        f"quimbi at-risk --store-id {store_id}; details: quimbi segments --store-id {store_id}",
        markup=False,
    )
    if options.as_of is not None:
        out.print(f"People see this now; today's comes back with: quimbi run --store-id {store_id}", markup=False)


def print_dry_run(store_id: str, options: RunOptions) -> None:
    """Print what a run would do."""
    read_files_of_home()
    plan = plan_store(store_id, options)
    out.print(f"store {store_id} as of {plan['as_of']}: {plan['orders']:,} orders of {plan['customers']:,} customers")
    for what, count in plan["policy"].items():
        out.print(f"  {what}: {count:,}", markup=False)
    for axis, state in plan["axes"].items():
        out.print(f"  {axis:28} {state}", markup=False)
    if plan["customers"] < options.min_population:
        out.print(f"  too few customers: fewer than --min-population {options.min_population}", markup=False)
    out.print("dry run: nothing was fitted or written")
