"""Value to come on stores' own past: the model beside spend of as many days before and the average at the own rate.

Run: ``python benchmarks/value.py [--data ../shared/data] [--customers 3000] [--deals 5] [--draws 5]``. Prints ADR 16's
tables as Markdown: every window of every store; what the parts of the model do; of how many customers what is foretold
contradicts the churn risk; stores whose orders were dealt anew, numbers of orders *kept* or *redrawn* (``silence.py``),
and draws of few customers: how often anything is foretold.
"""

import argparse
from collections import Counter
from copy import copy
from pathlib import Path

import numpy as np
import pandas as pd
from churn import STORES, load
from scipy.stats import spearmanr
from silence import deals

from quimbi_assets.churn.evaluation import train_churn
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.history import History
from quimbi_assets.profiles.expected import predictions
from quimbi_assets.profiles.risk import churn_risks
from quimbi_assets.value.evaluation import MOST_LEARNT, certainty, concordance, train_value
from quimbi_assets.value.gamma_gamma import GammaGamma
from quimbi_assets.value.mbg_nbd import MbgNbd
from quimbi_assets.value.model import ValueModel
from quimbi_assets.value.windows import USUAL_DAYS, measured_borders, windows_between

SIZES = (100, 200, 400, 800)
WINDOWS = (
    "| store | what | window from | days | customers | of whom any came | total | error | of before | of rate "
    "| concordance | of before | of rate | certainty | in interval |\n|---|---|---" + "|--:" * 12 + "|"
)
PARTS = (
    "| store | error: parts alone | level set | mixed | total: parts alone | level set | mixed | concordance: parts "
    "alone | mixed | rho: mixed | spend before | mixed, as many level | by the date |\n" + "|---" * 13 + "|"
)
AGREEMENT = (
    "| store | days of the risk | customers | fewer orders than the chance of any | lower limit above 0 beside a risk "
    "over 10 % | date on the other side of the risk's days | beside the risk: fewer orders | lower limit | date |\n"
    + "|---" * 9
    + "|"
)


def windows_of(name, evaluation):
    """The windows of a store, one a row of spend and one of orders, that of a year last."""
    year = [] if isinstance(evaluation.year, str) else [evaluation.year]
    for each in [*evaluation.hold_outs, *year]:
        for what in ("spend", "orders"):
            outcome = getattr(each, what)
            by_way = [outcome.figures[way] for way in ("model", "recent", "naive")]
            cells = [f"{by_way[0].total:.2f}", *(f"{by.error:.3f}" for by in by_way)]
            cells += [f"{by.concordance:.3f}" for by in by_way]
            cells += [f"{certainty(outcome.by_way['model'], outcome.came):.0f}", f"{outcome.is_within.mean():.0%}"]
            facts = (name, what, f"{each.start:%Y-%m-%d}", each.days, f"{len(outcome.came):,}")
            yield f"| {' | '.join(map(str, facts))} | {(outcome.came > 0).mean():.0%} | {' | '.join(cells)} |"


def weak_of(name, evaluation):
    """What of a store is not foretold, and why."""
    if evaluation.weak_reason:
        return [f"- {name}: nothing: {evaluation.weak_reason}"]
    return [f"- {name}: nothing of {part}: {why}" for part, why in evaluation.weak_parts.items()]


def parts_of(name, history, days, n_tests):
    """What each part adds, as means over the windows: the models alone, their level set, mixed with recent spend."""
    borders = measured_borders(history, days, 3 + MOST_LEARNT)
    windows, figures = windows_between(borders), []
    first_after = first_orders(history)
    for i, window in enumerate(windows[:n_tests]):
        past = windows[i + 1 : i + 1 + MOST_LEARNT]
        model = ValueModel(days).fit(window.features, past)
        parts = alone(model, window.features)
        level = sum(w.spend.sum() for w in past) / sum(alone(model, w.features).sum() for w in past)
        mixed = model.foretell(window.features, days)[1].mean
        before, came = window.features["recent_spend"].to_numpy(), window.spend
        as_level = np.where(mixed > np.quantile(mixed, (before == 0).mean()), mixed, 0.0)
        wait = model.days_until_order(window.features)
        came_at = first_after(window.start, window.features.index)
        seen = wait <= (history.end - window.start) / pd.Timedelta(days=1)
        figures.append(
            [
                *(np.abs(one - came).mean() / came.mean() for one in (parts, parts * level, mixed)),
                *(one.sum() / came.sum() for one in (parts, parts * level, mixed)),
                *(concordance(one, came) for one in (parts, mixed)),
                *(spearmanr(one, came).statistic for one in (mixed, before, as_level)),
                (came_at[seen] <= wait[seen]).mean() if seen.any() else np.nan,
            ]
        )
    return f"| {name} | " + " | ".join(f"{value:.3f}" for value in np.mean(figures, axis=0)) + " |"


