"""What ``quimbi actions`` prints of rules and of one customer, and how it ends."""

import json
import os

import pyarrow as pa
import pytest
import yaml

from quimbi_assets.actions.rules import ready_text
from quimbi_assets_tests.resources.published import publish

RULES = """
rules:
  good: {when: value > 5 and orders >= 3, queue: senior, campaign: spring, control: 0}
  better: {when: value > 20, queue: retention, control: 0}
"""


@pytest.fixture(scope="module")
def shop(database):
    n = 30
    publish(database, "acting", n, n_orders=pa.array([3] * n))
    return "acting"


@pytest.fixture
def rules(home):
    path = home / "actions.yaml"
    yield path.write_text
    path.unlink()


def test_whom_rules_choose_and_which_contradict(quimbi, shop, rules):
    rules(RULES)
    code, out, err = quimbi("actions", "--store-id", shop)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[1] == ["good", "23", "23", "0", "queue:", "senior,", "campaign:", "spring"]
    assert lines[2] == ["better", "8", "0", "0", "queue:", "retention"]
    assert "otherwise queue: general; 23 customers by rules" in out
    assert "conflict  queue: good is heard before better for 8 customers" in out
    assert quimbi("actions", "--store-id", shop, "--check")[:2] == (0, out[out.index("conflict") :])


def test_a_check_that_has_something_to_mend_fails(quimbi, shop, rules, home):
    rules(RULES + "  never: {when: value > 5 and value < 1, queue: x}\n  nobody: {when: a = 'b', queue: x}\n")
    code, out, _ = quimbi("actions", "--store-id", shop, "--check")
    assert code == 1
    place = f"mend      {home / 'actions.yaml'}, line"
    assert f"{place} 5: rule never can never fire: it is true of nobody: value > 5 AND value < 1" in out
    assert f"{place} 6: rule nobody cannot be asked: there is no segment of a 'b'" in out
    answer = json.loads(quimbi("actions", "--store-id", shop, "--json")[1])
    assert [(one["rule"], one["chosen"], bool(one["problem"])) for one in answer["rules"]] == [
        ("good", 23, False), ("better", 8, False), ("never", 0, True), ("nobody", 0, True),
    ]  # fmt: skip
    assert (answer["conflicts"][0]["customers"], len(answer["problems"])) == (8, 2)


def test_a_check_says_all_that_cannot_be_at_once(quimbi, shop, rules):
    rules(
        "rules:\n  a: {when: value >, queue: x}\n  b: {when: value > 1, que: x}\n  c: {when: value > 1, queue: x}\n"
        "otherwise: {campaign: x}\n"
    )
    code, out, _ = quimbi("actions", "--store-id", shop, "--check")
    assert code == 1
    assert [line.partition(", column")[0].rpartition(" ")[2] for line in out.splitlines()] == ["2", "3", "5"]
    assert "(and 2 more: quimbi actions --check says all)" in quimbi("actions", "--store-id", shop)[2]


def test_a_rule_of_no_store_and_one_that_chooses_nobody(quimbi, shop, rules):
    rules("rules:\n  a: {when: value > 5, queue: x, stores: [actng, acting]}\n  b: {when: value > 9999, assignee: x}\n")
    code, out, _ = quimbi("actions", "--store-id", shop, "--check")
    assert code == 1
    assert "line 2: rule a is of no store there is: actng" in out
    assert "nobody    b fires for nobody today" in out


def test_a_ticket_goes_somewhere_where_the_rules_cannot_be_read(quimbi, shop, rules, home):
    rules("rules: [")
    code, out, _ = quimbi("actions", "--store-id", shop, "--customer-id", "c0010", "--json")
    answer = json.loads(out)
    assert (code, answer["queue"], answer["is_known"], answer["by"]) == (0, "general", True, {})
    assert answer["reason"].startswith("actions.yaml cannot be used")
    assert answer["not_asked"]["actions.yaml"].startswith("actions.yaml, line 2, column 1: ")
    assert str(home) not in out


