import itertools
import re

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.naming.brief import AxisBrief
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets.naming.validators import wrong_words

NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?::\d\d)?")
BASE = {"days_since_last_order": 30.0, "value_trend": 0.5, "discount_rate": 0.1, "avg_order_value": 10.0}


def names(axis, description):
    return name_segments(axis, description)["segment_name"].tolist()


def random_description(axis, by_hand, seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 7))
    centres, spread = {}, {}
    for feature in axis.clustering_features:
        low = -1.0 if feature.low is None else feature.low
        high = feature.high if feature.high is not None else 30.0
        centres[feature.name] = rng.uniform(low, high, k).tolist()
        spread[feature.name] = (high - low) / 4
    return by_hand(centres, rng.integers(1, 1000, k).tolist(), spread)


def test_words_of_few_and_many(axis, by_hand):
    description = by_hand({"orders_per_month": [1, 4], "discount_rate": [0.2, 0.2]}, [50, 50])
    assert names(axis, description) == ["rare_buyers", "frequent_buyers"]


def test_a_second_word_that_says_something_new(axis, by_hand):
    description = by_hand(
        {"orders_per_month": [1, 1, 4, 4], "days_since_last_order": [10, 190, 10, 190]},
        [25] * 4,
        {"days_since_last_order": 60},
    )
    assert names(axis, description) == [
        "rare_recent_buyers",
        "rare_lapsed_buyers",
        "frequent_recent_buyers",
        "frequent_lapsed_buyers",
    ]


def test_a_word_of_size_is_said_of_a_minority_whose_figures_bear_it_out(axis, by_hand):
    def called(amounts, counts):
        return names(axis, by_hand({"avg_order_value": amounts}, counts, {"avg_order_value": 10}))

    assert called([10, 50], [70, 30]) == ["middling_buyers", "big_order_buyers"]
    assert called([10, 50], [60, 40]) == ["middling_buyers", "bigger_order_buyers"]
    assert called([25, 33], [70, 30]) == ["middling_buyers", "bigger_order_buyers"]
    assert called([10, 50], [40, 60]) == ["smaller_order_buyers", "middling_buyers"]


def test_those_in_a_declared_state_do_not_make_others_a_minority(axis, by_hand):
    description = by_hand({"avg_order_value": [10, 50, 5]}, [40, 60, 900], {"avg_order_value": 10})
    description["structural"] = pd.Series([None, None, "one_time_buyers"], dtype=object)
    assert "big_order_buyers" not in names(axis, description)


def test_a_figure_is_said_whatever_others_do(axis, by_hand):
    description = by_hand({"discount_rate": [0.6, 0.95, 0.2]}, [30, 50, 20], {"discount_rate": 0.1})
    assert names(axis, description) == ["often_discounted_buyers", "always_discounted_buyers", "middling_buyers"]


@pytest.mark.parametrize(
    ("name", "figures", "word"),
    [
        ("customer_maturity", {"tenure_months": [8, 30]}, "new_"),
        ("purchase_frequency", {"orders_per_month": [1, 9], "avg_days_between_orders": [26, 4]}, "rare_"),
        ("price_sensitivity", {"full_price_value_share": [0.2, 0.05], "discount_rate": [0.7, 0.9]}, "full_price"),
        ("value_sophistication", {"luxury_item_rate": [0.24, 0.1], "avg_item_price": [2.5, 2]}, "top_shelf"),
        ("loyalty_trajectory", {"frequency_trend": [0.01, -0.2]}, "warming"),
        ("customer_maturity", {"tenure_months": [4, 12]}, "first_year"),
        ("repurchase_behavior", {"repeat_order_ratio": [0.6, 0.85]}, "often_rebuying"),
        ("price_sensitivity", {"discount_rate": [0.65, 0.9]}, "often_discount"),
    ],
)
def test_an_absolute_word_is_not_said_of_who_is_so_beside_others_only(name, figures, word, by_hand):
    spread = {feature: float(np.ptp(values)) / 4 for feature, values in figures.items()}
    assert word not in names(AXES[name], by_hand(figures, [20, 80], spread))[0]


def test_a_word_that_is_true_of_the_mean_is_true_of_most(by_hand):
    axis = AXES["problem_complexity_profile"]
    description = by_hand({"refund_rate": [0.08, 0.01]}, [20, 80], {"refund_rate": 0.02})
    assert names(axis, description)[0] == "refund_prone_customers"
    description["q50:refund_rate"] = [0.049, 0.0]
    assert names(axis, description)[0] == "at_times_refunded_customers"
    brief = AxisBrief(axis, description, name_segments(axis, description))
    assert any("not true of them" in one for one in wrong_words(brief, 0, "refund_prone_customers"))


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_a_word_that_ranks_is_said_on_its_side_of_the_average_only(axis):
    words = [word for feature in axis.clustering_features for word in feature.words]
    assert all(word.side == 1 for word in words if word.text.startswith("often_"))


