"""Who changes segment when a store is fitted anew every week: real behaviour, and what refitting adds.

Twelve weekly refits of every axis, each as of a week later. For each week and axis, over the customers of both weeks:

- *frozen*: share whose segment differs between last week's features and this week's, by last week's champion;
- *refit*: the same, this week's features scored by this week's champion;
- *same features*: share that last week's and this week's champion place differently by this week's features.

Then, a line a week, what becomes of the archetypes: how many stay, leave and enter, and whether the axes they combine
change. An archetype's id is made of its segments' ids, so that it persists as long as its segments do.

Usage::

    python benchmarks/refits.py FOLDER [--weeks 12] [--no-champion]

FOLDER holds ``orders.parquet``, ``order_items.parquet`` and, where there are any, ``support_tickets.parquet`` in
canonical columns. ``--no-champion`` fits afresh every week and only matches ids, to show what the warm start and the
promotion rule are worth. ``--weak a,b`` names axes whose customers do not really differ (ADR 5): they shape no
archetype, as in a run.
"""

import argparse
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES, Features, fit_reference
from quimbi_assets.axes import measure as measure_axes
from quimbi_assets.clustering.axis_fit import FitOptions, axis_model
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.promotion import consider
from quimbi_assets.clustering.segment_ids import give_ids
from quimbi_assets.errors import InactiveAxisError
from quimbi_assets.history import History
from quimbi_assets.naming.plan import CurrentNames
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets.naming.segment_statistics import describe_segments
from quimbi_assets.profiles.archetype_choice import ArchetypeChoice, choose_archetypes
from quimbi_assets.profiles.scores import score_axis


def weeks_of(folder: Path, n_weeks: int) -> Iterator[tuple[pd.Timestamp, dict[str, pd.DataFrame]]]:
    """Yield every week's instant and features, the earliest first."""
    paths = [folder / f"{table}.parquet" for table in ("orders", "order_items", "support_tickets")]
    whole = History.from_frames(*(pd.read_parquet(path) for path in paths if path.is_file()))
    for back in range(n_weeks, -1, -1):
        history = whole.until(whole.end - pd.Timedelta(weeks=back))
        yield history.end, dict(Features(measure_axes(history, reference=fit_reference(history))))


@dataclass
class Served:
    """An axis's champion, the features it last scored, its segments' names and the largest id ever given."""

    model: AxisModel
    table: pd.DataFrame
    names: CurrentNames
    named: int


def labels(model: AxisModel, table: pd.DataFrame) -> pd.Series:
    """Segment id of every customer."""
    return pd.Series(np.asarray(model.segment_ids_, dtype=object)[model.predict(table)], index=table.index)


def differ(one: pd.Series, two: pd.Series) -> float:
    """Share of the customers of both whose label differs."""
    shared = one.index.intersection(two.index)
    return float((one[shared] != two[shared]).mean())


def name(axis_name: str, model: AxisModel, table: pd.DataFrame, given: CurrentNames | None) -> CurrentNames:
    """Name a champion's segments."""
    description = describe_segments(model, table)
    keeping = {} if given is None else given.still_fitting(model, description)
    names = name_segments(AXES[axis_name], description, current=keeping)
    centres = description.set_index("segment_id").filter(regex="^centre:").rename(columns=lambda c: c[len("centre:") :])
    name, centre = ({}, {}) if given is None else (dict(given.name), dict(given.centre))
    for segment, new in zip(names["segment_id"], names["segment_name"], strict=True):
        if name.get(segment) != new:
            centre[segment] = centres.loc[segment].to_dict()
        name[segment] = new
    return CurrentNames(name, centre)


def week(axis_name: str, table: pd.DataFrame, served: Served, fresh: bool) -> tuple[dict[str, object], Served]:
    """Refit one axis and compare."""
    if fresh:
        fitted = axis_model(AXES[axis_name], FitOptions()).fit(table)
        fitted.segment_ids_, fitted.segments_named_, fitted.lineage_ = give_ids(
            fitted, table, served.model, served.named
        )
        promoted, reason = True, "always"
    else:
        fitted = axis_model(AXES[axis_name], FitOptions()).fit(table, champion=served.model, named=served.named)
        decision = consider(served.model, fitted, table)
        promoted, reason = decision.promoted, decision.reason
    model = fitted if promoted else served.model
    before = labels(served.model, served.table)
    frozen, refitted = labels(served.model, table), labels(model, table)
    names = name(axis_name, model, table, served.names)
    kept = set(model.segment_ids_) & set(served.model.segment_ids_)
    row = {
        "frozen": differ(before, frozen),
        "refit": differ(before, refitted),
        "same_features": differ(frozen, refitted),
        "candidate": differ(frozen, labels(fitted, table)),
        "held": not promoted,
        "reason": reason,
        "kept": len(kept),
        "renamed": sum(names.name[i] != served.names.name[i] for i in kept),
        "born": len(set(model.segment_ids_) - kept),
    }
    return row, Served(model, table, names, fitted.segments_named_)


