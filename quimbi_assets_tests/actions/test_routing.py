"""What rules say of one customer: which is heard, why one fires, what another lacks."""

import numpy as np
import pytest

from quimbi_assets.actions.routing import HELD, MAY_NOT, NO_RULE, Judged, decide, reasons, truth
from quimbi_assets.actions.rules import ActionRule
from quimbi_assets_tests.actions.conditions import part_of, random_condition, truths_of

ANNA = {"value": 480, "orders": 3, "lifecycle": "active", "a": "a_1", "risk": None}


def judged(name, when, customer=ANNA, *, is_held=False, stop=False, **sets):
    part = part_of(when)
    values = tuple(customer[leaf.one.name] for leaf in part.leaves)
    rule = ActionRule(name, when, sets or {"queue": name}, stop=stop)
    return Judged(rule, part, truths_of(part, customer), values, is_held)


@pytest.mark.parametrize(
    ("when", "is_true"),
    [
        ("risk > 0.5", None),
        ("not risk > 0.5", None),
        ("risk > 0.5 and value < 1", False),
        ("risk > 0.5 or value > 1", True),
        ("risk > 0.5 or value < 1", None),
        ("not (risk > 0.5 and value < 1)", True),
        ("risk is null", True),
    ],
)
def test_unknown_is_neither_true_nor_false(when, is_true):
    part = part_of(when)
    assert truth(part, truths_of(part, ANNA)) is is_true


def test_the_first_rule_that_sets_a_thing_is_heard():
    rules = [judged("one", "value > 1", queue="a"), judged("two", "orders > 1", queue="b", campaign="c")]
    decision = decide(rules, {"queue": "general", "priority": "normal"})
    assert decision.sets == {"queue": "a", "priority": "normal", "campaign": "c"}
    assert decision.by == {"queue": "one", "campaign": "two"}
    assert [dict(one.unheard) for one in decision.fired] == [{}, {"queue": "one"}]


def test_after_one_that_stops_none_is_asked():
    rules = [judged("one", "value > 1", stop=True, priority="high"), judged("two", "orders > 1", queue="b")]
    decision = decide(rules, {"queue": "general"})
    assert decision.sets == {"queue": "general", "priority": "high"}
    assert decision.fired[1].unheard == {"queue": "one ends it"}


def test_a_control_group_is_as_if_the_rule_were_not_there():
    rules = [judged("one", "value > 1", is_held=True, stop=True, queue="a"), judged("two", "orders > 1", queue="b")]
    decision = decide(rules, {})
    assert (decision.sets, decision.left_alone) == ({"queue": "b"}, ("one",))
    assert [one.rule for one in decision.fired] == ["two"]
    assert decision.reason == ""
    alone = decide([*rules[:1], judged("far", "value > 500")], {})
    assert (alone.fired, alone.left_alone, alone.reason) == ((), ("one",), f"{HELD}one")


def test_nobody_who_may_not_be_written_to_is_reached_out_to():
    rule = judged("one", "value > 1", queue="a", campaign="c", message="m", export="e")
    decision = decide([rule], {}, may_write=False)
    assert decision.sets == {"queue": "a"}
    assert decision.fired[0].unheard == dict.fromkeys(("campaign", "message", "export"), MAY_NOT)


def test_why_a_rule_fires_is_said_with_the_customer_s_values():
    rule = judged("one", "(value > 1000 or orders >= 3) and not lifecycle = 'lost' and risk is null")
    assert [(one.condition, one.value) for one in reasons(rule)] == [
        ("orders >= 3", 3), ("lifecycle = 'lost'", "active"), ("risk IS NULL", None),
    ]  # fmt: skip


def test_nothing_is_wanting_of_what_a_condition_holds_by():
    (fired,) = decide([judged("poor", "not value > 500")], {}).fired
    assert [(one.condition, one.short_by) for one in fired.why] == [("value > 500", None)]


def test_what_one_comparison_keeps_from_firing_is_said_with_how_much():
    decision = decide([judged("near", "value > 500 and orders > 1"), judged("far", "value > 500 and orders > 9")], {})
    (nearly,) = decision.nearly
    (wanting,) = nearly.wanting
    assert (nearly.rule, wanting.condition, wanting.value, wanting.short_by) == ("near", "value > 500", 480, 20)
    assert wanting.is_more
    assert (decision.fired, decision.reason) == ((), NO_RULE)


@pytest.mark.parametrize(
    ("when", "is_more"),
    [
        ("value > 500", True),
        ("value >= 500", False),
        ("value < 470", True),
        ("value = 490", False),
        ("not value > 470", False),
        ("not value >= 470", True),
        ("value <> 480", True),
    ],
)
def test_at_the_limit_itself_more_may_be_wanting(when, is_more):
    ((wanting,),) = [one.wanting for one in decide([judged("near", when)], {}).nearly]
    assert wanting.is_more is is_more


def test_any_of_several_comparisons_can_be_what_is_wanting():
    decision = decide([judged("near", "value > 500 or orders > 5"), judged("not", "not value > 400")], {})
    first, second = decision.nearly
    assert [one.condition for one in first.wanting] == ["value > 500", "orders > 5"]
    assert [(one.condition, one.short_by) for one in second.wanting] == [("value > 400", 80)]


def test_at_most_three_that_are_near_come_nearest_first():
    numbers = [judged(f"at_{n}", f"value > {n}") for n in (900, 600, 500, 1000, 700)]
    words = [judged("word", "lifecycle = 'lost'"), judged("other", "lifecycle = 'lost' and value > 100")]
    assert [one.rule for one in decide([*words, *numbers], {}).nearly] == ["at_500", "at_600", "at_700"]
    assert [one.rule for one in decide(words, {}).nearly] == ["other"]  # of "word" nothing holds
    assert decide([judged("far", "value > 2000")], {}).nearly == ()


def test_reasons_are_enough_and_nearly_lacks_one_only():
    rng = np.random.default_rng(7)
    n_fired = n_nearly = 0
    for _ in range(300):
        rule = judged("one", random_condition(rng))
        leaves = list(rule.part.leaves)
        if rule.fires:
            n_fired += 1
            texts = {id(one.part) for one in reasons(rule)}
            unknown = [t if id(leaf) in texts else None for leaf, t in zip(leaves, rule.truths, strict=True)]
            assert truth(rule.part, unknown) is True  # whatever the others were
            continue
        for one in (reason for nearly in decide([rule], {}).nearly for reason in nearly.wanting):
            n_nearly += 1
            at = next(n for n, leaf in enumerate(leaves) if leaf is one.part)
            tried = [[*rule.truths[:at], other, *rule.truths[at + 1 :]] for other in (True, False)]
            assert any(truth(rule.part, truths) is True for truths in tried)
    assert min(n_fired, n_nearly) > 25
