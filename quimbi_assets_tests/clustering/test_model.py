import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.errors import InactiveAxisError

RETURNS = {"refund_rate": "logit_shrunk", "return_order_ratio": "logit_shrunk"}


@parametrize_with_checks([AxisModel()])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def blobs():
    """Three groups of 200 customers, far apart, in a frame of two features."""
    points, labels = make_blobs([200, 200, 200], centers=[[0, 0], [10, 0], [0, 10]], random_state=1)
    index = pd.Index([f"c{i}" for i in range(600)], name="customer_id")
    return pd.DataFrame(points, columns=["a", "b"], index=index), labels


@pytest.fixture(scope="module")
def fitted(blobs):
    return AxisModel(axis="toy").fit(blobs[0])


def skewed(n, seed=0):
    """Orders, values and gaps of a shop: lognormal, many one-order customers, gaps undefined for them."""
    rng = np.random.default_rng(seed)
    n_orders = rng.geometric(0.5, n)
    value = rng.lognormal(3, 1.5, n) * n_orders
    gap = np.where(n_orders > 1, rng.lognormal(3, 1, n), np.nan)
    index = pd.Index([f"c{i}" for i in range(n)], name="customer_id")
    return pd.DataFrame({"value": value, "gap": gap, "n_orders": n_orders}, index=index)


LOGS = {"value": "log1p", "gap": "log1p"}


def test_planted_blobs_are_found(blobs, fitted):
    frame, labels = blobs
    assert fitted.k_ == 3
    assert adjusted_rand_score(labels, fitted.predict(frame)) == 1.0
    assert fitted.segment_ids_ == ["toy_1", "toy_2", "toy_3"]
    assert fitted.selection_["chosen"].sum() == 1
    assert fitted.selection_["reason"].str.len().min() > 0


def test_segments_are_ordered_by_the_first_feature(fitted):
    assert (np.diff(fitted.cluster_centers_[:, 0]) > 0).all()


def test_fit_does_not_depend_on_the_order_of_rows_or_columns(blobs, fitted):
    shuffled = blobs[0].sample(frac=1, random_state=3)
    again = AxisModel(axis="toy").fit(shuffled)
    assert again.cluster_centers_.tobytes() == fitted.cluster_centers_.tobytes()
    declared = {"a": "identity", "b": "identity"}
    swapped = AxisModel(axis="toy", transforms=declared).fit(shuffled[["b", "a"]])
    assert swapped.cluster_centers_.tobytes() == fitted.cluster_centers_.tobytes()


def test_one_customer_alone_scores_as_in_the_crowd(blobs, fitted):
    frame, _ = blobs
    crowd = fitted.predict_proba(frame)
    for i in (0, 250, 599):
        np.testing.assert_array_equal(fitted.predict_proba(frame.iloc[[i]])[0], crowd[i])


def test_scoring_reads_columns_by_name_and_ignores_others(blobs, fitted):
    frame, _ = blobs
    mixed = frame[["b", "a"]].assign(note="x", n_orders=3)
    np.testing.assert_array_equal(fitted.transform(mixed), fitted.transform(frame))
    np.testing.assert_array_equal(fitted.distances(frame.to_numpy()), fitted.transform(frame))


def test_a_missing_feature_is_named(blobs, fitted):
    with pytest.raises(ValueError, match="lacks b"):
        fitted.transform(blobs[0][["a"]])


def test_null_scores_as_the_population_mean(fitted):
    null = fitted.distances(np.array([[np.nan, np.nan]]))
    np.testing.assert_allclose(null[0], np.linalg.norm(fitted.cluster_centers_, axis=1))
    objects = pd.DataFrame({"a": pd.array([None], dtype="Float64"), "b": [None]})
    np.testing.assert_array_equal(fitted.transform(objects), null)


@pytest.mark.parametrize("extreme", [1e300, -1e300, np.inf, -np.inf, 5e-324, np.nan, 1.7e308])
def test_memberships_of_extremes_sum_to_one(fitted, extreme):
    values = pd.DataFrame({"a": [extreme, extreme, 0.0], "b": [extreme, -extreme, extreme]})
    np.testing.assert_allclose(fitted.predict_proba(values).sum(axis=1), 1.0, atol=1e-9)


