"""Prints what a run found: segments by axis, and profiles.

Belongs here: reading the published tables and laying them out. Does not: computing anything.
"""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.padding import Padding
from rich.text import Text

from quimbi_assets.axes._axis import BOUGHT_ONCE, Structural
from quimbi_assets.axis_table import INACTIVE, WEAK
from quimbi_assets.commands.console import out, print_json
from quimbi_assets.errors import NeverRunError, UnknownCustomerError
from quimbi_assets.naming.rows import PROVISIONAL_BELOW, plain, why_rough
from quimbi_assets.naming.values import format_money, format_percent, plural
from quimbi_assets.profiles.rendering import Doubts, profile_record, render_profile
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.tables import publications as published
from quimbi_assets.resources.postgres.tables.identities import customer_called, find_by_email
from quimbi_assets.resources.postgres.tables.products import name_products
from quimbi_assets.resources.postgres.tables.promotions import FitRecord, read_fit
from quimbi_assets.resources.postgres.tables.stores import read_store, store_currency
from quimbi_assets.value.windows import USUAL_DAYS

#: Columns that a segment's sentence is moved in, below its name.
INDENT = 20
SIZE = re.compile(r" They are [^.]*(\.\d [^.]*)? of customers \([\d,]+\)\.$")
"""The end of a segment's text, which says what stands beside its name."""
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

    with open_database().snapshot(store_id) as now:
        read_store(now, store_id)
        axes, segments = published.read_segments(now, store_id)
    by_name = {str(row["axis_name"]): row for row in _records(axes)}
    ordered = {name: by_name[name] for name in AXES if name in by_name}
    return segments_table(store_id, axes["as_of"].max(), ordered, segments)


def _served_fit(store_id: str, forecast: str) -> FitRecord | str:
    """Return what the fit of a forecast found that serves a store, or say why nothing is known of any."""
    from quimbi_assets.resources.publishing import no_forecast_model

    with open_database().snapshot(store_id) as now:
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
    parts = f". {row['not_foretold']}" if not state and row.get("not_foretold") else ""
    is_short = not state and row["horizon_days"] < USUAL_DAYS
    short = f" (90 are shown: {row['horizon_days']} were tested)" if is_short else ""
    return (
        f"{state}on the last {windows}{row['horizon_days']} days{short}, unseen, spend was missed by "
        f"{format_percent(row['error'])} of its mean, against {format_percent(row['error_of_spend_before'])} by spend "
        f"of as many days before and {format_percent(row['error_of_average'])} by a customer's average at their rate; "
        f"foretold in total: {format_percent(row['total'])} of what came{span}{parts}"
    )


def affinities_of(store_id: str) -> list[str]:
    """Say of categories and of products how lists of what customers buy most stood the test, or why none is shown."""
    from quimbi_assets.marketing.affinity import BASELINES, LEVELS

    last = published.read_publication(open_database(), store_id)
    affinities = ((last and last.marketing) or {}).get("affinities") or {}
    lines = []
    for level, one in ((level, affinities[level]) for level in LEVELS if level in affinities):
        rates = {way: format_percent(rate) for way, rate in one["hit_rates"].items()}
        beaten = " and ".join(f"{rates[way]} of {name}" for way, name in BASELINES.items() if way in rates)
        tested = f"one of three is in {rates['affinity']} of next orders, against {beaten}" if beaten else ""
        lines.append(f"{level}: " + (tested if one["reason"] is None else f"not shown, {one['reason']}"))
    return lines


def print_segments(found: dict[str, Any], *, show_all: bool = False, why: bool = False) -> None:
    """Print every axis with its segments, largest first, and in a line each: who bought once, axes weak or inactive.

    With ``show_all`` weak axes are opened, with ``why`` also the figures behind them.
    """
    from quimbi_assets.axes import AXES

    with_segments = [axis for axis in found["axes"] if axis["segments"]]
    weak = [axis["axis"] for axis in with_segments if axis["status"] == WEAK]
    doubt = cannot_tell(open_database(), found["store_id"]) if weak else ""
    count = f"{len(with_segments) - len(weak)} of {len(found['axes'])} axes tell customers apart"
    out.print(f"[bold]store {found['store_id']}[/bold], as of {found['as_of']}: {count}")
    for line in _bought_once(with_segments):
        out.print(line, markup=False)
    for axis in with_segments:
        if show_all or why or axis["axis"] not in weak:
            mark = "  WEAK" if axis["axis"] in weak else "  PROVISIONAL" if axis["provisional"] else ""
            out.print(f"\n[bold]{axis['axis']}[/bold]{mark}  {AXES[axis['axis']].question}")
            _print_axis(axis, doubt if mark == "  WEAK" else "", why)
    out.print()
    if why and with_segments:
        out.print(f"{AGREEMENT}\n", style="dim", markup=False)
    if weak and not (show_all or why):
        folded = f"{doubt[0].upper()}{doubt[1:]}: {', '.join(name.replace('_', ' ') for name in weak)}"
        out.print(f"{folded} (--all shows them, --why the figures).", markup=False)
    for axis in found["axes"]:
        if not axis["segments"]:
            out.print(f"{axis['axis']}: {axis['status']}, {axis['reason']}", style="dim", markup=False)


