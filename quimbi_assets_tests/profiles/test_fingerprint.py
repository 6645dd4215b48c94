import numpy as np
import pyarrow as pa
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.profiles.fingerprint import Fingerprints, axis_order, fingerprints


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
    return Fingerprints(pa.array(list(points)), np.array(list(points.values()), dtype=np.float32))


def test_the_nearest_by_hand():
    """Distances of d from a, b, c: sqrt(162), sqrt(61), sqrt(145); half are no nearer than the middle one."""
    of = shop({"a": (0, 0), "b": (3, 4), "c": (0, 1), "d": (9, 9)})
    assert [(one.customer_id, one.distance) for one in of.nearest("a", 2)] == [("c", 1), ("b", 5)]
    near = of.nearest("d", 2)
    assert [one.customer_id for one in near] == ["b", "c"]
    assert [one.distance for one in near] == pytest.approx([61**0.5, 145**0.5])
    assert [one.likeness for one in near] == pytest.approx([1 - (61 / 145) ** 0.5, 0])


def test_twins_are_neighbours_and_nobody_is_their_own():
    of = shop({"c": (1, 1), "a": (1, 1), "b": (1, 1), "d": (5, 5)})
    assert [one.customer_id for customer in "abc" for one in of.nearest(customer, 2)] == ["b", "c", "a", "c", "a", "b"]
    assert {(one.distance, one.likeness) for one in of.nearest("a", 2)} == {(0, 1)}


@pytest.mark.parametrize("far", [0, 1000])
def test_exact_among_many_however_far_out_they_are(far):
    """Single precision alone would mistake the order: customers are apart by less than it tells of their places."""
    rng = np.random.default_rng(0)
    vectors = (far + rng.normal(0, 1, (20_000, 8))).astype(np.float32)
    ids = [f"c{n:05d}" for n in range(len(vectors))]
    apart = np.linalg.norm(vectors.astype(float) - vectors[7], axis=1)
    near = Fingerprints(pa.array(ids), vectors).nearest("c00007", 50)
    assert [one.customer_id for one in near] == [ids[row] for row in np.argsort(apart, kind="stable")[1:51]]
    np.testing.assert_allclose([one.distance for one in near], np.sort(apart)[1:51], atol=1e-8)


def test_few_others_and_strangers():
    two = shop({"a": (0, 0), "b": (3, 4)})
    assert [one.customer_id for one in two.nearest("a", 5)] == ["b"]
    assert shop({"a": (0, 0)}).nearest("a") == []
    with pytest.raises(KeyError, match="no profile of customer z"):
        two.nearest("z")
