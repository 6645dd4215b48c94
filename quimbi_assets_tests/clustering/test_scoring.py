import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.scoring import distances_to, memberships_from_distances


def test_the_documented_example():
    memberships = memberships_from_distances([[0.5, 2.0, 3.5]])
    np.testing.assert_allclose(memberships, [[0.786, 0.175, 0.039]], atol=5e-4)


@given(arrays(np.float64, (4, 5), elements=st.floats(0, np.inf, allow_nan=False)))
def test_rows_sum_to_one_and_the_nearest_wins(distances):
    memberships = memberships_from_distances(distances)
    np.testing.assert_allclose(memberships.sum(axis=1), 1.0, atol=1e-9)
    rows = np.arange(len(distances))
    np.testing.assert_allclose(memberships[rows, distances.argmin(axis=1)], memberships.max(axis=1))


def test_far_from_everything_still_tells_who_is_nearer():
    np.testing.assert_allclose(memberships_from_distances([[1e6, 1e6 + 1]]), memberships_from_distances([[0, 1]]))


def test_temperature_softens():
    crisp, soft = (memberships_from_distances([[1.0, 2.0]], t)[0, 0] for t in (0.1, 10.0))
    assert crisp > 0.99
    assert 0.5 < soft < 0.53


@pytest.mark.parametrize(("distances", "temperature"), [([[np.nan, 1]], 1), ([[-1.0, 1]], 1), ([[1.0, 1]], 0)])
def test_what_is_no_distance_is_refused(distances, temperature):
    with pytest.raises(ValueError, match=r"distances|temperature"):
        memberships_from_distances(distances, temperature)


def test_distances_of_a_three_four_five_triangle():
    np.testing.assert_array_equal(
        distances_to(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[3.0, 4.0]])), [[5.0], [4.0]]
    )


def fitted():
    rng = np.random.default_rng(0)
    return AxisModel("t").fit(pd.DataFrame(rng.normal(size=(200, 2)), columns=["b", "a"]))


def test_a_saved_model_is_plain_data_and_scores_the_same():
    model, values = fitted(), np.random.default_rng(1).normal(size=(50, 2))
    content = skops.io.dumps(model)
    assert skops.io.get_untrusted_types(data=content) == ["quimbi_assets.clustering.model.AxisModel"]
    again = skops.io.loads(content, trusted=["quimbi_assets.clustering.model.AxisModel"])
    np.testing.assert_array_equal(again.distances(values), model.distances(values))
    assert again.features_ == model.features_
    for name in ("selection_", "centers_shop_", "quantiles_", "population_", "coverage_"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(model, name))


def test_copies_and_pickles_keep_everything():
    model = fitted()
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        pd.testing.assert_frame_equal(again.selection_, model.selection_)
        assert vars(again).keys() == vars(model).keys()
