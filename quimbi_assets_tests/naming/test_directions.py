import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.naming.brief import AxisBrief
from quimbi_assets.naming.directions import wrong_directions
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets_tests.descriptions import brief_by_hand, describe_by_hand

FREQUENT, RARE, BETWEEN = 0, 1, 2


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (FREQUENT, "frequent_buyers"),
        (FREQUENT, "most_frequent_recent_buyers"),
        (FREQUENT, "clockwork_regulars"),
        (RARE, "rarest_buyers"),
        (RARE, "lapsed_occasional_buyers"),
        (RARE, "least_frequent_buyers"),
        (BETWEEN, "patient_folk"),
        (BETWEEN, "less_frequent_buyers"),
    ],
)
def test_names_that_are_so(row, name):
    assert wrong_directions(brief_by_hand(), row, name, is_name=True) == []


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (RARE, "frequent_buyers"),
        (RARE, "recent_buyers"),
        (RARE, "steady_buyers"),
        (FREQUENT, "rarely_seen_buyers"),
        (FREQUENT, "less_frequent_buyers"),
        (BETWEEN, "most_frequent_buyers"),
        (BETWEEN, "rarest_buyers"),
        (BETWEEN, "frequent_buyers"),  # neither last nor above the average
    ],
)
def test_names_that_are_not_so(row, name):
    assert wrong_directions(brief_by_hand(), row, name, is_name=True)


def test_a_sentence_may_speak_of_others():
    brief = brief_by_hand()
    assert wrong_directions(brief, BETWEEN, "They are not as frequent as the best.", is_name=False) == []
    assert wrong_directions(brief, BETWEEN, "They have lapsed a little.", is_name=False) == []
    assert wrong_directions(brief, FREQUENT, "They have lapsed.", is_name=False)


def test_parts_of_the_day_are_read_off_the_clock():
    description = describe_by_hand(
        {"hour_sin": [-0.95, 0.65], "hour_cos": [0.0, -0.65], "weekend_ratio": [0.3, 0.6]},
        [20, 80],
        axis_name="purchase_cadence",
    )
    axis = AXES["purchase_cadence"]
    brief = AxisBrief(axis, description, name_segments(axis, description))
    assert wrong_directions(brief, 0, "evening_shoppers", is_name=True) == []
    assert wrong_directions(brief, 0, "morning_shoppers", is_name=True)
    assert wrong_directions(brief, 1, "weekend_morning_shoppers", is_name=True) == []
    assert brief.facts()["segments"][0]["time_of_day"] == {"segment": "18:00", "average_customer": "09:50"}


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_no_word_says_both_directions_of_a_feature(axis):
    for feature in axis.clustering_features:
        few, many = (
            {word, *more.split()} for word, more in zip((feature.few, feature.many), feature.synonyms, strict=True)
        )
        assert not few & many


@pytest.mark.parametrize("name", AXES)
def test_rule_made_names_pass_where_they_are_no_comparison(name):
    """Two makers of words agree on which are true."""
    axis = AXES[name]
    numbers = [f for f in axis.clustering_features if not f.name.startswith("hour_")]
    centres = {f.name: [0.9, 0.1] if f.neutral is None else [f.neutral + 0.9, f.neutral - 0.9] for f in numbers}
    description = describe_by_hand(centres, [50, 50], axis_name=name)
    made = name_segments(axis, description)
    brief = AxisBrief(axis, description, made)
    for row, one in enumerate(made["segment_name"]):
        assert wrong_directions(brief, row, one, is_name=True) == []
        assert wrong_directions(brief, 1 - row, one, is_name=True)
