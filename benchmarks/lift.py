"""Whether what is said of a trial is true: simulated campaigns, looked at every week until their end.

Prints, for campaigns without an effect and with one, in how many of them the interval of the last look and that of the
look at which it was decided hold the truth, in how many it was said at any look that it helped or harmed, and when.

Customers order as a Poisson process each with a rate of their own; most enter at once, others week by week; those acted
on order more often by the effect; what is expected of a customer is their rate, with an error. What an outcome's true
difference is follows from the rates of those who entered. ``spend``: a customer's baskets are all of one size, which is
lognormal by 0.5; ``heavy``: sizes of customers, and of each one's baskets beside them, are lognormal by 1. ``real``:
customers of a store (``--store``, a folder with ``orders.parquet``) are drawn with what they spent in 30 days, and in
the 90 days before; those acted on spend more by the effect.
"""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from quimbi_assets.lift.assignment import Outcome
from quimbi_assets.lift.comparison import DAYS, Calendar, Floats, Sums
from quimbi_assets.lift.verdict import HARMED, HELPED, Finding, conclude

BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
COMPARED: Mapping[str, Outcome] = {"ordered": "ordered", "orders": "orders"}
"""By which outcome of a trial the drawn ones are compared; the others are spend."""


def campaign(
    rng: np.random.Generator,
    n_first: int,
    n_weekly: int,
    control: float,
    effect: float,
    outcome: str,
    calendar: Calendar,
    spent: Floats | None = None,
) -> tuple[Sums, float]:
    """Draw a campaign: its sums by week, and the true difference among those who entered."""
    entered = np.concatenate(
        [np.zeros(n_first), rng.uniform(0, DAYS * calendar.weeks, rng.poisson(n_weekly * calendar.weeks))]
    )
    if outcome == "real":
        is_acted, x, y, truth = resampled(rng, len(entered), control, effect, spent)
    else:
        is_acted, x, y, truth = simulated(rng, len(entered), control, effect, outcome)
    over_in = np.ceil((entered + calendar.window_days) / DAYS).astype(int) - 1
    over, came = np.zeros((calendar.n_looks, 2, 6)), np.zeros((calendar.n_looks, 2))
    arm = is_acted.astype(int)
    for place, values in enumerate((np.ones(len(x)), y, y * y, x, x * x, x * y)):
        np.add.at(over[:, :, place], (np.minimum(over_in, calendar.n_looks - 1), arm), values)
    np.add.at(came, (np.floor(entered / DAYS).astype(int), arm), 1.0)
    return Sums(over, came), truth


def simulated(
    rng: np.random.Generator, n: int, control: float, effect: float, outcome: str
) -> tuple[np.ndarray, Floats, Floats, float]:
    """Draw customers: whether acted on, what was expected, the outcome; and the true difference."""
    rate = rng.gamma(1.2, 0.15 / 1.2, n)  # orders in the window, of which a shop's inactive customers have few
    expected = rate * rng.lognormal(0, 0.5, n)
    is_acted = rng.random(n) >= control
    orders = rng.poisson(rate * np.where(is_acted, 1 + effect, 1.0))
    size = rng.lognormal(3.5, 1.0 if outcome == "heavy" else 0.5, n)
    if outcome == "ordered":
        y, truth = (orders > 0).astype(float), np.mean(np.exp(-rate) - np.exp(-rate * (1 + effect)))
    elif outcome == "orders":
        y, truth = orders.astype(float), np.mean(rate * effect)
    elif outcome == "spend":
        y, truth = orders * size, np.mean(rate * effect * size)
    else:
        baskets = rng.lognormal(0, 1.0, orders.sum())
        y = np.bincount(np.repeat(np.arange(n), orders), baskets, n) * size
        truth = np.mean(rate * effect * size) * np.exp(0.5)
    x = expected * size if outcome in ("spend", "heavy") else expected
    return is_acted, x, y, float(truth)


