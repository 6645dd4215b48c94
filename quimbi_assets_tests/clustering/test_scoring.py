import copy
import pickle

import numpy as np
import pandas as pd
import skops.io

from quimbi_assets.clustering.model import AxisModel


def fitted():
    rng = np.random.default_rng(0)
    return AxisModel("t").fit(pd.DataFrame(rng.normal(size=(200, 2)), columns=["b", "a"]))


def test_a_saved_model_is_plain_data_and_scores_the_same():
    model, values = fitted(), np.random.default_rng(1).normal(size=(50, 2))
    content = skops.io.dumps(model)
    assert skops.io.get_untrusted_types(data=content) == ["quimbi_assets.clustering.model.AxisModel"]
    again = skops.io.loads(content, trusted=["quimbi_assets.clustering.model.AxisModel"])
    np.testing.assert_array_equal(again.distances(values), model.distances(values))
    assert again.features_ == model.features_
    for name in ("selection_", "centers_shop_", "quantiles_", "population_", "coverage_"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(model, name))


def test_copies_and_pickles_keep_everything():
    model = fitted()
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        pd.testing.assert_frame_equal(again.selection_, model.selection_)
        assert vars(again).keys() == vars(model).keys()
