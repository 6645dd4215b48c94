import numpy as np
import pandas as pd
import pytest

from quimbi_assets.clustering.model import AxisModel, bin_shares, bins_table, learn_bins
from quimbi_assets.weekly.drift import feature_drift, population_stability, recommend_refit


def bins_of(values):
    return learn_bins(np.asarray(values, dtype=float)[:, None], ["x"], np.array([1.0]))


def psi(bins, values):
    return feature_drift(bins, {"x": np.asarray(values, dtype=float)})["x"]


def test_by_hand():
    r, c = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    expected = 0.4 * np.log(0.9 / 0.5) - 0.4 * np.log(0.1 / 0.5)
    assert population_stability(r, c, 10**9, 10**9) == pytest.approx(expected)
    assert population_stability(r, r, 100, 100) == 0


def test_bins_are_the_reference_s_alone_and_mass_outside_is_seen():
    bins = bins_of(np.linspace(0, 1, 1000))
    assert bins["features"]["x"]["shares"][:-1] == pytest.approx([0.1] * 10, abs=0.002)
    assert psi(bins, np.linspace(0, 1, 500)) == pytest.approx(0, abs=0.01)
    assert psi(bins, np.linspace(5, 6, 500)) > 1
    assert psi(bins, np.where(np.arange(500) % 2, np.nan, np.linspace(0, 1, 500))) > 1


def test_ties_and_constants_have_bins_too():
    bins = bins_of([0.0] * 80 + [1.0] * 20)
    learnt = bins["features"]["x"]
    assert (learnt["edges"][0], learnt["shares"][0]) == (0.0, pytest.approx(0.8))
    assert psi(bins, np.array([0.0] * 8 + [1.0] * 2)) == 0
    assert psi(bins, np.array([0.0] * 2 + [1.0] * 8)) > 1
    assert bin_shares(np.array([0.0, 1.0, 2.0, np.nan]), np.array([0.0, 1.0])).tolist() == [0.25, 0.25, 0.25, 0.25]
    assert bins_of([np.nan] * 5)["features"]["x"]["shares"] == [0.0, 1.0]
    assert bins_table(bins)["share"].sum() == pytest.approx(1)


def test_neither_a_large_nor_a_small_store_makes_it_fire():
    rng = np.random.default_rng(0)
    for n, limit in ((200, 0.2), (200_000, 0.002)):
        found = [psi(bins_of(rng.normal(size=n)), rng.normal(size=n)) for _ in range(5)]
        assert max(found) < limit
    shifted = [psi(bins_of(rng.normal(size=n)), rng.normal(0.5, size=n)) for n in (2_000, 200_000)]
    assert shifted[0] == pytest.approx(shifted[1], abs=0.1)


def test_a_fit_keeps_bins_of_all_its_customers():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "n_orders": 5})
    model = AxisModel("t").fit(frame)
    assert model.reference_bins_["n"] == 300
    assert sum(model.reference_bins_["segments"]) == pytest.approx(1)
    found = feature_drift(model.reference_bins_, {name: frame[name].to_numpy() for name in "ab"})
    assert found == {"a": 0, "b": 0}
    assert list(feature_drift(model.reference_bins_, {"a": frame["a"].to_numpy()})) == ["a"]


def population(sizes, features):
    rows = [(f"s{i}", "segment_psi", f"s{i}", value) for i, value in enumerate(sizes)]
    rows += [("a", "feature_psi", name, value) for name, value in zip("xyz", features, strict=True)]
    rows.append(("a", "segment_share", "a_1", 0.9))
    return pd.DataFrame(rows, columns=["axis_name", "figure", "name", "value"])


def test_a_refit_is_recommended_for_sizes_or_for_many_features():
    assert recommend_refit(population([0.1], [0.1, 0.1, 0.1])) is None
    assert "sizes of the segments of s0" in recommend_refit(population([0.3], [0.1, 0.1, 0.1]))
    assert "1 of 3 features" in recommend_refit(population([0.0], [0.01, 0.2, 0.3]))
    assert recommend_refit(population([], [0.01, 0.2, 0.2])) is None
