import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.marketing.groups import COLUMNS
from quimbi_assets.marketing.lifecycle import STAGES
from quimbi_assets.naming.values import format_money
from quimbi_assets.profiles.interpretation import (
    BALANCED,
    STRENGTHS,
    STRONG,
    WEAK,
    Placements,
    Traits,
    amounts,
    counted,
    interpretations,
    strengths,
    whole_numbers,
)

NAMES = [["lone_wolves", "frequent_buyers"], ["small_spenders", "big_spenders"], ["day_shoppers", "night_shoppers"]]
SHARES = [[0.1, 0.2], [0.2, 0.8], [0.7, 0.3]]
KNOWN = {
    "lifecycle": "lapsed", "value_tier": "low", "rfm_group": "hibernating", "n_orders": 6,
    "first_order_at": pd.Timestamp("2024-05-07", tz="UTC"), "last_order_at": pd.Timestamp("2024-09-16", tz="UTC"),
    "days_since_last_order": 478.9,
}  # fmt: skip
FEATURES = {"avg_days_between_orders": 27.3, "lifetime_value": 145.0, "frequency_trend": -0.2}
LAPSED = "Lapsed: they last ordered 478 days ago, usually every 27 days."
LOW = "They are a low-value customer: £145 in 6 orders since May 2024."


def tell(
    strength=(WEAK,) * 3,
    low=(False,) * 3,
    may_tell=(True,) * 3,
    risk=None,
    score=None,
    usual=None,
    features=None,
    **known,
):
    placements = Placements(
        dominant=np.array([[0, 0, 1]]), stays=np.array([[0.9] * 3]), strength=np.array([strength], dtype=np.int8),
        low_evidence=np.array([low]),
    )  # fmt: skip
    groups = pa.Table.from_pylist([KNOWN | known], schema=COLUMNS)
    frame = pd.DataFrame([FEATURES | (features or {})])
    traits = Traits(NAMES, [np.array(one) for one in SHARES], np.array([may_tell]))
    scores, days = (None if one is None else np.array([one]) for one in (score, usual))
    risks = risk and pa.array([risk])
    return interpretations(placements, traits, groups, {"f": frame}, "GBP", risks, scores, days).to_pylist()[0]


def test_what_matters_comes_first():
    text = tell(strength=(STRONG, STRONG, STRONG), risk="The risk is 97 %.")
    assert text == f"{LAPSED} {LOW} The risk is 97 %. They are among the lone wolves, 10 % of customers."


@pytest.mark.parametrize("stage", ["slowing", "at risk", "lapsed", "lost"])
def test_who_is_silent_past_their_rhythm_is_said_to_be_so(stage):
    assert tell(lifecycle=stage).startswith(f"{stage.capitalize()}: they last ordered 478 days ago")


@pytest.mark.parametrize(
    ("stage", "score", "clause"),
    [
        ("at risk", 0.01, "They are late by their own rhythm, but likely to come: the risk is 1 %."),
        ("slowing", 0.09, "They are late by their own rhythm, but likely to come: the risk is 9 %."),
        ("at risk", 0.1, "The risk is 10 %."),
        ("active", 0.72, "They are not late by their own rhythm, yet many like them stay away: the risk is 72 %."),
        ("active", 0.01, "The risk is 1 %."),
        ("new", 0.72, "The risk is 72 %."),
        (None, 0.01, "The risk is 1 %."),
    ],
)
def test_lateness_and_risk_do_not_contradict_each_other(stage, score, clause):
    text = tell(lifecycle=stage, risk=f"The risk is {100 * score:.0f} %.", score=score)
    assert f". {clause}" in text


def test_a_usual_gap_takes_four_orders_and_is_the_one_that_lifecycle_goes_by():
    assert "usually" not in tell(n_orders=3, usual=12.0)
    assert "usually every 12 days." in tell(n_orders=4, usual=12.0)
    assert "usually every 1,200 days." in tell(n_orders=4, usual=1200.4)
    assert "usually every day." in tell(n_orders=4, usual=1.0)


LESS, MORE = "They order less often than before.", "They order more often than before."


def test_a_change_is_told_of_those_who_are_still_here():
    assert LESS not in tell()
    assert tell(lifecycle="active").endswith(LESS)
    assert tell(lifecycle="active", n_orders=40, features={"frequency_trend": 0.06}).endswith(MORE)
    assert "than before" not in tell(lifecycle="active", n_orders=40, features={"frequency_trend": 0.04})
    assert "than before" not in tell(lifecycle="active", features={"frequency_trend": np.nan})


