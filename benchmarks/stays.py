"""Whether customers stay in their segments as often as said, a horizon on, in stores and in deals of them (ADR 17).

Run: ``python benchmarks/stays.py [--stores completejourney,../shared/data/cdnow,simulated:3000] [--no-deals]``. Models
are fitted one and two horizons before the end of the data; what they say of staying is learnt from the horizon before
that and held against the one after. *kept* and *redrawn* are the stores' orders dealt anew (``silence.py``). The first
table is of stores, the second of axes, the third of what is learnt from a few customers. Prints Markdown.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from selection import load
from silence import redrawn

from quimbi_assets.axes import AXES
from quimbi_assets.axes._shuffle import shuffle_orders
from quimbi_assets.churn.examples import choose_horizon
from quimbi_assets.churn.history import read_history
from quimbi_assets.churn.measures import brier, calibration_error
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.clustering.transition import measure_transition
from quimbi_assets.history import History
from quimbi_assets.pipeline import fit_store, sample_store
from quimbi_assets.profiles import stays
from quimbi_assets.profiles.interpretation import strengths
from quimbi_assets.profiles.scores import score_axis
from quimbi_assets.profiles.stays import StayModel, learn_stays, words

STORES = (
    "completejourney,../shared/data/online_retail_2009_2010,../shared/data/cdnow,simulated:3000,"
    "../shared/data/retail_case_study"
)
DEALT_CUSTOMERS = 3_000
FEWEST = 20
"""Customers of a word below which the share of them that stayed says nothing."""
FEW = (20, 50, 100, 300)
WAYS = ("memberships", "temperature", "declared", "learnt")


def ways(axis, model, transition):
    """Return what each way of telling who stays learns from a transition."""
    with patch.multiple(stays, STAYERS=np.zeros(1), SPREADS=(np.inf, np.inf)):
        temperature = learn_stays(axis, model, transition)
    learnt, declared = learn_stays(axis, model, transition), learn_stays(axis, model, "not asked")
    return {
        "memberships": StayModel(1.0, 0.0, learnt.states),
        "temperature": replace(temperature, states=learnt.states),
        "declared": declared,
        "learnt": learnt,
    }


def outcomes(history):
    """Yield, of each axis at two instants, what each way learnt, customers' scores then and who stayed."""
    days = choose_horizon(read_history(history.sample(20_000, 0)), history.end)
    for number in (1, 2):
        cut_off = history.end - pd.Timedelta(days=number * days)
        past, later = history.until(cut_off), history.until(cut_off + pd.Timedelta(days=days))
        options = FitOptions(pictures=False)
        sample = sample_store(past, None, options)
        measured = {"recorded": sample.recorded, "reference": sample.reference}
        fitted = fit_store(past, sample, sample.reference, sample.recorded, options, noise_test=False)
        after = measure_transition(later, list(fitted.models), days, **measured)
        before = measure_transition(past, list(fitted.models), days, **measured)
        for name, model in fitted.models.items():
            scores = score_axis(model, after.before[name])
            stayed = scores.dominant == score_axis(model, after.after[name]).dominant
            learnt = ways(AXES[name], model, before)
            yield name, number, learnt, scores, stayed, few(AXES[name], model, before)


def few(axis, model, transition):
    """Return what is learnt from the first few customers of a transition."""
    some = {
        n: replace(
            transition,
            before={name: frame.iloc[:n] for name, frame in transition.before.items()},
            after={name: frame.iloc[:n] for name, frame in transition.after.items()},
        )
        for n in FEW
    }
    return {n: learn_stays(axis, model, one) for n, one in some.items()}


def row_of(store, outcome):
    """Return figures of one axis at one instant."""
    axis, number, learnt, scores, stayed, from_few = outcome
    row = {"store": store, "axis": axis, "cut": number}
    for way, model in {**learnt, **from_few}.items():
        chances = model.chances(scores.memberships, scores.dominant)
        row[f"error:{way}"], row[f"brier:{way}"] = calibration_error(stayed, chances), brier(stayed, chances)
    word = words(learnt["learnt"].chances(scores.memberships, scores.dominant))
    row |= {f"share:{i}": (word == i).mean() for i in range(3)}
    for name, word_of in (("", word), ("clear ", strengths(scores.memberships))):
        counts = np.bincount(word_of, minlength=3)
        shares = np.bincount(word_of, stayed, minlength=3) / np.maximum(counts, 1)
        row |= {f"{name}stay:{i}": shares[i] if counts[i] >= FEWEST else np.nan for i in range(3)}
        row[f"{name}ordered"] = bool((np.diff(shares[counts >= FEWEST]) < 0).all())
    row["temperature"], row["stayers"] = learnt["learnt"].temperature, learnt["learnt"].stayers
    return row


