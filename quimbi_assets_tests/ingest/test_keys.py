"""Ids by their hashes, and keys of persons."""

import hmac

import numpy as np
import pandas as pd
import pytest
from numpy import nan

from quimbi_assets.ingest.keys import IdSet, addresses_of, comparable, find_customers, hashed, keyed_hashes, read_list

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


def text(*values):
    return pd.Series(values, dtype="str")


def test_an_address_is_of_the_customer_who_ordered_last_with_it():
    at = pd.to_datetime(pd.Series(["2024-01-05", "2024-01-07", "2024-01-06", "2024-01-06"]), utc=True)
    emails = pd.DataFrame({"Email": text("A@x", "a@x ", None, "b@x")})
    found = addresses_of(emails, text("ann", "amy", "Cy@x", "bob"), at)
    assert found.to_dict() == {"a@x": "amy", "b@x": "bob", "cy@x": "Cy@x"}


KINDS = {"id": "helpdesk_id", "external": "customer_id", "email": "email"}


@pytest.mark.parametrize(
    ("ids", "external", "emails", "found", "best"),
    [
        (["7", "8", "9"], [None, "1", "4"], ["A@x", None, "c@x"], ["1", "1", nan], "external"),
        (["7", "8", "9"], [None, None, None], ["a@x", "b@x", "c@x"], ["1", "2", nan], "email"),
        (["2", "1", "3"], [None, None, None], ["a@x", "b@x", None], ["1", "2", nan], "email"),  # by chance alike
        (["1", "2", "3"], [None, None, None], ["a@x", "b@x", None], ["1", "2", "3"], "id"),
        (["7", "8", "9"], [None, None, None], ["c@x", None, None], [nan, nan, nan], None),
    ],
)
def test_rows_are_of_the_customers_whom_their_keys_meet(ids, external, emails, found, best):
    keys = pd.DataFrame({"id": text(*ids), "external": text(*external), "email": text(*emails)})
    addresses = pd.Series({"a@x": "1", "b@x": "2"}, dtype="str")
    customers, trusted = find_customers(keys, KINDS, text("1", "2", "3"), addresses)
    pd.testing.assert_series_equal(customers, text(*found))
    assert next((name for name, _ in trusted), None) == best


def test_a_list_says_whose_ids_of_a_helpdesk_are_that_orders_have_too():
    customers, nobody = text("1", "2", "3"), pd.Series(dtype="str")
    rows = pd.DataFrame({"helpdesk_id": text("2", "3", "1"), "customer_id": text("1", "2", "3")})
    _, by_id = read_list(rows, {"helpdesk_id": "helpdesk_id", "customer_id": "customer_id"}, customers, nobody)
    assert by_id.to_dict() == {"2": "1", "3": "2", "1": "3"}
    asked = pd.DataFrame({"requester_id": text("1", "2", "9")})
    found, trusted = find_customers(asked, {"requester_id": "helpdesk_id"}, customers, nobody, by_id)
    assert trusted == [("requester_id", "listed")]
    pd.testing.assert_series_equal(found, text("3", "1", nan))
    found, trusted = find_customers(asked, {"requester_id": "customer_id"}, customers, nobody, by_id)
    assert trusted[0] == ("requester_id", "direct")
