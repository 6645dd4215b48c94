import re

import numpy as np
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets.naming.sentences import written
from quimbi_assets.naming.values import clock_hour, format_hour, format_number, format_percent

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?::\d\d)?")
SENTENCE = re.compile(r"(They|Nobody) [^.]*?(\d\.\d[^.]*?)*\.")


def sentences(axis, description, currency=""):
    return name_segments(axis, description, currency)["interpretation"].tolist()


def test_what_the_name_rests_on_is_told_beside_the_typical_customer(by_hand):
    centres = {"lifetime_value": [3490, 207, 3490], "avg_order_value": [237, 34, 34]}
    description = by_hand(centres, [250, 500, 250], {"lifetime_value": 1000, "avg_order_value": 100})
    description["population_q50:lifetime_value"] = 210.0
    description["population_q50:avg_order_value"] = 35.0
    assert sentences(AXES["purchase_value"], description, "USD")[0] == (
        "They spend $237 an order (typical customer $35.00) and have spent $3,490 in all ($210). "
        "They are 25 % of customers (250)."
    )


def test_an_index_is_told_in_words_or_per_cent(by_hand):
    centres = {"frequency_trend": [-0.15, 0.014, 0.014], "overdue_ratio": [8, 0.9, 8]}
    description = by_hand(centres, [30, 50, 20], {"frequency_trend": 0.05, "overdue_ratio": 4})
    falling, steady, _ = sentences(AXES["loyalty_trajectory"], description)
    assert falling.startswith("They order 15 % less from month to month")
    assert steady.startswith("They come about as often as before.")


def test_the_gap_is_told_for_the_rate(by_hand):
    centres = {"orders_per_month": [4, 0.5], "avg_days_between_orders": [7.5, 61], "days_since_last_order": [40, 41]}
    assert sentences(AXES["purchase_frequency"], by_hand(centres, [50, 50]))[0].startswith(
        "They order every 8 days (typical customer 34)"
    )


def test_of_a_declared_state_there_is_no_more_to_say(by_hand):
    description = by_hand({"orders_per_month": [0.5, 4], "days_since_last_order": [400, 20]}, [30, 70])
    description.loc[0, "structural"] = "one_time_buyers"
    assert sentences(AXES["purchase_frequency"], description)[0] == (
        "They bought exactly once. They are 30 % of customers (30)."
    )


def test_a_segment_without_anybody_says_so(axis, by_hand):
    assert sentences(axis, by_hand({"orders_per_month": [1, 4]}, [0, 100]))[0].endswith("Nobody is so at present.")


@pytest.mark.parametrize("name", AXES)
def test_every_sentence_has_a_subject_and_every_number_stands_in_the_description(name, by_hand):
    axis = AXES[name]
    rng = np.random.default_rng(7)
    centres = {
        f.name: rng.uniform(-1 if f.low is None else f.low, 400 if f.high is None else f.high, 5).tolist()
        for f in axis.clustering_features
    }
    spread = {name: float(np.ptp(values)) / 3 for name, values in centres.items()}
    description = by_hand(centres, [13, 1322, 400, 77, 2], spread)
    for row, text in enumerate(sentences(axis, description, "£")):
        assert SENTENCE.sub("", text).strip() == "", text
        allowed = NUMBER.findall(" ".join(_renderings(axis, description.iloc[row])))
        told = text.replace("the last 90 days", "")
        assert set(NUMBER.findall(told)) <= set(allowed), text


def _renderings(axis, segment):
    """What a sentence may say of a segment, from the description alone."""
    yield format_percent(segment["population_percentage"] / 100)
    yield format_number(segment["customer_count"])
    for feature in axis.clustering_features:
        for stat in ("centre", "population", "q50", "population_q50"):
            yield written(feature, segment[f"{stat}:{feature.name}"], "£")
    if "centre:hour_sin" in segment:
        hour = clock_hour(segment["centre:hour_sin"], segment["centre:hour_cos"])
        if np.isfinite(hour):
            yield format_hour(hour)


def test_no_bare_index_can_be_written():
    for axis in AXES.values():
        for feature in axis.clustering_features:
            assert feature.unit != "index" or not feature.tells or feature.figure != "value", feature.name
