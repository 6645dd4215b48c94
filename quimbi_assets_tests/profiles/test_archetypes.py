import hashlib

import numpy as np

from quimbi_assets.profiles.archetypes import archetype_id, archetype_ids


def test_the_id_is_the_hash_of_the_sorted_pairs():
    digest = hashlib.blake2b(b"a=a_2\nb=b_1", digest_size=6).hexdigest()
    assert archetype_id({"b": "b_1", "a": "a_2"}) == archetype_id({"a": "a_2", "b": "b_1"}) == f"a{digest}"


def test_every_customer_has_the_id_of_their_combination():
    rng = np.random.default_rng(0)
    dominant = rng.integers(0, 3, (200, 2))
    ids = archetype_ids(dominant, ["a", "b"], [["a_1", "a_2", "a_3"], ["b_1", "b_2", "b_3"]])
    for row, own in zip(dominant, ids, strict=True):
        assert own == archetype_id({"a": f"a_{row[0] + 1}", "b": f"b_{row[1] + 1}"})
    assert len(set(ids)) == 9


def test_many_axes_do_not_overflow():
    dominant = np.zeros((2, 60), dtype=int)
    dominant[1, 0] = 1
    axes = [f"x{i}" for i in range(60)]
    ids = archetype_ids(dominant, axes, [["p", "q", "r", "s"]] * 60)
    assert ids[0] != ids[1]
    assert ids[0] == archetype_id(dict.fromkeys(axes, "p"))


def test_nobody_has_no_archetype():
    assert archetype_ids(np.empty((0, 2), dtype=int), ["a", "b"], [["a_1"], ["b_1"]]).tolist() == []
