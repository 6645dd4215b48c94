"""What may be concluded of a trial by now: the arms, their difference with its interval, and whether it helped.

Belongs here: the interval, the verdict, both in words. Does not: the sums they rest on, where they are shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import numpy as np

from quimbi_assets.lift.assignment import LESS_IS_BETTER, MEANINGS, SHARES, Outcome
from quimbi_assets.lift.boundary import Floats, boundary
from quimbi_assets.lift.comparison import ACTED, CONTROL, FEWEST, Calendar, Differences, Sums, compare
from quimbi_assets.naming.values import format_percent, plural
from quimbi_assets.store import JsonRecord

HELPED, HARMED, NOT_YET, NO_DIFFERENCE = "helped", "harmed", "cannot tell yet", "cannot tell"
NOBODYS: Mapping[Outcome, str] = {"rating": "no window of one who gave a rating"}
"""Whose windows are waited for, where that is not everybody's."""
POWER = 0.8
"""Chance with which a difference of the least size that could be seen is seen."""


@dataclass(frozen=True)
class Finding(JsonRecord):
    """A trial as of its latest look; figures of the arms are of customers whose window is over.

    Where no error was left to spend at it, as nothing more was known, or nearly all before, the arms are as of the last
    look at which some was.
    """

    READERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = dict.fromkeys(
        ("decided_at", "looked_at", "ends_at"), datetime.fromisoformat
    )
    verdict: str
    outcome: Outcome
    n_acted: int
    n_control: int
    n_open: int
    """Customers who came in time to count, and whose window was not over at the look that the arms are of."""
    acted: float | None
    """Mean of the outcome; None where nobody counts yet."""
    control: float | None
    difference: float | None
    """Acted less control, adjusted for what was expected; None where it cannot be looked at yet."""
    low: float | None
    high: float | None
    """The interval: all of a trial's, at whatever look, hold the true difference in 95 of 100 trials."""
    could_see: float | None
    """The least true difference that would be seen at this look with a chance of 0.8."""
    decided_at: datetime | None
    """The look at which it was first clear whether it helped."""
    looked_at: datetime | None
    ends_at: datetime
    """From when on nothing more is counted."""


def conclude(sums: Sums, calendar: Calendar, outcome: Outcome, ended_at: datetime | None = None) -> Finding:
    """Return what may be concluded from the looks that there were; none is to come after a trial was ended."""
    differences = compare(sums, calendar, outcome)
    errors = _errors(differences)
    usable = np.flatnonzero(np.isfinite(errors))
    lows, highs = differences.interval(errors)
    beyond = usable[(lows[usable] > 0) | (highs[usable] < 0)]
    at = int(usable[-1]) if len(usable) else None
    until = None if at is None else at + 1
    total, n_open = sums.over[:until].sum(axis=0), int(sums.entered.sum() - sums.windows[:until].sum())
    n = total[:, 0].astype(int)
    acted, control = (float(total[arm, 1] / n[arm]) if n[arm] else None for arm in (ACTED, CONTROL))
    looked = len(sums.over)
    over = looked >= calendar.n_looked(min(ended_at or calendar.ends_at, calendar.ends_at))
    verdict, decided_at = (NO_DIFFERENCE if over else NOT_YET), None
    if len(beyond):
        is_more = bool(lows[beyond[0]] > 0)
        verdict = HARMED if is_more == (outcome in LESS_IS_BETTER) else HELPED
        decided_at = calendar.look(int(beyond[0]) + 1)
    if outcome in SHARES:
        lows, highs = np.clip(lows, -1.0, 1.0), np.clip(highs, -1.0, 1.0)
    columns = (differences.difference, lows, highs, (errors + _power()) * differences.standard_error)
    size, low, high, could_see = (None if at is None else float(each[at]) for each in columns)
    return Finding(
        verdict, outcome, int(n[ACTED]), int(n[CONTROL]), n_open, acted, control,
        size, low, high, could_see, decided_at, calendar.look(looked) if looked else None, calendar.ends_at,
    )  # fmt: skip


