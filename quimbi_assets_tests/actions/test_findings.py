"""Rules that can never fire, that nobody hears, and that have nobody to speak of."""

from dataclasses import replace

from quimbi_assets.actions.findings import never_fire, with_shares, without_segments
from quimbi_assets.actions.rules import read_rules
from quimbi_assets.audiences.filters import take_apart
from quimbi_assets_tests.actions.conditions import HERE

KINDS = replace(HERE, kinds=lambda _: {"big": ("a_2",), "small": ()}, weak={"a": "too few orders"})


def asked(text, vocabulary=HERE):
    rules = read_rules(f"rules:\n{text}", "f").rules
    return [(rule, take_apart(rule.when, vocabulary)[0]) for rule in rules]


def test_a_contradiction():
    rules = asked("  a: {when: value > 500 and value < 100, queue: x}\n  b: {when: value > 500, queue: x}")
    assert never_fire(rules, HERE) == {"a": "it is true of nobody: value > 500 AND value < 100"}


def test_per_cent_in_place_of_a_share():
    rules = asked("  a: {when: value > 5 and risk > 60, queue: x}")
    assert never_fire(rules, HERE) == {"a": "it is true of nobody: risk > 60; risk is a share, 0 to 1: 60 % is 0.6"}


def test_a_feature_that_is_a_share_is_no_percentage():
    ((rule, part),) = asked("  a: {when: orders > 1 and (value > 30 or value > 40), queue: x}")
    assert never_fire([(rule, part)], HERE) == {}
    found = never_fire([(rule, with_shares(part, frozenset({"value"})))], HERE)
    assert found["a"].endswith("; value is a share, 0 to 1: 60 % is 0.6")


def test_after_a_rule_that_stops():
    text = """
  all_of_them: {when: value > 50, queue: x, stop: true, control: 0}
  within: {when: value between 60 and 70 and orders > 1, queue: y}
  beside: {when: value > 40, queue: y}
  unknown: {when: "value is null", queue: y}
"""
    assert never_fire(asked(text), HERE) == {"within": "shadowed: whoever it could choose ends with all_of_them"}
    with_control = text.replace("control: 0", "control: 0.1")
    assert never_fire(asked(with_control), HERE) == {}  # its control group goes on to the next rule


def test_what_is_counted_is_never_below_nothing():
    rules = asked(
        "  a: {when: orders < 0, queue: x}\n  b: {when: orders < 1, queue: x}\n  c: {when: value < 0, queue: y}"
    )
    assert never_fire(rules, HERE) == {one: f"it is true of nobody: orders < {n}" for n, one in enumerate("ab")}
    rules = asked(
        "  a: {when: orders >= 1, queue: x, stop: true, control: 0}\n  b: {when: value > 5, campaign: y, control: 0}"
    )
    assert never_fire(rules, HERE) == {"b": "shadowed: whoever it could choose ends with a"}


def test_whoever_has_all_of_it_from_earlier_rules():
    text = """
  many: {when: orders > 2, queue: x}
  rich: {when: value > 500, assignee: y}
  both: {when: orders > 3 and value > 900, queue: z, assignee: z}
  more: {when: orders > 3 and value > 900, queue: z, priority: high}
"""
    because = "shadowed: whoever it could choose has all that it sets from many and rich"
    assert never_fire(asked(text), HERE) == {"both": because}
    assert never_fire(asked(text.replace("queue: x", "queue: x, control: 0.1")), HERE) == {}


def test_several_rules_can_shadow_one_together():
    text = """
  low: {when: value <= 50, queue: x, stop: true, control: 0}
  high: {when: value > 50, queue: x, stop: true, control: 0}
  any: {when: value > 20, queue: y}
"""
    assert never_fire(asked(text), HERE) == {"any": "shadowed: whoever it could choose ends with low or high"}


def test_a_kind_that_no_segment_is_of_is_no_mistake():
    text = "  a: {when: a.kind = 'small', queue: x}\n  b: {when: a.kind.small > 0.5, queue: x}\n"
    rules = asked(text + "  c: {when: a.kind = 'big' and a.kind.big > 0.5, queue: x}", KINDS)
    assert without_segments(rules, KINDS) == dict.fromkeys("ab", "a is weak here: too few orders")
    assert without_segments(rules, replace(KINDS, weak={})) == {
        "a": "there is nobody of whom a.kind = 'small'", "b": "there is nobody of whom a.kind.small > 0.5",
    }  # fmt: skip
    assert never_fire(rules, KINDS) == {}


def test_a_kind_and_a_segment_of_another_contradict_each_other():
    rules = asked("  a: {when: a.kind = 'big' and a = 'few', queue: x}", KINDS)
    assert list(never_fire(rules, KINDS)) == ["a"]