def test_a_name_given_before_goes_where_its_word_is_on_the_other_side(by_hand):
    axis = AXES["repurchase_behavior"]
    description = by_hand({"repeat_order_ratio": [0.6, 0.85]}, [20, 80], {"repeat_order_ratio": 0.06})
    brief = AxisBrief(axis, description, name_segments(axis, description))
    assert wrong_words(brief, 0, "often_rebuying_shoppers")
    assert not wrong_words(brief, 0, "partly_rebuying_shoppers")


def test_a_word_has_one_meaning_on_all_axes():
    meanings = {}
    for axis in AXES.values():
        for feature in axis.clustering_features:
            for word in feature.words:
                meanings.setdefault(word.text, set()).add(feature.name)
    assert {word: names for word, names in meanings.items() if len(names) > 1} == {}


def test_more_alike_than_words_can_tell_gets_a_range(axis, by_hand):
    description = by_hand({"orders_per_month": [0.1, 10, 11, 12, 13, 14, 15]}, [1000] + [10] * 6)
    named = names(axis, description)
    assert len(set(named)) == 7
    assert named[1] == "frequent_buyers_9_9_to_10_orders_a_month"


def test_two_of_the_same_words_differ_by_how_many_are_said(by_hand):
    axis = AXES["purchase_value"]
    amounts = {"lifetime_value": [70, 230, 3000, 1500], "avg_order_value": [60, 110, 250, 700]}
    named = names(axis, by_hand(amounts, [10, 25, 40, 25], {"lifetime_value": 600, "avg_order_value": 150}))
    assert named[:2] == ["light_small_order_spenders", "light_spenders"]
    assert not any(sign.isdigit() for name in named for sign in name)


def test_a_narrow_range_is_said_where_more_than_half_are_in_it(by_hand):
    axis = AXES["loyalty_trajectory"]
    description = by_hand({"frequency_trend": [0.0, 0.3], "value_trend": [0.0, 0.0]}, [60, 40])
    description["q25:frequency_trend"], description["q75:frequency_trend"] = [-0.04, 0.2], [0.04, 0.4]
    assert names(axis, description)[0] == "steady_customers"
    description["q25:frequency_trend"], description["q75:frequency_trend"] = [-0.12, 0.2], [0.12, 0.4]
    assert names(axis, description)[0] == "mixed_trend_customers"
    brief = AxisBrief(axis, description, name_segments(axis, description))
    assert any("'steady' is not true of them" in one for one in wrong_words(brief, 0, "steady_customers"))


def test_words_that_contradict_each_other_stand_in_no_name(by_hand):
    axis = AXES["category_exploration"]
    figures = {"unique_categories": [14, 90], "exploration_breadth": [0.93, 0.7]}
    description = by_hand(figures, [10, 90], {"unique_categories": 30, "exploration_breadth": 0.1})
    (few, _) = names(axis, description)
    assert "exploring" not in few or "narrow_range" not in few
    brief = AxisBrief(axis, description, name_segments(axis, description))
    assert "'exploring' contradicts 'narrow range'" in wrong_words(brief, 0, "narrow_range_exploring_shoppers")


def test_newer_is_said_of_the_first_year_only(by_hand):
    axis = AXES["customer_maturity"]
    ages = by_hand({"tenure_months": [21, 33], "acceleration": [-0.95, -0.95]}, [40, 60], {"tenure_months": 5})
    assert names(axis, ages)[0].startswith("second_year")
    brief = AxisBrief(axis, ages, name_segments(axis, ages))
    assert any("'newer' is not true of them" in one for one in wrong_words(brief, 0, "newer_quiet_customers"))


def test_silent_is_said_where_nearly_all_are(by_hand):
    axis = AXES["purchase_frequency"]
    figures = {"avg_days_between_orders": [30, 20], "days_since_last_order": [96, 9]}
    description = by_hand(figures, [30, 70], {"avg_days_between_orders": 10, "days_since_last_order": 30})
    assert names(axis, description)[0] == "silent_buyers"
    description["q10:days_since_last_order"] = [40.0, 2.0]  # some of them are within their rhythm
    assert names(axis, description)[0] == "less_recent_buyers"


def test_identical_segments_still_get_different_names(axis, by_hand):
    named = names(axis, by_hand({"orders_per_month": [2, 2, 2], "discount_rate": [0.2] * 3}, [10, 10, 10]))
    assert len(set(named)) == 3
    assert all(NAME.fullmatch(name) and "buyers" in name for name in named)


def test_a_trend_must_have_the_sign_of_its_word(axis, by_hand):
    description = by_hand({"value_trend": [-0.4, -0.1]}, [50, 50], {"value_trend": 0.1})
    assert names(axis, description) == ["shrinking_buyers", "middling_buyers"]


