"""Makes a store's weekly snapshot through the asset graph, and says what changed.

Belongs here: ``quimbi snapshot``. Does not: any work of the assets.
"""

import time
from datetime import date

from quimbi_assets.commands.console import Steps, out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import parse_week


def snapshot_and_summarise(store_id: str, week: str, *, wait: bool = False) -> None:
    """Make the snapshot of a week, compare it with the one before, and print one line of each.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store or week, the store was never run, or somebody runs it and this is not to wait.
    """
    monday = parse_week(week)
    started = time.monotonic()
    with steps(store_id) as progress:
        snapshot_week(store_id, monday, progress, wait=wait)
    from quimbi_assets.commands.drifting import drift_of, print_drift

    print_drift(drift_of(store_id, monday))
    out.print(f"took {time.monotonic() - started:.1f} s", style="dim")


def snapshot_week(store_id: str, week: date, progress: Steps, *, wait: bool = False) -> str:
    """Materialize the store's orders, and the week's snapshot and comparison; return the run's id."""
    from quimbi_assets.commands.running import materialize, store_lock
    from quimbi_assets.defs.partitions import FIRST_WEEK, HISTORY, WEEKS, store_week_key

    if not WEEKS.has_partition_key(week.isoformat()):
        raise BadInputError(f"week {week} is not over yet, or lies before {FIRST_WEEK} (QUIMBI_FIRST_WEEK)")
    with store_lock(store_id, progress, wait=wait) as lock:
        materialize(lock, store_id, "store", progress, HISTORY)
        return materialize(lock, store_id, "week", progress, partition=store_week_key(store_id, week))
