"""Who came back of each lifecycle stage, value tier and RFM group: the tables of docs/adr/0018-lifecycle.md.

Groups are those of 90 days before each store's end, by rules learnt from what was known then.

    python benchmarks/lifecycle.py data/ [store ...]     # folders with orders.parquet and, where there are, items
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from quimbi_assets.analysis import open_store
from quimbi_assets.churn.history import read_history
from quimbi_assets.history import History
from quimbi_assets.marketing import GROUPINGS, fit_marketing, group_customers
from quimbi_assets.marketing.lifecycle import SLOWING, measure_waits

DAYS = 90


def report(name: str, history: History) -> None:
    """Print what came of each group, and of those silent for twice their waits."""
    then = history.until(history.end - pd.Timedelta(days=DAYS))
    reference, customers = fit_marketing(then), pd.Index(then.customers.to_pandas())
    groups = group_customers(then, reference, customers)
    later = history.spending(DAYS).reindex(customers)
    print(f"\n{name}: {len(customers):,} customers, usual wait {reference.lifecycle.usual_days:.1f} days")
    print(reference.lifecycle.limits.round(2))
    for grouping, ids in groups.ids().items():
        frame = pd.DataFrame(
            {
                "group": ids,
                "came": later["recent_orders"].to_numpy() > 0,
                "spent": groups.spent,
                "days silent": groups.columns["days_since_last_order"].to_numpy(),
                "orders": groups.columns["n_orders"].to_numpy(),
            }
        )
        by_group = frame.groupby("group")
        table = by_group.agg({"came": "mean", "days silent": "median", "orders": "mean"})
        table.insert(0, "customers", by_group.size() / len(frame))
        table.insert(1, "revenue", by_group["spent"].sum() / frame["spent"].sum())
        print(table.reindex(GROUPINGS[grouping]).round(3).to_string())
    waits = measure_waits(read_history(then), then.end)
    mean = waits.total / np.maximum(waits.n_ended, 1)
    silent = (waits.n_ended >= 2) & (waits.silence > 2 * mean)
    late = (groups.codes["lifecycle"][silent] >= SLOWING).mean() if silent.any() else np.nan
    print(f"silent for more than twice their waits: {silent.sum():,}, of whom slowing or beyond {late:.3f}")


def main(folder: Path, names: list[str]) -> None:
    """Report on the stores of a folder, or on some."""
    for store in sorted(path.parent for path in folder.glob("*/orders.parquet")):
        if not names or store.name in names:
            lines = store / "order_items.parquet"
            items = str(lines) if lines.exists() else None
            report(store.name, open_store(store.name, orders=str(store / "orders.parquet"), items=items).history)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
