import pytest

AXIS = "repurchase_behavior"


def test_by_hand(store):
    store.order(0, 10.0, store.line("a"), store.line("b"))
    store.order(1, 10.0, store.line("a"), store.line("c"))
    row = store.order(2, 10.0, store.line("d")).measure(AXIS, 10)
    # 1 of 4 products in two orders; 1 of 2 later orders holds a known one; the favourite has 2 of 5 lines.
    assert (row["repeat_rate"], row["repeat_order_ratio"], row["loyalty_index"]) == (0.25, 0.5, 0.4)
    assert (row["favourite_product_id"], row["avg_repurchase_count"]) == ("a", 1.25)


def test_the_favourite_fifth_of_ten_products_are_two(store):
    lines = [store.line(f"p{i}") for i in range(10)]
    store.order(0, 10.0, *lines).order(1, 10.0, *lines[:1], *lines[:1], *lines[1:2])
    assert store.measure(AXIS, 10)["loyalty_index"] == pytest.approx(5 / 13)  # 3 and 2 lines of 13


def test_twice_in_one_order_is_no_return(store):
    row = store.order(0, 10.0, store.line("a"), store.line("a")).order(1, 10.0, store.line("b")).measure(AXIS, 10)
    assert (row["repeat_rate"], row["repeat_order_ratio"]) == (0, 0)


def test_one_order_says_nothing(store):
    row = store.order(0, 10.0, store.line("a"), store.line("b")).measure(AXIS, 10)
    assert {value for name, value in row.items() if name != "n_orders"} == {None}


def test_two_orders_at_one_instant_are_still_two(store):
    row = store.order(0, 10.0, store.line("a")).order(0, 10.0, store.line("a")).measure(AXIS, 10)
    assert (row["repeat_rate"], row["repeat_order_ratio"]) == (1, 1)
