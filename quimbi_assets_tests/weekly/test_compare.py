import numpy as np
import pandas as pd
import pytest

from quimbi_assets.weekly.compare import acted_scores, migrate
from quimbi_assets.weekly.drift import ScoredSnapshot
from quimbi_assets.weekly.notifications import decide_alerts
from quimbi_assets.weekly.rescore import Before, measure_movement, stable_before, to_ids
from quimbi_assets.weekly.silence import SilenceTest
from quimbi_assets.weekly.snapshot import SnapshotPart

LEAD = {"a": 0.1}
IDS = ("a_1", "a_2")
SEGMENTS = {"a": list(IDS), "archetype": ["x", "y"]}
HERE, THERE, BARELY = (0.9, 0.1), (0.1, 0.9), (0.48, 0.52)
DIGESTS = {"silent": (1, 1, 1), "acted": (1, 1, 2), "corrected": (1, 3, 3), "new": (None, None, 1)}
"""Of the older instant as it was then and as it is recorded now, and of the newer one."""


def moved(older, newer, cause, state=None, assigned=None):
    """The movement between two scored snapshots of the customers of the newer one, each with their cause."""
    names = newer.customers
    kept, again, now = zip(*(DIGESTS[c] for c in np.broadcast_to(cause, len(names))), strict=True)
    old_names = older.customers

    def digests(values, index):
        known = pd.Series(values, names, dtype="UInt64").dropna()
        return known[known.index.isin(index)].astype("uint64").to_frame("digest")

    own = older.dominant() if assigned is None else {"a": np.array(assigned, dtype=object)}
    stable, by_model = stable_before(older, SEGMENTS, own, state)
    nobody = pd.Series(0.0, old_names), pd.Series(False, old_names)
    before = Before(older, stable, by_model, digests(kept, old_names), digests(again, old_names), *nobody)
    part = SnapshotPart({}, digests(now, names), np.zeros(len(names)), {})
    segments = {axis: SEGMENTS[axis] for axis in newer.dominant()}
    return measure_movement(part, newer, before, segments)


@pytest.fixture
def compared(scores):
    def compare(older, newer, cause, lapsed=False, **given):
        movement = moved(
            ScoredSnapshot({"a": scores(older, IDS)}), ScoredSnapshot({"a": scores(newer, IDS)}), cause, **given
        )
        stable, moves = migrate(movement, np.full(len(newer), lapsed), LEAD)
        return dict(zip(newer, to_ids(stable["a"], IDS), strict=True)), moves

    return compare


def test_nobody_moves_between_equal_snapshots(compared, scores):
    rows = {"ann": HERE, "bob": BARELY}
    side = ScoredSnapshot({"a": scores(rows, IDS)})
    assert (moved(side, side, "silent").drift["a"] == 0).all()
    assert compared(rows, rows, "silent")[1].empty


@pytest.mark.parametrize(
    ("cause", "lapsed", "migrates"),
    [("acted", False, True), ("silent", False, False), ("silent", True, True), ("corrected", False, True)],
)
def test_who_migrates(compared, cause, lapsed, migrates):
    stable, moves = compared({"ann": HERE}, {"ann": THERE}, cause, lapsed)
    assert len(moves) == migrates
    assert stable["ann"] == ("a_2" if migrates else "a_1")
    if migrates:
        (move,) = moves.to_dict("records")
        assert (move["from_segment"], move["to_segment"], move["cause"]) == ("a_1", "a_2", cause)
        assert move["drift"] == pytest.approx(0.8)


def test_a_move_within_the_noise_is_none_and_is_remembered(compared):
    stable, moves = compared({"ann": HERE}, {"ann": BARELY}, "acted")
    assert moves.empty
    assert stable["ann"] == "a_1"
    _, moves = compared({"ann": BARELY}, {"ann": THERE}, "acted", state={"a": np.array(["a_1"], dtype=object)})
    assert moves["from_segment"].tolist() == ["a_1"]


def test_corrected_data_move_without_a_margin(compared):
    assert compared({"ann": HERE}, {"ann": BARELY}, "corrected")[0]["ann"] == "a_2"


def test_what_a_changed_model_moves_is_nobody_s_behaviour(compared):
    stable, moves = compared({"ann": THERE}, {"ann": THERE}, "silent", assigned=["b_7"])
    assert moves[["from_segment", "to_segment", "cause"]].to_numpy().tolist() == [["b_7", "a_2", "model"]]
    assert stable["ann"] == "a_2"


def test_a_segment_that_was_held_outlives_a_new_model_that_has_it(compared):
    held = {"a": np.array(["a_1"], dtype=object)}
    stable, moves = compared({"ann": BARELY}, {"ann": BARELY}, "silent", state=held, assigned=["a_2"])
    assert moves.empty
    assert stable["ann"] == "a_1"


def test_new_customers_are_stable_without_having_moved(compared):
    stable, moves = compared({"ann": HERE}, {"ann": HERE, "bob": THERE}, ["silent", "new"])
    assert moves.empty
    assert stable["bob"] == "a_2"


def test_archetypes_change_with_a_migration_only(scores):
    both = {"ann": HERE, "bob": HERE}
    older = ScoredSnapshot({"a": scores(both, IDS)}, np.array(["x", "x"], dtype=object))
    newer = ScoredSnapshot({"a": scores(both | {"ann": THERE}, IDS)}, np.array(["y", "y"], dtype=object))
    _, moves = migrate(moved(older, newer, "acted"), np.array([False, False]), LEAD)
    assert moves.groupby("customer_id")["axis_name"].apply(list).to_dict() == {"ann": ["a", "archetype"]}


TELLS = SilenceTest()
"""A test that found nothing against alerts."""


def alerts_of(silence=TELLS, cause="silent", before=False, lapsed=False, score=0.0):
    found = decide_alerts(*(np.array([v]) for v in (cause, before, lapsed, score)), 0.5, silence)
    return found.tolist()


def test_alerts_are_about_silence_and_about_orders_only():
    assert alerts_of(lapsed=True) == ["newly_at_risk"]
    assert alerts_of(lapsed=True, before=True) == [None]
    assert alerts_of(lapsed=True, silence=SilenceTest("silence foretells too little")) == [None]
    assert alerts_of(cause="acted", score=0.6) == ["moved"]
    assert alerts_of(cause="acted", score=0.4) == [None]
    assert alerts_of(cause="corrected", score=0.9, lapsed=True) == [None]


def test_moves_on_weak_axes_do_not_score():
    moves = pd.DataFrame({"customer_id": ["ann"], "axis_name": ["a"], "cause": ["acted"], "drift": [0.9]})
    assert acted_scores(moves, pd.Index(["ann", "bob"]), frozenset()).tolist() == [0.9, 0.0]
    assert acted_scores(moves, pd.Index(["ann"]), frozenset({"a"})).tolist() == [0.0]
