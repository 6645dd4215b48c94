"""The filter language: what it says, what it refuses and where, and that nothing in it reaches the server as SQL."""

from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from quimbi_assets import marketing
from quimbi_assets.audiences import fields
from quimbi_assets.audiences.fields import Vocabulary
from quimbi_assets.audiences.filters import EVERYBODY, compile_filter, order_by, usual_sort
from quimbi_assets.errors import FilterError

GROUPS = {
    "archetype": {"a1": "evening shoppers", "a2": "evening shoppers"},
    "purchase_value": {"purchase_value_1": "heavy_spenders", "purchase_value_2": "light_spenders"},
}
FEATURES = {"purchase_value": {"avg_order_value": "number", "is_rising": "flag", "last_on": "date", "sort": "text"}}
INACTIVE = {"price_sensitivity": "not recorded: discounts"}
LONDON = Vocabulary(GROUPS, FEATURES.__getitem__, "Europe/London", INACTIVE)


def refused(text):
    with pytest.raises(FilterError) as error:
        compile_filter(text, LONDON)
    return error.value


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("value > 500", "(profile.lifetime_value > 500)"),
        ("500 < value", "(profile.lifetime_value > 500)"),
        ("VALUE is not null", "(NOT (profile.lifetime_value IS NULL))"),
        ("customer_id in ('a', 'it''s')", "(profile.customer_id = 'a' OR profile.customer_id = 'it''s')"),
        ("risk between 0.4 and .8", "(profile.churn_risk_score >= 0.4 AND profile.churn_risk_score <= 0.8)"),
        ("not risk is null", "(NOT (profile.churn_risk_score IS NULL))"),
        ("value > -1 and risk > 0 or value < 5", "(((profile.lifetime_value > -1) AND (profile.churn_risk_score > 0))"
         " OR (profile.lifetime_value < 5))"),
        ("(value > 1 or risk > 0) or value < 5 or (value = 7)", "(((profile.lifetime_value > 1) OR "
         "(profile.churn_risk_score > 0)) OR (profile.lifetime_value < 5) OR (profile.lifetime_value = 7))"),
        ("(value > 1 and value < 5) and (risk > 0 and risk < 1)", "(((profile.lifetime_value > 1) AND "
         "(profile.lifetime_value < 5)) AND ((profile.churn_risk_score > 0) AND (profile.churn_risk_score < 1)))"),
        ("archetype = 'evening shoppers'", "(profile.archetype_id = ANY(['a1', 'a2']))"),
        ("purchase_value <> 'heavy_spenders'",
         "(profile.dominant_segments ->> 'purchase_value' <> ALL(['purchase_value_1']))"),
        ("purchase_value in ('heavy_spenders', 'purchase_value_2')",
         "(profile.dominant_segments ->> 'purchase_value' = ANY(['purchase_value_1', 'purchase_value_2']))"),
        ("purchase_value.light_spenders > 0.6",
         "((profile.segment_memberships -> 'purchase_value' ->> 'purchase_value_2')::double precision > 0.6)"),
        ("purchase_value.avg_order_value > 30",
         "((profile.feature_vectors -> 'purchase_value' ->> 'avg_order_value')::double precision > 30)"),
        ("purchase_value.is_rising", "((profile.feature_vectors -> 'purchase_value' ->> 'is_rising')::boolean)"),
        ("lifecycle = 'At Risk'", "(profile.lifecycle = 'at risk')"),
        ("purchase_value = 'Heavy spenders'",
         "(profile.dominant_segments ->> 'purchase_value' = ANY(['purchase_value_1']))"),
        ("purchase_value.strength = 'strong'", "(profile.stays_strength ->> 'purchase_value' = 'strong')"),
    ],
)  # fmt: skip
def test_what_is_said_is_asked(text, condition):
    query = compile_filter(text, LONDON)
    values = {name: repr(v) if isinstance(v, list) else f"{v:g}" if isinstance(v, float) else "'{}'".format(
        v.replace("'", "''")) for name, v in query.parameters.items()}  # fmt: skip
    assert query.condition % values == condition


@pytest.mark.parametrize(
    ("text", "values"),
    [
        # A day is a day by the store's clock: of 29 March 2026 London has 23 hours.
        ("expected_next_order_at <= '2026-03-29'", [datetime(2026, 3, 29, 23, tzinfo=UTC)]),
        ("expected_next_order_at > '2026-03-29'", [datetime(2026, 3, 29, 23, tzinfo=UTC)]),
        ("expected_next_order_at >= '2026-03-29'", [datetime(2026, 3, 29, tzinfo=UTC)]),
        ("expected_next_order_at < '2026-07-01T12:00'", [datetime(2026, 7, 1, 11, tzinfo=UTC)]),
        ("expected_next_order_at = '2026-07-01'", [datetime(2026, 6, 30, 23, tzinfo=UTC),
                                                   datetime(2026, 7, 1, 23, tzinfo=UTC)]),
    ],
)  # fmt: skip
def test_days_are_the_stores(text, values):
    assert list(compile_filter(text, LONDON).parameters.values()) == values


