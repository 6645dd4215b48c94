import numpy as np
import pandas as pd

from quimbi_assets.sampling import customer_order

IDS = pd.Index([f"c{i}" for i in range(2000)])


def first(ids, seed=0, n=200):
    return set(ids[customer_order(ids, seed)[:n]])


def test_a_sample_depends_on_ids_and_seed_only():
    assert first(IDS) == first(IDS[::-1])
    assert first(IDS) != first(IDS, seed=1)


def test_a_growing_store_keeps_its_sample():
    grown = pd.Index([f"c{i}" for i in range(2100)])
    assert len(first(IDS) & first(grown)) > 180


def test_samples_are_even_and_complete():
    order = customer_order(IDS, 0)
    assert sorted(order) == list(range(2000))
    assert abs(np.mean(order[:500]) - 1000) < 100
    assert sorted(customer_order(pd.RangeIndex(50), 3)) == list(range(50))
