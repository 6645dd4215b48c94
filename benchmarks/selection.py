"""Which way of clustering: every axis of a store by every method, with figures; and the time that selection takes.

Run: ``python benchmarks/selection.py [--stores simulated:4000,completejourney,../shared/data/cdnow] [--methods]
[--sparse]``. ``--methods`` adds other ways to cluster than the package's, each given the same scaled customers, the
same numbers of segments and the same measurements; ``--sparse`` keeps only the first one to eight orders of customers,
mostly one, which makes a shop of one-order customers out of any. Prints Markdown.
"""

import argparse
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.cluster import BisectingKMeans, KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from quimbi_assets.axes import AXES, Features, fit_reference, measure
from quimbi_assets.clustering import candidates as package
from quimbi_assets.clustering.axis_fit import FitOptions, axis_model
from quimbi_assets.clustering.candidates import fit_centers, measure_candidates
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.prepared_sample import prepare_sample
from quimbi_assets.clustering.scoring import distances_to
from quimbi_assets.clustering.selection import best_division, faults, shortfall
from quimbi_assets.errors import InactiveAxisError
from quimbi_assets.history import History
from quimbi_assets.simulation import simulate_store

KEPT_ORDERS, KEPT_SHARES = [1, 2, 3, 4, 8], [0.78, 0.12, 0.05, 0.04, 0.01]


def by_mixture(points, k, n_init, seed):
    """Means of a Gaussian mixture with full covariances."""
    return GaussianMixture(k, n_init=1, reg_covar=1e-3, max_iter=50, random_state=seed).fit(points).means_


def by_bisection(points, k, n_init, seed):
    """Bisecting k-means: the largest inertia is split in two until there are k."""
    return BisectingKMeans(k, n_init=n_init, random_state=seed).fit(points).cluster_centers_


def by_medoids(points, k, n_init, seed):
    """k-medoids by alternation on at most 1,500 customers, from the customers nearest to k-means centres."""
    points = points[:1500]
    among = distances_to(points, points)
    medoids = distances_to(points, fit_centers(points, k, n_init, seed)).argmin(axis=0)
    for _ in range(20):
        labels = among[:, medoids].argmin(axis=1)
        members = [np.flatnonzero(labels == i) for i in range(k)]
        moved = np.array([m[among[np.ix_(m, m)].sum(axis=1).argmin()] for m in members if len(m)])
        if np.array_equal(moved, medoids):
            break
        medoids = moved
    return points[medoids]


def by_fuzzy_means(points, k, n_init, seed):
    """Fuzzy c-means with exponent 2, from k-means centres."""
    centers = KMeans(k, n_init=1, random_state=seed).fit(points).cluster_centers_
    for _ in range(40):
        weights = 1 / np.maximum(distances_to(points, centers), 1e-9) ** 2
        weights = (weights / weights.sum(axis=1, keepdims=True)) ** 2
        centers = weights.T @ points / weights.sum(axis=0)[:, None]
    return centers


def by_quantiles(points, k, n_init, seed):
    """Equal parts of the leading feature, each served by its mean."""
    parts = np.searchsorted(np.quantile(points[:, 0], np.arange(1, k) / k), points[:, 0])
    return np.array([points[parts == i].mean(axis=0) for i in np.unique(parts)])


METHODS = {
    "k-means": fit_centers,
    "mixture": by_mixture,
    "bisecting": by_bisection,
    "k-medoids": by_medoids,
    "fuzzy c-means": by_fuzzy_means,
    "quantiles": by_quantiles,
}


def load(name):
    """Rows and planted labels (or None) of ``simulated:N``, ``completejourney`` or a folder of Parquet."""
    if name.startswith("simulated:"):
        store = simulate_store(int(name.partition(":")[2]))
        orders = store.orders[(store.orders["status"] == "paid") & store.orders["customer_id"].notna()]
        return (orders, store.order_items, store.support_tickets), store.labels.set_index("customer_id")
    if name == "completejourney":
        from quimbi_assets.commands.demo import completejourney_store

        orders, items = completejourney_store()
        return (orders, items[items["quantity"] > 0]), None
    paths = [Path(name) / f"{table}.parquet" for table in ("orders", "order_items", "support_tickets")]
    return tuple(pd.read_parquet(path) for path in paths if path.is_file()), None