def test_nothing_is_said_where_mean_and_median_disagree(axis, by_hand):
    description = by_hand({"orders_per_month": [1, 4], "avg_order_value": [10, 50]}, [50, 50], {"avg_order_value": 100})
    description["q50:orders_per_month"] = description["q50:orders_per_month"].to_numpy()[::-1]
    assert not [name for name in names(axis, description) if "rare" in name or "frequent" in name]


def test_a_structural_segment_keeps_its_name_against_others(axis, by_hand):
    description = by_hand({"orders_per_month": [0.5, 1, 4]}, [30, 35, 35])
    description["structural"] = pd.Series(["rare_buyers", None, None], dtype=object)
    named = names(axis, description)
    assert named[0] == "rare_buyers"
    assert len(set(named)) == 3


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("seed", range(12))
def test_names_of_any_centres_are_valid_unique_true_and_repeatable(name, seed, by_hand):
    axis = AXES[name]
    description = random_description(axis, by_hand, seed)
    named = names(axis, description)
    assert all(NAME.fullmatch(one) for one in named), named
    assert len(set(named)) == len(named)
    assert names(axis, description) == named
    for row, one in enumerate(named):
        words = one.split("_")
        assert not [w for w, v in itertools.pairwise(words) if w == v and not w.isdigit()], one
        _check_truth(axis, description, row, one)


def _check_truth(axis, description, row, name):
    """No word on the wrong side of the population, and none that the validators of other names would refuse."""
    brief = AxisBrief(axis, description, pd.DataFrame({"segment_name": [name] * len(description)}))
    assert wrong_words(brief, row, name) == []
    said = [word for feature in axis.clustering_features for word in feature.words]
    for feature in axis.clustering_features:
        above = description[f"centre:{feature.name}"].iloc[row] > description[f"population:{feature.name}"].iloc[row]
        for word in feature.words:
            longer = any(word != other and f"_{word.text}_" in f"_{other.text}_" for other in said)
            if word.side and not longer and f"_{word.text}_" in f"_{name}_":
                assert above == (word.side > 0), (name, feature.name)


def test_the_order_of_segments_does_not_matter(by_hand):
    axis = AXES["purchase_frequency"]
    for seed in range(20):
        description = random_description(axis, by_hand, seed)
        named = name_segments(axis, description).set_index("segment_id")["segment_name"]
        shuffled = description.sample(frac=1, random_state=seed).reset_index(drop=True)
        again = name_segments(axis, shuffled).set_index("segment_id")["segment_name"]
        pd.testing.assert_series_equal(again.reindex(named.index), named)


def test_names_outlive_small_moves_of_the_centres(axis, by_hand):
    centres = {"orders_per_month": [1, 1, 4, 6], "days_since_last_order": [10, 190, 20, 60]}
    spread = {"days_since_last_order": 50}
    before = names(axis, by_hand(centres, [25] * 4, spread))
    assert before[0] == "rare_recent_buyers"
    rng = np.random.default_rng(0)
    for _ in range(50):
        moved = {name: (np.array(values) * rng.uniform(0.97, 1.03, 4)).tolist() for name, values in centres.items()}
        assert names(axis, by_hand(moved, [25] * 4, spread)) == before


def test_the_part_of_the_day_is_read_off_the_clock(by_hand):
    axis = AXES["purchase_cadence"]
    # 6 hours after noon and 3 before it: angles 270 and 135 degrees.
    description = by_hand(
        {"hour_sin": [-0.95, 0.65], "hour_cos": [0.0, -0.65], "weekend_ratio": [0.3, 0.3]},
        [20, 80],
        {"hour_sin": 0.5, "hour_cos": 0.5},
    )
    named = name_segments(axis, description)
    assert named["segment_name"][0] == "evening_shoppers"
    assert named["interpretation"][0].startswith("They order at about 18:00")


def test_a_trend_of_one_percent_a_month_is_steady(by_hand):
    axis = AXES["loyalty_trajectory"]
    description = by_hand({"frequency_trend": [-0.15, 0.014, 0.12]}, [30, 60, 10], {"frequency_trend": 0.05})
    assert names(axis, description) == ["fading_customers", "steady_customers", "warming_customers"]


def test_an_amount_within_a_tenth_of_everybody_s_is_neither_low_nor_high(by_hand):
    axis = AXES["value_sophistication"]
    description = by_hand(
        {"avg_item_price": [10.57, 12.0], "spend_consistency": [0.65, 0.65]}, [50, 50], {"avg_item_price": 2}
    )
    near = description.assign(**{"population_q50:avg_item_price": 11.09})
    assert "lower" not in names(axis, near)[0]
    far = description.assign(**{"population_q50:avg_item_price": 11.9})
    assert names(axis, far)[0] == "lower_price_buyers"