def _print_axis(axis: dict[str, Any], doubt: str, why: bool) -> None:
    """Print an axis's segments but those who bought once, and with ``why`` what it rests on."""
    plain = [doubt] if doubt else [text for text in (axis["provisional"], why_rough(axis["halves_ari"])) if text]
    figures = [text for text in (axis["reason"], _agreement(axis["halves_ari"])) if text]
    for line in plain + (figures if why else []):
        out.print(Padding(Text(f"{line[0].upper()}{line[1:]}.", style="dim"), (0, 0, 0, 2)), soft_wrap=False)
    style = "dim" if doubt else "bold cyan"
    for segment in axis["segments"]:
        if _state(axis["axis"], segment["segment_name"]) not in BOUGHT_ONCE:
            share, customers = f"{segment['population_percentage']:.1f} %", f"{segment['customer_count']:,}"
            out.print(f"  {share:>7} {customers:>9}  [{style}]{segment['segment_name']}[/{style}]")
            text = SIZE.sub("", segment["interpretation"])
            out.print(Padding(Text(text), (0, 0, 0, INDENT)), soft_wrap=False)


def _bought_once(axes: Sequence[dict[str, Any]]) -> list[str]:
    """Say once of the store, for every state that means it, how many bought once, and on how many axes they stand."""
    held: dict[str, list[dict[str, Any]]] = {}
    for axis in axes:
        for segment in axis["segments"]:
            state = _state(axis["axis"], segment["segment_name"])
            if state in BOUGHT_ONCE:
                held.setdefault(state.meaning.partition(",")[0], []).append(segment)
    lines = []
    for meaning, (first, *others) in held.items():
        customers = plural(first["customer_count"], "customer")
        share, n_axes = format_percent(first["population_percentage"] / 100), plural(len(others) + 1, "axis", "axes")
        lines.append(f"{customers} ({share}) {meaning}: a segment of their own on {n_axes}")
    return lines


def _state(axis: str, name: str) -> Structural | None:
    from quimbi_assets.axes import AXES

    return next((state for state in AXES[axis].structural if state.name == name), None)


def cannot_tell(database: Database, store_id: str) -> str:
    """Say in a clause why a store's weak axes are so."""
    n = published.orders_per_customer(database, store_id)
    having = "" if n is None else f"with {plural(round(n), 'order')} a customer "
    return f"{having}this cannot be told from chance yet"


def _agreement(halves_ari: float | None) -> str:
    """Say in words how far two halves of the customers agree on an axis's segments."""
    return "agreement of halves not known" if halves_ari is None else f"halves of the customers agree: {halves_ari:.2f}"


def archetypes_of(store_id: str) -> dict[str, Any]:
    """Return the structure of ``quimbi archetypes --json``: each with its segments, customers and share of revenue."""
    with open_database().snapshot(store_id) as now:
        read_store(now, store_id)
        rows = published.read_archetypes(now, store_id)
        if rows.empty:
            raise NeverRunError(store_id, "archetypes")
        figures = published.archetype_figures(now, store_id)
    fields = ["archetype_id", "name", "customer_count", "population_percentage", "traits"]
    made = _records(rows[fields].join(figures, on="archetype_id"))
    made = [
        {name: None if pd.api.types.is_scalar(value) and pd.isna(value) else value for name, value in one.items()}
        for one in made
    ]
    currency = store_currency(open_database(), store_id)
    return dict(plain({"store_id": store_id, "as_of": rows["as_of"].max(), "currency": currency, "archetypes": made}))