@pytest.mark.parametrize("stage", ["active", "slowing"])
def test_who_came_within_their_usual_wait_does_not_order_less_often(stage):
    often = {"lifecycle": stage, "n_orders": 40, "last_order_at": pd.Timestamp("2025-12-05", tz="UTC")}
    assert tell(**often, days_since_last_order=33.0, features={"avg_days_between_orders": 25.0}).endswith(LESS)
    assert LESS not in tell(**often, days_since_last_order=33.0, features={"avg_days_between_orders": 91.0})


def test_what_chance_does_to_steady_customers_is_no_change():
    generator, n, b = np.random.default_rng(0), 12, 20
    bins = np.floor(b * generator.random((20_000, n)))
    bins[:, 0] = 0
    trend = (bins.sum(axis=1) - n * (b - 1) / 2) / (b * (b * b - 1) / 12) * b / n
    known = KNOWN | {"lifecycle": "active", "n_orders": n, "days_since_last_order": 468.0}
    groups = pa.Table.from_pylist([known] * len(trend), schema=COLUMNS)
    placements = Placements(*(np.zeros((len(trend), 1), dtype) for dtype in (np.intp, float, np.int8, bool)))
    features = {"f": pd.DataFrame({"frequency_trend": trend, "avg_days_between_orders": 50.0})}
    traits = Traits([["x"]], [np.array([1.0])], placements.low_evidence)
    texts = interpretations(placements, traits, groups, features, "").to_pylist()
    less, more = (np.mean([words in text for text in texts]) for words in (LESS, MORE))
    assert 0.015 < less < 0.035
    assert 0.015 < more < 0.035
    assert np.mean(trend < -0.05) > 0.2


def test_one_order_has_no_rhythm_and_no_beginning_of_its_own():
    undefined = {"avg_days_between_orders": np.nan, "frequency_trend": np.nan}
    text = tell(lifecycle="new", n_orders=1, days_since_last_order=0.3, features=undefined)
    assert text == "New: they ordered once, today. They are a low-value customer: £145 in 1 order."
    assert "usually every day." in tell(features={"avg_days_between_orders": 0.2})


def test_the_best_are_called_top_customers():
    assert "They are a top customer: £145 in 6 orders" in tell(value_tier="top")


def test_what_nobody_knows_is_not_told():
    nobody = dict.fromkeys(KNOWN) | {"n_orders": 2, "days_since_last_order": 3.0}
    assert tell(**nobody) == "They last ordered 3 days ago. They spent £145 in 2 orders."
    assert tell(features={"lifetime_value": np.nan}).endswith("They placed 6 orders since May 2024.")


@pytest.mark.parametrize(
    ("changes", "trait"),
    [
        ({"strength": (STRONG, STRONG, STRONG)}, "lone wolves, 10 %"),
        ({"strength": (BALANCED, STRONG, STRONG)}, "small spenders, 20 %"),
        ({"strength": (STRONG, STRONG, STRONG), "low": (True, False, False)}, "small spenders, 20 %"),
        ({"strength": (STRONG, STRONG, STRONG), "may_tell": (False, False, True)}, "night shoppers, 30 %"),
        ({"strength": (WEAK, BALANCED, WEAK)}, None),
    ],
)
def test_a_trait_is_strong_and_the_rarest(changes, trait):
    text = tell(**changes)
    assert text.endswith(f"They are among the {trait} of customers.") if trait else "among" not in text


def test_a_segment_of_one_in_three_is_no_trait():
    placements = Placements(
        np.array([[0]]), np.array([[0.9]]), np.array([[STRONG]], dtype=np.int8), np.array([[False]])
    )
    groups = pa.Table.from_pylist([KNOWN], schema=COLUMNS)
    for share in (0.34, np.nan):
        traits = Traits([["lone_wolves"]], [np.array([share])], np.array([[True]]))
        assert "among" not in interpretations(placements, traits, groups, {}, "").to_pylist()[0]


def test_every_sentence_has_a_subject():
    for stage in (*STAGES, None):
        for sentence in re.split(r"(?<=\.) ", tell(strength=(STRONG,) * 3, lifecycle=stage)):
            assert re.match(r"(New|Active|Slowing|At risk|Lapsed|Lost): they |They ", sentence), sentence


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
