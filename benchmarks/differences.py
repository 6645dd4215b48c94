"""Which axes of which stores are weak, and which of stores whose orders were dealt anew (ADR 5).

Run: ``python benchmarks/differences.py [--stores simulated:3000,completejourney,../shared/data/cdnow] [--seeds 3]``.
The first table has real features of tested ones, the range of the variance ratio and the customers compared, seed 0;
**w** is weak. The second counts weak axes for every seed, of each store and of the store with its orders dealt anew,
which is then tested by dealing it again. Prints Markdown.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
from selection import load

from quimbi_assets.axes import AXES, Features, fit_reference, measure
from quimbi_assets.axes._shuffle import shuffle_orders
from quimbi_assets.clustering.abstention import measure_differences
from quimbi_assets.history import History

STORES = "../shared/data/online_retail_2009_2010,../shared/data/cdnow,completejourney,simulated:3000"


def usable_axes(features):
    """Axes that a fit would find something to tell apart on: two features or more that customers differ in."""
    differing = {name: table[[f.name for f in AXES[name].clustering_features if f.name in table]].nunique()
                 for name, table in features.items()}  # fmt: skip
    return [name for name, counts in differing.items() if (counts > 1).sum() > 1]


def judged(history, seed):
    """Verdicts by axis, as a run finds them."""
    reference = fit_reference(history)
    features = Features(measure(history, reference=reference))
    return measure_differences(history, usable_axes(features), features.recorded, reference, random_state=seed)


def cell(found):
    """One axis of one store."""
    tested = found.figures[found.figures["is_tested"]]
    mark = "**w** " if found.is_weak else ""
    if tested.empty:
        return mark + "nothing to test"
    ratio = tested["variance_ratio"]
    real = int(tested["is_real"].sum())
    return f"{mark}{real}/{len(tested)}; {ratio.min():.2f}-{ratio.max():.2f}; {found.n_customers:,}"


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", default=STORES + ",../shared/data/retail_case_study")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    cells, controls = {}, []
    for store in options.stores.split(","):
        name = Path(store).name
        history = History.from_frames(*load(store)[0])
        start = time.process_time()
        found = [judged(history, seed) for seed in range(options.seeds)]
        seconds = (time.process_time() - start) / options.seeds
        cells[name] = {axis: cell(differences) for axis, differences in found[0].items()}
        controls.append([name, len(found[0]), *(sum(d.is_weak for d in f.values()) for f in found), f"{seconds:.1f}"])
        rows, end = history.frames(), history.end
        dealt = [shuffle_orders(rows, end, 100 + seed) for seed in range(options.seeds)]
        found = [judged(History.from_frames(*own).until(end), seed) for seed, own in enumerate(dealt)]
        weak = [sum(d.is_weak for d in f.values()) for f in found]
        controls.append([f"{name}, dealt", len(found[0]), *weak, ""])
        print(controls[-2:], flush=True)
    print("| axis | " + " | ".join(cells) + " |\n|" + " --- |" * (len(cells) + 1))
    for axis in AXES:
        print(f"| {axis} | " + " | ".join(own.get(axis, "inactive") for own in cells.values()) + " |")
    frame = pd.DataFrame(controls, columns=["store", "axes", *(f"weak, seed {s}" for s in range(options.seeds)), "s"])
    print("\n| " + " | ".join(frame.columns) + " |\n|" + " --- |" * len(frame.columns))
    for row in frame.itertuples(index=False):
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
