"""A store over time: where everybody stood week by week, and whether past segments told what came next.

Belongs here: ``quimbi snapshot`` and ``backtest``, through the asset graph. Does not: any work of the assets, the
statistics (``backtest``), what moved (``drifting``).
"""

import time
from dataclasses import asdict
from datetime import date
from typing import Any

import pandas as pd
from rich.table import Table

from quimbi_assets.commands.console import Steps, out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import parse_week


def snapshot_and_summarise(store_id: str, week: str, *, wait: bool = False) -> None:
    """Make the snapshot of a week, compare it with the one before, and print what moved.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store or week, the store was never run, or somebody runs it and this is not to wait.
    """
    monday, started = parse_week(week), time.monotonic()
    with steps(store_id) as progress:
        snapshot_week(store_id, monday, progress, wait=wait)
    from quimbi_assets.commands.drifting import drift_of, print_drift

    print_drift(drift_of(store_id, monday))
    out.print(f"took {time.monotonic() - started:.1f} s", style="dim")


def snapshot_week(store_id: str, week: date, progress: Steps, *, wait: bool = False) -> str:
    """Materialize the store's orders, and the week's snapshot and comparison; return the run's id."""
    from quimbi_assets.commands.drifting import first_comparison
    from quimbi_assets.commands.running import materialize, store_lock
    from quimbi_assets.defs.partitions import FIRST_WEEK, HISTORY, WEEKS, store_week_key

    if not WEEKS.has_partition_key(week.isoformat()):
        raise BadInputError(
            f"week {week} is not over yet, or lies before {FIRST_WEEK} (QUIMBI_FIRST_WEEK); "
            f"next: {first_comparison(store_id)}"
        )
    with store_lock(store_id, progress, wait=wait) as lock:
        materialize(lock, store_id, "store", progress, HISTORY)
        return materialize(lock, store_id, "week", progress, partition=store_week_key(store_id, week))


def backtest_of(store_id: str, *, wait: bool = False) -> dict[str, Any]:
    """Materialize the backtest of a loaded store and return the structure of ``quimbi backtest --json``.

    Returns
    -------
    dict
        ``store_id``, ``cuts`` (ISO instants), ``horizon_days``, ``mlflow_run_id``, ``mlflow_url``, ``axes``: per axis
        ``axis`` and the columns of ``Backtest.axes``, undefined ones None.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store, somebody runs it and this is not to wait, or its history is too short.
    """
    from quimbi_assets.commands.running import materialize, store_lock

    with steps(f"backtest of {store_id}") as progress, store_lock(store_id, progress, wait=wait) as lock:
        materialize(lock, store_id, "backtest", progress)
    from quimbi_assets.defs.backtest import BACKTEST_KEY, BacktestFacts
    from quimbi_assets.resources.parquet_io import parquet_tables

    table = parquet_tables().required(BACKTEST_KEY, store_id)
    rows = table.read().to_pandas().to_dict("records")
    return {"store_id": store_id, **asdict(table.facts_as(BacktestFacts)), "axes": [_plain(row) for row in rows]}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with integers where they count and None where nothing is known."""
    known = {name: None if pd.isna(value) else value for name, value in row.items()}
    return {name: int(v) if v is not None and name.startswith("n_") else v for name, v in known.items()}


def print_backtest(backtest: dict[str, Any]) -> None:
    """Print the verdict on every axis, best first, and say plainly where RFM tells as much or more."""
    axes = backtest["axes"]
    measured = sorted((axis for axis in axes if axis["segments"] is not None), key=lambda axis: -axis["difference"])
    cuts = ", ".join(cut[:10] for cut in backtest["cuts"])
    out.print(f"[bold]{backtest['store_id']}[/bold]  cut at {cuts}; {backtest['horizon_days']} days after each")
    title = "variance explained by RFM groups, by as many segments, and by memberships in them"
    table = Table(title=title, title_justify="left", expand=True)
    table.add_column("axis", no_wrap=True)
    for name in ("RFM", "segments", "memberships"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("outcome", ratio=1)
    for axis in measured:
        table.add_row(
            axis["axis"],
            f"{100 * axis['rfm']:.1f} %",
            f"{100 * axis['segments']:.1f} % {axis['verdict']:6}",
            f"{100 * axis['memberships']:.1f} % {axis['memberships_verdict']:6}",
            axis["outcomes"].replace("_", " "),
        )
    out.print(table)
    for axis in axes:
        if axis["segments"] is None:
            out.print(f"[dim]{axis['axis']}: not measured, {axis['reason']}[/dim]")
    beaten = [axis["axis"] for axis in measured if axis["verdict"] != "better"]
    better, fuzzy = len(measured) - len(beaten), sum(axis["memberships_verdict"] == "better" for axis in measured)
    out.print(
        f"Segments tell more than RFM on {better} of {len(measured)} axes, memberships on {fuzzy} (90 % intervals)."
    )
    if beaten:
        out.print(f"Not on: {', '.join(beaten)}. For these questions RFM groups do as well or better.")
    out.print(f"MLflow: {backtest['mlflow_url']}", markup=False)
