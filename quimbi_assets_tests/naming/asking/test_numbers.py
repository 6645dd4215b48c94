import pytest

from quimbi_assets.naming.asking.numbers import known_numbers, wrong_numbers
from quimbi_assets_tests.descriptions import brief_by_hand


@pytest.mark.parametrize(
    "text",
    [
        "They order 4 times a month; the typical customer has 1.7 orders.",
        "Their last order was 8 days ago, against 124 for the average customer.",
        "They are 20 % of all customers, 200 of them.",
        "They order 4.0 times a month, at least 3.9, seldom more than 4.1.",
        "Nothing is counted here.",
        "They have ordered within the last 8 days, as their first order promised.",
    ],
)
def test_numbers_of_the_data(text):
    assert wrong_numbers(brief_by_hand(), 0, text) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("They order 5 times a month.", "5"),
        ("They order 1.7 times a month.", "1.7"),  # everybody's, in a sentence that does not compare
        ("Their last order was 300 days ago.", "300"),  # a sibling's
        ("They are 4 % of customers.", "4"),  # 4 is a rate, no percentage
        ("They spend $8 an order.", "8"),  # 8 is days, no money
        ("They order at 08:00 in the morning.", "08:00"),  # no clock on this axis
        ("They order 1,200 times a month.", "1,200"),
        ("They order 0 times a month.", "0"),
        ("They order 4.4 times a month.", "4.4"),
        ("They order 4 to 9 times a month.", "9"),
    ],
)
def test_numbers_not_of_the_data(text, wrong):
    (reason,) = wrong_numbers(brief_by_hand(), 0, text)
    assert f"the number {wrong} is" in reason


@pytest.mark.parametrize("word", ["twice", "three", "half", "a quarter", "dozens"])
def test_numbers_as_words(word):
    (reason,) = wrong_numbers(brief_by_hand(), 0, f"They order {word} as often.")
    assert "digits" in reason


def test_every_own_statistic_may_be_said():
    brief = brief_by_hand()
    own = [known for known in known_numbers(brief, 1) if known.is_own]
    assert len(own) == 2 + 4 * 3
    for known in own:
        mark = " %" if known.kind == "percent" else ""
        assert wrong_numbers(brief, 1, f"It is {known.value:.3g}{mark} with them.") == []
