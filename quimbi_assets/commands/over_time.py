"""A store over time: where everybody stood week by week, who moved and why, whether past segments told what came next,
whether acting helped.

Belongs here: ``quimbi snapshot``, ``drift``, ``lift``, ``backtest``: running them through the asset graph, laying out
what their tables hold. Does not: any work of the assets, the statistics (``weekly``, ``backtest``).
"""

import os
import time
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from quimbi_assets.commands.console import Steps, err, out, steps
from quimbi_assets.commands.running import materialize, store_lock
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import FIRST_WEEK_VARIABLE, end_of_day, last_week, parse_week, to_instant
from quimbi_assets.lift.assignment import OF_TICKETS
from quimbi_assets.marketing.groups import GROUPINGS
from quimbi_assets.naming.values import format_money, plural
from quimbi_assets.resources.export_targets import written
from quimbi_assets.resources.exports import write_rows
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables.drift import SILENT_WEEKS, read_drift
from quimbi_assets.resources.postgres.tables.history import first_week, read_weeks
from quimbi_assets.resources.postgres.tables.publications import read_publication
from quimbi_assets.resources.postgres.tables.stores import newest_order, read_store, store_currency
from quimbi_assets.resources.postgres.tables.treatments import read_trials, stream_acted, trial_record
from quimbi_assets.texts import shown
from quimbi_assets.weekly.notifications import FALLEN_SILENT, MOVED, NEWLY_AT_RISK

SHOWN = 10
"""Migrations, alerts and customers at risk that are printed of each."""
KINDS = {NEWLY_AT_RISK: FALLEN_SILENT, MOVED: MOVED}


def snapshot_and_summarise(store_id: str, week: str | None, *, wait: bool = False) -> None:
    """Make the snapshot of a week, compare it with the one before, and print what moved.

    By default it is the last week that is over by the store's newest order.
    """
    monday, started = newest_week(store_id) if week is None else parse_week(week), time.monotonic()
    with steps(store_id) as progress:
        snapshot_week(store_id, monday, progress, wait=wait)
    print_drift(drift_of(store_id, monday))
    out.print(f"took {time.monotonic() - started:.1f} s", style="dim")


def snapshot_week(store_id: str, week: date, progress: Steps, *, wait: bool = False) -> str:
    """Materialize the store's orders, and the week's snapshot and comparison; return the run's id."""
    os.environ.setdefault(FIRST_WEEK_VARIABLE, str(min(week, first_week(open_database()))))
    from quimbi_assets.defs.partitions import FIRST_WEEK, HISTORY, WEEKS, store_week_key

    if not WEEKS.has_partition_key(week.isoformat()):
        raise BadInputError(
            f"week {week} is not over yet, or lies before {FIRST_WEEK} (QUIMBI_FIRST_WEEK); "
            f"next: {first_comparison(store_id)}"
        )
    with store_lock(store_id, progress, wait=wait) as lock:
        materialize(lock, store_id, "store", progress, HISTORY)
        return materialize(lock, store_id, "week", progress, partition=store_week_key(store_id, week))


def newest_week(store_id: str) -> date:
    """Return the last week that was over when the day of a store's newest order was; BadInputError without orders."""
    with open_database().snapshot(store_id) as now:
        store, newest = read_store(now, store_id), newest_order(now, store_id)
    if newest is None:
        raise BadInputError(f"store {store_id} has no orders; load them: quimbi load --store-id {store_id} --orders F")
    return last_week(end_of_day(to_instant(newest), store.time_zone), store.time_zone)


def drift_of(store_id: str, week: date | None = None) -> dict[str, Any]:
    """Return the structure of ``quimbi drift --json``: of one week, by default the newest."""
    with open_database().snapshot(store_id) as now:
        currency = store_currency(now, store_id)
        drift = read_drift(now, store_id, week)
    if drift is None:
        raise BadInputError(f"store {store_id} has no snapshot yet; next: {first_comparison(store_id)}")
    return drift | {"currency": currency}


def first_comparison(store_id: str, week: date | None = None) -> str:
    """Return the commands, as one line for the shell, that make the snapshots missing for a first comparison.

    Snapshots go oldest first, to the last week that is over as of the store's last run; one made before `week`, with
    which it is to be compared, is made again.
    """
    with open_database().snapshot(store_id) as now:
        published, weeks = read_publication(now, store_id), read_weeks(now, store_id)
        time_zone = read_store(now, store_id).time_zone
    if published is None:
        return f"quimbi run --store-id {store_id}"
    newest, a_week = last_week(published.as_of, time_zone), timedelta(days=7)
    missing = [newest - a_week, newest]
    if week is not None and (later := [one for one in weeks if one > week]):
        missing = later[:1]
    elif weeks and weeks[-1] < newest:
        missing = [weeks[-1] + a_week]
    return " && ".join(f"quimbi snapshot --store-id {store_id} --week {week}" for week in missing)


