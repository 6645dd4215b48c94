"""Runs a store through the asset graph in this process, recorded in the same instance that the UI shows.

Belongs here: choosing assets and configuring a run. Does not: any work of the assets.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from quimbi_assets.commands.console import Steps
from quimbi_assets.errors import BadInputError

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Dagster's events are in the instance; on the terminal stands our own progress."""


@dataclass(frozen=True)
class RunOptions:
    """What a run computes.

    Parameters
    ----------
    axes : sequence of str or None
        Axes to compute; None for all.
    as_of : str or None
        Instant (ISO 8601), blind to anything later; None for the end of the last order's day.
    min_population : int
        Fewest customers worth segmenting.
    min_k, max_k : int
        Fewest and most segments of an axis.
    engine : str
        ``duckdb`` or ``spark``.
    promote : bool
        Let the refits serve whatever the promotion checks say.
    ai_naming : bool
        Let Claude name segments, where a key for it is set.
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
        """Return itself.

        Raises
        ------
        BadInputError
            If any option cannot be, with what it may be.
        """
        from quimbi_assets.axes import AXES

        unknown = [name for name in self.axes or () if name not in AXES]
        if unknown:
            raise BadInputError(f"unknown axis {', '.join(unknown)}; there are: {', '.join(AXES)}")
        if not 2 <= self.min_k <= self.max_k:
            raise BadInputError(f"--min-k {self.min_k} --max-k {self.max_k}: need 2 <= min-k <= max-k")
        if self.min_population < 2:
            raise BadInputError(f"--min-population {self.min_population}: at least 2 customers are needed")
        if self.as_of is not None:
            _instant(self.as_of)
        return self


def _instant(text: str) -> pd.Timestamp:
    try:
        stamp = pd.Timestamp(text)
    except ValueError as error:
        raise BadInputError(
            f"--as-of {text!r} is not a date or time; write it as 2025-06-30 or 2025-06-30T12:00Z"
        ) from error
    if stamp is pd.NaT:
        raise BadInputError(f"--as-of {text!r} is not a date or time; write it as 2025-06-30 or 2025-06-30T12:00Z")
    return stamp if stamp.tz is None else stamp.tz_convert("UTC").tz_localize(None)


def run_store(store_id: str, options: RunOptions, progress: Steps) -> str:
    """Materialize the graph for one store.

    Parameters
    ----------
    store_id : str
        A loaded store.
    options : RunOptions
        What to compute.
    progress : Steps
        Hears every step.

    Returns
    -------
    str
        Dagster run id.

    Raises
    ------
    UnknownStoreError
        If the store was never loaded.
    BadInputError
        If an option cannot be, or there are too few customers.
    """
    options = options.checked()
    return materialize(store_id, "store", progress, _selection(options.axes), _run_config(options))


def materialize(
    store_id: str,
    job_name: str,
    progress: Steps,
    selection: Sequence[Any] | None = None,
    run_config: dict[str, Any] | None = None,
    partition: str | None = None,
) -> str:
    """Run a job for one store in this process.

    Parameters
    ----------
    store_id : str
        A loaded store.
    job_name : str
        One of ``defs.jobs``.
    progress : Steps
        Hears every step.
    selection : sequence of AssetKey, optional
        Those of the job's assets to materialize; all by default.
    run_config : dict, optional
        Of the assets.
    partition : str, optional
        Of the job, where it is not the store's.

    Returns
    -------
    str
        Dagster run id.

    Raises
    ------
    UnknownStoreError
        If the store was never loaded.
    """
    progress.step("starting the database", 0.0)
    from quimbi_assets.resources.postgres.database import open_database
    from quimbi_assets.resources.postgres.tables.stores import read_store

    read_store(open_database(), store_id)
    progress.step("starting Dagster and MLflow", 0.01)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    from dagster import DagsterExecutionInterruptedError
    from dagster._core.utils import make_new_run_id

    from quimbi_assets.definitions import build_defs
    from quimbi_assets.defs.partitions import STORE_TAG, STORES
    from quimbi_assets.resources.dagster_instance import (
        PROCESS_TAG,
        open_instance,
        release_slots,
        tell_when_waiting,
        this_process,
    )
    from quimbi_assets.resources.progress import Progress

    run_id = make_new_run_id()
    job = build_defs(progress=Progress(progress.step, progress.warn)).resolve_job_def(job_name)
    with open_instance() as instance:
        instance.add_dynamic_partitions(str(STORES.name), [store_id])
        release_slots(instance)
        tell_when_waiting(instance, progress.warn)
        try:
            job.execute_in_process(
                instance=instance,
                run_id=run_id,
                partition_key=partition or store_id,
                asset_selection=selection,
                run_config={**(run_config or {}), **QUIET},
                tags={STORE_TAG: store_id, PROCESS_TAG: this_process()},
            )
        except DagsterExecutionInterruptedError as error:
            raise KeyboardInterrupt from error
        finally:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    progress.step("done", 1.0)
    return run_id


def republish(store_id: str, axis_name: str, progress: Steps, *, ai_naming: bool) -> str:
    """Score with the axis's champion, and publish its segments and the profiles anew; features stay as they are.

    Parameters
    ----------
    store_id, axis_name : str
        Store and axis.
    progress : Steps
        Hears every step.
    ai_naming : bool
        Let Claude name segments that have no name yet, where a key for it is set.

    Returns
    -------
    str
        Dagster run id.
    """
    from quimbi_assets.defs.partitions import PROFILES_KEY, axis_key

    selection = [axis_key("memberships", axis_name), axis_key("segments", axis_name), PROFILES_KEY]
    config = {"ops": {"segments": {"config": {"ai_naming": ai_naming}}}}
    return materialize(store_id, "store", progress, selection, config)


def _selection(axes: Sequence[str] | None) -> Any:
    if axes is None:
        return None
    from quimbi_assets.defs.partitions import CHURN_KEY, ITEMS_KEY, ORDERS_KEY, PROFILES_KEY, REFERENCE_KEY, axis_key

    stages = ("features", "models", "memberships", "segments")
    chosen = [axis_key(stage, name) for stage in stages for name in axes]
    return [ORDERS_KEY, ITEMS_KEY, REFERENCE_KEY, *chosen, CHURN_KEY, PROFILES_KEY]


def _run_config(options: RunOptions) -> dict[str, Any]:
    return {
        "ops": {
            "features": {
                "config": {
                    "as_of": options.as_of,
                    "min_population": options.min_population,
                    "engine": options.engine,
                }
            },
            "churn__model": {"config": {"as_of": options.as_of}},
            "models": {"config": {"min_k": options.min_k, "max_k": options.max_k, "promote": options.promote}},
            "segments": {"config": {"ai_naming": options.ai_naming}},
        },
    }


def plan_store(store_id: str, options: RunOptions) -> dict[str, Any]:
    """Say what a run would do, without computing or writing anything.

    Returns
    -------
    dict
        ``store_id``, ``as_of``, ``customers``, ``orders``, ``policy`` (what the order policy did), ``axes``: per axis
        ``active`` or the reason why not.
    """
    from quimbi_assets.axes import AXES, axis_activity, default_observation_end, recorded_columns
    from quimbi_assets.axes._inputs import canonical_inputs
    from quimbi_assets.ingest.policy import apply_policy
    from quimbi_assets.resources.postgres import reading
    from quimbi_assets.resources.postgres.database import open_database
    from quimbi_assets.resources.postgres.tables.stores import read_store

    options = options.checked()
    database = open_database()
    store = read_store(database, store_id)
    orders, items, report = apply_policy(
        reading.read_orders(database, store_id),
        reading.read_items(database, store_id),
        store.policy,
        store.time_zone,
        store.currency,
    )
    end = _instant(options.as_of) if options.as_of else default_observation_end(orders, store.time_zone)
    inputs = canonical_inputs(orders, items, end, store.time_zone)
    recorded = recorded_columns(inputs)
    visible = inputs["raw_orders"]
    return {
        "store_id": store_id,
        "as_of": str(end),
        "customers": len(visible["customer_id"].unique()),
        "orders": visible.num_rows,
        "policy": report,
        "axes": {name: axis_activity(AXES[name], recorded)[0] or "active" for name in options.axes or AXES},
    }