def print_archetypes(found: dict[str, Any]) -> None:
    """Print archetypes, largest first, each with what its customers are like: spend, orders, silence, stage."""
    made = found["archetypes"]
    as_of = found["as_of"]
    out.print(f"[bold]store {found['store_id']}[/bold], as of {as_of}: {plural(len(made), 'archetype')}")
    heads = ("customers", "revenue", "spent", "orders", "silent", "mostly")
    out.print("  {:>9} {:>8} {:>8} {:>7} {:>9}  {:<14}".format(*heads), markup=False)
    for one in made:
        cells = [f"{one['customer_count']:,}", *[""] * 5]
        if one["spent"] is not None:
            spent, silent = (
                format_money(one["spent"], found["currency"] or ""),
                plural(round(one["silent_days"]), "day"),
            )
            stage = f"{one['lifecycle']} {format_percent(one['share_of_lifecycle'])}"
            cells[1:] = [format_percent(one["share_of_revenue"]), spent, f"{one['orders']:g}", silent, stage]
        out.print("  {:>9} {:>8} {:>8} {:>7} {:>9}  {:<14}  {name}".format(*cells, name=one["name"]), markup=False)
    out.print("Spent, orders and silence are those of the customer in the middle.", style="dim")


def customer_of(store_id: str, email: str) -> str:
    """Return the customer of an address; UnknownCustomerError if nobody is known by it."""
    with open_database().snapshot(store_id) as now:
        read_store(now, store_id)
        customer = find_by_email(now, now.home or quimbi_home(), store_id, email, None)
    if customer is None:
        raise UnknownCustomerError(f"store {store_id} knows nobody by that address")
    return customer


def show_profiles(store_id: str, customer_ids: Sequence[str], *, as_json: bool, why: bool = False) -> list[str]:
    """Print the profiles of customers; return those who have none. BadInputError if nobody has."""
    with open_database().snapshot(store_id) as now:
        read_store(now, store_id)
        called = {customer_called(now, store_id, one): one for one in customer_ids}
        profiles = profiles_of(now, store_id, list(called))
        if as_json:
            print_json(profiles)
        else:
            _print_profiles(now, store_id, profiles, why)
    known = {profile["customer_id"] for profile in profiles}
    return [customer for customer_id, customer in called.items() if customer_id not in known]


def show_explanation(store_id: str, customer_id: str, *, as_json: bool, why: bool = False) -> None:
    """Print why a customer is where they are and what would move them; UnknownCustomerError if there is none."""
    from quimbi_assets.explanation.words import receipt_lines
    from quimbi_assets.resources.postgres.tables.served import read_recorded
    from quimbi_assets.resources.profiling import open_profiler

    with open_database().snapshot(store_id) as now:
        read_store(now, store_id)
        customer_id = customer_called(now, store_id, customer_id)
        recorded, doubt = read_recorded(now, store_id, customer_id), cannot_tell(now, store_id)
        record = open_profiler(store_id).explain(customer_id, recorded)
    if as_json:
        return print_json(record)
    return out.print("\n".join(receipt_lines(record, doubt, why=why)), markup=False)


def profiles_of(database: Database, store_id: str, customer_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of ``customer_profiles`` as JSON-able objects in the order asked for, with today's names."""
    profiles = _records(published.read_profiles(database, store_id, customer_ids))
    _, segments = published.read_segments(database, store_id)
    archetypes = published.read_archetypes(database, store_id)
    archetype_names = dict(zip(archetypes["archetype_id"], archetypes["name"], strict=True))
    records = [profile_record(profile, _names(segments), archetype_names) for profile in profiles]
    name_products(database, store_id, records)
    return records


def _names(segments: pd.DataFrame) -> dict[str, dict[str, str]]:
    by_axis = segments.groupby("axis_name")
    return {str(axis): dict(zip(rows["segment_id"], rows["segment_name"], strict=True)) for axis, rows in by_axis}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _print_profiles(now: Database, store_id: str, profiles: Sequence[dict[str, Any]], why: bool) -> None:
    """Print profiles one below the other, in words, each with its archetype's name and the customers most like it."""
    from quimbi_assets.axes import AXES
    from quimbi_assets.resources.postgres.tables.similar import read_fingerprints

    currency = store_currency(now, store_id) or ""
    axes, segments = published.read_segments(now, store_id)
    everybody = read_fingerprints(now, store_id)
    is_weak = axes["status"] == WEAK
    weak = dict(zip(axes.loc[is_weak, "axis_name"], axes.loc[is_weak, "reason"], strict=True))
    doubt = cannot_tell(now, store_id)
    provisional = set(axes.loc[axes["customers_fitted"] < PROVISIONAL_BELOW, "axis_name"])
    names = _names(segments)
    for profile in profiles:
        near_ones = [one.customer_id for one in everybody.nearest(profile["customer_id"], NEIGHBOURS)]
        text = render_profile(profile, AXES, names, currency, near_ones, Doubts(weak, provisional, doubt), why)
        out.print(text, markup=False)
        out.print()
