import numpy as np
import pandas as pd
from sklearn.base import clone

from quimbi_assets.clustering.model import AxisModel


def blobs(n=600):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(0, 0.3, (n, 2)), columns=["a", "b"], index=[f"c{i}" for i in range(n)])
    frame["a"] += np.tile([0.0, 5.0, 10.0], n // 3)
    frame["b"] += np.tile([0.0, 5.0, 0.0], n // 3)
    return frame


def test_halves_agree_where_customers_really_are_of_kinds():
    frame = blobs()
    model = AxisModel().fit(frame)
    assert model.agreement_of_halves(frame) == 1.0
    assert model.agreement_of_halves(frame[::-1]) == 1.0


def test_halves_of_one_cloud_agree_less_than_its_refits():
    frame = pd.DataFrame(np.random.default_rng(1).normal(0, 1, (600, 3)), columns=list("abc"))
    model = AxisModel().fit(frame)
    agreed = model.agreement_of_halves(frame)
    assert agreed < model.stability_ari_ - 0.2
    assert model.agreement_of_halves(frame[::-1]) == agreed


def test_those_whom_a_state_places_do_not_make_halves_agree():
    noise = pd.DataFrame(np.random.default_rng(1).normal(0, 1, (600, 3)), columns=list("abc")).assign(once=0.0)
    once = noise.assign(once=1.0, a=0.0, b=0.0, c=0.0)
    frame = pd.concat([noise, once], ignore_index=True)
    model = AxisModel("toy", dict.fromkeys("abc", "identity"), structural=(("once", 1, "bought_once"),)).fit(frame)
    assert model.agreement_of_halves(frame) < 0.6


def test_what_halves_cannot_be_fitted_on_is_not_known():
    frame = blobs(18)
    assert np.isnan(AxisModel().fit(frame).agreement_of_halves(frame))


def test_a_model_saved_before_there_was_a_usual_number_is_shown_and_cloned():
    state = AxisModel("purchase_value").__getstate__()
    del state["usual_k"]
    old = AxisModel.__new__(AxisModel)
    old.__setstate__(state)
    assert clone(old).usual_k == 4
    assert "purchase_value" in repr(old)
