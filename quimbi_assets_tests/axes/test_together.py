"""Several stores extracted at once give what each gives alone."""

import pandas as pd
import pytest

from quimbi_assets.axes import Features, _together, fit_reference, measure
from quimbi_assets.history import History
from quimbi_assets.simulation import simulate_store

END = pd.Timestamp("2026-01-01")


@pytest.fixture(scope="module")
def stores():
    made = [simulate_store(40, seed=seed) for seed in (1, 2, 3)]
    histories = (History.from_frames(s.orders, s.order_items, s.support_tickets).until(END) for s in made)
    return [history.frames() for history in histories]


@pytest.mark.parametrize("most_rows", [1, 10**9])
def test_each_store_has_its_own_features(stores, most_rows, monkeypatch):
    monkeypatch.setattr(_together, "MAX_ROWS", most_rows)
    first = History.from_frames(*stores[0]).until(END)
    given = {"recorded": first.recorded, "reference": fit_reference(first)}

    def extract(rows):
        axes = ["purchase_value", "return_behavior", "category_exploration", "support_history"]
        return Features(measure(History.from_frames(*rows).until(END), axes, **given))

    together = _together.extract_together(stores, extract)
    assert len(together) == len(stores)
    for found, own in zip(together, stores, strict=True):
        alone = extract(own)
        assert list(found) == list(alone)
        for axis, table in alone.items():
            pd.testing.assert_frame_equal(found[axis], table, check_index_type=False)