def archetypes(
    served: dict[str, Served], before: ArchetypeChoice | None, weak: Collection[str]
) -> tuple[dict[str, object], ArchetypeChoice]:
    """Choose a week's archetypes as a run does, and compare them with those of the week before."""
    scores = {axis: score_axis(own.model, own.table) for axis, own in served.items()}
    now = choose_archetypes(scores, before and before.kept, [axis for axis in scores if axis not in weak])
    ids, old = set(now.kept.ids()), set(before.kept.ids()) if before else set()
    row = {
        "archetypes": len(ids),
        "stayed": len(ids & old),
        "left": len(old - ids),
        "entered": len(ids - old) if before else 0,
        "smallest": int(now.counts.min()),
        "floor": now.floor,
        "product": f"{now.retained:.3f}",
        "bounds": "held" if now.within_bounds else "BROKEN",
        "axes": "same" if before and before.kept.axes == now.kept.axes else ", ".join(now.kept.axes),
    }
    return row, now


def measure(folder: Path, n_weeks: int, fresh: bool, weak: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run all weeks; one row a week and axis, and one a week for the archetypes."""
    served: dict[str, Served] = {}
    chosen: ArchetypeChoice | None = None
    rows, combined = [], []
    for end, tables in weeks_of(folder, n_weeks):
        for axis_name, table in tables.items():
            try:
                if axis_name in served:
                    row, served[axis_name] = week(axis_name, table, served[axis_name], fresh)
                    rows.append({"axis": axis_name, "as_of": end, **row})
                else:
                    model = axis_model(AXES[axis_name], FitOptions()).fit(table)
                    names = name(axis_name, model, table, None)
                    served[axis_name] = Served(model, table, names, model.segments_named_)
            except InactiveAxisError:
                continue
        row, chosen = archetypes(served, chosen, weak)
        combined.append({"week": f"{end:%Y-%m-%d}", **row})
    return pd.DataFrame(rows), pd.DataFrame(combined)


def markdown(table: pd.DataFrame) -> str:
    """Write a table with its index in Markdown."""
    head = f"| {table.index.name or ''} | " + " | ".join(table.columns) + " |\n|" + "---|" * (len(table.columns) + 1)
    return "\n".join([head, *(f"| {index} | " + " | ".join(map(str, row)) + " |" for index, row in table.iterrows())])


def main() -> None:
    """Measure one store and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--no-champion", action="store_true", help="fit afresh every week, only match ids")
    parser.add_argument("--weak", default="", help="axes that shape no archetype, separated by commas")
    options = parser.parse_args()
    rows, combined = measure(options.folder, options.weeks, options.no_champion, options.weak.split(","))
    rows["excess"] = rows["refit"] - rows["frozen"]
    table = rows.groupby("axis", sort=False).agg(
        weeks=("held", "size"),
        frozen=("frozen", "mean"),
        refit=("refit", "mean"),
        excess=("excess", "mean"),
        same_features=("same_features", "mean"),
        candidate=("candidate", "mean"),
        held=("held", "sum"),
        kept=("kept", "sum"),
        renamed=("renamed", "sum"),
        born=("born", "sum"),
    )
    shares = ["frozen", "refit", "excess", "same_features", "candidate"]
    mean = {**{c: rows[c].mean() for c in shares}, **{c: rows[c].sum() for c in ("held", "kept", "renamed", "born")}}
    table.loc["all"] = pd.Series({"weeks": len(rows), **mean})
    for column in shares:
        table[column] = [f"{100 * value:.2f} %" for value in table[column]]
    counts = ["weeks", "held", "kept", "renamed", "born"]
    table[counts] = table[counts].astype(int)
    print(markdown(table))
    print(markdown(combined.set_index("week")))
    for _, row in rows[rows["held"]].iterrows():
        print(f"held: {row['axis']} {row['as_of']:%Y-%m-%d}: {row['reason']}")


if __name__ == "__main__":
    main()