def resampled(
    rng: np.random.Generator, n: int, control: float, effect: float, spent: Floats
) -> tuple[np.ndarray, Floats, Floats, float]:
    """Draw customers of a store, the same as of ``simulated``."""
    is_acted = rng.random(n) >= control
    x, y = spent[rng.integers(0, len(spent), n)].T
    return is_acted, x, np.where(is_acted, (1 + effect) * y, y), float(effect * y.mean())


def spent_in(store: Path) -> Floats:
    """Return what customers of a store spent in 90 days and in the 30 after, shape (n, 2), as of three days."""
    orders = pd.read_parquet(store / "orders.parquet").dropna(subset="customer_id")
    at = pd.to_datetime(orders["order_date"], utc=True)
    net = orders["total_price"] - orders["refund_amount"].astype("float64").fillna(0.0)
    rows = []
    for days in (30, 60, 90):
        ago = at.max() - pd.Timedelta(days=days)
        known = orders.loc[at < ago, "customer_id"].unique()
        for since, until in ((ago - pd.Timedelta(days=90), ago), (ago, ago + pd.Timedelta(days=30))):
            within = (at >= since) & (at < until)
            rows.append(net[within].groupby(orders["customer_id"][within]).sum().reindex(known, fill_value=0.0))
    return np.column_stack([np.concatenate(rows[::2]), np.concatenate(rows[1::2])])


def looked(sums: Sums, calendar: Calendar, outcome: Outcome) -> tuple[Finding, Finding]:
    """Return what is said at the end, and at the first look at which it was decided (else at the end)."""
    last = conclude(sums, calendar, outcome)
    if last.decided_at is None:
        return last, last
    number = -(-(last.decided_at - BEGAN) // timedelta(days=DAYS))
    return last, conclude(sums.of_looks(number), calendar, outcome)


def measure(
    n_campaigns: int,
    seed: int,
    effect: float,
    outcome: str,
    n_first: int,
    n_weekly: int,
    control: float,
    spent: Floats | None = None,
) -> str:
    """Simulate campaigns of one kind and return a row of the table."""
    calendar, holds, holds_then, helped, harmed, weeks = Calendar(BEGAN, 26, 30), 0, 0, 0, 0, []
    sizes, truths = [], []
    for number in range(n_campaigns):
        rng = np.random.default_rng((seed, number))
        sums, truth = campaign(rng, n_first, n_weekly, control, effect, outcome, calendar, spent)
        last, then = looked(sums, calendar, COMPARED.get(outcome, "spend"))
        holds += last.low is not None and last.low <= truth <= last.high
        holds_then += then.low is not None and then.low <= truth <= then.high
        helped += last.verdict == HELPED
        harmed += last.verdict == HARMED
        weeks += [] if last.decided_at is None else [(last.decided_at - BEGAN).days / DAYS]
        sizes.append(last.difference)
        truths.append(truth)
    shares = " ".join(f"{100 * count / n_campaigns:8.1f}" for count in (holds, holds_then, helped, harmed))
    when = f"{np.median(weeks):6.0f}" if weeks else "     -"
    kind = f"{outcome:8} {effect:6.0%} {n_first:7,} {n_weekly:7,} {control:7.0%}"
    return f"{kind} {shares} {when} {np.mean(truths):8.4f} {np.mean(sizes):8.4f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--campaigns", type=int, default=400)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--outcomes", nargs="+", default=["ordered", "orders", "spend", "heavy"])
    parser.add_argument("--store", type=Path, help="a folder with orders.parquet, for the outcome 'real'")
    options = parser.parse_args()
    outcomes, spent = options.outcomes, None
    if options.store is not None:
        outcomes, spent = [*dict.fromkeys([*outcomes, "real"])], spent_in(options.store)
    print("outcome  effect   first  weekly control     last  decided   helped   harmed   week    truth estimate")
    for outcome in outcomes:
        for effect in (0.0, 0.3):
            for n_first, n_weekly, control in ((2000, 60, 0.1), (4000, 150, 0.2), (600, 0, 0.1)):
                asked = (options.campaigns, options.seed, effect, outcome, n_first, n_weekly, control)
                print(measure(*asked, spent), flush=True)


if __name__ == "__main__":
    main()
