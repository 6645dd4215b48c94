import pytest

AXIS = "problem_complexity_profile"


def test_by_hand(store):
    store.order(0, 30.0, store.line("a", category="toys", refund_amount=10.0, refunded=5), discount_amount=0.0)
    store.order(20, 54.0, store.line("b", category="books"), store.line("c", category="books"), discount_amount=6.0)
    row = store.measure(AXIS, 60)
    # 10 of 90 gross; one refunded order in 60 days; books first bought 15 days after the refund, and a single line
    # never bought again: 2 signs in 2 orders.
    assert row["refund_rate"] == pytest.approx(10 / 90)
    assert row["returns_per_month"] == pytest.approx(30.4375 / 60)
    assert (row["product_switching"], row["avg_lines_per_order"]) == (1, 1.5)
    assert row["discount_dependency"] == pytest.approx(6 / 90)


@pytest.mark.parametrize(("day", "expected"), [(4, 0), (5, 0), (35, 0.5), (36, 0)])
def test_a_category_counts_within_30_days_after_the_refund(store, day, expected):
    store.order(0, 20.0, *[store.line(p, category="toys", refund_amount=5.0, refunded=5) for p in "ab"])
    store.order(day, 20.0, store.line("c", category="books"), store.line("d", category="toys"))
    assert store.measure(AXIS, 60)["product_switching"] == expected


def test_an_undated_refund_counts_from_its_order(store):
    store.order(0, 20.0, store.line("a", category="toys"), store.line("b", category="toys"), refund_amount=5.0)
    store.order(29, 20.0, store.line("c", category="books"), store.line("d", category="books"))
    assert store.measure(AXIS, 60)["product_switching"] == 0.5


def test_a_single_line_bought_again_is_no_change_of_mind(store):
    row = store.order(0, 10.0, store.line("a")).order(1, 10.0, store.line("a")).measure(AXIS, 60)
    assert row["product_switching"] == 0


def test_the_floor_of_30_days(store):
    row = store.order(0, 10.0, store.line(refund_amount=1.0)).measure(AXIS, 1)
    assert row["returns_per_month"] == pytest.approx(1.0145833)


def test_an_order_without_lines_has_none_to_judge(store):
    store.order(0).order(0, 10.0, store.line(), customer="bob")
    row = store.measure(AXIS, 10)
    assert (row["product_switching"], row["avg_lines_per_order"]) == (None, None)