@pytest.mark.parametrize("extreme", [1e300, -1e300, np.inf, -np.inf])
def test_an_extreme_customer_does_not_spoil_the_fit(blobs, extreme):
    frame = blobs[0].copy()
    frame.iloc[0] = extreme
    model = AxisModel().fit(frame)
    assert model.k_ == 3
    assert np.isfinite(model.cluster_centers_).all()
    np.testing.assert_allclose(model.predict_proba(frame).sum(axis=1), 1.0, atol=1e-9)


def test_low_evidence_never_shapes_the_fit():
    frame = skewed(1500)
    known = frame[frame["n_orders"] >= 2]
    odd = frame[frame["n_orders"] < 2].assign(value=1e9)
    crowd = AxisModel(transforms=LOGS, min_orders=2).fit(pd.concat([odd, known]))
    alone = AxisModel(transforms=LOGS, min_orders=2).fit(known)
    assert crowd.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()
    assert crowd.winsor_high_.tolist() == alone.winsor_high_.tolist()
    assert crowd.n_low_evidence_ == len(odd)
    assert crowd.n_fit_ == len(known)
    assert list(np.unique(crowd.evidence(odd))) == ["low"]
    assert list(np.unique(crowd.evidence(known))) == ["ok"]


def test_all_null_customers_are_low_evidence(blobs):
    frame = blobs[0].copy()
    frame.iloc[:50] = np.nan
    model = AxisModel().fit(frame)
    assert model.n_low_evidence_ == 50
    assert (model.evidence(frame) == "low").tolist() == [True] * 50 + [False] * 550


def test_structural_segment_outside_the_features_holds_exactly_its_customers():
    frame = skewed(2000)
    model = AxisModel(axis="f", transforms=LOGS, structural=(("n_orders", 1, "bought_once"),), min_orders=2).fit(frame)
    once = (frame["n_orders"] == 1).to_numpy()
    assert model.structural_[0] == "bought_once"
    assert model.structural_[1:] == [None] * (model.k_ - 1)
    assert model.features_ == ["value", "gap", "n_orders"]
    np.testing.assert_array_equal(model.predict(frame) == 0, once)
    assert (model.evidence(frame[once]) == "low").all()
    assert model.n_fit_ == 2000
    assert model.coverage_.loc["f_1", "gap"] == 0.0
    assert not model.centers_shop_.isna().any().any()
    assert model.quantiles_.loc[("f_1", 0.5), "n_orders"] == 1.0
    np.testing.assert_allclose(model.predict_proba(frame).sum(axis=1), 1.0, atol=1e-9)


def returning(share, n=3000):
    """A share of customers never returned anything, the others differ widely."""
    rng = np.random.default_rng(5)
    rate = np.where(rng.random(n) < share, 0.0, rng.beta(1, 4, n) + 0.001)
    orders = np.where(rate > 0, np.clip(rate * rng.uniform(1, 3, n), 0, 1), 0.0)
    return pd.DataFrame({"refund_rate": rate, "return_order_ratio": orders})


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_mass_of_zeros_does_not_cost_the_rest_its_resolution(share):
    frame = returning(share)
    model = AxisModel(transforms=RETURNS, structural=(("refund_rate", 0, "never"),)).fit(frame)
    rest = frame[frame["refund_rate"] > 0]
    scaled = model.distances(rest[model.features_].to_numpy())
    np.testing.assert_array_equal(model.predict(frame) == 0, frame["refund_rate"] == 0)
    assert model.structural_[0] == "never"
    np.testing.assert_allclose(model.mean_[0], AxisModel(transforms=RETURNS).fit(rest).mean_[0])
    assert scaled[:, 1:].std() > 0.5
    assert len(np.unique(model.predict(rest))) >= 2


@pytest.mark.parametrize("share", [0.0, 0.02])
def test_a_state_of_too_few_is_no_segment(share):
    model = AxisModel(transforms=RETURNS, structural=(("refund_rate", 0, "never"),)).fit(returning(share))
    assert model.structural_ == [None] * model.k_


