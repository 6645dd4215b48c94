"""Makes a store's weekly snapshot through the asset graph, and says what changed.

Belongs here: ``quimbi snapshot``. Does not: any work of the assets.
"""

import os
import time
from datetime import date
from typing import Any

from quimbi_assets.commands.console import Steps, out, steps
from quimbi_assets.drift.weeks import parse_week
from quimbi_assets.orders.errors import BadInputError


def snapshot_and_summarise(store_id: str, week: str) -> None:
    """Make the snapshot of a week, compare it with the one before, and print one line of each.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store or week, or the store was never run.
    """
    monday = parse_week(week)
    started = time.monotonic()
    with steps(store_id) as progress:
        snapshot_week(store_id, monday, progress)
    from quimbi_assets.commands.drifting import drift_of, print_drift

    print_drift(drift_of(store_id, monday))
    out.print(f"took {time.monotonic() - started:.1f} s", style="dim")


def snapshot_week(store_id: str, week: date, progress: Steps) -> str:
    """Materialize the store's orders and the week's snapshot and comparison; return the run's id."""
    progress.step("starting the database", 0.0)
    from quimbi_assets.resources.database import open_database
    from quimbi_assets.resources.stores import read_store

    read_store(open_database(), store_id)
    progress.step("starting Dagster and MLflow", 0.01)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    from dagster import DagsterExecutionInterruptedError

    from quimbi_assets.definitions import build_defs
    from quimbi_assets.defs.partitions import FIRST_WEEK, ITEMS_KEY, ORDERS_KEY, STORES, WEEKS, store_week_key
    from quimbi_assets.resources.instance import open_instance
    from quimbi_assets.resources.progress import Progress

    if not WEEKS.has_partition_key(week.isoformat()):
        raise BadInputError(f"week {week} is not over yet, or lies before {FIRST_WEEK} (QUIMBI_FIRST_WEEK)")
    definitions = build_defs(progress=Progress(progress.step))
    with open_instance() as instance:
        instance.add_dynamic_partitions(str(STORES.name), [store_id])
        try:
            _run(definitions.resolve_job_def("store"), instance, store_id, store_id, [ORDERS_KEY, ITEMS_KEY])
            result = _run(definitions.resolve_job_def("week"), instance, store_week_key(store_id, week), store_id, None)
        except DagsterExecutionInterruptedError as error:
            raise KeyboardInterrupt from error
    progress.step("done", 1.0)
    return str(result.run_id)


def _run(job: Any, instance: Any, partition: str, store_id: str, selection: Any) -> Any:
    return job.execute_in_process(
        instance=instance,
        partition_key=partition,
        asset_selection=selection,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        tags={"quimbi/store": store_id},
    )