def _errors(differences: Differences) -> Floats:
    """Return how many standard errors from zero are far enough at each look; NaN where none is."""
    from scipy.special import ndtr, stdtrit

    errors = np.full(len(differences.difference), np.nan)
    places = np.flatnonzero(np.isfinite(differences.standard_error))
    if len(places):
        bounds = boundary(differences.standard_error[places] ** 2, differences.information[places])
        finite = np.isfinite(bounds)
        # Of few customers: as improbable by Student's distribution as the boundary is by the normal one.
        errors[places[finite]] = -stdtrit(differences.freedom[places][finite], ndtr(-bounds[finite]))
    return errors


def _power() -> float:
    from scipy.special import ndtri

    return float(ndtri(POWER))


def in_words(
    finding: Finding, currency: str = "", ended_at: datetime | None = None, entered: tuple[int, int] | None = None
) -> str:
    """Say what was found in a sentence, for people; ``ended_at``: when the control group was let in.

    ``entered``: customers of the acted arm and of the control group, counted yet or not, where that is known.
    """
    verdict = finding.verdict
    if verdict == NO_DIFFERENCE and ended_at is not None and ended_at < finding.ends_at:
        verdict = f"{verdict}, for it was ended before it could be told"
    if finding.difference is None or finding.low is None or finding.high is None or finding.could_see is None:
        return f"{verdict}: {_without_interval(finding, currency, entered)}"
    arms = f"{_figure(finding.acted, finding, currency)} against {_figure(finding.control, finding, currency)}"
    low, high = (_change(value, finding, currency) for value in (finding.low, finding.high))
    difference = _change(finding.difference, finding, currency)
    if finding.acted is not None and finding.control is not None:
        seen = _change(finding.acted - finding.control, finding, currency)
        difference += " once what was expected of them is taken out" if seen != difference else ""
    text = f"{verdict}: {arms} {MEANINGS[finding.outcome]}, {difference} ({low} to {high})"
    is_more = (finding.verdict == HELPED) != (finding.outcome in LESS_IS_BETTER)
    if finding.decided_at is not None and not (finding.low > 0 if is_more else finding.high < 0):
        text += f"; that was clear on {finding.decided_at:%-d %b %Y}, and is not by now"
    if finding.verdict in (NOT_YET, NO_DIFFERENCE):
        text += f"; a difference of {_change(finding.could_see, finding, currency).lstrip('+')} would mostly be seen"
    return text


def _without_interval(finding: Finding, currency: str, entered: tuple[int, int] | None) -> str:
    """Say why arms are not compared."""
    if entered is not None and 0 in entered:
        return f"nobody is in the {'control group' if not entered[1] else 'acted arm'}"
    least = min(finding.n_acted, finding.n_control)
    arm = "control group" if finding.n_control == least else "acted arm"
    if not least and finding.verdict == NOT_YET:
        return f"nobody of the {arm} counts yet, for {NOBODYS.get(finding.outcome, 'no window of theirs')} is over"
    if not least:
        return f"nobody of the {arm} counts"
    if least < FEWEST:
        return f"too few to compare, of the {arm} {plural(least, 'customer')}"
    acted, control = (_figure(one, finding, currency) for one in (finding.acted, finding.control))
    if acted == control:
        return f"{acted} {MEANINGS[finding.outcome]} in either arm"
    arms = f"{acted} against {control} {MEANINGS[finding.outcome]}"
    return f"{arms}, and nobody differs within an arm, so chance is not known"


def _figure(value: float | None, finding: Finding, currency: str) -> str:
    if value is None:
        return "-"
    if finding.outcome in SHARES:
        return format_percent(value)
    return f"{value:,.2f} {currency}".strip() if finding.outcome == "spend" else f"{value:.2f}"


def _change(value: float, finding: Finding, currency: str) -> str:
    if finding.outcome in SHARES:
        return f"{100 * value:+.1f} points"
    return f"{value:+,.2f} {currency}".strip() if finding.outcome == "spend" else f"{value:+.2f}"
