from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from quimbi_assets.clustering.fitting import ChampionSetup, search_subsets
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets_tests.clustering.test_selection import candidate


def sample(silhouettes, features=("a", "b", "c"), fixed=()):
    """A sample whose candidate on some features has the silhouette given for them, 0.1 if none is."""

    def measure(names):
        return [replace(candidate(2, silhouettes.get("".join(names), 0.1)), features=names)]

    return SimpleNamespace(features=features, fixed=frozenset(fixed), measure=measure)


def used(*samples, setup=None):
    (chosen,) = [c for c in search_subsets(samples, setup) if c.chosen]
    return "".join(chosen.features)


def test_all_features_are_used_where_they_divide():
    assert used(sample({"abc": 0.3, "ab": 0.9})) == "abc"


def test_the_feature_without_which_customers_divide_best_is_left_out():
    assert used(sample({"ab": 0.3, "bc": 0.5})) == "bc"


def test_of_nearly_equals_the_later_declared_is_left_out():
    assert used(sample({"ab": 0.49, "bc": 0.5})) == "ab"


def test_a_feature_that_tells_a_state_stays():
    assert used(sample({"ab": 0.3, "bc": 0.5}, fixed=("a",))) == "ab"


def test_a_second_feature_is_left_out_if_need_be():
    assert used(sample({"ab": 0.4, "acd": 0.2}, features=("a", "b", "c", "d"))) != "ab"
    assert used(sample({"ac": 0.4, "acd": 0.2}, features=("a", "b", "c", "d"))) == "ac"


def test_another_sample_with_all_features_comes_before_fewer_features():
    assert used(sample({"ab": 0.9}), sample({"abc": 0.3})) == "abc"


def test_the_champion_s_features_come_first_while_they_divide():
    all_divide, narrow_only = sample({"abc": 0.5, "ab": 0.3, "bc": 0.9}), sample({"ab": 0.3, "bc": 0.5})
    assert used(all_divide, setup=ChampionSetup(0, ("a", "b"), 2)) == "ab"
    assert used(narrow_only, setup=ChampionSetup(0, ("a", "b"), 2)) == "ab"
    assert used(narrow_only, setup=ChampionSetup(0, ("a", "c"), 2)) == "bc"


def test_the_champion_s_states_come_before_one_preferred_otherwise():
    first, second = sample({"abc": 0.9}), sample({"abc": 0.3})
    (chosen,) = [c for c in search_subsets([first, second], ChampionSetup(1, second.features, 2)) if c.chosen]
    assert chosen.silhouette == 0.3


def test_nothing_is_measured_twice_for_the_champion():
    measured = []
    inner = sample({})

    def measure(names):
        measured.append(names)
        return inner.measure(names)

    whole = SimpleNamespace(features=inner.features, fixed=inner.fixed, measure=measure)
    candidates = search_subsets([whole], ChampionSetup(0, ("a", "b", "c"), 2))
    assert sorted(measured) == [("a", "b"), ("a", "b", "c"), ("a", "c"), ("b", "c")]
    assert len(candidates) == len(measured)


def test_nothing_divides_keeps_the_rest_together():
    together = replace(candidate(2, 0.5, clusters=1), features=("a", "b"))
    divided = replace(candidate(3, 0.1), features=("a", "b"))
    first, second = search_subsets(
        [SimpleNamespace(features=("a", "b"), fixed=frozenset(), measure=lambda names: [together, divided])]
    )
    assert first.chosen
    assert first.reason.startswith("chosen: nothing divides")
    assert second.reason.startswith("not admissible")


def test_a_refit_keeps_to_the_champion_s_features_until_another_is_recorded():
    """Four features of noise beside two that tell: one too many for 600 customers, just bearable for half of them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(0, 1, (600, 5)), columns=list("abcde"))
    frame["a"] += np.tile([0.0, 7.0, 14.0], 200)
    frame["b"] += np.tile([0.0, 7.0, 0.0], 200)
    frame["f"] = rng.normal(0, 1, 600)
    champion = AxisModel().fit(frame)
    (noise,) = set(frame) - set(champion.features_)
    fewer = frame.iloc[:300]
    assert AxisModel().fit(fewer).features_ != champion.features_
    refit = AxisModel().fit(fewer, champion=champion)
    assert (refit.features_, refit.k_) == (champion.features_, champion.k_)
    assert set(refit.selection_["features"]) == {", ".join(champion.features_)}
    assert refit.dropped_ == {noise: "customers divide better without it"}
    looked_again = AxisModel().fit(fewer.assign(g=fewer["a"] + rng.normal(0, 1, len(fewer))), champion=champion)
    assert any(features.endswith("g") for features in looked_again.selection_["features"])


def test_a_feature_of_noise_is_left_out_of_the_model_with_a_reason():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(0, 1, (900, 5)), columns=list("abcde"))
    frame["a"] += np.repeat([0.0, 4.0, 8.0], 300)
    model = AxisModel().fit(frame)
    assert "a" in model.features_
    assert len(model.features_) < 5
    assert set(model.dropped_) == set("abcde") - set(model.features_)
    assert set(model.dropped_.values()) == {"customers divide better without it"}
    assert model.cluster_centers_.shape == (model.k_, len(model.features_))
    assert model.silhouette_ >= 0.25
    assert model.selection_["features"].nunique() > 1
