import numpy as np
import pytest

from quimbi_assets.clustering.candidates import carry_on, champion_centers, settle
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.scaling import Scaler

SQUARE = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
"""Four corners: cut into left and right, or into lower and upper, equally well."""
UPPER_LOWER = np.array([[1.0, 0.0], [1.0, 2.0]])
LEFT_RIGHT = np.array([[0.0, 1.0], [2.0, 1.0]])


def test_of_equally_good_partitions_the_champion_s_is_carried_on():
    np.testing.assert_array_equal(carry_on(SQUARE, LEFT_RIGHT, UPPER_LOWER), UPPER_LOWER)
    np.testing.assert_array_equal(carry_on(SQUARE, UPPER_LOWER, LEFT_RIGHT), LEFT_RIGHT)


def test_a_clearly_better_partition_replaces_it():
    """Stretched to 6 x 2, left against right leaves a sum of squares of 4, upper against lower one of 36."""
    points = SQUARE * [3.0, 1.0]
    better = np.array([[0.0, 1.0], [6.0, 1.0]])
    np.testing.assert_array_equal(carry_on(points, better, np.array([[3.0, 0.0], [3.0, 2.0]])), better)


def test_settling_twice_changes_no_bit():
    points = np.random.default_rng(0).normal(size=(800, 3))
    once = settle(points, points[:4])
    assert settle(points, once).tobytes() == once.tobytes()


def fitted():
    model = AxisModel(axis="toy")
    model.features_, model.transforms_, model.structural_ = ["a", "b"], ["identity", "log1p"], ["once", None]
    model.cluster_centers_ = np.array([[9.0, 9.0], [1.0, -1.0]])
    model.mean_, model.scale_ = np.array([10.0, 0.0]), np.array([2.0, 1.0])
    return model


def scaler(transforms=("identity", "log1p")):
    one = np.ones(2)
    return Scaler(list(transforms), -one, one, np.array([8.0, 1.0]), np.array([4.0, 2.0]), [])


def test_centres_move_to_the_new_scale():
    """1 * 2 + 10 = 12 in shop units, (12 - 8) / 4 = 1; -1 in transformed units, (-1 - 1) / 2 = -1."""
    assert champion_centers(fitted(), scaler(), ["a", "b"], ["once"]).tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize(
    ("features", "states", "transforms"),
    [
        (["a", "c"], ["once"], ("identity", "log1p")),
        (["a", "b"], [], ("identity", "log1p")),
        (["a", "b"], ["once"], ("identity", "identity")),
    ],
    ids=["features", "states", "transforms"],
)
def test_centres_that_mean_something_else_are_no_start(features, states, transforms):
    assert champion_centers(fitted(), scaler(transforms), features, states) is None
