"""How many segments: what rules of choosing them explain of the days to come, and how far two halves agree on them.

Run: ``python benchmarks/granularity.py [--stores completejourney,../shared/data/cdnow] [--seeds 2]
[--small | --usual]``. Of every store, cut-off of its backtest and axis, fitted by each rule: number of segments, share
of variance of the next 90 days' outcomes that segments and memberships explain, bootstrap ARI, agreement of two
disjoint halves of all customers, and as a run measures it, capped. What rules choose from is measured once. ``--usual``
compares only usual numbers of segments. ``--small`` draws 50 to 800 customers instead and compares their segments with
those of all, with and without preferring the number that is usual in the other stores.
Prints Markdown.
"""

import argparse
from copy import copy
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from selection import load

from quimbi_assets.axes import AXES
from quimbi_assets.backtest.baseline import explained_share, sharp
from quimbi_assets.backtest.evaluation import HORIZON_DAYS, MOST_CUT_OFFS, SHORTEST_HISTORY_DAYS
from quimbi_assets.backtest.hold_out import measure_hold_out, measure_outcome
from quimbi_assets.churn.examples import rolling_cut_offs
from quimbi_assets.clustering import fitting, selection
from quimbi_assets.clustering import model as axis_models
from quimbi_assets.clustering.axis_fit import FitOptions, axis_model
from quimbi_assets.clustering.quality import adjusted_rand, contingency
from quimbi_assets.errors import InactiveAxisError
from quimbi_assets.history import History
from quimbi_assets.pipeline import sample_store
from quimbi_assets.sampling import customer_order

STORES = "completejourney,../shared/data/online_retail_2009_2010,../shared/data/cdnow,simulated:3000"


def largest(near, near_of_two):
    """The largest number within a distance of the best silhouette; within another where that would be two segments."""

    def rule(candidates, usual_k, champion_k=None):
        admissible = [c for c in reversed(candidates) if not c.undivided and not selection.faults(c)]
        best = max((c.silhouette for c in admissible), default=0.0)
        for distance in (near, near_of_two):
            chosen = next((c for c in admissible if c.silhouette >= best - distance), None)
            if chosen is None or chosen.k > 2:
                break
        return chosen

    return rule


def nearest(near, k=None):
    """The number nearest to the usual one, or to another, within a distance of the best silhouette."""

    def rule(candidates, usual_k, champion_k=None):
        admissible = [c for c in candidates if not c.undivided and not selection.faults(c)]
        best = max((c.silhouette for c in admissible), default=0.0)
        near_best = [c for c in admissible if c.silhouette >= best - near]
        return min(near_best, key=lambda c: (abs(c.k - (k or usual_k)), -c.k), default=None)

    return rule


def as_far(times, k=None):
    """The number nearest to the usual one where customers are not so many times as far from their own segment."""

    def rule(candidates, usual_k, champion_k=None):
        with patch.object(selection, "NEAR_BEST", times):
            return selection.best_division(candidates, k or usual_k, champion_k)

    return rule


RULES = {
    "largest within .02 (before)": largest(0.02, 0.02),
    "largest within .04, of two .10": largest(0.04, 0.10),
    "largest within .05": largest(0.05, 0.05),
    "largest within .05, of two .10": largest(0.05, 0.10),
    "largest within .08, of two .10": largest(0.08, 0.10),
    "nearest to usual within .05": nearest(0.05),
    "nearest to usual within .10": nearest(0.10),
    "nearest to usual within .20": nearest(0.20),
    "nearest to usual, 1.2 times as far": as_far(1.2),
    "nearest to usual, 1.25 times as far": as_far(1.25),
    "nearest to usual, 1.33 times as far (now)": as_far(1.33),
    "nearest to 5 within .10": nearest(0.10, 5),
}
USUAL = {"largest within .02 (before)": largest(0.02, 0.02)} | {f"nearest to {k}": as_far(1.33, k) for k in (3, 4, 5)}
"""Of ``--usual``: what the usual number of each axis is chosen from."""
SIZES = (50, 100, 150, 200, 400, 800)


class Measured:
    """Samples and their candidates, so that all rules choose from the same ones."""

    def __init__(self):
        self.samples = {}

    def prepare(self, model, frame, *others):
        """Return the samples of a frame, prepared once, and their candidates measured once."""
        key = model.random_state, model.max_sample, int(pd.util.hash_pandas_object(frame.index).sum())
        if key not in self.samples:
            self.samples[key] = fitting.prepare_samples(model, frame, *others)
            for sample in self.samples[key]:
                object.__setattr__(sample, "measure", cache(sample.measure))
        return self.samples[key]


def explained(outcomes, memberships):
    """Mean share of variance explained, over the outcomes."""
    shares = []
    for values in outcomes:
        defined = np.isfinite(values)
        if defined.sum() >= 100 and np.ptp(values[defined]) > 0:
            shares.append(float(explained_share(values[defined], memberships[defined])[0]))
    return np.mean(np.nan_to_num(shares)) if shares else np.nan


def halves(model, table, seeds, cap):
    """Mean agreement of halves over seeds, each half's fit shaped by at most ``cap`` customers."""
    with patch.object(axis_models, "HALF", cap):
        agreed = [copy(model).set_params(random_state=seed).agreement_of_halves(table) for seed in range(seeds)]
    return np.nanmean(agreed) if np.isfinite(agreed).any() else np.nan


