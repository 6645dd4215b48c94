import numpy as np
import pandas as pd
import pytest

from quimbi_assets.weekly.floors import learn_floors, learnt_from


def week(n=1000, cause="silent", drift=0.0, before=0.0, now=0.0, score=0.0):
    return pd.DataFrame(
        {"drift:a": drift, "cause": cause, "surprise_before": before, "surprise": now, "acted_score": score},
        index=range(n),
    )


def test_the_lead_is_what_silence_alone_moves_ninety_nine_of_a_hundred():
    quiet = week(drift=np.linspace(0, 0.2, 1000))
    loud = week(cause="acted", drift=1.0)
    assert learn_floors([quiet, loud], ["a"]).lead["a"] == pytest.approx(0.198, abs=1e-3)
    assert learn_floors([loud], ["a", "never_seen"]).lead == {"a": 0.02, "never_seen": 0.02}


def test_at_most_half_a_percent_fall_silent_in_an_ordinary_week():
    surprises = np.linspace(0, 5, 1000)
    floor = learn_floors([week(now=surprises)] * 5, []).silence
    assert (surprises > floor).mean() <= 0.005
    assert (surprises > floor - 0.1).mean() > 0.005


def test_one_extraordinary_week_does_not_raise_the_floor():
    ordinary, extraordinary = week(now=0.5), week(now=5.0)
    assert learn_floors([ordinary] * 4 + [extraordinary] * 2, []).silence == 1.3
    assert learn_floors([extraordinary] * 4 + [ordinary], []).silence == pytest.approx(5.0)


def test_an_alert_is_about_a_significant_move_at_least():
    assert learn_floors([week(score=0.3)], []).acted == 0.5
    assert learn_floors([week(score=np.linspace(0, 1, 1000))], []).acted == pytest.approx(0.9975, abs=1e-3)


def test_this_week_teaches_only_while_there_are_few_others():
    assert len(learnt_from([week()] * 3, week())) == 4
    assert len(learnt_from([week()] * 4, week())) == 4
