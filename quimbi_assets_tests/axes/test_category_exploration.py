import pytest

AXIS = "category_exploration"


def test_entropy_is_corrected_for_few_lines(store):
    lines = [store.line(f"p{i % 4}", category="toys" if i < 7 else "books") for i in range(8)]
    row = store.order(0, 80.0, *lines).measure(AXIS, 10)
    # H = -(7/8 ln 7/8 + 1/8 ln 1/8) = 0.376770; + (2 - 1) / (2 · 8) = 0.439270; / ln 2 = 0.633733.
    assert row["category_diversity"] == pytest.approx(0.633733, abs=1e-6)
    assert (row["unique_categories"], row["unique_products"], row["primary_category"]) == (2, 4, "toys")
    assert row["exploration_breadth"] == 0.5  # 4 products on 8 lines


def test_evenly_spread_lines_read_1_not_more(store):
    lines = [store.line(category=name) for name in ("toys", "books")]
    assert store.order(0, 20.0, *lines).measure(AXIS, 10)["category_diversity"] == 1


def test_one_category_has_no_diversity(store):
    store.order(0, 10.0, store.line(category="toys")).order(1, 10.0, store.line(category="toys"))
    row = store.measure(AXIS, 10)
    assert (row["unique_categories"], row["category_diversity"]) == (1, None)


def test_lines_of_unknown_category_do_not_count_as_one(store):
    store.order(0, 10.0, store.line(category="toys"), store.line("b"))
    store.order(0, 10.0, store.line("c"), customer="bob")
    assert store.measure(AXIS, 10)["unique_categories"] == 1
    bob = store.measure(AXIS, 10, customer="bob")
    assert (bob["unique_categories"], bob["primary_category"], bob["exploration_breadth"]) == (None, None, 1)


def test_a_tie_goes_to_the_first_in_the_alphabet(store):
    store.order(0, 10.0, store.line(category="toys"), store.line(category="books"))
    assert store.measure(AXIS, 10)["primary_category"] == "books"