def alone(model, features):
    """MBG/NBD times gamma-gamma and nothing else."""
    age, n = features["tenure_days"].to_numpy(), features["n_paid_orders"].to_numpy()
    times = features["n_orders"].to_numpy() - 1, age - features["days_since_last_order"].to_numpy(), age
    worth = GammaGamma(*model.amounts_).expected_value(n, features["spent"].to_numpy() / np.maximum(n, 1))
    return MbgNbd(*model.rates_).expected_orders(*times, model.horizon_days) * worth * model.paid_share_


def agreement_of(name, history, model):
    """Of how many customers, at the store's end, forecasts contradict the churn risk, without it and beside it."""
    churn = train_churn(history).model
    customers = history.spending(model.horizon_days).index
    risk = churn_risks(churn, history, customers, version="1").known
    untold = copy(model)
    untold.weak_reason_, untold.weak_parts_ = None, {}
    cells = []
    for known in (None, risk):
        told = predictions(untold, history, customers, version="1", risk=known).columns.to_pandas()
        due = (told["expected_next_order_at"] - history.end.tz_localize("UTC")) / pd.Timedelta(days=1)
        fewer = told["predicted_orders_90d"] < 1 - risk.chance
        spends = (told["predicted_value_90d_low"] > 0) & (risk.chance > 0.1)
        other = np.where(risk.chance <= 0.5, ~(due <= risk.days + 1e-4), due < risk.days - 1e-4)
        cells += [f"{fewer.sum():,}" if risk.days <= USUAL_DAYS else "", f"{spends.sum():,}", f"{other.sum():,}"]
    return f"| {name} | {risk.days} | {len(customers):,} | {' | '.join(cells)} |"


def first_orders(history):
    """A function of an instant and customers: days until each one's next order, infinite where none came."""
    orders = history.visible("orders").select(["customer_id", "order_date"]).to_pandas()

    def days_until(start, customers):
        later = orders[orders["order_date"] >= start].groupby("customer_id")["order_date"].min().reindex(customers)
        return ((later - start) / pd.Timedelta(days=1)).fillna(np.inf).to_numpy()

    return days_until


def outcome(history):
    """What becomes of a store: foretold, or why not, in a word or two."""
    try:
        weak = train_value(history).evaluation.weak_reason
    except InsufficientHistoryError:
        return "too little"
    return "foretold" if weak is None else "chance" if "cannot be told" in weak else "no better"


def counts(outcomes):
    """Outcomes in short."""
    return ", ".join(f"{n} {what}" for what, n in sorted(Counter(outcomes).items()))


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--customers", type=int, default=3_000, help="of the simulated store")
    parser.add_argument("--stores", default=",".join(STORES))
    parser.add_argument("--deals", type=int, default=5)
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    windows, parts, agreement, dealt, drawn, weak = [], [], [], [], [], []
    for name in options.stores.split(","):
        history = load(name, options.data, options.customers)
        if history is None:
            continue
        fit = train_value(history)
        evaluation = fit.evaluation
        agreement.append(agreement_of(name, history, fit.model))
        windows += windows_of(name, evaluation)
        weak += weak_of(name, evaluation)
        parts.append(parts_of(name, history, evaluation.hold_outs[0].days, len(evaluation.hold_outs)))
        frames, end = history.frames(), history.end
        kinds = {"kept": [], "redrawn": []}
        for kind, store in deals(frames, end, options.deals):
            kinds[kind].append(outcome(store))
        dealt.append(f"| {name} | {evaluation.weak_reason or 'foretold'} | " + " | ".join(map(counts, kinds.values())))
        ids, cells = np.sort(frames.orders["customer_id"].astype(str).unique()), []
        for size in SIZES:
            outcomes = []
            for seed in range(options.draws):
                some = np.random.default_rng(seed).choice(ids, size, replace=False)
                outcomes.append(outcome(History.from_frames(frames.orders[frames.orders["customer_id"].isin(some)])))
            cells.append(counts(outcomes))
        drawn.append(f"| {name} | " + " | ".join(cells) + " |")
        print(name, flush=True)
    print("\n".join(["", WINDOWS, *windows, "", *weak, "", PARTS, *parts, "", AGREEMENT, *agreement, ""]))
    print("\n".join(["| store | as it is | kept | redrawn |\n|---|---|---|---|", *(f"{row} |" for row in dealt), ""]))
    print("\n".join(["| draws | " + " | ".join(map(str, SIZES)) + " |\n|---|---|---|---|---|", *drawn]))


if __name__ == "__main__":
    main()
