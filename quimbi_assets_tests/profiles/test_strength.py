import numpy as np
import pytest

from quimbi_assets.profiles.strength import STRENGTHS, strengths


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ([0.71, 0.29, 0.0], "strong"),
        ([0.7, 0.3, 0.0], "weak"),
        ([0.69, 0.31, 0.0], "balanced"),
        ([0.4, 0.35, 0.25], "weak"),
        ([0.41, 0.31, 0.28], "balanced"),
        ([0.6, 0.3, 0.1], "weak"),
        ([0.1, 0.1, 0.8], "strong"),
        ([1.0], "strong"),
    ],
)
def test_limits_belong_to_the_lower_class(row, word):
    assert STRENGTHS[strengths(np.array([row]))[0]] == word
