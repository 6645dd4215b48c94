"""One action for every group and segment, out of a file that people may have broken."""

from types import SimpleNamespace

import numpy as np
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.errors import BadInputError
from quimbi_assets.marketing import GROUPINGS
from quimbi_assets.marketing.catalogue import Catalogue


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_every_group_has_an_action(grouping):
    catalogue = Catalogue.read()
    assert all(catalogue.of_group(grouping, group) for group in GROUPINGS[grouping])


def test_a_segment_gets_the_action_of_what_stands_out_most():
    centres = np.array([[2.0, 0.1, 0.0], [-1.0, 2.5, 0.0], [0.0, 0.0, 0.0], [np.nan] * 3])
    features = ["orders_per_month", "days_since_last_order", "purchase_consistency"]
    states = [None, None, None, "one_time_buyers"]
    model = SimpleNamespace(axis="purchase_frequency", features_=features, cluster_centers_=centres, structural_=states)
    actions = Catalogue.read().of_segments(model, np.array([0.2, 0.2, 0.6, 0.0]))
    assert [action and action.id for action in actions] == [
        "subscribe",
        "win_back_rhythm",
        "as_their_lifecycle",
        "second_order",
    ]


@pytest.mark.parametrize(
    ("axis", "name", "action"),
    [
        ("price_sensitivity", "often_discount_buyers", "test_the_discount"),
        ("repurchase_behavior", "often_rebuying_shoppers", "mixed_offer"),
        ("customer_maturity", "newer_soon_stopped_customers", "revive_old_friends"),
        ("communication_preference", "web_customers", "web_first"),
        ("purchase_value", "mid_range_spenders", "usual_basket"),
        ("purchase_cadence", "evening_shoppers", "their_hour"),
        ("purchase_value", "our_old_friends", "find_the_leak"),
    ],
)
def test_an_action_follows_the_words_of_the_name_and_what_stands_out_where_it_has_none(axis, name, action):
    features = [feature.name for feature in AXES[axis].clustering_features]
    model = SimpleNamespace(
        axis=axis, features_=features, cluster_centers_=np.array([[-2.0] * len(features)]), structural_=[None]
    )
    assert Catalogue.read().of_segments(model, np.array([0.0]), [name])[0].id == action


@pytest.mark.parametrize("axis", AXES)
def test_no_segment_of_any_axis_is_without_action(axis):
    states = [None, *(state.name for state in AXES[axis].structural)]
    model = SimpleNamespace(axis=axis, features_=["x"], cluster_centers_=np.zeros((len(states), 1)), structural_=states)
    assert all(Catalogue.read().of_segments(model, np.full(len(states), 1 / len(states))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actions: [", "no list of actions"),
        ("- a", "no list of actions"),
        ("actions: [{id: a, of: lifecycle, group: new, do: x, colour: red}]", "colour: Extra inputs"),
        ("actions: [{id: a, of: lifecycle, group: gone, do: x}]", "lifecycle has no group gone"),
        ("actions: [{id: a, of: purchase_value, words: [vip], do: x}]", "no segment of purchase_value is called vip"),
        ("actions: [{id: a, of: moods, group: new, do: x}]", "nor an axis"),
        ("actions: [{id: a, of: purchase_value, feature: colour, side: high, do: x}]", "lifetime_value"),
    ],
)
def test_a_broken_file_is_refused_in_words(tmp_path, text, message):
    path = tmp_path / "catalogue.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=message) as refused:
        Catalogue.read(path)
    assert str(path) in str(refused.value)
