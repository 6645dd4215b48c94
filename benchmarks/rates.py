"""Whether differences in how often customers order are found, in draws of a store and where nobody differs (ADR 5).

Run: ``python benchmarks/rates.py [--stores completejourney,../shared/data/online_retail_2009_2010] [--draws 20]``. For
each store and number of customers: in how many draws ``purchase_frequency`` is not weak by chance, in how many its
counts are real; the same of redealt stores, with the numbers of orders kept and with every later order placed by
anybody who had begun. Then made-up stores of equal and of different rates, by counts alone, and what such rates tell
of the next quarter. Prints Markdown.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import pandas as pd
from selection import load
from silence import redrawn

from quimbi_assets.axes._shuffle import count_later_orders, shuffle_orders
from quimbi_assets.clustering.abstention import N_DEALS, measure_differences
from quimbi_assets.clustering.noise_test import count_figures, decide_features
from quimbi_assets.history import History

STORES = "completejourney,../shared/data/online_retail_2009_2010,../shared/data/cdnow,../shared/data/retail_case_study"
SIZES = (100, 200, 400, 800)
AXIS = "purchase_frequency"
DIFFERENT = [
    *((100, 5, 0.2), (400, 5, 0.2), (100, 5, 0.5), (100, 2, 1), (200, 2, 1), (400, 2, 1)),
    *((3000, 1, 0.2), (3000, 2, 0.2), (3000, 20, 0.028), (400, 60, 0.028), (3000, 1, 0.05)),
]
"""Customers, later orders a year of the average one, variance of rates over their mean squared."""


def verdict(rows, end, seed):
    """Whether the axis is not weak by chance, and whether its counts are real."""
    history = History.from_frames(rows.orders).until(end)
    found = measure_differences(history, [AXIS], random_state=seed)[AXIS]
    return not found.is_chance, bool((found.figures["is_count"] & found.figures["is_real"]).any())


def draws(name, history, n_draws):
    """Print how many draws of each size are real, of the store and of both kinds of redealt ones."""
    history = History.from_frames(history.frames().orders).until(history.end)
    for size in SIZES:
        found = {"real": [], "kept": [], "anybody": []}
        start = time.process_time()
        for seed in range(n_draws):
            rows, end = history.sample(size, seed).frames(), history.end
            found["real"].append(verdict(rows, end, seed))
            dealt = History.from_frames(*shuffle_orders(rows, end, 1000 + seed)).until(end).frames()
            found["kept"].append(verdict(dealt, end, seed))
            found["anybody"].append(verdict(dealt._replace(orders=redrawn(dealt.orders, seed)), end, seed))
        cells = [f"{sum(a for a, _ in each)} ({sum(c for _, c in each)})" for each in found.values()]
        seconds = (time.process_time() - start) / n_draws / 3
        print(f"| {name} | {size} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)


def made_up(n, later, variance, rng, days=360, share=0.0, within=0.0):
    """Orders of n customers, ``later`` ones in a whole year, a ``share`` of them followed ``within`` days."""
    first, rate = 0.8 * days * rng.random(n), rng.gamma(1 / variance, variance, n) if variance else np.ones(n)
    customer = np.repeat(np.arange(n), rng.poisson(later * rate * (1 - first / days)))
    day = first[customer] + rng.random(len(customer)) * (days - first[customer])
    more = rng.random(len(customer)) < share
    after = day[more] + within * rng.random(more.sum())
    who, when = np.concatenate([np.arange(n), customer, customer[more]]), np.concatenate([first, day, after])
    orders = pd.DataFrame({"customer_id": who, "order_date": pd.to_datetime(when, unit="D").as_unit("us")})
    return orders.sort_values(["customer_id", "order_date"])


def told(later, variance, rng, n=200_000):
    """Share of the variance of the log of next quarter's orders that fifths of customers by order rate explain."""
    tenure, rate = 1 - 0.8 * rng.random(n), rng.gamma(1 / variance, variance, n) if variance else np.ones(n)
    seen = (1 + rng.poisson(later * rate * tenure)) / tenure
    group = np.searchsorted(np.quantile(seen, [0.2, 0.4, 0.6, 0.8]), seen)
    future = pd.Series(np.log1p(rng.poisson(later * rate / 4)))
    return 1 - (future - future.groupby(group).transform("mean")).var() / future.var()


def counted(kind, n_draws, rng, n, later, variance, **bursts):
    """Print one kind of made-up store."""
    stores = (made_up(n, later, variance, rng, **bursts) for _ in range(n_draws))
    rows = [count_figures(*count_later_orders(orders, N_DEALS, seed)) for seed, orders in enumerate(stores)]
    table = decide_features(pd.DataFrame([row for row in rows if row]))
    ratio, agreement = table["variance_ratio"].median(), table["reliability"].median()
    figures = (
        f"{ratio:.2f} | {agreement:.2f} | {table['is_real'].sum() / n_draws:.1%} | {told(later, variance, rng):.3f}"
    )
    print(f"| {kind} | {n:,} | {later} | {variance} | {figures} |", flush=True)


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", default=STORES)
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    print(
        "| store | customers | not by chance (counts real) | numbers kept | placed by anybody | s |\n|" + " --- |" * 6
    )
    for store in filter(None, options.stores.split(",")):
        draws(Path(store).name, History.from_frames(*load(store)[0]), options.draws)
    rng = np.random.default_rng(0)
    print(
        "\n| kind | customers | later orders a year | variance of rates | ratio | agreement | real | told |\n|"
        + " --- |" * 8
    )
    for n, later in itertools.product((100, 400, 3000), (1, 5, 60)):
        counted("equal rates", {100: 1000, 400: 300, 3000: 50}[n], rng, n, later, 0)
    for n, later, variance in DIFFERENT:
        counted("different rates", 100, rng, n, later, variance)
    for within in (1 / 24, 3, 14):
        counted(f"equal, half followed within {within:.2g} days", 50, rng, 3000, 5, 0, share=0.5, within=within)


if __name__ == "__main__":
    main()
