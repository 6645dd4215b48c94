"""Rows as found become canonical rows, or are refused one by one with a reason; chunk by chunk.

Belongs here: the order of the checks, repetitions, references between tables. Does not: what is known of the whole
file (``survey``), one row's own checks (``rows``), which orders count as purchases (``policy``).
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from quimbi_assets.ingest import columns, tables
from quimbi_assets.ingest.cells import NULL_WORDS, as_text, largest_amount
from quimbi_assets.ingest.files import Chunk
from quimbi_assets.ingest.helpdesks import begun_by_store
from quimbi_assets.ingest.keys import ErasedKeys, IdSet, hashed, without_addresses
from quimbi_assets.ingest.rows import apply_schema, as_json, broken_rows, hide_addresses, read_rows, stored_schema
from quimbi_assets.ingest.survey import Survey, counted, watched_ids

TWICE = "occurs twice with different contents; the first was kept"
LONGEST_NAME = 120
"""Characters of a product's name that are kept."""
NO_ORDER = "no accepted order has this order_id"
LEFT_OUT = "left out: {:,} erased"
"""Of rows that name a customer who was erased."""
NO_QUESTIONS = "left out: {:,} that the store began"
"""Of tickets that are no customer's question."""


@dataclass(frozen=True)
class Prepared:
    """Rows of one table, sorted into accepted and refused."""

    accepted: pd.DataFrame
    """Canonical columns; those the file does not record are wholly NULL."""
    refused: pd.DataFrame
    """``row`` (JSON text, as the file had it) and ``reason``."""
    contested: pd.Series
    """Keys (first key column) of rows that were refused; what is stored about them must stay."""
    persons: pd.DataFrame
    """The keys that say whose each accepted row is, as text, under the file's names."""


