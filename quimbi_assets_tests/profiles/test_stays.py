"""Who stays in a segment: the formula by hand, what made-up transitions teach, and what stands where there is none."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.transition import Transition
from quimbi_assets.profiles.interpretation import STRENGTHS
from quimbi_assets.profiles.stays import StayModel, learn_stays, words

VALUE, RETURNS = AXES["purchase_value"], AXES["return_behavior"]
N = 2_000


def test_memberships_to_the_power_of_one_over_t_beside_those_who_stay_anyway():
    memberships = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    sharp = 0.6**2 / (0.6**2 + 0.3**2 + 0.1**2)
    model = StayModel(temperature=0.5, stayers=0.2)
    assert model.chances(memberships, np.array([0, 2])) == pytest.approx([0.2 + 0.8 * sharp, 0.855], abs=5e-4)
    in_state = StayModel(temperature=0.5, stayers=0.2, states=(0.91,)).chances(memberships, np.array([0, 2]))
    assert list(in_state) == [0.91, 0.855]


def test_extreme_memberships_are_no_certainty_and_no_error():
    memberships = np.array([[1.0, 0.0, 0.0], [1.0, 1e-300, 1e-300], [0.5, 0.5, 0.0]])
    chances = StayModel(temperature=0.1, stayers=0.0).chances(memberships, np.zeros(3, dtype=np.intp))
    assert list(chances) == [0.999, 0.999, 0.5]


def test_words_are_ordered_by_the_chance():
    assert [STRENGTHS[code] for code in words(np.array([0.999, 0.8, 0.799, 0.6, 0.599, 0.2]))] == [
        "strong", "strong", "balanced", "balanced", "weak", "weak",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def model():
    """Two segments on a line, 4 apart in scaled space."""
    values = np.random.default_rng(0).normal(np.repeat([-2.0, 2.0], 300), 0.5)
    frame = pd.DataFrame({"x": values, "y": np.random.default_rng(1).normal(size=600)})
    return AxisModel(min_k=2, max_k=2).fit(frame)


def moved(model, stay, seed=0):
    """A transition in which each customer stays with the chance ``stay(memberships)``."""
    rng = np.random.default_rng(seed)
    customers = pd.Index([f"c{i:04d}" for i in range(N)], name="customer_id")
    before = pd.DataFrame({"x": rng.uniform(-2, 2, N), "y": 0.0, "n_orders": 3}, index=customers)
    memberships, dominant = model.predict_proba(before), model.predict(before)
    stays = rng.random(N) < stay(memberships)
    to = np.where(stays, dominant, 1 - dominant)
    ends = np.array([before["x"][dominant == i].mean() for i in range(2)])
    after = before.assign(x=ends[to])
    assert (model.predict(after) == to).all()
    return Transition(pd.Timestamp("2025-01-01"), 56, {"purchase_value": before}, {"purchase_value": after},
                      np.full(N, 3), np.full(N, 100.0), stays)  # fmt: skip


@pytest.mark.parametrize(("temperature", "stayers"), [(0.5, 0.0), (1.5, 0.2), (0.3, 0.7)])
def test_what_made_customers_stay_is_learnt(model, temperature, stayers):
    truth = StayModel(temperature=temperature, stayers=stayers)
    transition = moved(model, lambda memberships: truth.chances(memberships, np.zeros(N, dtype=np.intp)))
    learnt = learn_stays(VALUE, model, transition)
    frame = transition.before["purchase_value"]
    memberships, dominant = model.predict_proba(frame), model.predict(frame)
    difference = np.abs(learnt.chances(memberships, dominant) - truth.chances(memberships, dominant))
    assert difference.mean() < 0.03
    assert (learnt.n_customers, learnt.horizon_days, learnt.reason) == (N, 56, None)
    assert learnt.calibration_error < 0.05
    assert StayModel.from_json(learnt.to_json()) == learnt


def test_without_a_transition_what_the_axis_declares_stands(model):
    learnt = learn_stays(AXES["customer_maturity"], model, "70 days of orders are needed")
    assert (learnt.temperature, learnt.stayers) == (1.5, 0.1)
    assert learnt.reason == "70 days of orders are needed"
    assert set(learnt.figures()) == {"stays_temperature", "stays_stayers", "stays_customers"}
    elsewhere = learn_stays(RETURNS, model, moved(model, lambda memberships: memberships.max(axis=1)))
    assert (elsewhere.temperature, elsewhere.reason) == (RETURNS.stay_temperature, "not recorded a horizon ago")


def test_a_few_customers_move_what_is_declared_only_a_little(model):
    transition = moved(model, lambda memberships: np.full(len(memberships), 0.5))
    few = {name: {"purchase_value": frames["purchase_value"].iloc[:5]}
           for name, frames in (("before", transition.before), ("after", transition.after))}  # fmt: skip
    small = Transition(transition.cut_off, 56, few["before"], few["after"], *(np.ones(5),) * 3)
    assert learn_stays(VALUE, model, small).stayers >= 0.2
    assert learn_stays(VALUE, model, transition).stayers == 0


def test_who_is_in_a_state_stays_as_often_as_others_in_it_did():
    frame = pd.DataFrame({"x": np.r_[np.zeros(400), np.linspace(1, 2, 100), np.linspace(5, 6, 100)],
                          "y": np.random.default_rng(0).normal(size=600), "n_orders": 3})  # fmt: skip
    model = AxisModel(structural=(("x", 0.0, "none"),), min_k=3, max_k=3).fit(frame)
    assert model.structural_[0] == "none"
    after = frame.assign(x=frame["x"].where(frame.index >= 100, 1.5))
    frames = {"purchase_value": frame}, {"purchase_value": after}
    learnt = learn_stays(VALUE, model, Transition(pd.Timestamp("2025-01-01"), 56, *frames, *(np.ones(600),) * 3))
    assert learnt.states == (round((300 + 8) / (400 + 10), 3),)
    assert learn_stays(VALUE, model, "too young").states == (0.8,)
    scores = SimpleNamespace(memberships=model.predict_proba(frame), dominant=model.predict(frame))
    chances = learnt.chances(scores.memberships, scores.dominant)
    assert set(chances[:400]) == set(learnt.states)
    assert (chances[400:] > 0.5).all()
