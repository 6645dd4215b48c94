"""Ids and keys: sets of ids that take 8 bytes each; keys of persons made comparable, unreadable, and found again.

Belongs here: hashing, set-wise look-ups, whose rows are by the keys they carry. Does not: what it means that an id is
missing, where the secret is kept, keys that are stored (``resources.postgres.matching``).
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

BETWEEN_WORDS = r"[\s,;|\"'<>()]+"
SHORT = 6
"""Characters below which a number is no sign of anybody where it stands among others."""


def hashed(ids: pd.Series) -> np.ndarray:
    """Return a 64-bit hash of each id, 0 of NULL: (n,) uint64, the same in every process.

    Among ten million ids two share one with a probability of 3e-6.
    """
    hashes = pd.util.hash_array(ids.to_numpy(object), categorize=False)
    return np.where(ids.isna(), np.uint64(0), hashes)


@dataclass(frozen=True)
class IdSet:
    """A set of ids by their hashes: (n,) uint64, ascending, each once."""

    hashes: np.ndarray = field(default_factory=lambda: np.empty(0, "uint64"))

    @classmethod
    def of(cls, parts: Iterable[np.ndarray]) -> "IdSet":
        """Return the ids of all parts."""
        return cls(np.unique(np.concatenate([cls().hashes, *parts])))

    @classmethod
    def spread(cls, parts: Iterable[np.ndarray]) -> "IdSet":
        """Return the ids that occur in several of the parts, each of which has an id at most once."""
        every = np.sort(np.concatenate([cls().hashes, *parts]))
        return cls(np.unique(every[1:][every[1:] == every[:-1]]))

    def __len__(self) -> int:
        """Return the number of ids."""
        return len(self.hashes)

    def place(self, hashes: np.ndarray) -> np.ndarray:
        """Return where each id stands in the set, -1 where it is none of them: (n,) int64."""
        if not len(self):
            return np.full(len(hashes), -1)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self) - 1)
        return np.where(self.hashes[at] == hashes, at, -1)


def comparable(keys: pd.Series, kind: str) -> pd.Series:
    """Return keys of persons as they are compared: e-mails without surrounding space and case-folded, else NULL.

    An e-mail is what has something on both sides of an @, as ``LIKE '%_@_%'`` finds it in the database.

    >>> comparable(pd.Series([" Ann@Example.com", "n/a", "@work"]), "email").tolist()
    ['ann@example.com', nan, nan]
    """
    if kind != "email":
        return keys
    folded = keys.str.strip().str.casefold()
    return folded.where(folded.str.contains(r"(?s).@.").fillna(value=False).astype(bool))


def keyed_hashes(keys: pd.Series, secret: bytes, *, of_sha256: bool = False) -> pd.Series:
    """Return HMAC-SHA256 (RFC 2104) of each key: (n,) 64 hexadecimal digits, NULL where `keys` is.

    With ``of_sha256`` it is that of the key's SHA-256 in hexadecimal digits: who knows that alone is found by it, and
    nothing can be tried out without the secret. One call of the standard library for each distinct key: 1.2 s a
    million, where DuckDB's ``sha256`` takes 2.1 s.
    """
    codes, distinct = pd.factorize(keys)
    ready = hmac.new(secret, digestmod="sha256")

    def digest(key: str) -> str:
        keyed = ready.copy()
        keyed.update((hashlib.sha256(key.encode()).hexdigest() if of_sha256 else key).encode())
        return keyed.hexdigest()

    hashes = pd.Series([digest(key) for key in distinct], dtype="str")
    return hashes.reindex(codes).set_axis(keys.index)


def without_addresses(ids: pd.Series, secret: bytes) -> pd.Series:
    """Return customers' ids, those that are e-mail addresses as ``email:`` and half of their keyed hash: (n,).

    So is known who wrote to the store and has not ordered yet: whose orders come later, is the same.

    >>> without_addresses(pd.Series(["c7", " Ann@Example.com"]), b"s").tolist()
    ['c7', 'email:b7f3809f719a53a88e8fe8a97791a254']
    """
    hashes = keyed_hashes(comparable(ids, "email"), secret)
    return ids.where(hashes.isna(), "email:" + hashes.str[:32])


@dataclass(frozen=True)
class ErasedKeys:
    """Keys of customers who were erased: hashes by kind (``customer_id``, ``email``, ``helpdesk_id``, ``order_id``).

    Hashes are those of ``keyed_hashes`` with `secret`. `learnt` are those of orders that were left out since.
    """

    secret: bytes = b""
    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    learnt: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether anybody was erased."""
        return bool(self.hashes)

    def hold(self, keys: Mapping[str, frozenset[str]]) -> bool:
        """Whether any of somebody's keys, hashes by kind, is among them."""
        return any(self.hashes.get(kind, frozenset()) & some for kind, some in keys.items())

    def name(self, keys: pd.DataFrame, kinds: Mapping[str, str]) -> pd.Series:
        """Return which rows name somebody who was erased, by any key: (n,) bool; `kinds` of the columns of `keys`.

        >>> erased = ErasedKeys(b"s", {"email": frozenset(keyed_hashes(pd.Series(["a@b.c"]), b"s"))})
        >>> erased.name(pd.DataFrame({"buyer": [" A@b.c", "7"]}), {"buyer": "customer_id"}).tolist()
        [True, False]
        """
        named = pd.Series(False, index=keys.index)
        for column, kind in kinds.items():
            text = keys[column].str.strip().str.removeprefix("'")
            if kind != "email":
                named |= self._of_kind(text, kind)
            if kind in ("email", "customer_id"):  # an address may be all that a shop knows a customer by
                named |= self._of_kind(comparable(text, "email"), "email")
        return named

    def name_lines(self, lines: Iterable[str]) -> list[bool]:
        """Return which lines that could not be split into columns hold a customer's key or address."""
        return self._are_in([re.split(BETWEEN_WORDS, line) for line in lines])

    def name_refused(self, rows: pd.DataFrame) -> list[bool]:
        """Return which rows, text that is to be kept as it is, hold a customer's key or address in whichever column.

        A short number is none, as in an erasure: among others it may be an amount.

        >>> erased = ErasedKeys(b"s", {"customer_id": frozenset(keyed_hashes(pd.Series(["VICTIM9", "7"]), b"s"))})
        >>> erased.name_refused(pd.DataFrame({"note": ["of victim9, late", "7", None]}))
        [True, False, False]
        """
        texts = [[cell.strip() for cell in row if isinstance(cell, str)] for row in rows.itertuples(index=False)]
        split = [[word for cell in row for word in {cell, *re.split(BETWEEN_WORDS, cell)}] for row in texts]
        return self._are_in([[word for word in row if len(word) >= SHORT or not word.isdigit()] for row in split])

    def _are_in(self, split: Sequence[Sequence[str]]) -> list[bool]:
        """Return in which lists of words a customer's key or address is, all small or all capital too."""
        hashes = frozenset().union(*(self.hashes.get(kind, frozenset()) for kind in ("customer_id", "email")))
        words = pd.Series([word for words in split for word in words], dtype="str")
        places = np.repeat(np.arange(len(split)), [len(words) for words in split])
        is_theirs = keyed_hashes(words, self.secret).isin(hashes)
        for other in (words.str.casefold(), words.str.upper()):
            is_theirs |= keyed_hashes(other, self.secret).isin(hashes)
        return [bool(one) for one in np.isin(np.arange(len(split)), places[is_theirs.to_numpy()])]

    def learn_orders(self, order_ids: pd.Series) -> None:
        """Let lines of these orders, which were left out, be left out."""
        self.learnt.update(keyed_hashes(order_ids.dropna(), self.secret))

    def _of_kind(self, text: pd.Series, kind: str) -> pd.Series:
        hashes = self.hashes.get(kind, frozenset()) | (self.learnt if kind == "order_id" else frozenset())
        return keyed_hashes(text, self.secret).isin(hashes) if hashes else pd.Series(False, index=text.index)


