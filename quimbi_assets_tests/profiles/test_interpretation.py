import numpy as np
import pandas as pd
import pytest

from quimbi_assets.naming.values import format_money
from quimbi_assets.profiles.interpretation import (
    BALANCED,
    STRENGTHS,
    STRONG,
    WEAK,
    Placements,
    amounts,
    counted,
    interpretations,
    strengths,
    whole_numbers,
)

NAMES = [["rare_buyers", "frequent_buyers"], ["small_spenders", "big_spenders"], ["day_shoppers", "night_shoppers"]]
FEATURES = {
    "f": pd.DataFrame({"n_orders": [12], "days_since_last_order": [9.7]}),
    "v": pd.DataFrame({"n_orders": [12], "lifetime_value": [1240.4]}),
}


def tell(stays, strength, low=(False, False, False), features=None, horizon=None):
    placements = Placements(
        dominant=np.array([[1, 0, 1]]), stays=np.array([stays]), strength=np.array([strength], dtype=np.int8),
        low_evidence=np.array([low]),
    )  # fmt: skip
    return interpretations(
        placements, NAMES, FEATURES if features is None else features, "GBP", (), horizon
    ).to_pylist()[0]


@pytest.mark.parametrize(
    ("stays", "strength", "low", "text"),
    [
        (
            (0.8, 0.91, 0.6), (STRONG, STRONG, BALANCED), (False, False, False),
            "Belongs with the small spenders (91 % likely to stay), the frequent buyers (80 %) and partly the night "
            "shoppers (60 %). ",
        ),
        (
            (0.8, 0.5, 0.6), (STRONG, WEAK, BALANCED), (False, False, False),
            "Belongs with the frequent buyers (80 % likely to stay) and partly the night shoppers (60 %). ",
        ),
        (
            (0.8, 0.9, 0.6), (STRONG, STRONG, WEAK), (False, True, False),
            "Belongs with the frequent buyers (80 % likely to stay). ",
        ),
        ((0.5, 0.5, 0.5), (WEAK, WEAK, WEAK), (False, False, False), "No clear pattern yet. "),
    ],
)  # fmt: skip
def test_what_a_customer_clearly_is(stays, strength, low, text):
    assert tell(stays, strength, low).startswith(text + "Spent £1,240 in 12 orders, the last 9 days ago.")


def test_how_long_a_chance_reaches_is_said_once_and_nothing_is_certain():
    text = tell((0.999, 0.5, 0.9), (STRONG, WEAK, STRONG), horizon=70)
    assert text.startswith(
        "Belongs with the frequent buyers (99 % likely in 70 days too) and the night shoppers (90 %). "
    )


def test_too_few_orders_are_admitted():
    text = tell((0.8, 0.9, 0.6), (STRONG, STRONG, WEAK), (False, True, True))
    assert text.endswith("the last 9 days ago. Too few orders to judge 2 of 3 axes.")


def test_a_single_order_of_today():
    once = {"f": pd.DataFrame({"n_orders": [1], "days_since_last_order": [0.3], "lifetime_value": [8.5]})}
    assert tell((0.5,) * 3, (WEAK,) * 3, features=once) == "No clear pattern yet. Spent £8.50 in 1 order, today."


def test_what_was_not_measured_is_not_told():
    text = tell((0.5,) * 3, (WEAK,) * 3, features={"f": pd.DataFrame({"n_orders": [2]})})
    assert text == "No clear pattern yet. 2 orders."


def test_three_strongest_at_most():
    placements = Placements(
        dominant=np.zeros((1, 4), dtype=int), stays=np.array([[0.8, 0.75, 0.9, 0.85]]),
        strength=np.full((1, 4), STRONG, dtype=np.int8), low_evidence=np.zeros((1, 4), dtype=bool),
    )  # fmt: skip
    [text] = interpretations(placements, [["a"], ["b"], ["c"], ["d"]], FEATURES, "").to_pylist()
    assert text.startswith("Belongs with the c (90 % likely to stay), the d (85 %) and the a (80 %). ")


def test_segments_of_weak_axes_are_not_named():
    placements = Placements(
        dominant=np.zeros((1, 2), dtype=int), stays=np.array([[0.9, 0.8]]),
        strength=np.full((1, 2), STRONG, dtype=np.int8), low_evidence=np.zeros((1, 2), dtype=bool),
    )  # fmt: skip
    [text] = interpretations(placements, [["a"], ["b"]], FEATURES, "", [True, False]).to_pylist()
    assert text.startswith("Belongs with the b (80 % likely to stay). ")


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ([0.71, 0.29, 0.0], "strong"),
        ([0.7, 0.3, 0.0], "weak"),
        ([0.69, 0.31, 0.0], "balanced"),
        ([0.4, 0.35, 0.25], "weak"),
        ([0.41, 0.31, 0.28], "balanced"),
        ([0.6, 0.3, 0.1], "weak"),
        ([0.1, 0.1, 0.8], "strong"),
        ([1.0], "strong"),
    ],
)
def test_limits_belong_to_the_lower_class(row, word):
    assert STRENGTHS[strengths(np.array([row]))[0]] == word


def test_whole_numbers_have_thousands_separated():
    values = np.array([0, 1, 12, 999, 1000, 1001, 12_345, 999_999, 1_000_000, 7_000_000_012, -5, -1234567], dtype=float)
    assert whole_numbers(values).to_pylist() == [f"{int(v):,}" for v in values]


@pytest.mark.parametrize("currency", ["GBP", "SEK", ""])
def test_amounts_read_as_in_the_segments(currency):
    values = np.array([0, 0.05, 9.99, 99.99, 99.996, 100, 1240.4, 349_164.35])
    assert amounts(values, currency).to_pylist() == [format_money(v, currency) for v in values]


def test_undefined_numbers_are_null():
    assert amounts(np.array([np.nan]), "£").to_pylist() == [None]
    assert counted(np.array([np.nan, np.inf]), "order", "orders").to_pylist() == [None, None]