@pytest.mark.parametrize("share", [0.985, 1.0])
def test_a_state_of_nearly_all_leaves_nothing_to_segment(share):
    frame = returning(share).assign(other=np.random.default_rng(0).normal(size=3000))
    transforms = {**RETURNS, "other": "identity"}
    with pytest.raises(InactiveAxisError, match=r"% of customers are in one state \(never\)"):
        AxisModel(transforms=transforms, structural=(("refund_rate", 0, "never"),)).fit(frame)


def test_columns_need_not_be_named():
    points, labels = make_blobs([100, 100], centers=[[0, 0], [9, 9]], random_state=0)
    model = AxisModel().fit(pd.DataFrame(points))
    assert adjusted_rand_score(labels, model.predict(pd.DataFrame(points))) == 1.0
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(model)).centers_shop_, model.centers_shop_)


def test_absent_null_and_constant_features_are_dropped_with_a_reason(blobs):
    frame = blobs[0].assign(empty=np.nan, same=7.0, almost=[1.0, *[0.0] * 599])
    names = ["same", "a", "empty", "gone", "b", "almost"]
    model = AxisModel(transforms=dict.fromkeys(names, "identity")).fit(frame)
    assert model.features_ == ["a", "b"]
    assert set(model.dropped_) == {"same", "empty", "gone", "almost"}
    assert model.dropped_["gone"] == "not recorded"
    assert model.dropped_["empty"] == "undefined for everyone"
    assert "same" in model.dropped_["almost"]


def test_no_feature_counts_twice_not_even_as_its_complement():
    rng = np.random.default_rng(0)
    pos = np.round(np.where(rng.random(900) < 0.5, rng.beta(8, 2, 900), rng.beta(2, 8, 900)), 2)
    frame = pd.DataFrame({"pos": pos, "web": 1 - pos, "again": pos, "other": rng.normal(0, 0.3, 900) + (pos > 0.5)})
    transforms = {**dict.fromkeys(["pos", "web", "again"], "logit_shrunk"), "other": "identity"}
    model = AxisModel(transforms=transforms).fit(frame)
    assert model.features_ == ["pos", "other"]
    assert model.dropped_["web"] == "is the complement of pos (correlation -1.000)"
    assert model.dropped_["again"] == "says the same as pos (correlation 1.000)"


def test_declarations_of_one_name_are_one_state_and_the_first_state_counts():
    frame = skewed(3000)
    frame["gap"] = frame["gap"].where(frame["n_orders"] > 2)
    frame["value"] = frame["value"].where(np.arange(3000) % 4 > 0, 0.0)
    structural = (("value", 0, "free"), ("n_orders", 1, "seldom"), ("n_orders", 2, "seldom"))
    model = AxisModel(axis="f", transforms=LOGS, structural=structural, min_orders=3).fit(frame)
    assert model.structural_[:2] == ["free", "seldom"]
    free = (frame["value"] == 0).to_numpy()
    seldom = ~free & (frame["n_orders"] < 3).to_numpy()
    np.testing.assert_array_equal(model.predict(frame) == 0, free)
    np.testing.assert_array_equal(model.predict(frame) == 1, seldom)


def test_customers_of_one_order_are_set_apart_only_if_little_is_known_of_them():
    rng = np.random.default_rng(0)
    n_orders = rng.choice([1, 2, 3, 4], 2000)
    frame = pd.DataFrame({"a": rng.normal(0, 1, 2000), "b": rng.normal(0, 1, 2000), "n_orders": n_orders})
    frame["a"] += 6 * (np.arange(2000) % 2)
    once = (("n_orders", 1, "once"),)
    assert AxisModel(structural=once, min_orders=2).fit(frame).structural_[0] is None
    frame["b"] = frame["b"].where(n_orders > 1)
    assert AxisModel(structural=once, min_orders=2).fit(frame).structural_[0] == "once"


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": np.ones(200), "b": np.ones(200)}),
        pd.DataFrame({"a": np.arange(200.0), "b": np.ones(200)}),
        pd.DataFrame({"a": np.arange(200.0), "b": np.nan}),
        pd.DataFrame({"a": np.full(200, np.nan), "b": np.nan}),
        pd.DataFrame({"other": np.arange(200.0)}),
        pd.DataFrame({"a": np.arange(9.0), "b": np.arange(9.0) ** 2}),
    ],
    ids=["identical", "one varies", "one defined", "all null", "absent", "few customers"],
)
def test_nothing_to_tell_apart_is_inactive(frame):
    with pytest.raises(InactiveAxisError, match=r"feature|customers"):
        AxisModel(transforms={"a": "identity", "b": "identity"}).fit(frame)


