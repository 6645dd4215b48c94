from dataclasses import dataclass, field

import numpy as np
import pytest

from quimbi_assets.weekly.thresholds import learn_acted, learn_lead, learn_surprisal, weeks_to_learn_from

N = 1000


@dataclass
class Week:
    """A week in which all customers are alike but in what is given."""

    cause: np.ndarray
    surprisal_before: np.ndarray
    surprisal: np.ndarray
    acted_score: np.ndarray
    drift: dict = field(default_factory=dict)

    def drift_on(self, axis):
        return self.drift.get(axis)


def week(cause="silent", drift=0.0, before=0.0, now=0.0, score=0.0):
    numbers = (np.broadcast_to(np.asarray(value, dtype=float), N) for value in (before, now, score))
    return Week(np.full(N, cause), *numbers, {"a": np.broadcast_to(np.asarray(drift, dtype=float), N)})


def test_the_lead_is_what_silence_alone_moves_ninety_nine_of_a_hundred():
    quiet, loud = week(drift=np.linspace(0, 0.2, N)), week(cause="acted", drift=1.0)
    assert learn_lead([quiet, loud], "a") == pytest.approx(0.198, abs=1e-3)
    assert learn_lead([loud], "a") == learn_lead([quiet], "never_seen") == 0.02
    assert learn_lead([week(drift=0.9), week(drift=np.nan)], "a") == 0.5


def test_at_most_half_a_percent_lapse_in_an_ordinary_week():
    surprisals = np.linspace(0, 5, N)
    level = learn_surprisal([week(now=surprisals)] * 5)
    assert (surprisals > level).mean() <= 0.005
    assert (surprisals > level - 0.1).mean() > 0.005


def test_who_was_above_before_does_not_come_to_exceed_a_level():
    assert learn_surprisal([week(before=2.0, now=5.0)]) == pytest.approx(1.3)
    assert learn_surprisal([week(before=0.0, now=5.0)]) == pytest.approx(5.0)


def test_one_extraordinary_week_does_not_raise_the_level():
    ordinary, extraordinary = week(now=0.5), week(now=5.0)
    assert learn_surprisal([ordinary] * 4 + [extraordinary] * 2) == 1.3
    assert learn_surprisal([extraordinary] * 4 + [ordinary]) == pytest.approx(5.0)


def test_an_alert_is_about_a_significant_move_at_least():
    assert learn_acted([week(score=0.3)]) == 0.5
    assert learn_acted([week(score=np.linspace(0, 1, N))]) == pytest.approx(0.9975, abs=1e-3)
    assert learn_acted([week(cause="new", score=0.9)]) == 0.5


def test_this_week_teaches_only_while_there_are_few_others():
    assert len(weeks_to_learn_from([week()] * 3, week())) == 4
    assert len(weeks_to_learn_from([week()] * 4, week())) == 4
