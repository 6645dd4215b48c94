"""Prints what a run found: segments by axis, and profiles.

Belongs here: reading the published tables and laying them out. Does not: computing anything.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.padding import Padding
from rich.text import Text

from quimbi_assets.axis_table import INACTIVE, WEAK
from quimbi_assets.commands.console import out, print_json
from quimbi_assets.naming.values import format_percent
from quimbi_assets.profiles.rendering import profile_record, render_profile
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.tables import publications as published
from quimbi_assets.resources.postgres.tables.promotions import FitRecord, read_fit
from quimbi_assets.resources.postgres.tables.stores import read_store, store_currency
from quimbi_assets.value.windows import USUAL_DAYS

#: Columns that a segment's sentence is moved in, below its name.
INDENT = 20
AGREEMENT = (
    "Halves of the customers agree: how alike segments found in one half, and in the other, place people; "
    "1 is always, 0 no more than by chance."
)
NEIGHBOURS = 3
"""Most similar customers that a printed profile names."""


def segments_of(store_id: str) -> dict[str, Any]:
    """Return the structure of ``quimbi segments --json``."""
    from quimbi_assets.axes import AXES
    from quimbi_assets.naming.rows import segments_table

    with open_database().snapshot() as now:
        read_store(now, store_id)
        axes, segments = published.read_segments(now, store_id)
    by_name = {str(row["axis_name"]): row for row in _records(axes)}
    ordered = {name: by_name[name] for name in AXES if name in by_name}
    return segments_table(store_id, axes["as_of"].max(), ordered, segments)


def _served_fit(store_id: str, forecast: str) -> FitRecord | str:
    """Return what the fit of a forecast found that serves a store, or say why nothing is known of any."""
    from quimbi_assets.resources.publishing import no_forecast_model

    with open_database().snapshot() as now:
        last = published.read_publication(now, store_id)
        version = last and last.model_versions.get(forecast)
        fit = read_fit(now, store_id, forecast, version=version)
        if version and fit is None:
            return f"version {version} serves; how it did is known from the next quimbi run --store-id {store_id} on"
        if last and not version:
            return f"inactive: {no_forecast_model(now, store_id, forecast, last.as_of)}"
    if fit is None or fit.status == INACTIVE:
        return f"inactive: {'not computed yet' if fit is None else fit.reason}"
    return fit


def churn_of(store_id: str) -> str:
    """Say which churn model serves a store and how it did on unseen history, or why there is none."""
    from quimbi_assets.resources.mlflow.registry import CHURN

    fit = _served_fit(store_id, CHURN)
    if isinstance(fit, str):
        return fit
    row, weak = fit.figures, f"weak ({fit.reason}), " if fit.status == WEAK else ""
    alone = row["serves"] == "silence"
    serves = "days since the last order alone serve" if alone else f"a model of {row['serves']} serves"
    days, times = row["horizon_days"], f"{int(row['windows_tested'])} times " if row["windows_tested"] > 1 else ""
    return (
        f"{weak}no order in {days} days: {serves}; on the last {times}{days}, unseen, AUC "
        f"{row['auc_of_chosen']:.3f} against {row['auc_of_silence']:.3f} of days since the last order alone, "
        f"calibration error {100 * row['calibration_error']:.1f} points"
    )


def value_of(store_id: str) -> str:
    """Say how what customers will spend was foretold on unseen history, or why it is not."""
    from quimbi_assets.resources.mlflow.registry import VALUE

    fit = _served_fit(store_id, VALUE)
    if isinstance(fit, str):
        return fit
    row, totals = fit.figures, sorted(fit.figures["totals"])
    windows = f"{len(totals)} times " if len(totals) > 1 else ""
    span = f" ({format_percent(totals[0])} to {format_percent(totals[-1])})" if len(totals) > 1 else ""
    state = f"not foretold: {fit.reason}; " if fit.status == WEAK else ""
    parts = f"; {row['not_foretold']}" if not state and row.get("not_foretold") else ""
    is_short = not state and row["horizon_days"] < USUAL_DAYS
    short = f" (90 are shown: {row['horizon_days']} were tested)" if is_short else ""
    return (
        f"{state}on the last {windows}{row['horizon_days']} days{short}, unseen, spend was missed by "
        f"{format_percent(row['error'])} of its mean, against {format_percent(row['error_of_spend_before'])} by spend "
        f"of as many days before and {format_percent(row['error_of_average'])} by a customer's average at their rate; "
        f"foretold in total: {format_percent(row['total'])} of what came{span}{parts}"
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
        is_weak = axis["status"] == WEAK
        mark = "  WEAK" if is_weak else "  PROVISIONAL" if axis["provisional"] else ""
        title = f"[bold]{axis['axis']}[/bold]{mark}  {AXES[axis['axis']].question}"
        out.print(f"\n{title}  [dim]({_agreement(axis['halves_ari'])})[/dim]")
        status, reason = (axis["status"], axis["reason"]) if axis["reason"] else ("provisional", axis["provisional"])
        if reason:
            out.print(Padding(Text(f"{status}: {reason}", style="dim"), (0, 0, 0, 2)), soft_wrap=False)
        style = "dim" if is_weak else "bold cyan"
        for segment in axis["segments"]:
            share, customers = f"{segment['population_percentage']:.1f} %", f"{segment['customer_count']:,}"
            out.print(f"  {share:>7} {customers:>9}  [{style}]{segment['segment_name']}[/{style}]")
            out.print(Padding(Text(segment["interpretation"]), (0, 0, 0, INDENT)), soft_wrap=False)
    out.print(f"\n{AGREEMENT}\n" if shown else "", style="dim", markup=False, highlight=False)
    for axis in found["axes"]:
        if not axis["segments"]:
            out.print(f"{axis['axis']}: {axis['status']}, {axis['reason']}", style="dim", markup=False)


def _agreement(halves_ari: float | None) -> str:
    """Say in words how far two halves of the customers agree on an axis's segments."""
    return "agreement of halves not known" if halves_ari is None else f"halves of the customers agree: {halves_ari:.2f}"