def print_drift(drift: dict[str, Any]) -> None:
    """Print a week: causes, largest migrations, alerts, drift of the population."""
    out.print(f"[bold]store {drift['store_id']}[/bold], week {drift['week']}: {drift['customers']:,} customers")
    if drift["compared_with"] is None:
        out.print("the first snapshot: there is nothing to compare it with yet")
        out.print(f"next: {first_comparison(drift['store_id'], date.fromisoformat(drift['week']))}", markup=False)
        return
    fallen = [alert for alert in drift["alerts"] if alert["alert"] == NEWLY_AT_RISK]
    untold = (drift["floors"]["silence_test"] or {}).get("reason")
    n_fallen = f"; {plural(len(fallen), 'has', 'have')} {FALLEN_SILENT} this week" if untold is None else ""
    only = {"silent": f" (only time passed{n_fallen})"}
    causes = ", ".join(f"{count:,} {cause}{only.get(cause, '')}" for cause, count in drift["causes"].items())
    out.print(f"since the snapshot of {drift['compared_with']}: {causes}", markup=False)
    behaviour = [flow for flow in drift["migrations"] if flow["cause"] != "model"]
    if behaviour:
        out.print("\n[bold]largest migrations[/bold]")
    for flow in behaviour[:SHOWN]:
        out.print(f"  {flow['customers']:>7,}  {_move(flow)}  ({flow['cause']})", markup=False)
    of_models = [flow for flow in drift["migrations"] if flow["cause"] == "model" and flow["axis"] not in GROUPINGS]
    if by_model := sum(flow["customers"] for flow in of_models):
        out.print(f"  {by_model:>7,}  segments became others with a changed model", markup=False)
    out.print(f"\n[bold]alerts[/bold]: {len(fallen):,} {FALLEN_SILENT}, {len(drift['alerts']) - len(fallen):,} moved")
    if untold is not None:
        out.print(f"nobody counts as {FALLEN_SILENT}: {untold}", markup=False)
    for alert in drift["alerts"][:SHOWN]:
        kind, move = KINDS[alert["alert"]], f"  {_move(alert)}" if alert["axis"] else ""
        worth = _worth(alert, drift["currency"])
        out.print(f"  {shown(alert['customer_id'])}  {kind} (cause: {alert['cause']}){move}{worth}", markup=False)
    if drift["at_risk"]:
        out.print(
            f"\n[bold]{FALLEN_SILENT}[/bold]: {len(drift['at_risk']):,} within {SILENT_WEEKS} weeks who have not "
            "ordered since; newest first, by risk of leaving times value"
        )
    for one in drift["at_risk"][:SHOWN]:
        risk = "" if one["risk"] is None else f"  risk of leaving {one['risk']:.0%}"
        out.print(f"  {one['week']}  {shown(one['customer_id'])}{risk}{_worth(one, drift['currency'])}", markup=False)
    if later := drift["later_models"]:
        out.print(f"[dim]this was before the store's first models; they scored {len(later)} axes all the same[/dim]")
    for axis, psi in drift["segment_psi"].items():
        if psi >= drift["large_psi"] and axis not in later:
            out.print(f"the sizes of the segments of {axis} are not those of the fit (PSI {psi:.2f}): quimbi run")


def _move(migration: dict[str, Any]) -> str:
    """Write an axis and the segments from which and to which, by today's names."""
    start, end = (migration[f"{side}_name"] or migration[f"{side}_segment"] for side in ("from", "to"))
    return f"{migration['axis']}: {start} -> {end}"


def _worth(customer: dict[str, Any], currency: str | None) -> str:
    value = customer["lifetime_value"]
    return "" if value is None else f"  worth {format_money(value, currency or '')} so far"