def test_too_little_evidence_is_inactive_and_says_so():
    frame = skewed(300).assign(n_orders=1)
    with pytest.raises(InactiveAxisError, match="only 0 of 300 customers"):
        AxisModel(transforms=LOGS, min_orders=2).fit(frame)


def test_fewer_distinct_customers_than_segments():
    two = pd.DataFrame({"a": [0.0, 1.0] * 100, "b": [0.0, 5.0] * 100})
    model = AxisModel().fit(two)
    assert model.k_ == 2
    assert model.selection_["k"].tolist() == [2]
    with pytest.raises(InactiveAxisError, match="2 different patterns"):
        AxisModel(min_k=3).fit(two)


def test_duplicated_customers_and_mostly_zeros():
    rng = np.random.default_rng(0)
    zeros = pd.DataFrame({"a": np.where(rng.random(500) < 0.9, 0, rng.integers(1, 4, 500)), "b": 0.0})
    zeros["b"] = (rng.random(500) < 0.1) * 1.0
    model = AxisModel().fit(zeros)
    np.testing.assert_allclose(model.predict_proba(zeros).sum(axis=1), 1.0, atol=1e-9)
    assert np.isfinite(model.cluster_centers_).all()


def test_heavy_tails_do_not_make_one_giant_segment():
    frame = skewed(3000)[["value"]].assign(other=np.random.default_rng(1).lognormal(0, 2, 3000))
    model = AxisModel(transforms={"value": "log1p", "other": "log1p"}).fit(frame)
    assert model.shares_.max() <= 0.65


def test_a_sample_bounds_the_fit(blobs):
    model = AxisModel(max_sample=300).fit(blobs[0])
    assert model.n_fit_ == 300
    assert adjusted_rand_score(blobs[1], model.predict(blobs[0])) == 1.0


def test_segment_figures_are_those_of_the_customers(blobs, fitted):
    frame, _ = blobs
    means = frame.groupby(fitted.predict(frame)).mean()
    np.testing.assert_allclose(fitted.centers_shop_, means)
    np.testing.assert_allclose(fitted.population_.loc["a", "median"], frame["a"].median())
    np.testing.assert_allclose(fitted.shares_, [1 / 3] * 3)
    assert fitted.quantiles_.loc[("toy_1", 0.9)].notna().all()


def test_scaler_params_reproduce_distances():
    frame = skewed(1000)
    model = AxisModel(transforms=LOGS, structural=(("n_orders", 1, "once"),), min_orders=2).fit(frame)
    params = json.loads(json.dumps(model.scaler_params()))
    scaled = []
    for name, p in params.items():
        raw = frame[name]
        values = np.log1p(raw) if p["transform"] == "log1p" else raw
        z = ((values.clip(p["winsor_low"], p["winsor_high"]) - p["mean"]) / p["scale"]).fillna(0.0)
        for state in p["states"]:
            z = z.mask(raw == state["equals"], state["score"])
        scaled.append(z)
    points = np.column_stack(scaled)
    by_hand = np.linalg.norm(points[:, None, :] - model.cluster_centers_[None], axis=2)
    np.testing.assert_allclose(by_hand, model.transform(frame), atol=1e-12)


def test_the_model_keeps_no_row_of_a_customer(fitted):
    assert len(pickle.dumps(fitted)) < 20_000


@pytest.mark.parametrize("bad", [{"min_k": 1}, {"min_k": 5, "max_k": 4}, {"transforms": {"a": "sqrt"}}])
def test_bad_parameters_are_refused(blobs, bad):
    with pytest.raises(ValueError, match=r"min_k|unknown transform"):
        AxisModel(**bad).fit(blobs[0])
