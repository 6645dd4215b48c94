"""Churn risk on stores' own past: the model beside days since the last order alone, MBG/NBD and the base rate.

Run: ``python benchmarks/churn.py [--out docs/churn.md] [--data ../shared/data] [--customers 4000]``. Writes the table
into the page and one picture a store beside it. Stores whose data are absent are left out, and the page says so.
``--few 8`` prints instead what so many draws of 200, 400 and 800 customers are told, and what came true (ADR 9).
"""

import argparse
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.special import logit
from selection import load as load_rows
from sklearn.linear_model import LogisticRegression

from quimbi_assets.churn import model
from quimbi_assets.churn.evaluation import draw_calibration, figures, mean_interval, train_churn
from quimbi_assets.churn.history import measure, read_history
from quimbi_assets.churn.measures import Interval, auc_difference, brier, calibration_error
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.history import History
from quimbi_assets.store import Store
from quimbi_assets.value.mbg_nbd import fit_mbg_nbd

STORES = ("cdnow", "online_retail_2009_2010", "completejourney", "simulated", "retail_case_study")
CONTROL = "retail_case_study"
FREQUENT_DAYS = 30
FEW_SIZES = (200, 400, 800)


@dataclass
class Row:
    """One way to tell risk on one store."""

    name: str
    auc: str
    difference: str
    brier: float
    error: float
    lift: float


def load(name, data, n_customers):
    """The store's history; None where the data are absent."""
    folder = data / name
    if name not in {"simulated", "completejourney"} and not folder.is_dir():
        return None
    place = {"simulated": f"simulated:{n_customers}", "completejourney": name}.get(name, folder)
    time_zone = "America/New_York" if name in {"simulated", "completejourney"} else "UTC"
    return History.from_frames(load_rows(str(place))[0][0], store=Store(name, time_zone))


def compare(store):
    """Train as a run does, test on the last windows of H days, and hold MBG/NBD to the same customers."""
    fitted = train_churn(store)
    trial, history = fitted.evaluation, read_history(store)
    gone, dead, on_time = {}, {}, []
    for window in trial.hold_outs:
        features = measure(history, window.cut_off, trial.horizon_days)
        on_time.append(_on_time(features))
        age = features["tenure_days"].to_numpy()
        known = features["n_orders"].to_numpy() - 1, age - features["days_since_last_order"].to_numpy(), age
        reference = fit_mbg_nbd(*known)
        gone[window.cut_off] = reference.no_order(*known, trial.horizon_days)
        dead[window.cut_off] = 1 - reference.alive(*known)
    rows = [
        _row(f"model ({trial.kind})", trial.model, trial.difference),
        _row("last order alone", trial.baseline, None),
        *(
            _row(
                name,
                figures(trial.hold_outs, lambda window, told=told: told[window.cut_off]),
                mean_interval([auc_difference(w.truth, told[w.cut_off], w.days) for w in trial.hold_outs]),
            )
            for name, told in (("MBG/NBD, no order in H", gone), ("MBG/NBD, not alive", dead))
        ),
        Row("base rate", "0.500", "", trial.base_brier, _base_error(trial), 1.0),
    ]
    by_window = _by_window(trial, gone)
    return fitted, rows, _brier_difference(trial.hold_outs, gone), by_window, _of_slice(trial, on_time)


def _on_time(features):
    """Who usually orders within 30 days, by two gaps or more, and is within that time again."""
    gap = features["avg_days_between_orders"]
    is_frequent = (features["n_orders"] >= 3) & (gap < FREQUENT_DAYS)
    return (is_frequent & (features["days_since_last_order"] < gap)).to_numpy()


