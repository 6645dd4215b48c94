import hashlib

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.profiles.archetypes import ArchetypeSet, archetype_id, combination_codes
from quimbi_assets.profiles.scores import AxisScores


def scores(axis, memberships, ids=None):
    memberships = np.asarray(memberships, dtype=float)
    index = pd.Index([f"c{i}" for i in range(len(memberships))])
    ids = ids or [f"{axis}_{i + 1}" for i in range(memberships.shape[1])]
    return AxisScores(index, ids, memberships, -np.log(memberships), np.zeros(len(index), dtype=bool))


def test_the_id_is_the_hash_of_the_sorted_pairs():
    digest = hashlib.blake2b(b"a=a_2\nb=b_1", digest_size=6).hexdigest()
    assert archetype_id({"b": "b_1", "a": "a_2"}) == archetype_id({"a": "a_2", "b": "b_1"}) == f"a{digest}"


def test_many_axes_do_not_overflow():
    dominant = [np.array([0, 1])] + [np.array([0, 0])] * 60
    assert combination_codes(dominant, [4] * 61).tolist() == [0, 1]


def test_nobody_has_no_archetype():
    nobody = {"a": scores("a", np.empty((0, 2)))}
    assert ArchetypeSet(("a",), (("a_1",),)).ids_of(nobody).tolist() == []


def test_a_rare_combination_joins_where_the_product_of_memberships_is_highest():
    """(0.6, 0.55): own combination is not kept; products with the kept ones are 0.6 x 0.45 and 0.4 x 0.55."""
    shop = {"a": scores("a", [[0.6, 0.4], [0.9, 0.1]]), "b": scores("b", [[0.45, 0.55], [0.8, 0.2]])}
    kept = ArchetypeSet(("a", "b"), (("a_2", "b_2"), ("a_1", "b_1")))
    assert kept.assign(shop).tolist() == [1, 1]
    shop["a"] = scores("a", [[0.51, 0.49], [0.9, 0.1]])
    # 0.51 x 0.45 = 0.2295 against 0.49 x 0.55 = 0.2695
    assert kept.assign(shop).tolist() == [0, 1]
    assert kept.ids_of(shop).tolist() == [kept.ids()[0], kept.ids()[1]]


def test_one_alone_is_of_the_archetype_they_are_of_in_the_crowd():
    rng = np.random.default_rng(1)
    shop = {axis: scores(axis, rng.dirichlet(np.ones(4), 300)) for axis in "abc"}
    segments = tuple((f"a_{i}", f"b_{j}", f"c_{i}") for i in range(1, 5) for j in range(1, 4))
    kept = ArchetypeSet(("a", "b", "c"), segments)
    crowd = kept.assign(shop)
    alone = [kept.assign({a: s.part(slice(i, i + 1)) for a, s in shop.items()})[0] for i in range(300)]
    assert crowd.tolist() == alone
    assert len(set(alone)) == len(segments)


def test_an_axis_that_was_not_scored_is_not_looked_at():
    kept = ArchetypeSet(("a", "b"), (("a_1", "b_1"), ("a_2", "b_2")))
    assert kept.assign({"b": scores("b", [[0.1, 0.9]])}).tolist() == [1]


def test_everybody_may_be_one():
    everybody = ArchetypeSet((), ((),))
    assert everybody.assign({"a": scores("a", [[0.1, 0.9], [0.5, 0.5]])}).tolist() == [0, 0]
    assert everybody.ids() == [archetype_id({})]


def test_vanishing_memberships_still_tell_near_from_far():
    shop = {"a": scores("a", [[1.0, 1e-200, 1e-250]])}
    assert ArchetypeSet(("a",), (("a_3",), ("a_2",))).assign(shop).tolist() == [1]


def test_what_is_no_set_is_refused():
    with pytest.raises(ValueError, match="one segment of each"):
        ArchetypeSet(("a", "b"), (("a_1",),))
    with pytest.raises(ValueError, match="one segment of each"):
        ArchetypeSet(("a",), ())
    with pytest.raises(ValueError, match="same combination"):
        ArchetypeSet(("a",), (("a_1",), ("a_1",)))
    with pytest.raises(ValueError, match="no model has: a_7"):
        ArchetypeSet(("a",), (("a_7",),)).assign({"a": scores("a", [[0.5, 0.5]])})
