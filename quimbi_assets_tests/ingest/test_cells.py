import math

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.ingest.cells import largest_amount, parse_amounts


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("12", 12.0),
        ("12.50", 12.5),
        ("-5", -5.0),
        ("$12.00", 12.0),
        ("$1,234.50", 1234.5),
        ("1.234,50 €", 1234.5),
        ("12,50", 12.5),
        ("1,234,567", 1234567.0),
        ("1.234.567", 1234567.0),
        ("1 234.50", 1234.5),
        ("1'234.50", 1234.5),
        ("1\u202f234,50", 1234.5),
        ("USD 12.00", 12.0),
        ("12.00 EUR", 12.0),
        ("($3.00)", -3.0),
        ("$-5.00", -5.0),
        ("-$5.00", -5.0),
        ("5.00-", -5.0),
        ("1e3", 1000.0),
    ],
)
def test_one_reading(written, expected):
    assert parse_amounts(pd.Series([written], dtype="str")).tolist() == [expected]


@pytest.mark.parametrize("written", ["abc", "1,234", "--5", "1.2.3", "12,34,56", "12.5.0", "5 apples", "$", "1,23.4"])
def test_unreadable_or_ambiguous(written):
    assert math.isnan(parse_amounts(pd.Series([written], dtype="str"))[0])


def test_the_column_tells_what_a_comma_is():
    assert parse_amounts(pd.Series(["1,234", "5.50"])).tolist() == [1234.0, 5.5]
    assert parse_amounts(pd.Series(["1,234", "5,50"])).tolist() == [1.234, 5.5]
    assert parse_amounts(pd.Series(["1.234", "5,50"])).tolist() == [1234.0, 5.5]
    assert np.isnan(parse_amounts(pd.Series(["1,234", "5,50", "5.50"]))[0])


def test_numbers_nulls_and_order_survive():
    values = pd.Series([3, None, 1.5], index=[7, 5, 9])
    assert parse_amounts(values).equals(values.astype("float64"))
    text = parse_amounts(pd.Series(["$3", None, "1.5"], index=[7, 5, 9], dtype="str"))
    assert text.index.tolist() == [7, 5, 9]
    assert text.isna().tolist() == [False, True, False]


def test_limits_follow_the_unit():
    assert largest_amount("JPY") > largest_amount("USD") == largest_amount(None)