def _of_slice(trial, masks):
    """Customers of a slice, their mean risk and the share that stayed away: all windows, then one by one."""
    pairs = [(trial.risk_served(w)[m], w.truth[m]) for w, m in zip(trial.hold_outs, masks, strict=True)]
    risk, truth = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    if not len(risk):
        return "0 | | | |"
    one_by_one = ", ".join(f"{r.mean():.1%} / {t.mean():.1%}" for r, t in pairs)
    half = 1.96 * np.sqrt(truth.mean() * (1 - truth.mean()) / len(truth))
    return f"{len(risk):,} | {risk.mean():.1%} | {truth.mean():.1%} (± {half:.1%}) | {one_by_one} |"


def _brier_difference(windows, other):
    """Mean difference of squared distances from the truth, paired, with its 95 % interval."""
    found = []
    for w in windows:
        each = (w.risk - w.truth) ** 2 - (other[w.cut_off] - w.truth) ** 2
        half = 1.96 * each.std() / np.sqrt(len(each))
        found.append(Interval(each.mean(), each.mean() - half, each.mean() + half))
    return _signed(mean_interval(found), digits=4)


def _base_error(trial):
    told = np.concatenate([np.full(len(w.truth), w.base_rate) for w in trial.hold_outs])
    return calibration_error(np.concatenate([w.truth for w in trial.hold_outs]), told)