def backtest_of(store_id: str, *, wait: bool = False) -> dict[str, Any]:
    """Materialize the backtest of a loaded store and return the structure of ``quimbi backtest --json``.

    That is ``BacktestFacts``, and per axis the columns of ``Backtest.axes``, undefined ones None.
    """
    with steps(f"backtest of {store_id}") as progress, store_lock(store_id, progress, wait=wait) as lock:
        materialize(lock, store_id, "backtest", progress)
    from quimbi_assets.defs.backtest import BacktestFacts
    from quimbi_assets.defs.partitions import BACKTEST_KEY
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
    unmeasured = [axis for axis in axes if axis.get("segments") is None]  # no axis was: the column is not there
    measured = sorted((axis for axis in axes if axis not in unmeasured), key=lambda axis: -axis["added_difference"])
    cuts = ", ".join(cut[:10] for cut in backtest["cuts"])
    out.print(f"[bold]{backtest['store_id']}[/bold]  cut at {cuts}; {backtest['horizon_days']} days after each")
    title = "variance explained: segments beside as many RFM groups; continuous RFM, and what memberships add to it"
    table = Table(title=title, title_justify="left", expand=True)
    table.add_column("axis", no_wrap=True)
    for name in ("RFM groups", "segments", "continuous RFM", "memberships add"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("outcome", ratio=1)
    for axis in measured:
        table.add_row(
            axis["axis"],
            f"{100 * axis['rfm']:.1f} %",
            f"{100 * axis['segments']:.1f} % {axis['verdict']:6}",
            f"{100 * axis['continuous_rfm']:.1f} %",
            f"{100 * axis['added_difference']:+.1f} % {'yes' if axis['added_verdict'] == 'better' else 'no':3}",
            axis["outcomes"].replace("_", " "),
        )
    out.print(table)
    for axis in unmeasured:
        out.print(f"[dim]{axis['axis']}: not measured, {axis['reason']}[/dim]")
    beaten = [axis["axis"] for axis in measured if axis["verdict"] != "better"]
    adding = [axis["axis"] for axis in measured if axis["added_verdict"] == "better"]
    of = f"of {len(measured)} axes"
    out.print(
        f"Memberships add to RFM on {len(adding)} {of} (0.5 % or more, 90 % intervals): {', '.join(adding) or 'none'}."
    )
    out.print(f"Segments tell more than as many RFM groups on {len(measured) - len(beaten)} {of}.")
    if beaten:
        out.print(f"Not on: {', '.join(beaten)}. For these questions RFM groups do as well or better.")
    out.print(f"MLflow: {backtest['mlflow_url']}", markup=False)


def lift_of(store_id: str) -> dict[str, Any]:
    """Return what the trials of a store showed by now, the structure of ``quimbi lift --json``."""
    database = open_database()
    read_store(database, store_id)
    currency = store_currency(database, store_id) or ""
    trials = [trial_record(state, currency) for state in read_trials(database, store_id)]
    return {"store_id": store_id, "currency": currency, "trials": trials}


def write_acted(store_id: str, subject: str | None, path: Path | None) -> None:
    """Write who was acted on in a trial, and since when, as `quimbi simulate --acted` reads it."""
    if subject is None or path is None:
        raise BadInputError("--acted says of which trial, --out where to: give both")
    database = open_database()
    read_store(database, store_id)
    n_rows = write_rows(path, stream_acted(database, store_id, subject), "csv")
    err.print(written(n_rows, "customer", path), markup=False)


def _acted_words(one: dict[str, Any]) -> str:
    """Say of how many something went out; of a rule it is known only that it fired."""
    if one["subject"].startswith("rule/"):
        return f"rule fired for {one['entered_acted']:,}"
    if one["reached"] == one["entered_acted"]:
        return f"{one['reached']:,} acted on"
    return f"{one['entered_acted']:,} to be acted on, {one['reached']:,} of them were"


def print_lift(lift: dict[str, Any]) -> None:
    """Print each trial: who is in it, what it showed."""
    if not lift["trials"]:
        out.print(
            f"store {lift['store_id']} tries nothing yet: lists of audiences leave a control group out once they are "
            "sent; any list does with quimbi export --control 0.1",
            markup=False,
        )
    for one in lift["trials"]:
        out.print(f"[bold]{one['subject']}[/bold]: {one['words']}")
        who = f"  {_acted_words(one)}, {one['entered_control']:,} control"
        if one["decided_at"] is not None:
            when = f"decided {one['decided_at']:%-d %b %Y}"
        elif one["ended_at"] is not None:
            when = f"ended {one['ended_at']:%-d %b %Y}: nobody is held back any more"
        else:
            when = f"counts until {one['ends_at']:%-d %b %Y}"
        out.print(f"{who}; outcome in {one['window_days']} days of each; {when}", markup=False)
    if lift["trials"]:
        known = {"tickets" if one["outcome"] in OF_TICKETS else "orders": one["known_until"] for one in lift["trials"]}
        until = "; ".join(
            f"there are no {what}" if at is None else f"{what} are known until {at:%-d %b %Y}"
            for what, at in sorted(known.items())
        )
        brackets = any(one["low"] is not None for one in lift["trials"])
        legend = "In brackets what 95 of 100 such intervals hold, however often one looks; " if brackets else ""
        out.print(f"{legend}{until}", style="dim")
