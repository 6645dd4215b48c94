import re
from dataclasses import replace

import pytest

from quimbi_assets.clustering.promotion import Comparison, decide

GOOD = Comparison(0.004, 0.001, 0.003, -0.005, 0.01)


def test_a_refit_that_passes_is_promoted():
    decision = decide(GOOD)
    assert decision.promoted
    assert decision.failed == ()
    assert decision.comparison is GOOD


@pytest.mark.parametrize(
    ("change", "failed", "words"),
    [
        ({"churn": 0.02}, "label_churn", r"2\.0% of customers would change segment"),
        ({"silhouette_change": -0.021}, "silhouette", r"silhouette falls by 0\.021, beyond noise \(0\.020\)"),
        ({"stability_change": -0.05}, "stability", r"stability falls by 0\.050"),
        ({"vanished": (("v_3", 0.08),)}, "no_segment_vanished", r"v_3 \(8\.0% of customers\)"),
    ],
)
def test_each_check_blocks_alone_and_says_why(change, failed, words):
    decision = decide(replace(GOOD, **change))
    assert not decision.promoted
    assert decision.failed == (failed,)
    assert re.search(words, decision.reason)


@pytest.mark.parametrize(
    "change",
    [
        {"churn": 0.0199},
        {"silhouette_change": -0.0199},
        {"silhouette_change": -0.05, "silhouette_spread": 0.03},
        {"stability_change": -0.15, "stability_spread": 0.1},
        {"vanished": (("v_3", 0.019),)},
    ],
    ids=["churn", "silhouette", "noisy silhouette", "noisy stability", "nobody left in the segment"],
)
def test_noise_does_not_block(change):
    assert decide(replace(GOOD, **change)).promoted


def test_all_reasons_are_given():
    decision = decide(replace(GOOD, churn=0.3, silhouette_change=-0.1))
    assert decision.failed == ("label_churn", "silhouette")
    assert "; " in decision.reason


def test_a_person_may_accept_what_the_checks_hold():
    decision = decide(replace(GOOD, churn=0.3), by_hand=True)
    assert decision.promoted
    assert decision.failed == ("label_churn",)
    assert decision.reason.startswith("accepted by hand: 30.0%")
