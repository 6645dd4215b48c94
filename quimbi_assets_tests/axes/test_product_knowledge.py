import pytest

AXIS = "product_knowledge"


def test_by_hand(store):
    store.order(0, 10.0, store.line("a", category="toys"))
    store.order(1, 10.0, store.line("a", category="toys"), store.line("b", category="books"))
    row = store.order(2, 10.0, store.line("c", category="toys")).measure(AXIS, 10)
    # Lines a a b c: 2·1 ordered pairs alike of 4·3. a alone was bought twice. b, c of the later a, b, c are new.
    assert row["product_concentration"] == pytest.approx(2 / 12)
    assert row["repeat_rate"] == pytest.approx(1 / 3)
    assert row["new_product_rate"] == pytest.approx(2 / 3)
    assert (row["categories_mastered"], row["primary_category_dominance"]) == (1, 0.75)


def test_different_products_have_no_concentration_however_few(store):
    # The plain Herfindahl index of two different lines would be 0.5.
    assert store.order(0, 10.0, store.line("a"), store.line("b")).measure(AXIS, 10)["product_concentration"] == 0


def test_one_line_has_nothing_to_compare(store):
    row = store.order(0, 10.0, store.line("a")).measure(AXIS, 10)
    assert (row["product_concentration"], row["repeat_rate"], row["new_product_rate"]) == (None, None, None)


def test_mastery_is_counted_in_orders_not_lines(store):
    store.order(0, 10.0, *[store.line(category="toys")] * 5).order(1, 10.0, store.line(category="toys"))
    assert store.measure(AXIS, 10)["categories_mastered"] == 0
