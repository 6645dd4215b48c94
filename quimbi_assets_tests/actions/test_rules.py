"""The file of rules: what it says, and in which line and column it is wrong."""

import pytest

from quimbi_assets.actions.rules import EFFECTS, OUTREACH, UnusableRulesError, read_rules, ready_text
from quimbi_assets.audiences.kinds import SEGMENT_KINDS
from quimbi_assets.errors import BadInputError

FILE = """
rules:
  second_thoughts:
    when: "risk > 0.8 and value > 500"
    about: Write once
    queue: senior
    priority: urgent
    message: "{value_tier}: {days_since_last_order} days"
    stop: true
    stores: [mine, other]
    control: 0.25
    outcome: spend
    window_days: 14
  others: {when: orders > 1, campaign: spring}
otherwise: {priority: low}
"""


def test_what_a_file_says():
    book = read_rules(FILE, "actions.yaml")
    first, other = book.rules
    assert (first.name, first.when, first.stop, first.stores) == (
        "second_thoughts", "risk > 0.8 and value > 500", True, ("mine", "other"),
    )  # fmt: skip
    assert first.sets == {
        "queue": "senior", "priority": "urgent", "message": "{value_tier}: {days_since_last_order} days",
    }  # fmt: skip
    assert (first.trial.control, first.trial.outcome, first.trial.window_days) == (0.25, "spend", 14)
    assert (other.sets, other.stop, other.trial.control) == ({"campaign": "spring"}, False, 0.1)
    (routed,) = read_rules("rules: {a: {when: risk > 0.5, queue: senior, priority: high}}", "f").rules
    assert routed.trial.control == 0
    assert book.otherwise == {"queue": "general", "priority": "low"}
    assert [rule.name for rule in book.of_store("third")] == ["others"]


def test_a_file_without_rules_says_so():
    assert read_rules("rules: {}", "f").rules == ()
    assert read_rules("otherwise: {queue: first}", "f").otherwise == {"queue": "first"}
    for text in ("", "# nothing\n", "rules:", "rules: null\notherwise: {queue: first}"):
        with pytest.raises(UnusableRulesError, match="f, line 1: the file has no rules; "):
            read_rules(text, "f")


@pytest.mark.parametrize(
    ("text", "otherwise"),
    [
        ("otherwise: {queue: lobby, priority: rubbish}", {"queue": "lobby"}),
        ("rules: [\notherwise: {queue: lobby}", {"queue": "lobby"}),
        ("otherwise:\n  # all\n  queue: lobby\n\n  priority: low\nrules: [", {"queue": "lobby", "priority": "low"}),
        ("rule: {}\notherwise: {queue: lobby, campaign: x}", {"queue": "lobby"}),
        ("rules:\notherwise: {queue: lobby}", {"queue": "lobby"}),
        ('{"rules": {"a": {}}, "otherwise": {"queue": "lobby"}}', {"queue": "lobby"}),
        ("rules: [\notherwise: {queue: [", {"queue": "general"}),
        ("rules: [", {"queue": "general"}),
        ("otherwise: {queue: vip\n}\nrules: [", {"queue": "vip"}),
        ("\ufeff'otherwise': {queue: vip}\nrules: [", {"queue": "vip"}),
    ],
)
def test_of_a_broken_file_what_holds_otherwise_is_read_as_far_as_it_can_be(text, otherwise):
    with pytest.raises(UnusableRulesError) as error:
        read_rules(text, "f")
    assert error.value.otherwise == otherwise


