"""How often what customers buy most is in their next order: the table of docs/adr/0022-affinity.md.

python benchmarks/affinity.py data/ [store ...]     # folders with orders.parquet and order_items.parquet
"""

import sys
import time
from pathlib import Path

import pandas as pd

from quimbi_assets.analysis import open_store
from quimbi_assets.history import History
from quimbi_assets.marketing.affinity import LEVELS, affinity_figures, affinity_texts, fit_affinities


def report(name: str, history: History) -> None:
    """Print what the test found of each level, how many customers have a list, and how long it took."""
    customers = pd.Index(history.customers.to_pandas())
    started = time.perf_counter()
    affinities = fit_affinities(history)
    fitted = time.perf_counter()
    texts = affinity_texts(history, affinities, customers).to_pandas()
    seconds = f"test {fitted - started:.1f} s, lists {time.perf_counter() - fitted:.1f} s"
    print(f"\n{name}: {len(customers):,} customers; {seconds}")
    listed = [texts.str.contains(f'"{level}": [{{', regex=False).mean() for level in LEVELS]
    gains = [{f"gain over {way}": gain for way, gain in one.gains.items()} for one in affinities.values()]
    print(affinity_figures(affinities).assign(have_a_list=listed).join(pd.DataFrame(gains)).round(3).T.to_string())


def main(folder: Path, names: list[str]) -> None:
    """Report on the stores of a folder, or on some."""
    for store in sorted(path.parent for path in folder.glob("*/order_items.parquet")):
        if not names or store.name in names:
            tables = {"orders": str(store / "orders.parquet"), "items": str(store / "order_items.parquet")}
            report(store.name, open_store(store.name, **tables).history)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