def stores(names, with_deals):
    """Yield the name of a store or of a deal of it, and its history."""
    for store in names.split(","):
        name, frames = Path(store).name, load(store)[0]
        history = History.from_frames(*frames)
        yield name, history
        if with_deals and name != "retail_case_study":
            drawn = history.sample(DEALT_CUSTOMERS, 0).frames()
            anybody = drawn._replace(orders=redrawn(drawn.orders, 0))
            for kind, dealt in (("kept", shuffle_orders(drawn, history.end, 0)), ("redrawn", anybody)):
                yield f"{name}, {kind}", History.from_frames(*dealt).until(history.end)


def table(rows, by):
    """Print figures averaged by a column."""
    frame = pd.DataFrame(rows)
    head = [by, "axes", *(f"error, {way}" for way in WAYS), "Brier, memberships", "Brier, learnt", "ordered"]
    head += ["strong stay", "balanced", "weak", "are strong", "balanced", "weak"]
    print("\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for name, part in frame.groupby(by, sort=False):
        cells = [name, len(part), *(f"{part[f'error:{way}'].mean():.3f}" for way in WAYS)]
        cells += [f"{part[f'brier:{way}'].mean():.3f}" for way in ("memberships", "learnt")]
        cells += [f"{part['ordered'].sum()} of {len(part)}"]
        cells += [f"{part[f'stay:{i}'].mean():.2f}" for i in range(3)]
        cells += [f"{part[f'share:{i}'].mean():.0%}" for i in range(3)]
        print("| " + " | ".join(map(str, cells)) + " |")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", default=STORES)
    parser.add_argument("--no-deals", action="store_true")
    options = parser.parse_args()
    rows = []
    for name, history in stores(options.stores, not options.no_deals):
        rows += [row_of(name, outcome) for outcome in outcomes(history)]
        print(f"{name}: {np.mean([row['error:learnt'] for row in rows if row['store'] == name]):.3f}", flush=True)
    is_null = [", " in row["store"] or row["store"] == "retail_case_study" for row in rows]
    real = [row for row, null in zip(rows, is_null, strict=True) if not null]
    whose = ["all deals" if null else "all stores" for null in is_null]
    table([row | {"store": name} for row, name in zip(rows, whose, strict=True)], "store")
    table(rows, "store")
    table(real, "axis")
    for row in rows:
        if not row["ordered"]:
            said = ", ".join(f"{row[f'stay:{i}']:.2f} ({row[f'share:{i}']:.0%})" for i in range(3))
            print(f"not ordered: {row['store']}, {row['axis']}, cut {row['cut']}: {said}")
    frame = pd.DataFrame(real)
    n_words = frame[[f"stay:{i}" for i in range(3)]].notna().sum(axis=1)
    print("\naxes with so many words to compare:", n_words.value_counts().to_dict())
    clear = ", ".join(f"{frame[f'clear stay:{i}'].mean():.2f}" for i in range(3))
    print(f"words by clearness of memberships: ordered {frame['clear ordered'].sum()} of {len(frame)}; stay {clear}")
    for name, part in frame.groupby("axis"):
        told = (f"{what} {part[what].min():.2f} to {part[what].max():.2f}" for what in ("temperature", "stayers"))
        print(f"{name}: {', '.join(told)}")
    print("\n| customers learnt from | " + " | ".join(map(str, FEW)) + " | all |\n|" + " --- |" * (len(FEW) + 2))
    print("| error | " + " | ".join(f"{frame[f'error:{n}'].mean():.3f}" for n in (*FEW, "learnt")) + " |")


if __name__ == "__main__":
    main()
