"""Renews the names and sentences in ``segment-names.md``, and holds them to their rules: exits 1 where one is broken.

``.venv/bin/python docs/segment_names.py [FOLDER ...]``: of the demo's two stores, and of folders that hold
``orders.parquet`` and perhaps ``order_items.parquet``. Made anew by rule alone, from models fitted here. Of
archetypes it counts names, words, duplicates and figures.
"""

import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from quimbi_assets.analysis import Discovery, open_store
from quimbi_assets.axes import AXES
from quimbi_assets.axis_table import ACTIVE
from quimbi_assets.commands.demo import REAL, SIMULATED, TIME_ZONE, completejourney_store
from quimbi_assets.naming.brief import AxisBrief
from quimbi_assets.naming.descriptors import HALF
from quimbi_assets.naming.name_builder import declared_words
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets.naming.segment_statistics import describe_segments
from quimbi_assets.naming.validators import LIFECYCLE, wrong_words
from quimbi_assets.profiles.archetype_choice import choose_archetypes
from quimbi_assets.profiles.archetype_names import is_sayable, words_of
from quimbi_assets.profiles.archetype_rows import archetype_names
from quimbi_assets.simulation import simulate_store

PAGE = Path(__file__).with_name("segment-names.md")
BEGIN, END = "<!-- names: begin -->", "<!-- names: end -->"
CUSTOMERS = 3_000


def stores(folders: list[str]) -> Iterator[tuple[str, Discovery]]:
    """Yield each store's name and what was discovered in it."""
    orders, items = completejourney_store()
    yield REAL, open_store(REAL, orders=orders, items=items, time_zone=TIME_ZONE).discover()
    made = simulate_store(CUSTOMERS, seed=0)
    given = {"orders": made.orders, "items": made.order_items, "tickets": made.support_tickets}
    yield SIMULATED, open_store(SIMULATED, **given, time_zone=TIME_ZONE).discover()
    for folder in map(Path, folders):
        tables = {"orders": folder / "orders.parquet", "items": folder / "order_items.parquet"}
        yield folder.name, open_store(folder.name, **{k: v for k, v in tables.items() if v.exists()}).discover()


def briefs(found: Discovery) -> Iterator[AxisBrief]:
    """Yield every axis that has segments, described and named by rule."""
    currency = found.history.store.currency or ""
    for name, model in found.fitted.models.items():
        description = describe_segments(model, found.sample[name], found.scores[name].counts)
        yield AxisBrief(AXES[name], description, name_segments(AXES[name], description, currency), currency)


def true_of(brief: AxisBrief, row: int, features: pd.DataFrame, rows: np.ndarray) -> Iterator[tuple[str, float]]:
    """Yield the declared words of a name, and the share of the segment's members, 0-1, whose own figures bear it out.

    Not those of how often: a rhythm's rungs are narrow, and say it of a typical member.
    """
    for word in declared_words(brief.axis, brief.rule_made["segment_name"].iloc[row]):
        declared = [(f.name, w) for f in brief.counted for w in f.words if w.text == word and f.about != "rate"]
        values = {name: features.loc[rows, name].dropna().to_numpy(float) for name, _ in declared}
        shares = [
            ((w.low <= values[name]) & (values[name] <= w.high)).mean() for name, w in declared if len(values[name])
        ]
        yield from [(word, float(max(shares)))] if shares else []


def axis_table(brief: AxisBrief, status: str) -> str:
    """Return an axis as Markdown: name, share and sentence of each segment."""
    weak = " (weak)" if status == "weak" else ""
    rows = pd.concat([brief.rule_made, brief.description["population_percentage"]], axis=1)
    lines = [
        f"| `{row.segment_name}` | {row.population_percentage:.1f} % | {row.interpretation} |"
        for row in rows.sort_values("population_percentage", ascending=False).itertuples()
    ]
    head = f"**{brief.axis.name}**{weak}: {brief.axis.question}\n\n| name | share | sentence |\n|---|---:|---|"
    return "\n".join([head, *lines, ""])


def broken(brief: AxisBrief, features: pd.DataFrame, segments: np.ndarray) -> Iterator[str]:
    """Yield the rules that a name or a sentence breaks; ``segments``, shape (n,): each customer's, as its place."""
    for row, (name, text) in enumerate(brief.rule_made[["segment_name", "interpretation"]].itertuples(index=False)):
        if not all(one.startswith(("They ", "Nobody ")) for one in re.split(r"(?<=\.) ", text)):
            yield f"{brief.axis.name}: {name}: a sentence without a subject"
        if brief.description["structural"].isna().iloc[row]:
            yield from (f"{brief.axis.name}: {name}: {reason}" for reason in wrong_words(brief, row, name))
            for word, share in true_of(brief, row, features, segments == row):
                if share < HALF:
                    yield f"{brief.axis.name}: {name}: {word!r} is true of {100 * share:.0f} % of them"


def archetypes(found: Discovery) -> pd.Series:
    """Return the share of customers, in per cent, of every archetype, by its name, largest first."""
    choice = choose_archetypes(found.scores, None, found.axes.index[found.axes["status"] == ACTIVE])
    names = archetype_names(choice, dict(iter(found.segments.groupby("axis"))))
    shares = pd.Series(100 * choice.counts / choice.counts.sum(), list(names.values()))
    return shares.sort_values(ascending=False, kind="stable")


def archetype_table(shares: pd.Series) -> str:
    """Return archetypes as Markdown: name and share."""
    rows = [f"| {name} | {share:.1f} % |" for name, share in shares.items()]
    return "\n".join(["**archetypes**", "", "| name | share |", "|---|---:|", *rows, ""])


def broken_archetypes(names: list[str]) -> Iterator[str]:
    """Yield the rules that names of archetypes break, and print how the names are."""
    words = [words_of(name) for name in names]
    stages = {stage for stage in LIFECYCLE if "_" not in stage}
    for name, parts in zip(names, words, strict=True):
        if not is_sayable(name) or any(part.isdigit() for part in parts) or names.count(name) > 1:
            yield f"archetype: {name}: more than five words, a figure, or another's"
        if stages.intersection(parts):
            yield f"archetype: {name}: a word of the lifecycle"
    n_figures = sum(any(sign.isdigit() for sign in name) for name in names)
    longest = max(map(len, words))
    print(f"  {len(names)} archetypes, {len(set(names))} names, {longest} words at most, {n_figures} with a figure")


def main() -> int:
    """Write the tables between the page's marks."""
    warnings.filterwarnings("ignore")
    parts, faults = [], []
    for store_id, found in stores(sys.argv[1:]):
        axes = list(briefs(found))
        parts += [f"### {store_id}\n", *(axis_table(brief, found.axes["status"][brief.axis.name]) for brief in axes)]
        shares = archetypes(found)
        parts.append(archetype_table(shares))
        placed = {
            name: (found.sample[name], model.predict(found.sample[name])) for name, model in found.fitted.models.items()
        }
        wrong = [f"{store_id}: {reason}" for brief in axes for reason in broken(brief, *placed[brief.axis.name])]
        faults += wrong
        n_empty = sum(name.startswith(brief.axis.usual) for brief in axes for name in brief.rule_made["segment_name"])
        n_names = sum(len(brief.rule_made) for brief in axes)
        print(f"{store_id}: {n_names} names, {len(wrong)} break a rule, {n_empty} say only that nothing stands out")
        faults += [f"{store_id}: {reason}" for reason in broken_archetypes(list(shares.index))]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page = "\n".join(parts)
    PAGE.write_text(f"{before}{BEGIN}\n{page}\n{END}{after}")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
