import numpy as np
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.profiles.fingerprint import axis_order, fingerprints


def test_axes_keep_the_order_of_the_registry():
    assert axis_order(reversed(list(AXES))) == list(AXES)


def test_distances_stand_side_by_side():
    rows = fingerprints([np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([[1.5], [2.5]])]).to_pylist()
    assert rows == [[3.0, 4.0, 1.5], [0.0, 5.0, 2.5]]


def test_alike_customers_are_near():
    """Two customers on two centres that are 5 apart: fingerprints (0, 5) and (5, 0), sqrt(50) apart."""
    first, second = (np.array(row) for row in fingerprints([np.array([[0.0, 5.0], [5.0, 0.0]])]).to_pylist())
    assert np.linalg.norm(first - second) == pytest.approx(np.sqrt(50))
