"""Ids by their hashes, and keys of persons."""

import hmac

import numpy as np
import pandas as pd

from quimbi_assets.ingest.keys import IdSet, comparable, hashed, keyed_hashes

PARTS = [hashed(pd.Series(part, dtype="str")) for part in (["a", "é", None], ["b"], ["c", "a"])]


def test_ids_are_found_in_a_set_and_others_not():
    every = IdSet.of(PARTS)
    assert len(every) == 5
    place = every.place(hashed(pd.Series(["b", "x", None, "é"], dtype="str")))
    assert (place >= 0).tolist() == [True, False, True, True]
    assert (every.hashes[place[place >= 0]] == hashed(pd.Series(["b", None, "é"], dtype="str"))).all()


def test_ids_of_several_parts():
    spread = IdSet.spread(PARTS)
    assert (spread.place(hashed(pd.Series(["a", "b", "c"]))) >= 0).tolist() == [True, False, False]


def test_nothing_is_in_an_empty_set():
    for empty in (IdSet(), IdSet.of([]), IdSet.spread([])):
        assert len(empty) == 0
        assert empty.place(PARTS[0]).tolist() == [-1, -1, -1]


def test_ids_that_differ_have_other_hashes():
    assert len(np.unique(hashed(pd.Series(np.arange(100_000)).astype("str")))) == 100_000


def test_addresses_are_compared_without_case_and_space():
    written = pd.Series(["Ann@X.com ", "\tann@x.com", "STRASSE@x.com", "straße@x.com", "no address", None], dtype="str")
    folded = comparable(written, "email")
    assert folded.nunique() == 2
    assert folded.isna().tolist() == [False] * 4 + [True] * 2
    assert comparable(written, "helpdesk_id").equals(written)


def test_hashes_are_hmac_sha256():
    keys = pd.Series(["a@x", None, "é@x", "a@x"], index=[4, 2, 9, 1], dtype="str")
    hashes = keyed_hashes(keys, b"secret")
    assert hashes.index.tolist() == [4, 2, 9, 1]
    assert hashes.isna().tolist() == [False, True, False, False]
    assert hashes[9] == hmac.digest(b"secret", "é@x".encode(), "sha256").hex()
    assert hashes[4] == hashes[1] != keyed_hashes(keys, b"other")[4]