def show_profiles(store_id: str, customer_ids: Sequence[str], *, as_json: bool) -> list[str]:
    """Print the profiles of customers; return those who have none. BadInputError if nobody has."""
    with open_database().snapshot() as now:
        read_store(now, store_id)
        profiles = profiles_of(now, store_id, customer_ids)
        if as_json:
            print_json(profiles)
        else:
            _print_profiles(now, store_id, profiles)
    known = {profile["customer_id"] for profile in profiles}
    return [customer for customer in customer_ids if customer not in known]


def profiles_of(database: Database, store_id: str, customer_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of ``customer_profiles`` as JSON-able objects in the order asked for, with today's names."""
    profiles = _records(published.read_profiles(database, store_id, customer_ids))
    _, segments = published.read_segments(database, store_id)
    archetypes = published.read_archetypes(database, store_id)
    archetype_names = dict(zip(archetypes["archetype_id"], archetypes["name"], strict=True))
    return [profile_record(profile, _names(segments), archetype_names) for profile in profiles]


def _names(segments: pd.DataFrame) -> dict[str, dict[str, str]]:
    by_axis = segments.groupby("axis_name")
    return {str(axis): dict(zip(rows["segment_id"], rows["segment_name"], strict=True)) for axis, rows in by_axis}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _print_profiles(now: Database, store_id: str, profiles: Sequence[dict[str, Any]]) -> None:
    """Print profiles one below the other, in words, each with its archetype's name and the customers most like it."""
    from quimbi_assets.axes import AXES
    from quimbi_assets.clustering.selection import PROVISIONAL_BELOW
    from quimbi_assets.profiles.fingerprint import nearest_customers

    currency = store_currency(now, store_id) or ""
    axes, segments = published.read_segments(now, store_id)
    shown = [profile["customer_id"] for profile in profiles]
    near = nearest_customers(published.read_fingerprints(now, store_id), shown, NEIGHBOURS)
    weak = set(axes.loc[axes["status"] == WEAK, "axis_name"])
    provisional = set(axes.loc[axes["customers_fitted"] < PROVISIONAL_BELOW, "axis_name"])
    names = _names(segments)
    alike = {str(customer): list(rows["neighbour_id"]) for customer, rows in near.groupby("customer_id")}
    for profile in profiles:
        near_ones = alike.get(profile["customer_id"], ())
        text = render_profile(profile, AXES, names, currency, near_ones, weak, provisional)
        out.print(text, markup=False)
        out.print()
