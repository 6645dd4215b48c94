"""What rules decide of all customers at once, the same as of each alone; only changes are written."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from quimbi_assets.actions.routing import decide
from quimbi_assets.actions.rules import EFFECTS, read_rules
from quimbi_assets.lift.assignment import in_control
from quimbi_assets.resources import actions
from quimbi_assets.resources.postgres.access import ServedDatabase
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.tables.actions import judge_customer, refresh_actions
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary
from quimbi_assets.resources.postgres.tables.treatments import read_trials
from quimbi_assets_tests.actions.conditions import random_condition
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish

N = 120
DECIDED = f"SELECT customer_id, rule, place, {', '.join(EFFECTS)} FROM quimbi.customer_actions WHERE store_id = %s"
MOVES = ("entered(lifecycle, 'lost', 4)", "entered(lifecycle, ('lost', 'new'), 30)", "not left(a, 'few', 8)")
MOVE = """
    INSERT INTO quimbi.segment_migrations (store_id, week, customer_id, axis_name, cause, from_segment, to_segment,
        from_week, at)
    SELECT store_id, %s, customer_id, %s, %s, %s, %s, %s, as_of - %s * interval '1 day' FROM quimbi.customer_profiles
    WHERE store_id = %s AND customer_id = %s
"""
CONSENT = "INSERT INTO quimbi.customer_consent VALUES (%s, %s, %s, %s, now())"


def unknown_for_some(rng, values):
    return [None if rng.random() < 0.15 else value for value in values]


def publish_crowd(database, store_id, seed=0, n=N):
    """Customers of all sorts: of much and little value, of any lifecycle, some of whom little is known."""
    rng = np.random.default_rng(seed)
    lifecycles = rng.choice(["new", "active", "at risk", "lost"], n).tolist()
    values = rng.choice([0.5, 1.0, 1.5, 2.0, 2500.0], n).tolist()
    segments = [json.dumps({"a": f"a_{k}", "b": "b_1"}) for k in rng.integers(1, 3, n)]
    publish(
        database, store_id, n,
        lifetime_value=pa.array(unknown_for_some(rng, values), pa.float64()),
        n_orders=pa.array(rng.integers(0, 4, n).tolist(), pa.int64()),
        lifecycle=pa.array(unknown_for_some(rng, lifecycles), pa.string()),
        churn_risk_score=pa.array(unknown_for_some(rng, rng.random(n).tolist()), pa.float64()),
        dominant_segments=pa.array(segments, pa.string()),
    )  # fmt: skip


def move_some(database, store_id, rng):
    """Moves of every cause, long ago, of late, and after the profiles were made."""
    for n in range(0, N, 2):
        cause = str(rng.choice(["acted", "silent", "model", "corrected"]))
        moved = ("lifecycle", cause, "active", str(rng.choice(["lost", "new", "active"])))
        moved = moved if rng.random() < 0.7 else ("a", cause, "a_1", "a_2")
        days = int(rng.choice([-7, 0, 6, 27, 28, 29, 55, 56, 100]))
        administer(database, MOVE, (date(2025, 1, 6), *moved, date(2024, 12, 30), days, store_id, f"c{n:04d}"))


def refresh(database, store_id, text):
    vocabulary = read_vocabulary(database, store_id)
    rules = actions.rules_of(store_id, vocabulary, read_rules(text, "f"))
    assert not rules.problems
    return rules, refresh_actions(database, store_id, rules.compiled, vocabulary.time_zone)


def at_random(rng, n_rules):
    """Rules at random: what they say, set, stop and leave alone."""
    effects = {
        "queue": ("q1", "q2"), "campaign": ("c1", "c2"), "priority": ("high", "low"), "export": ("e1",),
        "message": ("{lifecycle}: {value} in {orders}, {archetype}, {risk}", "'100 %' {last_order_at}"),
    }  # fmt: skip
    rules = []
    for n in range(n_rules):
        chosen = rng.choice(list(effects), rng.integers(1, 4), replace=False)
        sets = {str(effect): str(rng.choice(effects[str(effect)])) for effect in chosen}
        trial = {"control": float(rng.choice([0, 0.3])), "stop": bool(rng.random() < 0.15)}
        when = random_condition(rng)
        when = f"{when} {rng.choice(['and', 'or'])} {rng.choice(MOVES)}" if rng.random() < 0.4 else when
        rules.append((f"rule_{n}", {"when": when, **trial, **sets}))
    return json.dumps({"rules": dict(rules)})


@pytest.mark.parametrize("seed", range(6))
def test_of_all_at_once_as_of_each_alone(database, seed):
    store_id, rng = f"act-many-{seed}", np.random.default_rng(seed)
    publish_crowd(database, store_id, seed)
    move_some(database, store_id, rng)
    for at in range(0, N, 5):
        administer(database, CONSENT, (store_id, f"c{at:04d}", at % 2 == 0, None))
    rules, state = refresh(database, store_id, at_random(rng, 12))
    together: dict[str, dict[str, dict[str, str]]] = {}
    for customer, rule, _, *values in administer(database, DECIDED, (store_id,)):
        sets = {effect: value for effect, value in zip(EFFECTS, values, strict=True) if value is not None}
        together.setdefault(customer, {})[rule] = sets
    chosen = dict.fromkeys(state.chosen, 0)
    conflicts = {(one.effect, one.heard, one.unheard): one.customers for one in state.conflicts}
    counted: dict[tuple[str, str, str], int] = {}
    arms: dict[tuple[str, str], str] = {}
    for n in range(N):
        customer = f"c{n:04d}"
        judged, may_write, _ = judge_customer(database, store_id, customer, rules.parts, "UTC", is_served=False)
        decision = decide(judged, {}, may_write=may_write)
        alone = {one.rule: dict(one.sets) for one in decision.fired if one.sets}
        assert together.get(customer, {}) == alone
        for one in (one for one in judged if one.rule.trial.control):
            others = decide(
                [replace(other, is_held=other.is_held and other is not one) for other in judged],
                {},
                may_write=may_write,
            )
            if any(fired.rule == one.rule.name and fired.sets for fired in others.fired):
                arms[f"rule/{one.rule.name}", customer] = "control" if one.is_held else "acted"
        for one in judged:
            assert one.is_held == in_control(store_id, one.rule.subject, customer, one.rule.trial.control)
            chosen[one.rule.name] += one.fires
        for fired in decision.fired:
            for effect, heard in fired.unheard.items():
                if " " not in heard:
                    key = (effect, heard, fired.rule)
                    counted[key] = counted.get(key, 0) + 1
    assert (state.chosen, state.customers) == (chosen, len(together))
    controls = Counter(subject.removeprefix("rule/") for (subject, _), arm in arms.items() if arm == "control")
    assert state.held == {name: controls[name] for name in state.held}
    # A rule's message can come out the same as another's; by what is written in the file they are otherwise.
    without = {key: n for key, n in counted.items() if key[0] != "message"}
    assert {key: n for key, n in conflicts.items() if key[0] != "message"} == without
    assert sum(chosen.values()) > N / 4
    entered = administer(
        database, "SELECT subject, customer_id, arm FROM quimbi.treatments WHERE store_id = %s", (store_id,)
    )
    assert {(subject, customer): arm for subject, customer, arm in entered} == arms


def test_only_changes_are_written(database):
    store_id = "act-delta"
    publish_crowd(database, store_id)
    text = json.dumps({"rules": {"big": {"when": "value > 1", "queue": "senior", "control": 0}}})
    _, first = refresh(database, store_id, text)
    assert first.entered == first.customers > 10
    decided = "SELECT max(decided_at), count(*) FROM quimbi.customer_actions WHERE store_id = %s"
    before = administer(database, decided, (store_id,))
    _, again = refresh(database, store_id, text)
    assert (again.entered, again.changed, again.left) == (0, 0, 0)
    assert administer(database, decided, (store_id,)) == before
    _, other = refresh(database, store_id, text.replace("senior", "elsewhere"))
    assert (other.entered, other.changed, other.left) == (0, first.customers, 0)
    _, fewer = refresh(database, store_id, text.replace("value > 1", "value > 2000"))
    assert (fewer.entered, fewer.left) == (0, first.customers - fewer.customers)
    publish_crowd(database, store_id, n=10)
    _, few = refresh(database, store_id, text.replace("value > 1", "value > 0"))
    left = database.execute(
        EVERY_STORE, "SELECT max(customer_id) FROM quimbi.customer_actions WHERE store_id = %s", (store_id,)
    )
    assert left[0][0] <= "c0009"  # of whoever has no profile any more nothing stays
    assert few.customers == len(administer(database, DECIDED, (store_id,)))


def test_rules_are_tried(database):
    store_id = "act-tried"
    publish_crowd(database, store_id)
    rules = {
        "big": {"when": "value > 1", "queue": "senior", "control": 0.3},
        "all": {"when": "orders >= 0", "queue": "b", "control": 0.1},
    }
    _, first = refresh(database, store_id, json.dumps({"rules": rules}))
    sql = "SELECT customer_id, arm, acted_at IS NOT NULL FROM quimbi.treatments WHERE store_id = %s AND subject = %s"
    rows = administer(database, sql, (store_id, "rule/big"))
    assert len(rows) == first.chosen["big"] > 10
    assert {who for who, arm, _ in rows if arm == "control"} == {
        who for who, *_ in rows if in_control(store_id, "rule/big", who, 0.3)
    }
    assert sum(arm == "control" for _, arm, _ in rows) == first.held["big"]
    assert all(is_acted == (arm == "acted") for _, arm, is_acted in rows)
    # Whom an earlier rule leaves it nothing to set for is in neither arm.
    acted = {who for who, arm, _ in rows if arm == "acted"}
    later = administer(database, sql, (store_id, "rule/all"))
    assert (
        len(later)
        == first.chosen["all"] - len(acted)
        == first.acted["all"] + sum(arm == "control" for _, arm, _ in later)
    )
    assert not acted & {who for who, *_ in later}
    refresh(database, store_id, json.dumps({"rules": rules}))
    assert administer(database, sql, (store_id, "rule/big")) == rows
    rules["big"]["control"] = 0
    refresh(database, store_id, json.dumps({"rules": rules}))
    states = {one.subject: one for one in read_trials(database, store_id)}
    assert states["rule/big"].ended_at is not None
    assert states["rule/all"].ended_at is None
    rules["big"]["control"] = 0.3
    _, again = refresh(database, store_id, json.dumps({"rules": rules}))
    assert again.held["big"] == first.held["big"]  # held out again, and so counted again
    states = {one.subject: one for one in read_trials(database, store_id)}
    assert (states["rule/big"].trial.control, states["rule/big"].ended_at) == (0.3, None)


def test_a_rule_that_is_not_in_the_book_any_more_ends_its_trial(database, home):
    """One that cannot be asked at present, or speaks of what is not measured, is in it: its trial goes on."""
    store_id = "act-gone"
    publish_crowd(database, store_id)
    sets = {"gone": "queue: q", "broken": "campaign: c", "silent": "priority: high", "stays": "export: e"}
    rules = {name: {"when": "orders >= 0", "control": 0.2, effect: said} for name, one in sets.items()
             for effect, said in [one.split(": ")]}  # fmt: skip

    def ended_by(book):
        (home / "actions.yaml").write_text(json.dumps({"rules": book}))
        known = actions.decide_store(database, store_id).rules
        states = read_trials(database, store_id)
        assert len(states) == len(sets)
        return {one.subject for one in states if one.ended_at}, list(known.problems), list(known.unmeasured)

    inactive = (
        "UPDATE quimbi.axis_models SET axis_name = 'quiet', status = 'inactive' WHERE store_id = %s AND axis_name = 'b'"
    )
    try:
        assert ended_by(rules) == (set(), [], [])
        administer(database, inactive, (store_id,))
        odd = {
            name: {**rules[name], "when": when} for name, when in (("broken", "ordres > 0"), ("silent", "quiet = 'a'"))
        }
        assert ended_by(rules | odd) == (set(), ["broken"], ["silent"])
        without = {name: rule for name, rule in rules.items() if name != "gone"}
        assert ended_by(without) == ({"rule/gone"}, [], [])
        assert ended_by({})[0] == {f"rule/{name}" for name in sets}
        assert ended_by(rules)[0] == set()  # held back again, and so counted again
    finally:
        (home / "actions.yaml").unlink(missing_ok=True)


def test_whoever_may_not_be_written_to_is_routed_and_no_more(database):
    store_id = "act-consent"
    publish_crowd(database, store_id)
    rule = {"when": "value is not null or value is null", "queue": "q", "campaign": "c", "control": 0}
    administer(database, CONSENT, (store_id, "c0001", False, None))
    administer(database, CONSENT, (store_id, "c0002", None, True))
    refresh(database, store_id, json.dumps({"rules": {"all": rule}}))
    rows = {row[0]: (row[3], row[6]) for row in administer(database, DECIDED, (store_id,))}
    assert (rows["c0001"], rows["c0002"], rows["c0003"]) == (("q", None), ("q", None), ("q", "c"))


def test_messages_are_filled_in_from_the_profile(database):
    store_id = "act-message"
    publish(
        database, store_id, 2, lifetime_value=pa.array([1234567.6, None], pa.float64()),
        lifecycle=pa.array(["at risk", None]), churn_risk_score=pa.array([0.416, None], pa.float64()),
        last_order_at=pa.array([datetime(2024, 5, 3, 23, 30, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
    )  # fmt: skip
    text = "{lifecycle} {value} {risk} {last_order_at} {archetype} 100 % '%s' \\"
    rule = {"when": "value > 0 or value is null", "message": text, "control": 0}
    refresh(database, store_id, json.dumps({"rules": {"all": rule}}))
    messages = dict(
        database.execute(
            EVERY_STORE, "SELECT customer_id, message FROM quimbi.customer_actions WHERE store_id = %s", (store_id,)
        )
    )
    assert messages == {
        "c0000": "at risk €1,234,568 42 % 3 May 2024 all customers 100 % '%s' \\",
        "c0001": "unknown unknown unknown unknown all customers 100 % '%s' \\",
    }


@pytest.mark.parametrize(("currency", "said"), [("GBP", "£1,235"), ("SEK", "SEK 1,235"), (None, "1,235")])
def test_a_message_says_amounts_in_the_currency_of_the_store(database, currency, said):
    store_id = f"act-money-{currency}"
    risk = pa.array([0.5, 0.5], pa.float64())
    publish(database, store_id, 2, lifetime_value=pa.array([1234.6, -1234.6], pa.float64()), churn_risk_score=risk)
    administer(database, "UPDATE quimbi.stores SET currency = %s WHERE store_id = %s", (currency, store_id))
    rule = {"when": "value > 0 or value < 0", "message": "{value} of {risk}", "control": 0}
    rules, _ = refresh(database, store_id, json.dumps({"rules": {"all": rule}}))
    messages = [row[7] for row in sorted(administer(database, DECIDED, (store_id,)))]
    assert messages == [f"{said} of 50 %", f"-{said} of 50 %"]
    alone, _, _ = judge_customer(database, store_id, "c0001", rules.parts, "UTC", is_served=False)
    assert alone[0].message == messages[1]


def test_a_program_is_told_to_reach_out_to_those_alone_whom_the_last_run_would(database, home):
    store_id, served = "act-served", ServedDatabase.of(database)
    publish_crowd(database, store_id)
    (home / "actions.yaml").write_text("rules: {all: {when: orders >= 0, queue: q, campaign: c, control: 0}}")
    try:
        actions.decide_store(database, store_id)
        administer(
            database, "DELETE FROM quimbi.customer_actions WHERE store_id = %s AND customer_id = 'c0005'", (store_id,)
        )
        with served.of_store(store_id) as now:
            reached, not_decided = (
                actions.route_ticket(now, store_id, customer, is_served=True) for customer in ("c0004", "c0005")
            )
        assert (reached["queue"], reached["campaign"]) == ("q", "c")
        assert (not_decided["queue"], not_decided["campaign"]) == ("q", None)
        assert actions.route_ticket(database, store_id, "c0005")["campaign"] == "c"
        nobody = actions.route_ticket(database, store_id, "nobody")
        assert (nobody["queue"], nobody["is_known"]) == ("general", False)
        assert nobody["reason"] == f"store {store_id} has no profile of customer nobody"
    finally:
        (home / "actions.yaml").unlink()
        served.close()


def test_what_a_broken_rule_decided_gives_way_to_what_others_set(database, home):
    store_id = "act-rivals"
    publish_crowd(database, store_id)
    text = """