def by_rule(rules, axis, table, outcomes, seeds):
    """One row a rule."""
    measured = Measured()
    for name, rule in rules.items():
        with (
            patch.object(axis_models, "prepare_samples", measured.prepare),
            patch.object(fitting, "best_division", rule),
        ):
            model = axis_model(axis, FitOptions()).fit(table)
            memberships = model.predict_proba(table)
            yield {
                "rule": name,
                "k": model.k_,
                "segments": explained(outcomes, sharp(memberships.argmax(axis=1))),
                "memberships": explained(outcomes, memberships),
                "bootstrap ARI": model.stability_ari_,
                "halves": halves(model, table, seeds, len(table)),
                "halves, capped": halves(model, table, seeds, axis_models.HALF),
            }


def cut_offs(history):
    """The instants of a backtest, latest first."""
    return rolling_cut_offs(
        history.span[0], history.end, HORIZON_DAYS, apart_days=HORIZON_DAYS, most=MOST_CUT_OFFS,
        least_history_days=SHORTEST_HISTORY_DAYS,
    )  # fmt: skip


def measure_store(rules, name, history, seeds):
    """One row a cut-off, axis and rule."""
    for cut in cut_offs(history):
        known = sample_store(history.until(cut), None, FitOptions())
        then = {"recorded": known.recorded, "reference": known.reference}
        after = measure_hold_out(history, next(iter(known.values())).index, cut, HORIZON_DAYS, **then)
        for axis, table in known.items():
            of_axis = (measure_outcome(axis, outcome, after) for outcome in AXES[axis].outcomes)
            outcomes = [values for values in of_axis if values is not None]
            try:
                for row in by_rule(rules, AXES[axis], table, outcomes, seeds):
                    yield {"store": name, "axis": axis, "cut": cut, **row}
            except InactiveAxisError:
                continue


def fit_by(rule, axis, table):
    """Fit an axis by a rule."""
    with patch.object(fitting, "best_division", rule):
        return axis_model(axis, FitOptions()).fit(table)


def draw_small(name, tables, usual, seeds):
    """One row a size, draw, axis and rule: agreement with the segments of all customers, and of the draw's halves."""
    for axis, table in tables.items():
        rules = {"before": RULES["largest within .02 (before)"], "now": as_far(1.33, usual.get(axis))}
        for rule_name, rule in rules.items():
            try:
                whole = fit_by(rule, AXES[axis], table)
            except InactiveAxisError:
                continue
            free = np.array([state is None for state in whole.structural_])[whole.predict(table)]
            judged = table[free & (whole.evidence(table) == "ok")]
            for size, seed in ((size, seed) for size in SIZES for seed in range(seeds) if size < len(table)):
                drawn = table.iloc[customer_order(table.index, 100 + seed)[:size]]
                try:
                    model = fit_by(rule, AXES[axis], drawn)
                except InactiveAxisError:
                    continue
                with patch.object(fitting, "best_division", rule):
                    agreed = model.agreement_of_halves(drawn)
                counts = contingency(whole.predict(judged), model.predict(judged), whole.k_, model.k_)
                yield {
                    "store": name, "rule": rule_name, "n": size, "as all customers": adjusted_rand(counts),
                    "same k": float(model.k_ == whole.k_), "bootstrap ARI": model.stability_ari_,
                    "halves": agreed,
                }  # fmt: skip


def medians(models):
    """Median number of segments by axis, of stores' numbers by axis, the larger of two middle ones."""
    return {
        axis: int(np.ceil(np.median([m[axis] for m in models if axis in m])))
        for axis in AXES
        if any(axis in m for m in models)
    }


def numbers_of_segments(tables):
    """Number of segments of every axis of a store that has any."""
    numbers = {}
    for axis, table in tables.items():
        try:
            numbers[axis] = axis_model(AXES[axis], FitOptions()).fit(table).k_
        except InactiveAxisError:
            continue
    return numbers


def markdown(table):
    """Print a table with its index in Markdown."""
    table = table.reset_index()
    print("\n| " + " | ".join(map(str, table.columns)) + " |\n|" + "---|" * len(table.columns))
    for row in table.itertuples(index=False):
        print("| " + " | ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row) + " |")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", default=STORES)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--usual", action="store_true", help="only the numbers that an axis's usual one is chosen from")
    options = parser.parse_args()
    histories = {Path(name).name: History.from_frames(*load(name)[0]) for name in options.stores.split(",")}
    if options.small:
        tables = {name: dict(sample_store(history, None, FitOptions())) for name, history in histories.items()}
        numbers = {name: numbers_of_segments(own) for name, own in tables.items()}
        markdown(
            pd.DataFrame({**numbers, "usual": medians(list(numbers.values()))}).rename_axis("axis").astype("Int64")
        )
        usual = {name: medians([k for other, k in numbers.items() if other != name]) for name in numbers}
        rows = pd.DataFrame(
            [row for name in tables for row in draw_small(name, tables[name], usual[name], options.seeds)]
        )
        markdown(rows.groupby(["n", "store", "rule"], sort=False).mean())
        markdown(rows.drop(columns="store").groupby(["n", "rule"], sort=False).mean())
        return
    rules = USUAL if options.usual else RULES
    rows = pd.DataFrame(
        [row for name, history in histories.items() for row in measure_store(rules, name, history, options.seeds)]
    )
    figures = ["k", "segments", "memberships", "bootstrap ARI", "halves", "halves, capped"]
    of_store = rows.groupby(["store", "rule"], sort=False)[figures].mean()
    markdown(of_store)
    markdown(of_store.groupby("rule", sort=False).mean())
    markdown(rows.groupby(["store", "axis", "rule"], sort=False)[figures].mean())


if __name__ == "__main__":
    main()
