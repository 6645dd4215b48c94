import numpy as np
import pandas as pd

from quimbi_assets.naming.describe import describe_segments
from quimbi_assets.naming.naming import name_segments
from quimbi_assets.naming.persistence import GivenNames, remember_names


def test_given_names_stay_and_others_are_named_around_them(axis, by_hand):
    description = by_hand({"orders_per_month": [1, 2, 3], "days_since_last_order": [90, 50, 10]}, [10, 10, 10])
    free = name_segments(axis, description)["segment_name"].tolist()
    assert len(set(free)) == 3
    given = name_segments(axis, description, given={"rhythm_1": free[2]})["segment_name"].tolist()
    assert given[0] == free[2]
    assert len(set(given)) == 3


def test_a_given_name_changes_no_sentence(axis, by_hand):
    description = by_hand({"orders_per_month": [1, 3]}, [10, 10])
    plain = name_segments(axis, description)
    given = name_segments(axis, description, given={"rhythm_1": "the_regulars"})
    assert given["segment_name"].iloc[0] == "the_regulars"
    assert given["interpretation"].tolist() == plain["interpretation"].tolist()


def test_named_again_by_their_own_names_segments_say_the_same(axis, by_hand):
    """Names that clashed got a second feature, which the sentence tells; the name given again, it still does."""
    centres = {
        "orders_per_month": [3.0, 9.0, 3.0, 3.0],
        "days_since_last_order": [9.0, 2.0, 9.0, 1.0],
        "value_trend": [2.0, 3.0, 3.0, 1.0],
    }
    description = by_hand(centres, [10] * 4)
    plain = name_segments(axis, description)
    assert "lapsed_growing_buyers" in set(plain["segment_name"])
    own = dict(zip(plain["segment_id"], plain["segment_name"], strict=True))
    pd.testing.assert_frame_equal(name_segments(axis, description, given=own), plain)


def named(axis, model, features):
    description = describe_segments(axis, model, features)
    return description, remember_names(description, name_segments(axis, description))


def test_names_fit_until_a_mean_moved_by_a_standard_deviation(axis, model, features):
    description, names = named(axis, model, features)
    assert names.still_fitting(model, description) == dict(names.name)
    column = "centre:orders_per_month"
    raw_sd = model.scale_[model.features_.index("orders_per_month")]
    segment = description["segment_id"].iloc[-1]
    here = description[column].iloc[-1]
    inward = -1 if here > features["orders_per_month"].mean() else 1
    for way, fits in ((0.9, True), (1.1, False)):
        moved = description.copy()
        moved.loc[moved.index[-1], column] = here + inward * way * raw_sd
        assert (segment in names.still_fitting(model, moved)) is fits


def test_creeping_counts_from_where_the_name_was_given(axis, model, features):
    description, names = named(axis, model, features)
    column, row = "centre:orders_per_month", description.index[-1]
    raw_sd = model.scale_[model.features_.index("orders_per_month")]
    inward = -1 if description[column].iloc[-1] > features["orders_per_month"].mean() else 1
    kept = []
    for _ in range(4):
        description = description.copy()
        description.loc[row, column] += inward * 0.3 * raw_sd
        kept.append(description["segment_id"].iloc[-1] in names.still_fitting(model, description))
        same = pd.DataFrame({"segment_id": list(names.name), "segment_name": list(names.name.values())})
        names = remember_names(description, same, names)
    assert kept == [True, True, True, False]


def test_what_was_undefined_does_not_count(axis, model, features):
    description, names = named(axis, model, features)
    holes = {segment: {**centre, "orders_per_month": np.nan} for segment, centre in names.centre.items()}
    assert set(GivenNames(names.name, holes).still_fitting(model, description)) == set(names.name)
    assert GivenNames({}, {}).still_fitting(model, description) == {}


def test_a_segment_that_comes_back_is_remembered(axis, by_hand):
    both = by_hand({"orders_per_month": [1, 3]}, [10, 10])
    first = remember_names(both, name_segments(axis, both))
    one = both.iloc[:1]
    later = remember_names(one, name_segments(axis, one, given=first.name), first)
    assert later == first
