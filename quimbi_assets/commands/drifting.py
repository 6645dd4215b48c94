"""Prints how customers moved: who migrated and why, who is newly at risk, whether a refit is due.

Belongs here: reading the tables of snapshots and laying them out. Does not: computing anything.
"""

from datetime import date, timedelta
from typing import Any

from quimbi_assets.commands.console import out
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import last_week
from quimbi_assets.naming.values import format_money
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.reading import common_currency
from quimbi_assets.resources.postgres.tables.drift import AT_RISK_WEEKS, read_drift
from quimbi_assets.resources.postgres.tables.history import read_weeks
from quimbi_assets.resources.postgres.tables.publications import read_publication
from quimbi_assets.resources.postgres.tables.stores import read_store

SHOWN = 10


def drift_of(store_id: str, week: date | None = None) -> dict[str, Any]:
    """Return the structure of ``quimbi drift --json``: of one week, by default the newest.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store or it has no snapshot.
    """
    with open_database().snapshot() as now:
        currency = read_store(now, store_id).currency or common_currency(now, store_id)
        found = read_drift(now, store_id, week)
    if found is None:
        raise BadInputError(f"store {store_id} has no snapshot yet; next: {first_comparison(store_id)}")
    return found | {"currency": currency}


def first_comparison(store_id: str) -> str:
    """Return the commands, as one line for the shell, that make the snapshots missing for a first comparison.

    Snapshots go oldest first, to the last week that is over as of the store's last run.
    """
    newest = newest_week(store_id)
    if newest is None:
        return f"quimbi run --store-id {store_id}"
    weeks, a_week = read_weeks(open_database(), store_id), timedelta(days=7)
    missing = [weeks[-1] + a_week] if weeks and weeks[-1] < newest else [newest - a_week, newest]
    return " && ".join(f"quimbi snapshot --store-id {store_id} --week {week}" for week in missing)


def newest_week(store_id: str) -> date | None:
    """Return the last week, by its Monday, that was over as of a store's last run; None before its first."""
    with open_database().snapshot() as now:
        time_zone, published = read_store(now, store_id).time_zone, read_publication(now, store_id)
    return None if published is None else last_week(published.as_of, time_zone)


def print_drift(found: dict[str, Any]) -> None:
    """Print a week: causes, largest migrations, alerts, drift of the population."""
    out.print(f"[bold]store {found['store_id']}[/bold], week {found['week']}: {found['customers']:,} customers")
    if found["compared_with"] is None:
        out.print("the first snapshot: there is nothing to compare it with yet")
        out.print(f"next: {first_comparison(found['store_id'])}", markup=False)
        return
    at_risk = [alert for alert in found["alerts"] if alert["alert"] == "newly_at_risk"]
    lapsed = {"silent": f" (only time passed; {len(at_risk):,} of them lapsed this week)"}
    causes = ", ".join(f"{count:,} {cause}{lapsed.get(cause, '')}" for cause, count in found["causes"].items())
    out.print(f"since the snapshot of {found['compared_with']}: {causes}", markup=False)
    behaviour = [flow for flow in found["migrations"] if flow["cause"] != "model"]
    if behaviour:
        out.print("\n[bold]largest migrations[/bold]")
    for flow in behaviour[:SHOWN]:
        out.print(f"  {flow['customers']:>7,}  {_move(flow)}  ({flow['cause']})", markup=False)
    if by_model := sum(flow["customers"] for flow in found["migrations"] if flow["cause"] == "model"):
        out.print(f"  {by_model:>7,}  segments became others with a changed model", markup=False)
    out.print(f"\n[bold]alerts[/bold]: {len(at_risk):,} newly at risk, {len(found['alerts']) - len(at_risk):,} moved")
    for alert in found["alerts"][:SHOWN]:
        kind, move = alert["alert"].replace("_", " "), f"  {_move(alert)}" if alert["axis"] else ""
        worth = _worth(alert, found["currency"])
        out.print(f"  {alert['customer_id']}  {kind} (cause: {alert['cause']}){move}{worth}", markup=False)
    if found["at_risk"]:
        out.print(
            f"\n[bold]at risk[/bold]: {len(found['at_risk']):,} lapsed within {AT_RISK_WEEKS} weeks and have not "
            "ordered since; newest first, by risk times value"
        )
    for one in found["at_risk"][:SHOWN]:
        risk = "" if one["risk"] is None else f"  risk {one['risk']:.0%}"
        out.print(f"  {one['week']}  {one['customer_id']}{risk}{_worth(one, found['currency'])}", markup=False)
    if later := found["later_models"]:
        out.print(f"[dim]this was before the store's first models; they scored {len(later)} axes all the same[/dim]")
    for axis, psi in found["segment_psi"].items():
        if psi >= found["large_psi"] and axis not in later:
            out.print(f"the sizes of the segments of {axis} are not those of the fit (PSI {psi:.2f}): quimbi run")


def _move(migration: dict[str, Any]) -> str:
    """Write an axis and the segments from which and to which, by today's names."""
    start, end = (migration[f"{side}_name"] or migration[f"{side}_segment"] for side in ("from", "to"))
    return f"{migration['axis']}: {start} -> {end}"


def _worth(customer: dict[str, Any], currency: str | None) -> str:
    value = customer["lifetime_value"]
    return "" if value is None else f"  worth {format_money(value, currency or '')} so far"
