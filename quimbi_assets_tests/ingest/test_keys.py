"""Ids among others, as pandas' isin."""

import pandas as pd
import pytest

from quimbi_assets.ingest.keys import among


@pytest.mark.parametrize("dtype", ["str", "object"])
@pytest.mark.parametrize("known", [[], ["b", "z"], ["a", None]])
def test_agrees_with_isin(dtype, known):
    ids = pd.Series(["a", "b", None, "é", "b"], index=[5, 3, 9, 1, 1], dtype=dtype)
    pd.testing.assert_series_equal(among(ids, pd.Series(known, dtype=dtype)), ids.isin(known))


def test_numbers_are_looked_up_as_numbers():
    assert among(pd.Series([1, 2, 3]), pd.Series([3, 1])).tolist() == [True, False, True]