def first_orders(rows):
    """Only the first one to eight orders of every customer, mostly one."""
    orders, *others = rows
    ids = orders["customer_id"].unique()
    kept = pd.Series(np.random.default_rng(0).choice(KEPT_ORDERS, len(ids), p=KEPT_SHARES), index=ids)
    orders = orders.sort_values("order_date")
    orders = orders[orders.groupby("customer_id").cumcount() < orders["customer_id"].map(kept)]
    return orders, *others


def features_of(name, sparse):
    """Feature tables by axis, and planted labels."""
    rows, labels = load(name)
    history = History.from_frames(*(first_orders(rows) if sparse else rows))
    return Features(measure(history, reference=fit_reference(history))), labels


def fitted(axis, table):
    """The package's own fit, timed."""
    start = time.perf_counter()
    model = axis_model(axis, FitOptions()).fit(table)
    return model, time.perf_counter() - start


def by_method(axis, table, model):
    """Measure every method on all usable features, with the structural states that the fit set apart."""
    states = tuple((s.feature, s.equals, s.name) for s in axis.structural if s.name in model.structural_)
    transforms = {f.name: f.transform for f in axis.clustering_features}
    frame = table[[c for c in dict.fromkeys([*transforms, "n_orders"]) if c in table]].astype("float64")
    prepared = prepare_sample(AxisModel(), frame, transforms, states, (model.evidence(table) == "ok"))
    inside, n_states = prepared.member >= 0, len(prepared.states)
    for name, method in METHODS.items():
        # The method in place of the package's, and its centres as they are.
        with patch.multiple(package, fit_centers=method, carry_on=lambda points, centers, start: centers):
            candidates = measure_candidates(
                prepared.scaled[~inside],
                prepared.scaled[inside],
                prepared.member[inside],
                prepared.population,
                range(max(2 - n_states, 2), 7 - n_states),
                0,
            )
        best = best_division(candidates, axis.usual_k) or min(candidates, key=shortfall)
        yield name, best


def row(store, axis, method, figures, is_admissible, extra=""):
    """Print one line: k, silhouette, ARI, Jaccard, largest, smallest, effective."""
    k, silhouette, ari, jaccard, largest, smallest, effective = figures
    quality = f"{silhouette:.2f} | {ari:.2f} | {jaccard:.2f} | {largest:.0%} | {smallest:.1%} | {effective:.1f}"
    verdict = "pass" if is_admissible else "fail"
    print(f"| {store} | {axis} | {method} | {k} | {quality} | {verdict} | {extra} |", flush=True)


def of_candidate(c):
    """Figures of one candidate."""
    shares = (c.largest_share, c.smallest_share, c.effective)
    return (c.k, c.silhouette, c.stability.ari, c.smallest_jaccard, *shares)


def of_model(model):
    """Figures of what the package chose, and whether it is admissible."""
    chosen = model.selection_[model.selection_["chosen"]].iloc[0]
    names = ["k", "silhouette", "stability_ari", "smallest_jaccard", "largest_share", "smallest_share"]
    return [*chosen[names], chosen["effective_segments"]], "least bad" not in chosen["reason"]


def main():
    """Print the table and the time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", default="simulated:4000,completejourney")
    parser.add_argument("--methods", action="store_true")
    parser.add_argument("--sparse", action="store_true")
    options = parser.parse_args()
    print("| store | axis | method | k | silhouette | ARI | Jaccard | largest | smallest | effective | | |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in options.stores.split(","):
        store, total = Path(name).name + (" (sparse)" if options.sparse else ""), 0.0
        tables, labels = features_of(name, options.sparse)
        for axis_name, table in tables.items():
            try:
                model, seconds = fitted(AXES[axis_name], table)
            except InactiveAxisError:
                continue
            total += seconds
            extra = f"{seconds:.1f} s"
            if labels is not None and axis_name in labels and not options.sparse:
                truth = labels[axis_name].reindex(table.index)
                known = truth.notna().to_numpy()
                extra += f", planted ARI {adjusted_rand_score(truth[known], model.predict(table)[known]):.2f}"
            row(store, axis_name, "selected", *of_model(model), extra)
            if options.methods:
                for method, best in by_method(AXES[axis_name], table, model):
                    row(store, axis_name, method, of_candidate(best), not faults(best))
        print(f"\n{store}: {len(next(iter(tables.values())))} customers, selection of all axes {total:.1f} s\n")


if __name__ == "__main__":
    main()
