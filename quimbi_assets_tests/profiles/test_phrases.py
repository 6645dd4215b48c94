import numpy as np
import pytest

from quimbi_assets.naming.values import format_money
from quimbi_assets.profiles.phrases import amounts, counted, whole_numbers


def test_whole_numbers_have_thousands_separated():
    values = np.array([0, 1, 12, 999, 1000, 1001, 12_345, 999_999, 1_000_000, 7_000_000_012, -5, -1234567], dtype=float)
    assert whole_numbers(values).to_pylist() == [f"{int(v):,}" for v in values]


@pytest.mark.parametrize("currency", ["GBP", "SEK", ""])
def test_amounts_read_as_in_the_segments(currency):
    values = np.array([0, 0.05, 9.99, 99.99, 99.996, 100, 1240.4, 349_164.35])
    assert amounts(values, currency).to_pylist() == [format_money(v, currency) for v in values]


def test_undefined_numbers_are_null():
    assert amounts(np.array([np.nan]), "£").to_pylist() == [None]
    assert counted(np.array([np.nan, np.inf]), "order", "orders").to_pylist() == [None, None]
