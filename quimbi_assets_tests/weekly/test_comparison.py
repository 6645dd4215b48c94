import numpy as np
import pandas as pd
import pytest

from quimbi_assets.weekly.alerts import alert_causes, decide_alerts
from quimbi_assets.weekly.comparison import SETTLED, acted_scores, measure_drift, settle, settle_before
from quimbi_assets.weekly.floors import Floors
from quimbi_assets.weekly.sides import Side

FLOORS = Floors(lead={"a": 0.1}, silence=1.3, acted=0.5, n_weeks=4, n_quiet=100)
IDS = ("a_1", "a_2")
HERE, THERE, BARELY = (0.9, 0.1), (0.1, 0.9), (0.48, 0.52)


def compared(scores, older, newer, cause, fallen=False, state=None, own=None):
    before, now = Side({"a": scores(older, IDS)}), Side({"a": scores(newer, IDS)})
    week = measure_drift(before, now).assign(cause=cause, fallen=fallen)
    dominant = np.array(IDS, dtype=object)[before.scores["a"].dominant]
    own = pd.DataFrame({SETTLED + "a": dominant if own is None else own}, index=list(older))
    return settle(now, week, settle_before(before, state, own), FLOORS)


def test_nobody_moves_between_equal_snapshots(scores):
    rows = {"ann": HERE, "bob": BARELY}
    side = Side({"a": scores(rows, IDS)})
    assert (measure_drift(side, side)["drift:a"] == 0).all()
    _, moves = compared(scores, rows, rows, "silent")
    assert moves.empty


@pytest.mark.parametrize(
    ("cause", "fallen", "migrates"),
    [("acted", False, True), ("silent", False, False), ("silent", True, True), ("corrected", False, True)],
)
def test_who_migrates(scores, cause, fallen, migrates):
    settled, moves = compared(scores, {"ann": HERE}, {"ann": THERE}, cause, fallen)
    assert len(moves) == migrates
    assert settled.loc["ann", SETTLED + "a"] == ("a_2" if migrates else "a_1")
    if migrates:
        (move,) = moves.to_dict("records")
        assert (move["from_segment"], move["to_segment"], move["cause"]) == ("a_1", "a_2", cause)
        assert move["drift"] == pytest.approx(0.8)


def test_a_move_within_the_noise_is_none_and_is_remembered(scores):
    settled, moves = compared(scores, {"ann": HERE}, {"ann": BARELY}, "acted")
    assert moves.empty
    assert settled.loc["ann", SETTLED + "a"] == "a_1"
    _, moves = compared(scores, {"ann": BARELY}, {"ann": THERE}, "acted", state=settled)
    assert moves["from_segment"].tolist() == ["a_1"]


def test_what_a_changed_model_moves_is_nobody_s_behaviour(scores):
    settled, moves = compared(scores, {"ann": THERE}, {"ann": THERE}, "silent", own=["a_1"])
    assert moves[["from_segment", "to_segment", "cause"]].to_numpy().tolist() == [["a_1", "a_2", "model"]]
    assert settled.loc["ann", SETTLED + "a"] == "a_2"


def test_a_segment_that_was_held_outlives_a_new_model_that_has_it(scores):
    state = pd.DataFrame({SETTLED + "a": ["a_1"]}, index=["ann"])
    _, moves = compared(scores, {"ann": BARELY}, {"ann": BARELY}, "silent", state=state, own=["a_2"])
    assert moves.empty


def test_new_customers_settle_without_having_moved(scores):
    settled, moves = compared(scores, {"ann": HERE}, {"ann": HERE, "bob": THERE}, ["silent", "new"])
    assert moves.empty
    assert settled.loc["bob", SETTLED + "a"] == "a_2"


def test_archetypes_change_with_a_migration_only(scores):
    before = Side({"a": scores({"ann": HERE, "bob": HERE}, IDS)}, np.array(["x", "x"], dtype=object))
    now = Side({"a": scores({"ann": THERE, "bob": HERE}, IDS)}, np.array(["y", "y"], dtype=object))
    week = measure_drift(before, now).assign(cause="acted", fallen=False)
    own = pd.DataFrame({SETTLED + "a": "a_1", SETTLED + "archetype": "x"}, index=["ann", "bob"])
    _, moves = settle(now, week, settle_before(before, None, own), FLOORS)
    assert moves.groupby("customer_id")["axis_name"].apply(list).to_dict() == {"ann": ["a", "archetype"]}


def alerts_of(weak=frozenset(), **columns):
    usual = {"cause": "silent", "fallen_before": False, "fallen": False, "acted_score": 0.0}
    return decide_alerts(pd.DataFrame(usual | columns, index=[0]), FLOORS, weak).tolist()


def test_alerts_are_about_silence_and_about_orders_only():
    assert alerts_of(fallen=True) == ["newly_at_risk"]
    assert alerts_of(fallen=True, fallen_before=True) == [None]
    assert alerts_of(fallen=True, weak=frozenset({"purchase_frequency"})) == [None]
    assert alerts_of(cause="acted", acted_score=0.6) == ["moved"]
    assert alerts_of(cause="acted", acted_score=0.4) == [None]
    assert alerts_of(cause="corrected", acted_score=0.9, fallen=True) == [None]
    assert alert_causes(np.array(["moved", None, "newly_at_risk"], dtype=object)).tolist() == ["acted", None, "silent"]


def test_moves_on_weak_axes_do_not_score():
    moves = pd.DataFrame({"customer_id": ["ann"], "axis_name": ["a"], "cause": ["acted"], "drift": [0.9]})
    assert acted_scores(moves, pd.Index(["ann", "bob"]), frozenset()).tolist() == [0.9, 0.0]
    assert acted_scores(moves, pd.Index(["ann"]), frozenset({"a"})).tolist() == [0.0]
