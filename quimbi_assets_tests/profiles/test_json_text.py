import json

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from quimbi_assets.profiles.json_text import feature_objects, flat_objects, number_texts, quoted


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_survive_the_round_trip_to_the_last_bit(values):
    texts = number_texts(np.array([values])).to_pylist()
    assert [float(json.loads(text)) for text in texts] == values


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_escaped(key, value):
    [row] = flat_objects([key], [quoted([value])], np.array([[0]])).to_pylist()
    assert json.loads(row) == {key: value}


def test_what_json_has_no_number_for_is_null():
    assert number_texts(np.array([[np.nan, np.inf, -np.inf]])).to_pylist() == ["null"] * 3


def test_feature_vectors_hold_numbers_texts_and_flags(features):
    axes = ["purchase_frequency", "purchase_value"]
    rows = feature_objects({axis: features[axis] for axis in axes}).to_pylist()
    assert len(rows) == 300
    for i in (0, 1, 2, 299):
        read = json.loads(rows[i])
        assert list(read) == axes
        for axis, values in read.items():
            frame = features[axis]
            assert list(values) == frame.columns.tolist()
            for name, value in values.items():
                true = frame[name].iloc[i]
                expected = None if pd.isna(true) else round(float(true), 6) if name not in TEXTS else true
                assert value == expected


TEXTS = ("favourite", "is_new")