def _by_window(trial, gone):
    """The windows one by one: what a look at the last alone would have said."""
    lines = [
        "| H days from | customers | stayed away | mean risk | AUC | Brier | MBG/NBD | calibration error | MBG/NBD |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row, w in zip(trial.by_hold_out.to_dict("records"), trial.hold_outs, strict=True):
        other = gone[w.cut_off]
        lines.append(
            f"| {row['from']} | {row['customers']:,} | {row['stayed_away']:.1%} | {row['mean_risk']:.1%} | "
            f"{row['auc']:.3f} | {row['brier']:.4f} | {brier(w.truth, other):.4f} | {row['calibration_error']:.3f} | "
            f"{calibration_error(w.truth, other):.3f} |"
        )
    return lines


def _row(name, found, difference):
    return Row(
        name,
        _span(found.auc),
        "" if difference is None else _signed(difference),
        found.brier,
        found.calibration_error,
        found.lift,
    )


def _span(found):
    return f"{found.value:.3f} ({found.low:.3f}-{found.high:.3f})"


def _signed(found, digits=3):
    return f"{found.value:+.{digits}f} ({found.low:+.{digits}f} to {found.high:+.{digits}f})"


def section(name, fitted, rows, less_brier, by_window, picture):
    """One store's part of the page."""
    trial = fitted.evaluation
    serves = "days since the last order alone" if trial.serves == "silence" else f"the model ({trial.serves})"
    weak = f" It is reported as weak: it {trial.weak_reason}." if trial.weak_reason else ""
    learnt = ", ".join(str(len(window.training)) for window in trial.hold_outs)
    lines = [
        f"## {name}",
        "",
        f"H = {trial.horizon_days} days; {len(trial.hold_outs)} windows, learnt from {learnt} cuts before each. "
        f"{trial.away_share:.1%} stayed away. "
        f"What serves: {serves}.{weak} The model's Brier "
        f"score less that of MBG/NBD (no order in H): {less_brier}.",
        "",
        "| | AUC (95 % interval) | less last order alone | Brier | calibration error | lift, top tenth |",
        "|---|---|---|---:|---:|---:|",
    ]
    lines += [f"| {r.name} | {r.auc} | {r.difference} | {r.brier:.4f} | {r.error:.3f} | {r.lift:.2f} |" for r in rows]
    return [
        *lines,
        "",
        "What serves, window by window:",
        "",
        *by_window,
        "",
        f"![Calibration on {name}]({picture})",
        "",
    ]


SUMMARY = [
    "| store | AUC: model | last order alone | model less alone | Brier: model | MBG/NBD | calibration error | of the "
    "worst window |",
    "|---|---:|---:|---|---:|---:|---:|---:|",
]


def summary(name, rows, trial):
    """One store's line of the table at the top."""
    model, alone, reference = rows[:3]
    worst = max(calibration_error(window.truth, window.risk) for window in trial.hold_outs)
    return (
        f"| {name} | {model.auc.split()[0]} | {alone.auc.split()[0]} | {model.difference} | {model.brier:.4f} | "
        f"{reference.brier:.4f} | {model.error:.3f} | {worst:.3f} |"
    )


FEW = (
    "| store | customers | Brier: base rate | before | now | of what serves: before | now | slope: before | now | told "
    "over .8, came: before | now | told under .2, came: before | now |\n" + "|---" * 13 + "|"
)


def few(name, history, n_draws):
    """One row a number of customers: risks calibrated on those who shaped the sum of terms (before), and on others."""
    orders = history.frames().orders
    ids = np.sort(orders["customer_id"].unique())
    for size in FEW_SIZES:
        told = {0: [], model.FEW: []}
        for few_below, seed in product(told, range(n_draws)):
            drawn = orders[orders["customer_id"].isin(np.random.default_rng(seed).choice(ids, size, replace=False))]
            with patch.object(model, "FEW", few_below), suppress(InsufficientHistoryError):
                trial = train_churn(History.from_frames(drawn, store=history.store).until(history.end)).evaluation
                told[few_below] += [(w.truth, w.risk, trial.risk_served(w), w.base_rate) for w in trial.hold_outs]
        before, now = (few_cells(windows) for windows in told.values())
        cells = " | ".join(f"{a} | {b}" for a, b in zip(before[1:], now[1:], strict=True))
        yield f"| {name} | {size} | {now[0]} | {cells} |"


def few_cells(windows):
    """Brier scores of base rate, model and what serves, slope of the truth on the log odds told, ends of the scale."""
    truth, risk, served = (np.concatenate(parts) for parts in list(zip(*windows, strict=True))[:3])
    base = np.concatenate([np.full(len(window[0]), window[3]) for window in windows])
    slope = LogisticRegression(C=np.inf).fit(logit(risk)[:, None], truth).coef_[0, 0]
    ends = (f"{risk[end].mean():.2f}, {truth[end].mean():.2f}" for end in (risk > 0.8, risk <= 0.2))
    return [*(f"{brier(truth, one):.4f}" for one in (base, risk, served)), f"{slope:.2f}", *ends]


def main():
    """Measure every store and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("docs/churn.md"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--customers", type=int, default=4_000, help="of the simulated store")
    parser.add_argument("--stores", default=",".join(STORES))
    parser.add_argument("--few", type=int, default=0, help="draws of few customers")
    options = parser.parse_args()
    if options.few:
        print(FEW)
        for name in options.stores.split(","):
            store = load(name, options.data, options.customers)
            for row in few(name, store, options.few) if store else ():
                print(row, flush=True)
        return
    parts, lines, frequent, absent = [], [], [], []
    for name in options.stores.split(","):
        store = load(name, options.data, options.customers)
        if store is None:
            absent.append(name)
            continue
        *found, of_slice = compare(store)
        picture = Path("pictures") / f"churn_{name}.png"
        (options.out.parent / picture).parent.mkdir(parents=True, exist_ok=True)
        (options.out.parent / picture).write_bytes(draw_calibration(found[0].evaluation))
        title = f"{name}, {options.customers:,} customers" if name == "simulated" else name
        title += " (generated at random: nothing to be found)" if name == CONTROL else ""
        lines.append(summary(title, found[1], found[0].evaluation))
        frequent.append(f"| {title} | {of_slice}")
        parts += section(title, *found, picture)
        print("\n".join(section(title, *found, picture)), flush=True)
    head, on_time = ((Path(__file__).parent / name).read_text() for name in ("churn_page.md", "churn_frequent.md"))
    left_out = [f"Left out, their data being absent: {', '.join(absent)}.", ""] if absent else []
    slices = [on_time.rstrip(), *frequent, ""]
    options.out.write_text(
        "\n".join([head.rstrip(), "", *SUMMARY, *lines, "", *left_out, *slices, *parts]).rstrip() + "\n"
    )


if __name__ == "__main__":
    main()
