"""The planted states can be found again from features measured apart from the package's own axes."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from quimbi_assets.simulation import STATES
from quimbi_assets_tests.simulation import planted_features


@pytest.fixture(scope="module")
def measured(store):
    orders = planted_features.valid_orders(store)
    return store, orders, planted_features.valid_lines(store, orders)


def scaled(features):
    limits = features.quantile([0.01, 0.99])
    cut = features.clip(limits.loc[0.01], limits.loc[0.99], axis=1)
    return np.nan_to_num(StandardScaler().fit_transform(cut))


@pytest.mark.parametrize("axis", STATES)
def test_planted_states_are_found_again(axis, measured):
    store, _, _ = measured
    features = getattr(planted_features, axis)(*measured)
    truth = store.labels.set_index("customer_id")[axis].dropna()
    found = KMeans(len(STATES[axis]), n_init=5, random_state=0).fit_predict(scaled(features.loc[truth.index]))
    assert adjusted_rand_score(truth, found) >= 0.85


@pytest.mark.parametrize("axis", ["purchase_frequency", "category_exploration", "return_behavior"])
def test_shuffled_labels_are_not_found(axis, measured):
    store, _, _ = measured
    features = getattr(planted_features, axis)(*measured)
    truth = store.labels.set_index("customer_id")[axis].dropna()
    found = KMeans(len(STATES[axis]), n_init=5, random_state=0).fit_predict(scaled(features.loc[truth.index]))
    assert abs(adjusted_rand_score(truth.sample(frac=1, random_state=0), found)) < 0.05
