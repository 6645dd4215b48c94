import numpy as np
import pandas as pd
import pytest

from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.weekly.drift import (
    ScoredSnapshot,
    acceleration,
    axis_drift,
    measure_drift,
    severity,
    with_archetypes,
)

IDS = ("a_1", "a_2")


def test_drift_by_hand():
    older, newer = np.array([[0.7, 0.2, 0.1]]), np.array([[0.4, 0.6, 0.0]])
    assert axis_drift(older, newer) == pytest.approx(np.sqrt((0.09 + 0.16 + 0.01) / 2))


def test_identical_memberships_do_not_drift():
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 100)
    assert (axis_drift(rows, rows) == 0).all()


def test_every_pair_lies_between_none_and_all():
    rng = np.random.default_rng(1)
    drift = axis_drift(rng.dirichlet([0.2] * 3, 1000), rng.dirichlet([0.2] * 3, 1000))
    assert drift.min() >= 0
    assert drift.max() <= 1


def test_who_or_what_was_not_there_before_has_no_drift(scores):
    older = ScoredSnapshot({"a": scores({"bob": (0.7, 0.3)}, IDS)})
    two = scores({"ann": (0.5, 0.5), "bob": (0.7, 0.3)}, IDS)
    found = measure_drift(older, ScoredSnapshot({"a": two, "b": two}))
    np.testing.assert_array_equal(found["a"], [np.nan, 0])
    assert np.isnan(found["b"]).all()


@pytest.mark.parametrize(("drift", "word"), [(0.0999, "stable"), (0.1, "minor"), (0.3, "moderate"), (0.7, "major")])
def test_severity_at_its_limits(drift, word):
    assert severity(np.array([drift])).tolist() == [word]


def test_acceleration_needs_four_weeks_on_either_side():
    slow, fast = np.array([0.01, np.nan]), np.array([0.05, 0.05])
    assert np.isnan(acceleration([slow] * 3 + [fast] * 4)).all()
    assert acceleration([slow] * 12 + [fast] * 4)[0] == pytest.approx(0.04)
    assert acceleration([fast] * 9 + [slow] * 12 + [fast] * 4)[0] == pytest.approx(0.04)  # only twelve weeks before
    assert np.isnan(acceleration([slow] * 12 + [fast] * 4)[1])


def test_archetypes_of_other_models_are_nobody_s(scores):
    own = {"a": scores({"ann": (0.9, 0.1)}, IDS)}
    known = ArchetypeSet(("a",), (("a_1",), ("a_2",)))
    assert with_archetypes(own, known).dominant()["archetype"].tolist() == [known.ids()[0]]
    for other in (None, ArchetypeSet(("a",), (("a_3",),)), ArchetypeSet(("b",), (("b_1",),))):
        found = with_archetypes(own, other)
        assert found.archetypes is None
        assert list(found.dominant()) == ["a"]
    assert pd.Index(["ann"]).equals(found.customers)
