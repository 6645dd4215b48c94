"""Whether what is said of a trial is true: simulated campaigns, looked at every week until their end.

Prints, for campaigns without an effect and with one, in how many of them the interval of the last look and that of the
look at which it was decided hold the truth, in how many it was said at any look that it helped or harmed, and when.

Customers order as a Poisson process each with a rate of their own; most enter at once, others week by week; those acted
on order more often by the effect; what is expected of a customer is their rate, with an error. What an outcome's true
difference is follows from the rates of those who entered.
"""

import argparse
from datetime import UTC, datetime, timedelta

import numpy as np

from quimbi_assets.lift.comparison import DAYS, Calendar, Sums
from quimbi_assets.lift.verdict import HARMED, HELPED, Finding, conclude

BEGAN = datetime(2026, 1, 5, tzinfo=UTC)


def campaign(
    rng: np.random.Generator,
    n_first: int,
    n_weekly: int,
    control: float,
    effect: float,
    outcome: str,
    calendar: Calendar,
) -> tuple[Sums, float]:
    """Draw a campaign: its sums by week, and the true difference among those who entered."""
    entered = np.concatenate(
        [np.zeros(n_first), rng.uniform(0, DAYS * calendar.weeks, rng.poisson(n_weekly * calendar.weeks))]
    )
    n = len(entered)
    rate = rng.gamma(1.2, 0.15 / 1.2, n)  # orders in the window, of which a shop's inactive customers have few
    expected = rate * rng.lognormal(0, 0.5, n)
    is_acted = rng.random(n) >= control
    orders = rng.poisson(rate * np.where(is_acted, 1 + effect, 1.0))
    size = rng.lognormal(3.5, 0.5, n)
    if outcome == "ordered":
        y, truth = (orders > 0).astype(float), np.mean(np.exp(-rate) - np.exp(-rate * (1 + effect)))
    elif outcome == "orders":
        y, truth = orders.astype(float), np.mean(rate * effect)
    else:
        y, truth = orders * size, np.mean(rate * effect * size)
    x = expected * size if outcome == "spend" else expected
    over_in = np.ceil((entered + calendar.window_days) / DAYS).astype(int) - 1
    over, came = np.zeros((calendar.n_looks, 2, 6)), np.zeros((calendar.n_looks, 2))
    arm = is_acted.astype(int)
    for place, values in enumerate((np.ones(n), y, y * y, x, x * x, x * y)):
        np.add.at(over[:, :, place], (np.minimum(over_in, calendar.n_looks - 1), arm), values)
    np.add.at(came, (np.floor(entered / DAYS).astype(int), arm), 1.0)
    return Sums(over, came), float(truth)


def looked(sums: Sums, calendar: Calendar) -> tuple[Finding, Finding]:
    """Return what is said at the end, and at the first look at which it was decided (else at the end)."""
    last = conclude(sums, calendar, "ordered")
    if last.decided_at is None:
        return last, last
    number = -(-(last.decided_at - BEGAN) // timedelta(days=DAYS))
    return last, conclude(Sums(sums.over[:number], sums.entered[:number]), calendar, "ordered")


def measure(
    n_campaigns: int, seed: int, effect: float, outcome: str, n_first: int, n_weekly: int, control: float
) -> str:
    """Simulate campaigns of one kind and return a row of the table."""
    calendar, holds, holds_then, helped, harmed, weeks = Calendar(BEGAN, 26, 30), 0, 0, 0, 0, []
    sizes, truths = [], []
    for number in range(n_campaigns):
        rng = np.random.default_rng((seed, number))
        sums, truth = campaign(rng, n_first, n_weekly, control, effect, outcome, calendar)
        last, then = looked(sums, calendar)
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
    parser.add_argument("--outcomes", nargs="+", default=["ordered", "orders", "spend"])
    options = parser.parse_args()
    print("outcome  effect   first  weekly control     last  decided   helped   harmed   week    truth estimate")
    for outcome in options.outcomes:
        for effect in (0.0, 0.3):
            for n_first, n_weekly, control in ((2000, 60, 0.1), (4000, 150, 0.2), (600, 0, 0.1)):
                print(measure(options.campaigns, options.seed, effect, outcome, n_first, n_weekly, control), flush=True)


if __name__ == "__main__":
    main()
