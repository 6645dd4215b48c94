"""Churn risk on stores' own past: the model beside days since the last order alone, MBG/NBD and the base rate.

Run: ``python benchmarks/churn.py [--out docs/churn.md] [--data ../shared/data] [--customers 4000]``. Writes the table
into the page and one picture a store beside it. Stores whose data are absent are left out, and the page says so.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mbg_nbd import fit as fit_mbg_nbd
from mbg_nbd import summarise
from selection import load as load_orders

from quimbi_assets.axes import default_observation_end
from quimbi_assets.churn.examples import gather
from quimbi_assets.churn.history import measure, read_history, stayed_away
from quimbi_assets.churn.measures import Interval, auc, auc_difference, brier, calibration_error, lift
from quimbi_assets.churn.picture import draw_calibration
from quimbi_assets.churn.training import MOST_CUSTOMERS, train_churn
from quimbi_assets.churn.trial import fit_kind

STORES = ("cdnow", "online_retail_2009_2010", "completejourney", "simulated", "retail_case_study")
CONTROL = "retail_case_study"


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
    """Orders that count and the store's time zone; None where the data are absent."""
    folder = data / name
    if name not in {"simulated", "completejourney"} and not folder.is_dir():
        return None
    place = {"simulated": f"simulated:{n_customers}", "completejourney": name}.get(name, folder)
    orders = load_orders(str(place))[0]
    kept = orders[orders["customer_id"].notna()].assign(order_date=lambda t: pd.to_datetime(t["order_date"], utc=True))
    return kept, "America/New_York" if name in {"simulated", "completejourney"} else "UTC"


def compare(orders, end):
    """Train as a run does, test on the last H days, and hold MBG/NBD to the same customers."""
    fitted = train_churn(orders, end)
    trial, history = fitted.trial, read_history(orders, end)
    seen = measure(history, trial.cut, trial.horizon_days)
    truth = stayed_away(history, trial.cut, trial.horizon_days)
    known = summarise(seen)
    reference = fit_mbg_nbd(*known)
    gone, dead = reference.no_order(*known, trial.horizon_days), 1 - reference.alive(*known)
    days = seen["days_since_last_order"].to_numpy()
    rows = [
        _row(f"model ({trial.kind})", trial.model, trial.difference),
        _row("last order alone", trial.silence, None),
        *(
            Row(name, _span(auc(truth, risk)), _signed(auc_difference(truth, risk, days)), brier(truth, risk),
                calibration_error(truth, risk), lift(truth, risk))
            for name, risk in (("MBG/NBD, no order in H", gone), ("MBG/NBD, not alive", dead))
        ),
        Row("base rate", "0.500", "", trial.base_brier, abs(trial.away_share - _base(fitted, history)), 1.0),
    ]  # fmt: skip
    model = fit_kind(
        trial.kind, gather(history.sampled(MOST_CUSTOMERS, 0), trial.cut, trial.horizon_days), trial.horizon_days
    )
    return fitted, rows, _brier_difference(truth, model.risk(seen), gone)


def _brier_difference(truth, risk, other):
    """Mean difference of squared distances from the truth, paired, with its 95 % interval."""
    each = (risk - truth) ** 2 - (other - truth) ** 2
    half = 1.96 * each.std() / np.sqrt(len(each))
    return _signed(Interval(each.mean(), each.mean() - half, each.mean() + half), digits=4)


def _base(fitted, history):
    cut = fitted.trial.training[0]
    return float(np.mean(stayed_away(history, cut, fitted.trial.horizon_days)))


def _row(name, figures, difference):
    return Row(
        name,
        _span(figures.auc),
        "" if difference is None else _signed(difference),
        figures.brier,
        figures.calibration_error,
        figures.lift,
    )


def _span(found):
    return f"{found.value:.3f} ({found.low:.3f}-{found.high:.3f})"


def _signed(found, digits=3):
    return f"{found.value:+.{digits}f} ({found.low:+.{digits}f} to {found.high:+.{digits}f})"


def section(name, fitted, rows, less_brier, picture):
    """One store's part of the page."""
    trial = fitted.trial
    serves = "days since the last order alone" if trial.serves == "silence" else f"the model ({trial.serves})"
    weak = f" It is reported as weak: it {trial.weak_reason}." if trial.weak_reason else ""
    lines = [
        f"## {name}",
        "",
        f"H = {trial.horizon_days} days. Tested on {trial.n_customers:,} customers in the {trial.horizon_days} "
        f"days from {trial.cut:%Y-%m-%d} on, of whom {trial.away_share:.1%} stayed away; learnt from "
        f"{len(trial.training)} cuts, {trial.training[-1]:%Y-%m-%d} to {trial.training[0]:%Y-%m-%d}. "
        f"What serves: {serves}.{weak} The model's Brier "
        f"score less that of MBG/NBD (no order in H): {less_brier}.",
        "",
        "| | AUC (95 % interval) | less last order alone | Brier | calibration error | lift, top tenth |",
        "|---|---|---|---:|---:|---:|",
    ]
    lines += [f"| {r.name} | {r.auc} | {r.difference} | {r.brier:.4f} | {r.error:.3f} | {r.lift:.2f} |" for r in rows]
    return [*lines, "", f"![Calibration on {name}]({picture})", ""]


SUMMARY = [
    "| store | AUC: model | last order alone | model less alone | Brier: model | MBG/NBD | calibration error |",
    "|---|---:|---:|---|---:|---:|---:|",
]


def summary(name, rows):
    """One store's line of the table at the top."""
    model, alone, reference = rows[:3]
    figures = [model.auc.split()[0], alone.auc.split()[0], model.difference]
    return f"| {name} | {' | '.join(figures)} | {model.brier:.4f} | {reference.brier:.4f} | {model.error:.3f} |"


def main():
    """Measure every store and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("docs/churn.md"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--customers", type=int, default=4_000, help="of the simulated store")
    parser.add_argument("--stores", default=",".join(STORES))
    options = parser.parse_args()
    parts, lines, absent = [], [], []
    for name in options.stores.split(","):
        found = load(name, options.data, options.customers)
        if found is None:
            absent.append(name)
            continue
        orders, time_zone = found
        found = compare(orders, default_observation_end(orders, time_zone))
        picture = Path("pictures") / f"churn_{name}.png"
        (options.out.parent / picture).parent.mkdir(parents=True, exist_ok=True)
        (options.out.parent / picture).write_bytes(draw_calibration(found[0].trial))
        title = f"{name}, {options.customers:,} customers" if name == "simulated" else name
        title += " (generated at random: nothing to be found)" if name == CONTROL else ""
        lines.append(summary(title, found[1]))
        parts += section(title, *found, picture)
        print("\n".join(parts[-len(found[1]) - 9 :]))
    head = (Path(__file__).parent / "churn_page.md").read_text()
    left_out = [f"Left out, their data being absent: {', '.join(absent)}.", ""] if absent else []
    options.out.write_text("\n".join([head.rstrip(), "", *SUMMARY, *lines, "", *left_out, *parts]).rstrip() + "\n")


if __name__ == "__main__":
    main()
