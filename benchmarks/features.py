"""How long the features of all axes take, beside a plain pandas implementation of the same features.

Both run on the same simulated store in the same process, one after the other. Usage::

    python benchmarks/features.py [--customers 27415] [--seed 0] [--share 0.1] [--repeats 3]
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pandas_yardstick

from quimbi_assets.axes import AXES, extract_features, fit_reference
from quimbi_assets.history import Frames, History
from quimbi_assets.simulation import simulate_store
from quimbi_assets.store import Store

TIME_ZONE = "America/New_York"


class Simulated:
    """A simulated store in canonical form, with what was fitted on all of it."""

    def __init__(self, n_customers: int, seed: int) -> None:
        simulated = simulate_store(n_customers, seed=seed, time_zone=TIME_ZONE)
        known = simulated.orders[simulated.orders["customer_id"].notna()]
        orders, items = pandas_yardstick.canonical(known, simulated.order_items, TIME_ZONE)
        tickets = pandas_yardstick.canonical_tickets(simulated.support_tickets, TIME_ZONE)
        self.rows = Frames(orders, items[items["order_id"].isin(orders["order_id"])], tickets)
        history = History.from_frames(*self.rows, Store(time_zone=TIME_ZONE))
        self.end, self.recorded, self.reference = history.end, history.recorded, fit_reference(history)
        self.customer_ids = history.customers.to_numpy(zero_copy_only=False)

    def of(self, customer_ids: np.ndarray) -> Frames:
        """Rows of some customers."""
        orders, items, tickets = self.rows
        own = orders[orders["customer_id"].isin(customer_ids)]
        lines = items[items["order_id"].isin(own["order_id"])]
        return Frames(own, lines, tickets[tickets["customer_id"].isin(customer_ids)])


def seconds(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the median wall time of some runs and the last result."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)), result


def differences(store: Simulated, rows: Frames, expected: dict[str, pd.DataFrame]) -> int:
    """Count the numbers on which the two implementations disagree by more than 1e-9."""
    found = _extract(store, rows)
    n_different = 0
    for axis, table in expected.items():
        numbers = [f.name for f in AXES[axis].features if f.kind == "number"]
        left = found[axis][numbers].to_numpy(dtype=float)
        right = table.loc[found[axis].index, numbers].to_numpy(dtype=float)
        n_different += int((~np.isclose(left, right, rtol=1e-9, atol=1e-9, equal_nan=True)).sum())
    return n_different


def _extract(store: Simulated, rows: Frames) -> dict[str, pd.DataFrame]:
    return extract_features(
        rows.orders,
        rows.items,
        tickets=rows.tickets,
        observation_end=store.end,
        recorded=store.recorded,
        reference=store.reference,
    )


def _plain(store: Simulated, rows: Frames) -> dict[str, pd.DataFrame]:
    fitted = store.reference
    return pandas_yardstick.extract(
        rows.orders,
        rows.items,
        store.end,
        tickets=rows.tickets,
        cheap_prices=dict(fitted.product_prices.to_numpy().tolist()),
        luxury_prices=dict(fitted.category_prices.to_numpy().tolist()),
        store_gap_days=fitted.median_gap_days,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=27_415)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.1, help="customers the plain implementation runs on")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    store = Simulated(given.customers, given.seed)
    drawn = np.random.default_rng(given.seed).permutation(store.customer_ids)
    n_all, n_sample = len(drawn), max(int(len(drawn) * given.share), 1)
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in store.rows._asdict().items())
    print(f"{len(AXES)} axes, {n_all:,} customers, {counts},")
    print(f"{os.cpu_count()} cores; median of {given.repeats} runs, the plain implementation once\n")

    first, _ = seconds(lambda: _extract(store, store.of(drawn[:1])), 1)
    whole, _ = seconds(lambda: _extract(store, store.rows), given.repeats)
    some, one = store.of(drawn[:1_000]), store.of(drawn[:1])
    thousand, _ = seconds(lambda: _extract(store, some), given.repeats)
    single, _ = seconds(lambda: _extract(store, one), 10 * given.repeats)
    sample = store.of(drawn[:n_sample])
    plain, expected = seconds(lambda: _plain(store, sample), 1)
    n_different = differences(store, sample, expected)

    _report(n_all, n_sample, whole, plain)
    print(f"\n1,000 customers: {thousand:.3f} s   one customer: {1000 * single:.0f} ms")
    print(f"first call of a process (expressions are compiled): {first:.2f} s")
    print(f"numbers that differ by more than 1e-9 on the sample: {n_different}")


def _report(n_all: int, n_sample: int, whole: float, plain: float) -> None:
    scaled = plain * n_all / n_sample
    note = "" if n_sample == n_all else f" (scaled from {n_sample:,} customers in {plain:.1f} s)"
    print(f"{'':24}{'seconds':>10}{'customers/s':>14}{'ratio':>8}")
    print(f"{'extract_features':24}{whole:10.2f}{n_all / whole:14,.0f}{1:8.0f}")
    print(f"{'pandas, one by one':24}{scaled:10.1f}{n_all / scaled:14,.0f}{scaled / whole:8.0f}{note}")


if __name__ == "__main__":
    main()
