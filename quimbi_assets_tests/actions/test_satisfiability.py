"""Whether a condition can be true of anybody: by hand, and against trying everybody there could be."""

from itertools import product

import numpy as np
import pytest

from quimbi_assets.actions.findings import domains_of
from quimbi_assets.actions.routing import truth
from quimbi_assets.actions.satisfiability import can_be
from quimbi_assets_tests.actions.conditions import HERE, part_of, random_condition, truths_of

EVERYBODY = [
    dict(zip(("value", "orders", "lifecycle", "a", "risk"), values, strict=True))
    for values in product(
        (None, 0.5, 1, 1.5, 2, 2.5), (1, 1.5, 2, 3), (None, "new", "active", "lost"), (None, "a_1", "a_2"),
        (None, 0.2, 0.5, 0.9),
    )
]  # fmt: skip
"""Everybody whom the conditions can tell apart; whoever is somebody has ordered. Orders are numbers: 1.5 may be."""


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("value > 500 and value < 100", False),
        ("value > 100 and value < 500", True),
        ("value > 1 and value <= 1", False),
        ("value >= 1 and value <= 1", True),
        ("value = 1 and value <> 1", False),
        ("value is null and value > 1", False),
        ("value is null and not value > 1", False),  # which is unknown, not true
        ("lifecycle = 'new' and lifecycle = 'lost'", False),
        ("not (lifecycle in ('new', 'active', 'slowing', 'at risk', 'lapsed') or lifecycle = 'lost')", False),
        ("a = 'few' and a = 'many'", False),
        ("a <> 'few' and a <> 'many'", False),
        ("risk > 1.5", False),
        ("risk >= 1", True),
        ("last_order_at < '2026-01-01' and last_order_at >= '2026-01-01'", False),
        ("last_order_at <= '2026-01-01' and last_order_at >= '2026-01-01'", True),
        ("last_order_at = '2026-01-01' and last_order_at > '2026-01-01'", False),
        ("entered(lifecycle, 'lost', 4) and not entered(lifecycle, 'lost', 4)", False),
        ("entered(lifecycle, 'lost', 4) and not entered(lifecycle, 'lost', 8)", True),  # it is not known better
        ("(value > 5 or orders > 5) and value < 3 and orders < 3", False),
    ],
)
def test_by_hand(text, can):
    assert can_be([(part_of(text), "true")], domains_of(HERE)) is can


def test_what_is_called_impossible_is_true_of_nobody():
    rng, impossible = np.random.default_rng(14), 0
    for _ in range(300):
        part, other = part_of(random_condition(rng)), part_of(random_condition(rng))
        for asked, holds in (
            ([(part, "true")], lambda p, _: p is True),
            ([(part, "true"), (other, "not true")], lambda p, o: p is True and o is not True),
        ):
            if can_be(asked, domains_of(HERE)):
                continue
            impossible += 1
            for customer in EVERYBODY[::7]:
                of_both = (truth(one, truths_of(one, customer)) for one in (part, other))
                assert not holds(*of_both), (part.text, other.text, customer)
    assert impossible > 20


def test_what_is_called_possible_mostly_is():
    rng, wrong = np.random.default_rng(15), []
    for _ in range(150):
        part = part_of(random_condition(rng, 2))
        can = can_be([(part, "true")], domains_of(HERE))
        if can != any(truth(part, truths_of(part, one)) is True for one in EVERYBODY):
            wrong.append(part.text)
    assert wrong == []  # no two of these fields hang together, so nothing is missed either


def test_too_many_alternatives_are_not_judged():
    text = " and ".join(f"(value > {n} or orders < {n})" for n in range(30)) + " and risk > 1.5 and risk < 0"
    assert can_be([(part_of(text), "true")], {}) is True
