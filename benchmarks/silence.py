"""Where silence foretells that nobody comes, and in how many stores without any difference it seems to (ADR 10).

Run: ``python benchmarks/silence.py [--stores completejourney,../shared/data/cdnow] [--deals 10] [--draws 10]``. The
first table is of whole stores and of their orders dealt in two ways: numbers of orders *kept*, as the noise test deals
(``axes/_shuffle.py``), and *redrawn*: first orders stay, each later one goes to anybody who had begun. The second
counts draws of so many customers, and their deals. Prints Markdown.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from selection import load

from quimbi_assets.axes._shuffle import shuffle_orders
from quimbi_assets.history import History
from quimbi_assets.weekly.silence import judge_silence

STORES = "completejourney,../shared/data/online_retail_2009_2010,../shared/data/cdnow,../shared/data/retail_case_study"
SIZES = (100, 200, 400, 800, 1600)


def redrawn(orders, seed):
    """The same orders, each later one of a customer drawn among those who had begun by then."""
    ordered = orders.sort_values(["order_date", "order_id"])
    is_first = ~ordered["customer_id"].duplicated().to_numpy()
    ids = ordered["customer_id"].astype(str).to_numpy()
    drawn = (np.random.default_rng(seed).random(len(ids)) * np.cumsum(is_first)).astype(int)
    return ordered.assign(customer_id=np.where(is_first, ids, ids[is_first][drawn]))


def deals(frames, end, n):
    """Yield the kind of deal, and a store without differences in what silence tells, n of each kind."""
    for seed in range(n):
        yield "kept", History.from_frames(shuffle_orders(frames, end, seed).orders).until(end)
        yield "redrawn", History.from_frames(redrawn(frames.orders, seed)).until(end)


def cell(found):
    """Several tests in short: range of the gap in points, smallest p, how many let alerts be given."""
    gaps = [100 * one.gap for one in found if one.gap is not None]
    least = min((one.p_value for one in found if one.gap is not None), default=np.nan)
    passed = sum(one.reason is None for one in found)
    return f"{min(gaps):+.1f} to {max(gaps):+.1f}; {least:.3f}; {passed} of {len(found)}"


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", default=STORES)
    parser.add_argument("--deals", type=int, default=10)
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    whole, drawn = [], []
    for store in options.stores.split(","):
        name, history = Path(store).name, History.from_frames(load(store)[0][0])
        end, frames = history.end, history.frames()
        start = time.perf_counter()
        test = judge_silence(history)
        seconds = time.perf_counter() - start
        nulls = [(kind, judge_silence(dealt)) for kind, dealt in deals(frames, end, options.deals)]
        row = [name, test.horizon_days, f"{test.n_customers:,}", f"{test.n_silent / max(test.n_customers, 1):.0%}"]
        row += ["" if test.gap is None else f"{100 * test.gap:+.1f}", test.p_value, "no" if test.reason else "yes"]
        cells = [cell([one for of, one in nulls if of == kind]) for kind in ("kept", "redrawn")] if nulls else ["", ""]
        whole.append([*row, *cells, f"{seconds:.2f}"])
        print(whole[-1], flush=True)
        ids = np.sort(frames.orders["customer_id"].astype(str).unique())
        given = []
        for size in SIZES:
            real, null = [], []
            for seed in range(options.draws if size < len(ids) else 0):
                some = np.random.default_rng(seed).choice(ids, size, replace=False)
                part = History.from_frames(frames.orders[frames.orders["customer_id"].isin(some)])
                real.append(judge_silence(part.until(end)).reason is None)
                null += [judge_silence(dealt).reason is None for _, dealt in deals(part.frames(), end, 1)]
            given.append(f"{sum(real)} of {len(real)}; {sum(null)} of {len(null)}")
        drawn.append([name, *given])
        print(drawn[-1], flush=True)
    columns = "store, H, customers, silent, gap, p, alerts, kept: gap; p; alerts, redrawn: gap; p; alerts, seconds"
    for header, rows in ((columns.split(", "), whole), (["draws: real; dealt", *map(str, SIZES)], drawn)):
        print("\n| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
        for row in rows:
            print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