def addresses_of(keys: pd.DataFrame, customers: pd.Series, at: pd.Series) -> pd.Series:
    """Return the customer of each e-mail address that orders carry, by the comparable address.

    Of several customers with one address it is the one who ordered last. A customer may be known by an address alone:
    `keys` are the columns of addresses beside the customer's id, possibly none, indexed as `customers` and `at`.
    """
    named = [pd.DataFrame({"key": comparable(keys[name], "email"), "customer": customers, "at": at}) for name in keys]
    itself = pd.DataFrame({"key": comparable(customers, "email"), "customer": customers, "at": at.min()})
    rows = pd.concat([*named, itself]).dropna().sort_values(["at", "customer"], ascending=[False, True])
    return rows.drop_duplicates("key").set_index("key")["customer"]


HELPDESK = "helpdesk_id"
"""Kind of the ids that a helpdesk gives to those who write."""


def find_customers(
    keys: pd.DataFrame,
    kinds: Mapping[str, str],
    customers: pd.Series,
    addresses: pd.Series,
    listed: pd.Series | None = None,
    is_list: bool = False,
) -> tuple[pd.Series, list[tuple[str, str]]]:
    """Find whose rows are: every key they carry is tried, the column that meets most customers first.

    Ids of two systems may agree by chance, addresses do not: ids are trusted only if, where a row's address says who it
    is, they mostly say the same; a column of a helpdesk's ids also, where these are listed. `kinds` says of each column
    of `keys` whether it holds ``email`` or a kind of id, `customers` are the ids of those who have orders, `addresses`
    as `addresses_of` returns them, `listed` by other ids whose each is. In a list of customers one column is the
    orders' own key: what ids of others have in common with it is chance. Returned are (n,) customer ids, NULL where no
    key is a customer's, and by which columns and ways (``direct``, ``email``, ``listed``) they are met, best first.
    """
    nobody: pd.Series = pd.Series(np.nan, index=keys.index, dtype="str")
    ids = [name for name, kind in kinds.items() if kind != "email"]
    ways = {(name, "direct"): keys[name].where(keys[name].isin(customers)) for name in ids}
    by_address = nobody
    for name in [name for name, kind in kinds.items() if kind == "email"]:
        ways[name, "email"] = comparable(keys[name], "email").map(addresses)
        by_address = by_address.fillna(ways[name, "email"])
    if listed is not None:
        ways |= {(name, "listed"): keys[name].map(listed) for name in ids}
    n_met = {}
    for way, owners in ways.items():
        evidence = by_address
        if way[1] == "direct" and kinds[way[0]] == HELPDESK and listed is not None:
            evidence = evidence.fillna(ways[way[0], "listed"])
        n_both = (owners.notna() & evidence.notna()).sum()
        if way[1] == "email" or 2 * (owners == evidence).sum() >= n_both:
            n_met[way] = owners.count()
    order, matched = list(kinds), nobody
    met = [way for way, n in n_met.items() if n]
    met.sort(key=lambda way: (way[1] == "listed", -n_met[way], order.index(way[0])))
    trusted = sorted(
        met, key=lambda way: kinds[way[0]] == HELPDESK and way[1] == "direct" and (way[0], "listed") in met
    )
    if is_list:
        orders_key = sorted(
            (name for name, way in trusted if way == "direct"), key=lambda name: kinds[name] == HELPDESK
        )[:1]
        trusted = [(name, way) for name, way in trusted if way != "direct" or name in orders_key]
    for way in trusted:
        matched = matched.fillna(ways[way])
    return matched, trusted


def read_list(
    keys: pd.DataFrame, kinds: Mapping[str, str], customers: pd.Series, addresses: pd.Series
) -> tuple[pd.Series, pd.Series] | None:
    """Return whose each address and other id of a list of customers is: (n,) customers by the key; None if nobody's.

    The arguments are as of `find_customers`. A key of several rows is the first one's.
    """
    owners, trusted = find_customers(keys, kinds, customers, addresses, is_list=True)
    if not trusted:
        return None

    def by_key(names: list[str]) -> pd.Series:
        parts = [pd.DataFrame({"key": comparable(keys[name], kinds[name]), "customer": owners}) for name in names]
        rows = pd.concat([pd.DataFrame({"key": [], "customer": []}, dtype="str"), *parts]).dropna()
        return rows.drop_duplicates("key").set_index("key")["customer"]

    is_address = {name: kind == "email" for name, kind in kinds.items()}
    others = [name for name in kinds if not is_address[name] and (name, "direct") not in trusted]
    return by_key([name for name in kinds if is_address[name]]), by_key(others)
