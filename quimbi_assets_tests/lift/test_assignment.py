import numpy as np
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.lift.assignment import Trial, in_control, in_control_each, in_control_sql, parameters
from quimbi_assets_tests.administrator import administer

IDS = [*map(str, range(3000)), "ü;' \\", "a|b", "gid://shopify/Customer/1"]


def side(subject, share=0.1):
    return np.array([in_control("shop", subject, one, share) for one in IDS])


def test_share_is_about_what_was_asked_for():
    assert side("audience/cooling").mean() == pytest.approx(0.1, abs=0.02)
    assert not side("audience/cooling", 0.0).any()


def test_subjects_divide_customers_independently():
    one, other = side("audience/cooling", 0.3), side("rule/call", 0.3)
    assert (one & other).mean() == pytest.approx(0.09, abs=0.02)


def test_a_larger_share_holds_a_smaller_one():
    assert not (side("rule/call", 0.1) & ~side("rule/call", 0.2)).any()


def test_duckdb_agrees():
    assert in_control_each("shop", "rule/call", IDS, 0.1).tolist() == side("rule/call").tolist()
    assert in_control_each("shop", "rule/call", [], 0.1).tolist() == []


def test_postgresql_agrees(database):
    customers = "unnest(%(ids)s::text[]) WITH ORDINALITY AS customer (customer_id, place)"
    sql = f"SELECT {in_control_sql('customer_id')} FROM {customers} ORDER BY place"
    rows = administer(database, sql, {**parameters("shop", "rule/call", 0.1), "ids": IDS})
    assert [one for (one,) in rows] == side("rule/call").tolist()


@pytest.mark.parametrize(
    "wrong", [{"control": 0.6}, {"control": -0.1}, {"outcome": "clicks"}, {"window_days": 0}, {"weeks": 0}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(BadInputError, match=next(iter(wrong))):
        Trial(**wrong)