def test_moves_are_the_customers():
    query = compile_filter("entered(purchase_value, ('heavy_spenders', 'light_spenders'), 4)", LONDON)
    assert list(query.parameters.values()) == ["purchase_value", ["purchase_value_1", "purchase_value_2"], 4.0]
    assert "move.to_segment = ANY(%(where_1)s)" in query.condition
    assert "IN ('acted', 'silent')" in query.condition
    assert "move.from_segment" in compile_filter("left(archetype, 'a1', 1)", LONDON).condition


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("valu > 5", "valu", "no field 'valu' (nearest: value)"),
        ("value > 1 and\n  lifecycle_ = 'x'", "lifecycle_", "no field 'lifecycle_'"),
        ("value > 'x'", "'x'", "a number is wanted"),
        ("spent > 5", "spent", "no field 'spent' (nearest: value)"),
        ("last order > '2026-01-01'", "last order", "the field of 'last order' is last_order_at"),
        ("value > 1 and price_sensitivity.discount_rate > 0.3", "price_sensitivity.discount_rate",
         "price_sensitivity is inactive in this store: not recorded: discounts"),
        ("value = null", "value", "is null"),
        ("value > 500 500", "5", "cannot be read"),
        ("value >", ">", "something is missing"),
        ("purchase_value = heavy_spenders", "heavy_spenders", "in single quotes: 'heavy_spenders'"),
        ("customer_id = 1042", "1042", "in single quotes: '1042'"),
        ("purchase_value = 'hevy_spenders'", "'hevy_spenders'", "(nearest: heavy_spenders"),
        ("purchase_value.avg_ordr_value > 4", "purchase_value.avg_ordr_value", "(nearest: purchase_value.avg_order_"),
        ("purchase_value > 'heavy_spenders'", "purchase_value > 'heavy_spenders'", "=, <> and in only"),
        ("purchase_value.strength = 'firm'", "'firm'", "one of strong, balanced, weak"),
        ("expected_next_order_at < 'soon'", "'soon'", "is not a date"),
        ("customer_id = 'x", "'x", "quote is opened"),
        ("value in ()", "value", "a list"),
        ("entered(value, 'x', 4)", "value", "no moves of value"),
        ("entered(archetype, 'a1')", "entered(archetype, 'a1'", "within how many weeks"),
        ("entered(archetype, 'a1', 100000)", "100000", "weeks are counted from 1 to 5,000"),
        ("value", "value", "say what value should be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_marked_where_it_stands(text, place, message):
    error = refused(text)
    assert message in str(error)
    assert text[error.start : error.end] == place
    line, marks = error.pointed.split("\n")
    assert len(marks) <= len(line)
    assert set(marks.strip()) == {"^"}


@pytest.mark.parametrize(
    "text",
    [
        "value = 1; drop table quimbi.orders", "value in (select 1)", "value > 1 union select 2", "upper(value) = 'A'",
        "value::text = '1'", "value + 1 > 2", "1 = 1", "true", "exists(select 1)", "value > all(select 1)",
        "pg_sleep(9)", "current_user = 'x'", "value = :x", "value = $1", "value[1] = 2", "customer_id like '%'",
        "case when value > 1 then true end", "customer_id = 'a\0'", "value = 1e999",
        pytest.param("(" * 3000 + "value > 1" + ")" * 3000, id="deep"),
    ],
)  # fmt: skip
def test_nothing_else_of_sql_is_let_through(text):
    refused(text)


@pytest.mark.parametrize("value", ["'; DROP TABLE quimbi.orders --", "%s", "%(store)s", "\\", "$1", "{0}", "a\nb"])
def test_values_are_parameters(value):
    query = compile_filter("customer_id = '{}'".format(value.replace("'", "''")), LONDON)
    assert (query.condition, query.parameters) == ("(profile.customer_id = %(where_0)s)", {"where_0": value})


def test_no_filter_means_everybody():
    assert compile_filter(None, LONDON) is compile_filter("  ", LONDON) is EVERYBODY


def test_order():
    assert order_by("value", LONDON).terms == "profile.lifetime_value DESC NULLS LAST"
    assert order_by("risk asc", LONDON).terms == "profile.churn_risk_score ASC NULLS LAST"
    with pytest.raises(FilterError, match="nearest: risk"):
        order_by("riks", LONDON)


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("lifecycle = 'At Risk'", "value_at_risk"),
        ("value > 5 and (lifecycle in ('new', 'slowing'))", "value_at_risk"),
        ("risk between 0.4 and 0.8 or value > 500", "value_at_risk"),
        ("rfm_group = 'at risk'", "value_at_risk"),
        ("entered(lifecycle, 'lapsed', 4)", "value_at_risk"),
        ("left(lifecycle, 'lapsed', 4)", "value"),
        ("lifecycle <> 'lapsed'", "value"),
        ("not lifecycle = 'lapsed' and risk < 0.1", "value"),
        ("customer_id = 'a risk'", "value"),  # a word of the text is not what is asked
        ("orders > 2 -- at risk", "value"),
    ],
)
def test_who_may_leave_comes_by_what_may_be_lost(text, by):
    assert usual_sort(compile_filter(text, LONDON)) == by


def test_words_are_those_of_the_groupings():
    assert {name: tuple(words) for name, (_, *words) in fields.GROUPINGS.items()} == dict(marketing.GROUPINGS)
    assert list(compile_filter("entered(lifecycle, 'at risk', 4)", LONDON).parameters.values()) == [
        "lifecycle", ["at risk"], 4.0
    ]  # fmt: skip
    assert "it is one of new, active" in str(refused("lifecycle = 'atrisk'"))


def test_the_page_is_written_from_the_declarations():
    path = Path(__file__).parents[2] / "docs" / "filters.py"
    spec = spec_from_file_location("filters_page", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run docs/filters.py"
