"""Who changes segment when a store is fitted anew every week: real behaviour, and what refitting adds.

Twelve weekly refits of every axis, each as of a week later. For each week and axis, over the customers of both weeks:

- *frozen*: share whose segment differs between last week's features and this week's, by last week's champion;
- *refit*: the same, this week's features scored by this week's champion;
- *same features*: share that last week's and this week's champion place differently by this week's features.

Usage::

    python benchmarks/refits.py FOLDER [--weeks 12] [--no-champion]

FOLDER holds ``orders.parquet`` and ``order_items.parquet`` in canonical columns. ``--no-champion`` fits afresh every
week and only matches ids, to show what the warm start and the promotion rule are worth.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES, default_observation_end, extract_features, fit_reference
from quimbi_assets.clustering.axis_model import axis_model
from quimbi_assets.clustering.comparison import consider
from quimbi_assets.clustering.identity import inherited_identity
from quimbi_assets.clustering.inactive import InactiveAxisError
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.segments.describe import describe_segments
from quimbi_assets.segments.naming import name_segments
from quimbi_assets.segments.persistence import GivenNames, remember_names


def weeks_of(folder: Path, n_weeks: int) -> Iterator[tuple[pd.Timestamp, dict[str, pd.DataFrame]]]:
    """Yield every week's instant and features, the earliest first."""
    orders = pd.read_parquet(folder / "orders.parquet")
    items = pd.read_parquet(folder / "order_items.parquet")
    dates = orders["order_date"]
    naive = dates if dates.dt.tz is None else dates.dt.tz_convert("UTC").dt.tz_localize(None)
    orders["order_date"] = naive.dt.as_unit("us")
    last = pd.Timestamp(default_observation_end(orders))
    for back in range(n_weeks, -1, -1):
        end = last - pd.Timedelta(weeks=back)
        reference = fit_reference(orders, items, end)
        yield end, dict(extract_features(orders, items, reference=reference, observation_end=end).items())


@dataclass
class Served:
    """An axis's champion, the features it last scored, its segments' names and the largest id ever given."""

    model: AxisModel
    table: pd.DataFrame
    names: GivenNames
    named: int


def labels(model: AxisModel, table: pd.DataFrame) -> pd.Series:
    """Segment id of every customer."""
    return pd.Series(np.asarray(model.segment_ids_, dtype=object)[model.predict(table)], index=table.index)


def differ(one: pd.Series, two: pd.Series) -> float:
    """Share of the customers of both whose label differs."""
    shared = one.index.intersection(two.index)
    return float((one[shared] != two[shared]).mean())


def name(axis_name: str, model: AxisModel, table: pd.DataFrame, given: GivenNames | None) -> GivenNames:
    """Name a champion's segments."""
    description = describe_segments(AXES[axis_name], model, table)
    keeping = {} if given is None else given.still_fitting(model, description)
    names = name_segments(AXES[axis_name], description, given=keeping)
    return remember_names(description, names, given)


def week(axis_name: str, table: pd.DataFrame, served: Served, fresh: bool) -> tuple[dict[str, object], Served]:
    """Refit one axis and compare."""
    if fresh:
        fitted = axis_model(AXES[axis_name]).fit(table)
        identity = inherited_identity(served.model, fitted, table, served.named)
        fitted.segment_ids_, fitted.segments_named_, fitted.lineage_ = (
            identity.segment_ids,
            identity.named,
            identity.lineage,
        )
        promoted, reason = True, "always"
    else:
        fitted = axis_model(AXES[axis_name]).fit(table, champion=served.model, named=served.named)
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


def measure(folder: Path, n_weeks: int, fresh: bool) -> pd.DataFrame:
    """Run all weeks; one row a week and axis."""
    served: dict[str, Served] = {}
    rows = []
    for end, tables in weeks_of(folder, n_weeks):
        for axis_name, table in tables.items():
            try:
                if axis_name in served:
                    row, served[axis_name] = week(axis_name, table, served[axis_name], fresh)
                    rows.append({"axis": axis_name, "as_of": end, **row})
                else:
                    model = axis_model(AXES[axis_name]).fit(table)
                    names = name(axis_name, model, table, None)
                    served[axis_name] = Served(model, table, names, model.segments_named_)
            except InactiveAxisError:
                continue
    return pd.DataFrame(rows)


def main() -> None:
    """Measure one store and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--no-champion", action="store_true", help="fit afresh every week, only match ids")
    options = parser.parse_args()
    rows = measure(options.folder, options.weeks, options.no_champion)
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
    print("| axis | " + " | ".join(table.columns) + " |\n|" + "---|" * (len(table.columns) + 1))
    for axis_name, row in table.iterrows():
        print(f"| {axis_name} | " + " | ".join(map(str, row)) + " |")
    for _, row in rows[rows["held"]].iterrows():
        print(f"held: {row['axis']} {row['as_of']:%Y-%m-%d}: {row['reason']}")


if __name__ == "__main__":
    main()