class Preparation:
    """Sorts a file's rows into accepted and refused, chunk by chunk in the file's order.

    Dates without offset are in `time_zone`; those after `now` (with zone), by more than a day for clocks that differ,
    are refused. `currency`, the store's, tells what amount is absurd. Lines may belong to `known_orders`. Rows that
    name somebody who was `erased` are neither: they are left out before anything is looked at. Customers whose ids are
    e-mail addresses are known by hashes that are made with `hiding_with`, a secret, where there is one; refused rows
    then hold hashes for addresses, too.
    """

    def __init__(
        self,
        survey: Survey,
        time_zone: str,
        now: pd.Timestamp,
        currency: str | None = None,
        known_orders: IdSet | None = None,
        erased: ErasedKeys | None = None,
        hiding_with: bytes | None = None,
    ) -> None:
        self.survey = survey
        self.n_accepted = self.n_repeated = self.n_backwards = 0
        """Rows so far; identical repetitions are not among the accepted; tickets answered before they were written."""
        self.n_left_out = 0
        """Rows of people who were erased."""
        self.n_begun_by_store = 0
        """Tickets that are no customer's question, which are left out, too."""
        self.refused: Counter[str] = Counter()
        """Rows by reason."""
        self.accepted_ids: list[np.ndarray] = []
        self._recorded: set[str] = set()
        self._time_zone, self._now = time_zone, now
        self._known_orders, self._erased = known_orders or IdSet(), erased or ErasedKeys()
        self._hiding_with = hiding_with
        self._schema = stored_schema(survey.spec, largest_amount(currency))
        self._seen = np.zeros(len(survey.spread), "int64")
        self._names: list[pd.Series] = []
        self._earlier = IdSet()  # keys and contents of the rows so far whose id has rows in several chunks
        self._n_rows = 0
        self._n_unnamed = 0

    @property
    def n_refused(self) -> int:
        """Rows refused."""
        return self.refused.total()

    @property
    def n_read(self) -> int:
        """Rows of the file, identical repetitions not counted."""
        return self.n_accepted + self.n_refused

    @property
    def product_names(self) -> pd.DataFrame:
        """What most lines so far call each product that they know by an id: ``product_id``, ``product_name``."""
        pairs = ["product_id", "product_name"]
        if not self._names:
            return pd.DataFrame(columns=pairs, dtype="str")
        counts = pd.concat(self._names).groupby(level=pairs).sum().rename("n").reset_index()
        ranked = counts.sort_values(["product_id", "n", "product_name"], ascending=[True, False, True])
        most: pd.DataFrame = ranked.drop_duplicates("product_id")[pairs]
        return most

    @property
    def absent_columns(self) -> list[str]:
        """Canonical columns that no row so far records; a number for lines is always found."""
        return [name for name in self.survey.spec.columns if name != "line_no" and name not in self._recorded]

    @property
    def notes(self) -> list[str]:
        """What else a person should know."""
        is_repeated_by_lines = self.survey.spec is tables.ORDERS and self.survey.is_export
        n_repeated = 0 if is_repeated_by_lines else self.n_repeated
        counts = (
            (n_repeated, "row repeats an earlier row exactly and was taken once",
             "rows repeat an earlier row exactly and were taken once"),
            (self._n_unnamed, "row says in a word that nobody is its customer, such as null: it is a guest's",
             "rows say in a word that nobody is their customer, such as null: they are guests'"),
            (self.n_backwards, "ticket was answered before it was written: a clock's slip, or a day without time",
             "tickets were answered before they were written: a clock's slip, or a day without time"),
        )  # fmt: skip
        left_out = [LEFT_OUT.format(self.n_left_out)] if self.n_left_out else []
        left_out += [NO_QUESTIONS.format(self.n_begun_by_store)] if self.n_begun_by_store else []
        return [f"{n:,} {one if n == 1 else many}" for n, one, many in counts if n] + left_out

    def prepare(self, chunk: Chunk) -> Prepared:
        """Sort the next chunk, as `files.Table` yields it."""
        spec = self.survey.spec
        frame = chunk.frame.set_axis(pd.RangeIndex(self._n_rows, self._n_rows + len(chunk.frame)))
        self._n_rows += len(frame)
        broken = chunk.broken
        if self._erased:
            frame, broken = self._without_erased(frame, broken)
        if spec is tables.SUPPORT_TICKETS and (begun := begun_by_store(frame)).any():
            self.n_begun_by_store += int(begun.sum())
            frame = frame[~begun]
        if spec is tables.ORDERS and (name := self.survey.columns.get("customer_id")):
            words = frame[name].dropna().isin([word for word in NULL_WORDS if word])
            self._n_unnamed += chunk.words.get(name, 0) + int(words.sum())
        if spec is tables.ORDERS and self.survey.is_export:
            frame = self._one_row_an_order(frame)
        typed, reasons = read_rows(frame, self.survey, self._time_zone, self._now)
        if self._hiding_with is not None and spec is tables.ORDERS:
            typed["customer_id"] = without_addresses(typed["customer_id"], self._hiding_with)
        if spec is tables.ORDERS:
            self._read_status(frame, typed)
        if spec is tables.ORDER_ITEMS:
            reasons = self._number_lines(frame, typed, reasons)
        self._recorded.update(name for name in spec.columns if typed[name].notna().any())
        reasons = apply_schema(typed, reasons, self._schema)
        if spec is tables.ORDER_ITEMS:
            codes, orders = pd.factorize(typed["order_id"], use_na_sentinel=False)
            is_orphan = self._known_orders.place(hashed(pd.Series(orders, dtype="str"))) < 0
            reasons = reasons.mask(reasons.isna() & is_orphan[codes], NO_ORDER)
        return self._sorted(frame, typed, reasons, broken)

    def _without_erased(self, frame: pd.DataFrame, broken: list[str]) -> tuple[pd.DataFrame, list[str]]:
        """Leave out the rows, and broken lines, that name somebody who was erased; an order's lines go with it."""
        kinds = dict(self.survey.person)
        for column in ("customer_id", "order_id"):
            if column in self.survey.columns:
                kinds.setdefault(self.survey.columns[column], column)
        texts = pd.DataFrame({name: as_text(frame[name], self.survey.signs.get(name), are_ids=True) for name in kinds})
        named, in_lines = self._erased.name(texts, kinds), self._erased.name_lines(broken)
        if "order_id" in self.survey.columns:
            order = self.survey.columns["order_id"]
            self._erased.learn_orders(texts.loc[named, order])
            named |= self._erased.name(texts[[order]], {order: "order_id"})
        self.n_left_out += int(named.sum()) + sum(in_lines)
        return frame[~named], [line for line, is_theirs in zip(broken, in_lines, strict=True) if not is_theirs]

    def _without_erased_in(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Leave out, of refused rows, those that name somebody who was erased in a column of whichever meaning."""
        if not self._erased or rows.empty:
            return rows
        texts = pd.DataFrame({name: as_text(rows[name]) for name in rows})
        is_theirs = np.array(self._erased.name_refused(texts))
        self.n_left_out += int(is_theirs.sum())
        return rows[~is_theirs]

    def _one_row_an_order(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the rows of a line export that carry the order's fields; of an order without one, its first row."""
        ids = watched_ids(frame[self.survey.columns["order_id"]])
        hashes = hashed(ids)
        place = self.survey.spread.place(hashes)
        seen = (place >= 0) & (self._seen[place] > 0) if len(self._seen) else np.zeros(len(frame), bool)
        self._seen[place[place >= 0]] = 1
        headless = (self.survey.heads.place(hashes) < 0) & ~ids.duplicated() & ~seen
        heads: pd.DataFrame = frame[frame[self.survey.columns["total_price"]].notna() | headless]
        return heads

    def _read_status(self, frame: pd.DataFrame, typed: pd.DataFrame) -> None:
        """Fill in what several columns say together."""
        status = columns.order_status(frame, self.survey.columns)
        if status is not None:
            text = as_text(status, self.survey.signs.get(self.survey.columns.get("status", "")))
            typed["status"] = text.str.removeprefix("wc-")  # as WooCommerce stores them
        typed["currency"] = typed["currency"].str.upper()

    def _number_lines(self, frame: pd.DataFrame, typed: pd.DataFrame, reasons: pd.Series) -> pd.Series:
        """Fill in products and line numbers that their own column does not tell; return the reasons."""
        if "product_id" in self.survey.columns and self.survey.product_names:
            name = self.survey.product_names[0]
            titles = as_text(frame[name], self.survey.signs[name]).str.strip().str.slice(0, LONGEST_NAME)
            named = pd.DataFrame({"product_id": typed["product_id"], "product_name": titles.replace("", None)})
            self._names.append(named.dropna().value_counts())
        for name in self.survey.product_names:
            typed["product_id"] = typed["product_id"].fillna(as_text(frame[name], self.survey.signs[name]))
            reasons = reasons.mask(reasons.eq("product_id is missing") & typed["product_id"].notna())
        if "line_no" not in self.survey.columns:
            typed["line_no"] = self._count_lines(typed["order_id"])
            return reasons
        broken_number = typed["line_no"].isna() | ~np.isfinite(typed["line_no"]) | (typed["line_no"] % 1 != 0)
        typed["line_no"] = typed["line_no"].mask(broken_number | (typed["line_no"].abs() > 2**31), -1).astype("int64")
        return reasons.mask(reasons.isna() & broken_number, "line_no is not a whole number")

    def _count_lines(self, order_ids: pd.Series) -> np.ndarray:
        """Return each line's place within its order, from 1, lines of earlier chunks counted: (n,) int64."""
        codes, orders = pd.factorize(order_ids, use_na_sentinel=False)
        numbers = pd.Series(codes).groupby(codes).cumcount().to_numpy() + 1
        if len(self._seen):
            place = self.survey.spread.place(hashed(watched_ids(pd.Series(orders, dtype="str"))))
            is_spread = place >= 0
            before = np.where(is_spread, self._seen[place], 0)
            np.add.at(self._seen, place[is_spread], np.bincount(codes, minlength=len(orders))[is_spread])
            numbers = numbers + before[codes]
        return numbers

    def _sorted(self, frame: pd.DataFrame, typed: pd.DataFrame, reasons: pd.Series, broken: list[str]) -> Prepared:
        """Collapse repetitions, refuse contradictions, and split the rows."""
        spec, good = self.survey.spec, typed[reasons.isna()]
        if spec is tables.ORDERS:
            self.accepted_ids.append(hashed(good["order_id"]))
        if set(spec.key) <= self.survey.columns.keys():
            good, reasons = self._without_repetitions(good, reasons)
        refused = reasons.notna()
        used = list(dict.fromkeys(self.survey.columns.values()))  # others may name people, and mend nothing
        others = self._without_erased_in(frame.loc[refused, used])
        rows = pd.DataFrame({"row": as_json(others), "reason": reasons[others.index].to_numpy()}, dtype="str")
        rows = pd.concat([rows, broken_rows(broken)], ignore_index=True) if broken else rows
        if self._hiding_with is not None:
            rows["row"] = hide_addresses(rows["row"], self._hiding_with)
        self.refused.update(counted(rows["reason"]))
        self.n_accepted += len(good)
        if spec is tables.SUPPORT_TICKETS:
            answered = good[["first_response_at", "resolved_at"]]
            self.n_backwards += int(answered.lt(good["created_at"], axis=0).any(axis=1).sum())
        names = list(self.survey.person)
        is_hidden = self._hiding_with is not None and spec is tables.ORDERS
        if is_hidden and self.survey.columns["customer_id"] not in names:
            names.append(self.survey.columns["customer_id"])
        person = frame.loc[good.index, names]
        return Prepared(
            good,
            rows,
            typed.loc[refused, spec.key[0]].dropna().drop_duplicates(),
            pd.DataFrame({name: as_text(person[name], self.survey.signs[name], are_ids=True) for name in names}),
        )

    def _without_repetitions(self, good: pd.DataFrame, reasons: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
        """Keep of the rows with one key the first of the file; others repeat an earlier one exactly or are refused."""
        key = list(self.survey.spec.key)
        again, same = good.duplicated(key), pd.Series(False, index=good.index)
        if again.any():
            alike = good[good.duplicated(key, keep=False)].duplicated()
            same |= alike.reindex(good.index, fill_value=False)
        if len(self.survey.spread):
            is_spread = self.survey.spread.place(hashed(watched_ids(good[key[0]]))) >= 0
            rows = good[is_spread]
            keys, contents = (pd.util.hash_pandas_object(part, index=False).to_numpy() for part in (rows[key], rows))
            again[is_spread] |= self._earlier.place(keys) >= 0
            same[is_spread] |= self._earlier.place(contents) >= 0
            self._earlier = IdSet.of([self._earlier.hashes, keys, contents])
        self.n_repeated += int(same.sum())
        refused = again & ~same
        if refused.any():
            reasons = reasons.copy()
            reasons[refused.index[refused]] = f"{key[-1]} {TWICE}"
        return good[~again], reasons