def test_what_holds_otherwise_holds_while_a_rule_cannot_be_read(quimbi, shop, rules):
    rules("rules:\n  a: {when: value > 1, priority: hi}\notherwise: {queue: tier1, priority: low}\n")
    for customer in ("c0010", "nobody"):
        answer = json.loads(quimbi("actions", "--store-id", shop, "--customer-id", customer, "--json")[1])
        assert (answer["queue"], answer["priority"]) == ("tier1", "low")
        assert answer["reason"].startswith("actions.yaml cannot be used")


def test_a_pipe_in_place_of_the_rules_is_not_waited_for(quimbi, shop, home):
    os.mkfifo(home / "actions.yaml")
    try:
        code, out, _ = quimbi("actions", "--store-id", shop, "--customer-id", "c0010", "--json")
    finally:
        (home / "actions.yaml").unlink()
    assert (code, json.loads(out)["queue"]) == (0, "general")
    assert json.loads(out)["not_asked"]["actions.yaml"] == "cannot read actions.yaml: it is no regular file"


@pytest.mark.parametrize("name", ["actions.yaml", "audiences.yaml"])
def test_a_link_to_nothing_and_what_is_not_utf_8_are_no_files_of_the_project(quimbi, shop, home, name):
    asked = ("actions" if name.startswith("act") else "audiences", "--store-id", shop)
    try:
        (home / name).symlink_to(home / "nowhere.yaml")
        assert f"{name}: it is a link to what is not there" in quimbi(*asked)[2]
        (home / name).unlink()
        (home / name).write_bytes("# first\n# caf\u00e9\n".encode("latin-1"))
        assert f"{name}, line 2: it is not UTF-8; save the file as UTF-8" in quimbi(*asked)[2]
    finally:
        (home / name).unlink()


def test_one_customer(quimbi, shop, rules):
    rules(RULES.replace("value > 20", "value > 17"))
    code, out, _ = quimbi("actions", "--store-id", shop, "--customer-id", "c0010")
    assert code == 0
    assert out.splitlines() == [
        "queue     senior  (good)",
        "campaign  spring  (good)",
        "fires     good: value > 5 (is 9); orders >= 3 (is 3)",
        "nearly    better, but for value > 17 (is 9, more than 8 short)",
    ]
    answer = json.loads(quimbi("actions", "--store-id", shop, "--customer-id", "c0010", "--json")[1])
    assert answer["nearly"][0]["wanting"] == [
        {"condition": "value > 17", "value": 9.0, "short_by": 8.0, "is_more": True}
    ]
    out = quimbi("actions", "--store-id", shop, "--customer-id", "nobody")[1]
    assert out.splitlines() == [
        "queue     general  (as where no rule says otherwise)",
        "Customer nobody: store acting has no profile of customer nobody",
    ]


def test_the_example_is_the_ready_file(quimbi):
    code, out, _ = quimbi("actions", "--example")
    assert (code, out) == (0, ready_text())
    assert list(yaml.safe_load(out)) == ["rules", "otherwise"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([], "--store-id is missing"),
        (["--store-id", "acting", "--check", "--customer-id", "c"], "give one of them"),
        (["--example", "--check"], "takes nothing else"),
        (["--store-id", "nowhere"], "unknown store 'nowhere'"),
    ],
)
def test_what_cannot_be_asked(quimbi, shop, asked, message):
    code, out, err = quimbi("actions", *asked)
    assert (code, out) == (2, "")
    assert message in err


def test_a_file_that_is_wrong_is_said_with_its_place(quimbi, shop, rules):
    rules("rules:\n  a: {when: value >, queue: x}")
    code, out, err = quimbi("actions", "--store-id", shop)
    assert (code, out) == (2, "")
    assert "actions.yaml, line 2, column " in err
