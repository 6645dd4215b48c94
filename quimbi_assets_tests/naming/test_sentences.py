import re

import numpy as np
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets.naming.values import clock_hour, format_hour, format_number, format_percent, format_value

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?::\d\d)?")


def test_the_sentence_as_a_whole(axis, by_hand):
    description = by_hand(
        {"orders_per_month": [2.4, 0.4], "days_since_last_order": [9, 45]}, [310, 690], {"days_since_last_order": 60}
    )
    assert name_segments(axis, description)["interpretation"][0] == (
        "Orders a month since the first order: 2.4 (average customer: 1); days since the last order: 9 (average 34). "
        "31 % of customers (310)."
    )


def test_skewed_features_are_told_by_their_medians(axis, by_hand):
    description = by_hand({"avg_order_value": [30, 90]}, [50, 50], {"avg_order_value": 20})
    description["q50:avg_order_value"] = [25.0, 80.0]
    description["population_q50:avg_order_value"] = 52.5
    assert name_segments(axis, description, "GBP")["interpretation"][0].startswith(
        "Average value of an order: typically £25.00 (typical customer: £52.50)."
    )


def test_a_declared_state_opens_its_sentence(axis, by_hand):
    description = by_hand({"orders_per_month": [0.5, 4]}, [30, 70])
    description.loc[0, "structural"] = "one_time_buyers"
    named = name_segments(axis, description)
    assert named["segment_name"][0] == "one_time_buyers"
    assert named["interpretation"][0].startswith("Bought exactly once. Orders a month since the first order: 0.5 (")


def test_a_segment_without_anybody_says_so(axis, by_hand):
    description = by_hand({"orders_per_month": [1, 4]}, [0, 100])
    assert name_segments(axis, description)["interpretation"][0].endswith("Nobody at present.")


@pytest.mark.parametrize("name", AXES)
def test_every_number_stands_in_the_description(name, by_hand):
    axis = AXES[name]
    rng = np.random.default_rng(7)
    centres = {
        f.name: rng.uniform(-1 if f.low is None else f.low, 400 if f.high is None else f.high, 5).tolist()
        for f in axis.clustering_features
    }
    spread = {name: float(np.ptp(values)) / 3 for name, values in centres.items()}
    description = by_hand(centres, [13, 1322, 400, 77, 2], spread)
    for row, sentence in enumerate(name_segments(axis, description, "£")["interpretation"]):
        segment = description.iloc[row]
        allowed = NUMBER.findall(" ".join(_renderings(axis, segment)))
        told = sentence
        for feature in axis.clustering_features:
            told = told.replace(feature.meaning[1:], "").replace(re.sub(r"\s*\([^)]*\)", "", feature.meaning)[1:], "")
        numbers = NUMBER.findall(told)
        assert len(numbers) >= 4
        assert set(numbers) <= set(allowed), sentence


def _renderings(axis, segment):
    """What a sentence may say of a segment, from the description alone."""
    yield format_percent(segment["population_percentage"] / 100)
    yield format_number(segment["customer_count"])
    for feature in axis.clustering_features:
        for stat in ("centre", "population", "q50", "population_q50"):
            yield format_value(feature, segment[f"{stat}:{feature.name}"], "£")
    if "centre:hour_sin" in segment:
        for stat in ("centre", "population"):
            hour = clock_hour(segment[f"{stat}:hour_sin"], segment[f"{stat}:hour_cos"])
            if np.isfinite(hour):
                yield format_hour(hour)
