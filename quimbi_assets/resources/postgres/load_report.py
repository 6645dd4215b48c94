"""What a load did, for people and programs.

Belongs here: counts and their wording. Does not: loading (``loading``).
"""

from dataclasses import dataclass, field

from quimbi_assets.ingest.prepare import Prepared
from quimbi_assets.resources.postgres.tables.stores import Store


@dataclass(frozen=True)
class TableReport:
    """What became of one file.

    Parameters
    ----------
    table, path : str
    read, inserted, updated, unchanged, deleted, refused : int
        Rows; ``read = inserted + updated + unchanged + refused``.
    reasons : dict of str to int
        Refused rows by reason, most frequent first.
    ignored_columns, absent_columns, notes : list of str
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
    ignored_columns: list[str] = field(default_factory=list)
    absent_columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        done = f"{self.inserted:,} new, {self.updated:,} changed, {self.unchanged:,} unchanged"
        gone = f", {self.deleted:,} deleted" if self.deleted else ""
        lines = [f"{self.table}: {self.read:,} rows read: {done}{gone}, {self.refused:,} refused"]
        lines += [f"  refused {count:,}: {reason}" for reason, count in self.reasons.items()]
        if self.absent_columns:
            lines.append(f"  not recorded: {', '.join(self.absent_columns)}")
        if self.ignored_columns:
            lines.append(f"  ignored columns: {', '.join(self.ignored_columns)}")
        return lines + [f"  {note}" for note in self.notes]


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Parameters
    ----------
    store : Store
        As it is now.
    is_new : bool
        Whether the load created it.
    tables : list of TableReport
        One a file, orders first.
    seconds : float
    notes : list of str
    """

    store: Store
    is_new: bool
    tables: list[TableReport]
    seconds: float
    notes: list[str] = field(default_factory=list)

    def table(self, name: str) -> TableReport:
        """Return the report of a table.

        Raises
        ------
        KeyError
            If no file was given for it.
        """
        for report in self.tables:
            if report.table == name:
                return report
        raise KeyError(name)

    @property
    def changed(self) -> bool:
        """Whether anything in the tables differs from before."""
        return any(report.inserted or report.updated or report.deleted for report in self.tables)

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        store = self.store
        kind = "new store" if self.is_new else "store"
        currency = store.currency or "currency as most orders have it"
        lines = [f"{kind} {store.store_id} ({store.time_zone}, {currency}), {self.seconds:.1f} s", *self.notes]
        for report in self.tables:
            lines += report.lines()
        return lines


def table_report(prepared: Prepared, path: str, counts: dict[str, int]) -> TableReport:
    """Return the report of one file from what was prepared and what was written."""
    accepted, refused = len(prepared.accepted), len(prepared.refused)
    return TableReport(
        table=prepared.table,
        path=path,
        read=accepted + refused,
        unchanged=accepted - counts["inserted"] - counts["updated"],
        refused=refused,
        reasons={str(reason): int(n) for reason, n in prepared.refused["reason"].value_counts().items()},
        ignored_columns=prepared.ignored_columns,
        absent_columns=prepared.absent_columns,
        notes=prepared.notes,
        **counts,
    )