rules:
  first: {when: orders >= 0, queue: retention, assignee: ann, control: 0}
  second: {when: orders >= 1, queue: senior, control: 0}
"""
    (home / "actions.yaml").write_text(text)
    try:
        actions.decide_store(database, store_id)
        rows = {(row[0], row[1]): row[3:5] for row in administer(database, DECIDED, (store_id,))}
        assert set(rows.values()) == {("retention", "ann")}
        (home / "actions.yaml").write_text(text.replace("orders >= 0", "ordres >= 0"))
        actions.decide_store(database, store_id)
        rows = {(row[0], row[1]): row[3:5] for row in administer(database, DECIDED, (store_id,))}
        of_second = {customer for customer, rule in rows if rule == "second"}
        assert 0 < len(of_second) < N
        for (customer, rule), sets in rows.items():
            queue = None if customer in of_second else "retention"
            assert sets == (("senior", None) if rule == "second" else (queue, "ann"))
    finally:
        (home / "actions.yaml").unlink()


def test_a_rule_that_a_store_does_not_understand_does_not_keep_others_from_it(database, home):
    store_id = "act-problem"
    publish_crowd(database, store_id)
    text = """
rules:
  none: {when: a = 'nobody', queue: x}
  never: {when: value > 2 and value < 1, queue: x}
  all: {when: orders >= 0, queue: q}
"""
    (home / "actions.yaml").write_text(text)
    try:
        check = actions.decide_store(database, store_id)
        assert check.evaluation.chosen == {"never": 0, "all": N}
        assert [": ".join(line.split(": ")[:2]) for line in check.problems] == [
            f"{home / 'actions.yaml'}, line 3: rule none cannot be asked",
            f"{home / 'actions.yaml'}, line 4: rule never can never fire",
        ]  # fmt: skip
        decided = "SELECT count(*) FROM quimbi.customer_actions WHERE store_id = %s AND rule = 'all'"
        (home / "actions.yaml").write_text(text.replace("orders >= 0", "ordres >= 0"))  # what was decided stays
        assert "all" in actions.decide_store(database, store_id).rules.problems
        assert database.execute(store_id, decided, (store_id,)) == [(N,)]
        (home / "actions.yaml").write_text("rules: {}")
        actions.decide_store(database, store_id)
        assert database.execute(store_id, decided, (store_id,)) == [(0,)]
        (home / "actions.yaml").unlink()
        ready = actions.check_rules(database, store_id)
        assert set(ready.rules.problems) == set(), ready.rules.problems
    finally:
        (home / "actions.yaml").unlink(missing_ok=True)