def test_what_is_nested_deeper_than_a_process_can_follow_is_refused():
    text = "rules: " + "[" * 100_000 + "]" * 100_000
    with pytest.raises(BadInputError, match=r"f, line 1, column \d+: lists within lists, deeper than 20"):
        read_rules(text, "f")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("rules: [", (2, 1), "content: it is no YAML from here on; is a bracket or quote not closed?"),
        ("rules:\n  a: {when: value > 1, queue: 'x}", (2, 34), "is a bracket or quote not closed?"),
        ("rules:\n  a: {when: value > 1, queue: x, stores: []}", (2, 42), "leave it out for every store"),
        ("rules:\n  a:\n   when: value > 1\n    queue: x", (4, 10), "mend the indentation"),
        ("rules:\n  a:\n    when: value > 1\n    message: Dear: you", (4, 18), "put the text in quotes"),
        ("rules:\n\ta: {when: value > 1, queue: x}", (2, 1), "not tabs"),
        ("rules:\na: {when: value > 1, queue: x}", (2, 1), "cannot have 'a'"),
        ("rules:\n  a: {when: value > 1, que: x}", (2, 24), "cannot have 'que' (nearest: queue)"),
        ("rules:\n  a: {when: risk > 60%, queue: x}", (2, 22), "something is missing"),
        ("rules:\n  a: {when: value > 1, queue: x, control: 10%}", (2, 43), "from 0 to 0.5"),
        ("rules:\n  - name: a\n    when: value > 1\n    queue: x", (2, 3), "names with values below"),
        ("rule:\n  a: {when: value > 1}", (1, 1), "cannot have 'rule' (nearest: rules); there are: otherwise, rules"),
        ("rules:\n  a: {queue: x}", (2, 6), "has no when"),
        ("rules:\n  a: {when: value > 1}", (2, 6), "does nothing"),
        ("rules:\n  a:\n    when: value > 1 andd risk > 2\n    queue: x", (3, 26), "cannot be read here"),
        ("rules:\n  a: {when: \"value > 1 andd risk\", queue: x}", (2, 29), "cannot be read here"),
        ("rules:\n  a: {when: value > 1, queue: x}\n  a: {when: value > 1, queue: x}", (3, 3), "a stands twice"),
        ("rules:\n  a: {when: value > 1, priority: top}", (2, 34), "no priority 'top'"),
        ("rules:\n  a: {when: value > 1, queue: \"\"}", (2, 31), "queue is a name"),
        ("rules:\n  a: {when: value > 1, message: 'Dear {name}'}", (2, 39), "cannot say {name}"),
        ("rules:\n  a: {when: value > 1, message: 'for {customer_id}'}", (2, 38), "cannot say {customer_id}"),
        ("rules:\n  a: {when: value > 1, message: 'so {value'}", (2, 37), "not closed"),
        ("rules:\n  a: {when: value > 1, queue: x, control: 0.6}", (2, 43), "from 0 to 0.5"),
        ("rules:\n  a: {when: value > 1, queue: x, control: a tenth}", (2, 43), "from 0 to 0.5"),
        ("rules:\n  a: {when: value > 1, queue: x, window_days: 1.9}", (2, 47), "a whole number from 1 to 365"),
        ("rules:\n  a: {when: value > 1, queue: x, outcome: joy}", (2, 43), "no outcome 'joy'"),
        ("rules:\n  a: {when: value > 1, queue: x, stop: maybe}", (2, 40), "true or false"),
        ("rules:\n  A a: {when: value > 1, queue: x}", (2, 3), "cannot be a name"),
        ("otherwise: {campaign: x}", (1, 13), "cannot have 'campaign'"),
        ("- a", (1, 1), "names with values below"),
        ("rules:\n  ? [a]\n  : {when: value > 1, queue: x}", (2, 5), "a name is wanted"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text, place, message):
    with pytest.raises(BadInputError) as error:
        read_rules(text, "actions.yaml")
    line, column = place
    assert str(error.value).startswith(f"actions.yaml, line {line}, column {column}: ")
    assert message in str(error.value)


def test_the_ready_rules_speak_of_kinds_and_of_no_store_s_names():
    book = read_rules(ready_text(), "ready.yaml")
    kinds = {f"{one.axis}.kind = '{one.name}'" for one in SEGMENT_KINDS}
    kinds |= {f"{one.axis}.kind.{one.name}" for one in SEGMENT_KINDS}
    assert all(any(kind in rule.when for kind in kinds) for rule in book.rules)
    assert {effect for rule in book.rules for effect in rule.sets} <= set(EFFECTS)
    routing = [rule for rule in book.rules if "queue" in rule.sets]
    assert [rule.trial.control for rule in routing] == [0, 0]
    assert all(rule.trial.control for rule in book.rules if set(rule.sets) & set(OUTREACH))
