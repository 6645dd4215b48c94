import pytest

from quimbi_assets.axes._axis import Feature
from quimbi_assets.naming.values import format_money, format_value


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("days", 1, "1 day"),
        ("days", 12.3, "12 days"),
        ("days", 2.44, "2.4 days"),
        ("orders a month", 0.83, "0.83 orders a month"),
        ("orders a month", 1, "1 order a month"),
        ("categories", 1, "1 category"),
        ("share", 0.315, "32 %"),
        ("share", 0.0, "0 %"),
        ("count", 1240, "1,240"),
        ("index", -0.02, "-0.02"),
        ("hours", 5.06, "5.1 hours"),
        ("per month", 0.3, "0.3 per month"),
        ("days", float("nan"), "not known"),
        ("money", float("nan"), "not known"),
    ],
)
def test_units(unit, value, text):
    assert format_value(Feature("f", unit, "Meaning"), value) == text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1240, "£", "£1,240"),
        (99.996, "USD", "$100"),
        (99.99, "USD", "$99.99"),
        (0, "EUR", "€0.00"),
        (-0.001, "", "0.00"),
    ],
)
def test_money(amount, currency, text):
    assert format_money(amount, currency) == text
