"""What a load did, for people and programs.

Belongs here: counts and their wording. Does not: loading (``loading``).
"""

from dataclasses import dataclass, field

from quimbi_assets.ingest.prepare import Preparation
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.postgres.tables.shops import ShopSummary
from quimbi_assets.store import Store

MOST_COLUMNS = 20
"""Columns that mean nothing here of which a person is told the names."""


@dataclass(frozen=True)
class TableReport:
    """What became of one file's rows: ``read = inserted + updated + unchanged + refused``.

    Of a list of customers the keys are counted: ``n_keys = inserted + updated + unchanged``.
    """

    table: str
    path: str
    read: int
    inserted: int
    updated: int
    unchanged: int
    deleted: int
    refused: int
    reasons: dict[str, int] = field(default_factory=dict)
    """Refused rows by reason, most frequent first."""
    ignored_columns: list[str] = field(default_factory=list)
    absent_columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    n_keys: int | None = None

    @property
    def changed(self) -> bool:
        """Whether anything in the table differs from before."""
        return bool(self.inserted or self.updated or self.deleted)

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        done = f"{self.inserted:,} new, {self.updated:,} changed, {self.unchanged:,} unchanged"
        gone = f", {self.deleted:,} deleted" if self.deleted else ""
        read = f"{plural(self.read, 'row')} read" + ("" if self.n_keys is None else f", {self.n_keys:,} keys")
        lines = [f"{self.table}: {read}: {done}{gone}, {self.refused:,} refused"]
        lines += [f"  refused {count:,}: {reason}" for reason, count in self.reasons.items()]
        if self.absent_columns:
            lines.append(f"  not recorded: {', '.join(self.absent_columns)}")
        if self.ignored_columns:
            more = len(self.ignored_columns) - MOST_COLUMNS
            listed = ", ".join(self.ignored_columns[:MOST_COLUMNS]) + (f" and {more:,} more" if more > 0 else "")
            lines.append(f"  ignored columns: {listed}")
        return lines + [f"  {note}" for note in self.notes]


@dataclass(frozen=True)
class LoadReport:
    """What a load did to a store, which it may have created; one table a file, orders first."""

    store: Store
    is_new: bool
    tables: list[TableReport]
    seconds: float
    currency: str | None = None
    """That of most orders, where the store has none of its own."""
    notes: list[str] = field(default_factory=list)
    summary: ShopSummary | None = None
    likely_zone: str | None = None
    """The time zone that the offsets of orders look like, where that is not the store's."""

    def lines(self) -> list[str]:
        """Return the report as lines of text: the shop first, then its files."""
        store = self.store
        kind = "new store" if self.is_new else "store"
        currency = store.currency or (f"{self.currency} as most orders have it" if self.currency else "no currency")
        lines = [f"{kind} {store.store_id} ({store.time_zone}, {currency}), {self.seconds:.1f} s"]
        if self.summary is not None:
            zone = f"; offsets look like {self.likely_zone}" if self.likely_zone else ""
            lines.append(self.summary.line(store.time_zone) + zone)
        lines += self.notes
        for report in self.tables:
            lines += report.lines()
        return lines


def table_report(
    preparation: Preparation, path: str, inserted: int, updated: int, deleted: int, notes: list[str]
) -> TableReport:
    """Return the report of one file from what was prepared and what was written."""
    return TableReport(
        table=preparation.survey.spec.name,
        path=path,
        read=preparation.n_read,
        inserted=inserted,
        updated=updated,
        unchanged=preparation.n_accepted - inserted - updated,
        deleted=deleted,
        refused=preparation.n_refused,
        reasons={reason: count for reason, count in preparation.refused.most_common() if count},
        ignored_columns=preparation.survey.ignored,
        absent_columns=preparation.absent_columns,
        notes=preparation.notes + notes,
    )
