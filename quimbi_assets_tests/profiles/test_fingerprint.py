import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.profiles.fingerprint import axis_order, fingerprints, nearest_customers


def test_axes_keep_the_order_of_the_registry():
    assert axis_order(reversed(list(AXES))) == list(AXES)


def test_distances_stand_side_by_side():
    rows = fingerprints([np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([[1.5], [2.5]])]).to_pylist()
    assert rows == [[3.0, 4.0, 1.5], [0.0, 5.0, 2.5]]


def test_alike_customers_are_near():
    """Two customers on two centres that are 5 apart: fingerprints (0, 5) and (5, 0), sqrt(50) apart."""
    first, second = (np.array(row) for row in fingerprints([np.array([[0.0, 5.0], [5.0, 0.0]])]).to_pylist())
    assert np.linalg.norm(first - second) == pytest.approx(np.sqrt(50))


def shop(points):
    return pd.DataFrame({"customer_id": list(points), "fingerprint": [list(map(float, p)) for p in points.values()]})


def test_the_nearest_by_hand():
    found = nearest_customers(shop({"a": (0, 0), "b": (3, 4), "c": (0, 1), "d": (9, 9)}), ["a", "d"], 2)
    assert found.to_numpy().tolist() == [
        ["a", "c", 1, 1.0],
        ["a", "b", 2, 5.0],
        ["d", "b", 1, 61**0.5],
        ["d", "c", 2, 145**0.5],
    ]


def test_twins_are_neighbours_and_nobody_is_their_own():
    found = nearest_customers(shop({"c": (1, 1), "a": (1, 1), "b": (1, 1), "d": (5, 5)}), ["a", "b", "c"], 2)
    assert found["neighbour_id"].tolist() == ["b", "c", "a", "c", "a", "b"]
    assert found["distance"].tolist() == [0] * 6


def test_the_profiles_of_a_store(profiles):
    ids = profiles["customer_id"].tolist()
    found = nearest_customers(profiles, ids, 3)
    assert len(found) == 3 * len(ids)
    assert (found["customer_id"] != found["neighbour_id"]).all()
    vectors = np.vstack([np.asarray(v, dtype=float) for v in profiles["fingerprint"]])
    gaps = np.sort(np.linalg.norm(vectors - vectors[7], axis=1))[1:4]
    np.testing.assert_allclose(found[found["customer_id"] == ids[7]]["distance"], gaps, atol=1e-6)
    back = nearest_customers(profiles.iloc[::-1], ids, 3)
    pd.testing.assert_frame_equal(back, found)


def test_few_others_nobody_and_strangers():
    two = shop({"a": (0, 0), "b": (3, 4)})
    assert nearest_customers(two, ["a"], 5)["neighbour_id"].tolist() == ["b"]
    assert nearest_customers(two.iloc[:1], ["a"]).empty
    assert nearest_customers(two, []).empty
    with pytest.raises(KeyError, match="no profile of customer z"):
        nearest_customers(two, ["a", "z"])
    with pytest.raises(ValueError, match="different lengths"):
        nearest_customers(shop({"a": (0, 0), "b": (3, 4, 5)}), ["a"])
