"""What customer_maturity and loyalty_trajectory foretell beyond orders and tenure; stores without states (ADR 5).

Run: ``python benchmarks/states.py [--stores completejourney,../shared/data/cdnow] [--deals 4]``. A row an axis and
store: of the store, then of the largest of its redealt ones, *kept* (numbers of orders stay) and *anybody* (each later
order of whoever had begun), each fitted and tested by dealing it again. Prints Markdown.
"""

import argparse
from pathlib import Path

from selection import load
from silence import redrawn

from quimbi_assets.axes import AXES, fit_reference
from quimbi_assets.axes._shuffle import shuffle_orders
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.history import History
from quimbi_assets.pipeline import fit_store, sample_store

STORES = "completejourney,../shared/data/online_retail_2009_2010,../shared/data/cdnow,simulated:3000"
STATES = [name for name, axis in AXES.items() if axis.is_state]
OPTIONS = FitOptions(pictures=False)


def tested(history):
    """The noise tests of both axes, by name."""
    features = sample_store(history, STATES, OPTIONS)
    return fit_store(history, dict(features), fit_reference(history), history.recorded, OPTIONS).noise


def dealt(history, n_deals):
    """Yield kind and history of redealt stores."""
    rows = history.sample(3000, 0, 700_000).frames()
    for seed in range(n_deals):
        anew = shuffle_orders(rows, history.end, 100 + seed)
        yield "kept", History.from_frames(*anew, history.store).until(history.end)
        anybody = anew._replace(orders=redrawn(anew.orders, seed))
        yield "anybody", History.from_frames(*anybody, history.store).until(history.end)


def cell(test):
    """Status and figures of one test."""
    told = test.foresight
    if told is None:
        return f"{test.status}; not known"
    return f"{test.status}; {told.explained:.3f}; {told.beyond:.4f} ({told.by_chance:.4f}), p {told.p_value:.3f}"


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", default=STORES + ",../shared/data/retail_case_study")
    parser.add_argument("--deals", type=int, default=4)
    options = parser.parse_args()
    print("| store | axis | store: in all; beyond (dealt) | kept: largest | active | anybody: largest | active |")
    print("|" + " --- |" * 7)
    for store in options.stores.split(","):
        history = History.from_frames(*load(store)[0])
        real, nulls = tested(history), [(kind, tested(one)) for kind, one in dealt(history, options.deals)]
        for axis in STATES:
            row = [Path(store).name, axis, cell(real[axis])]
            for kind in ("kept", "anybody"):
                tests = [found[axis] for of, found in nulls if of == kind and axis in found]
                beyond = [test.foresight.beyond for test in tests if test.foresight is not None]
                row += [f"{max(beyond, default=0):.4f}", f"{sum(not t.is_weak for t in tests)} of {len(tests)}"]
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
