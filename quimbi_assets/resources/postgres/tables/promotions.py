"""Which model version serves: every choice that counts, by a fit's checks or by a person, and what follows from them.

Belongs here: the table ``promotions``, and ``forecast_fits``: what fits of what is foretold found. Does not: choosing
(``clustering.promotion``), what is published with a version (``publications``), MLflow's aliases, which follow
(``resources.publishing``).

A choice takes effect with the next publication. Until then it is the one that customers are scored with; refits go on
from versions that were published, and from what a person chose.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from quimbi_assets.axis_table import INACTIVE
from quimbi_assets.instants import Instant, to_instant, zoned
from quimbi_assets.resources.postgres.copy import upsert
from quimbi_assets.resources.postgres.database import Database

FORECASTS = ("churn_risk", "value_to_come")
"""What is foretold of customers; each stands where an axis's name would."""
FITS = "forecast_fits"
"""The table of what their fits found."""


@dataclass(frozen=True)
class Choice:
    """A registered version that is to serve, and why, in words."""

    version: str
    data_end: Instant
    """Where its data end, exclusive."""
    reason: str
    by_hand: bool = False
    """Whether a person chose it: refits go on from it even where another one's data reach further."""


@dataclass(frozen=True)
class Promotion:
    """A choice that was made, of an axis's version or of a forecast's."""

    axis: str
    version: str
    data_end: Instant
    reason: str
    by_hand: bool
    for_past: bool
    """Scores snapshots of its time, and never serves."""
    promotion_id: int
    """Later ones are larger."""
    is_published: bool
    """Whether the tables hold what was made with it."""
    is_echoed: bool
    """Whether MLflow's tags and aliases say so."""


@dataclass(frozen=True)
class Promotions:
    """A store's choices, oldest first; an "axis" may also be the churn risk, or value to come."""

    rows: tuple[Promotion, ...]

    def serving(self) -> dict[str, str]:
        """Return the version that serves each axis: the last one that was published."""
        return {row.axis: row.version for row in self.rows if row.is_published}

    def chosen(self) -> dict[str, str]:
        """Return the version to score each axis with: the last one chosen, published or not yet."""
        return {row.axis: row.version for row in self.rows if not row.for_past}

    def present(self) -> dict[str, str]:
        """Return the version that today's refits go on from, by axis.

        It is the one that serves, but for runs as of the past: these do not displace a version whose data reach
        further, unless a person chose them.
        """
        return {row.axis: row.version for row in self._present(with_unpublished=False)}

    def predecessors(self, instants: Mapping[str, Instant | str], *, to_serve: bool = False) -> dict[str, str]:
        """Return the last version of each axis that knew nothing from an instant on; axes without one are left out.

        It is what new fits of that instant are compared with, and what scores snapshots of it: the present version, or
        of those that reach less far the one that reaches furthest. Where it is ``to_serve``, be published with, what
        was chosen and waits for that counts, and what scores the past only does not.
        """
        versions = {}
        for last in self._present(with_unpublished=to_serve):
            if last.axis not in instants:
                continue
            instant = to_instant(instants[last.axis])
            counted = (row for row in self._counted(to_serve, last.axis) if not (to_serve and row.for_past))
            known = [row for row in counted if row.data_end <= instant]
            if last.data_end <= instant:
                versions[last.axis] = last.version
            elif known:
                versions[last.axis] = max(known, key=lambda row: (row.data_end, int(row.version))).version
        return versions

    def first(self) -> dict[str, str]:
        """Return the version of each axis that served and whose data reach least far: what scores weeks before it."""
        served = [row for row in self._counted(with_unpublished=False) if not row.for_past]
        return {row.axis: row.version for row in sorted(served, key=lambda row: row.data_end, reverse=True)}

    def _present(self, *, with_unpublished: bool) -> Iterable[Promotion]:
        present: dict[str, Promotion] = {}
        for row in self._counted(with_unpublished):
            before = present.get(row.axis)
            if not row.for_past and (before is None or row.by_hand or row.data_end >= before.data_end):
                present[row.axis] = row
        return present.values()

    def _counted(self, with_unpublished: bool, axis: str | None = None) -> Iterator[Promotion]:
        for row in self.rows:
            if axis in (None, row.axis) and (with_unpublished or row.is_published or row.by_hand or row.for_past):
                yield row


def read_promotions(database: Database, store_id: str) -> Promotions:
    """Return all choices of a store."""
    with database.transaction(store_id) as cursor:
        return _read(cursor, store_id)


def _read(cursor: Any, store_id: str) -> Promotions:
    cursor.execute(
        "SELECT axis_name, model_version, data_end, reason, by_hand, for_past, promotion_id, "
        "publication_id IS NOT NULL, echoed_at IS NOT NULL "
        "FROM quimbi.promotions WHERE store_id = %s ORDER BY promotion_id",
        (store_id,),
    )
    rows = cursor.fetchall()
    return Promotions(tuple(Promotion(axis, version, to_instant(end), *rest) for axis, version, end, *rest in rows))


def choose_versions(
    database: Database, store_id: str, choices: Mapping[str, Choice], *, for_past: bool = False
) -> None:
    """Note which versions are to serve from the next publication on, by axis.

    Those that were chosen last already are not noted again, unless by a person. Those ``for_past`` score snapshots of
    their time and never serve.
    """
    with database.transaction(store_id) as cursor:
        now = {} if for_past else _read(cursor, store_id).chosen()
        cursor.executemany(
            "INSERT INTO quimbi.promotions (store_id, axis_name, model_version, data_end, reason, by_hand, for_past) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (store_id, axis, one.version, zoned(one.data_end), one.reason, one.by_hand, for_past)
                for axis, one in choices.items()
                if one.by_hand or now.get(axis) != one.version
            ],
        )


def mark_published(cursor: Any, store_id: str, publication_id: int, versions: Mapping[str, str]) -> None:
    """Note that a publication was made with these versions; what was chosen before them and never served is dropped.

    ValueError if one of them was never chosen, be it that it scores the past.
    """
    rows = _read(cursor, store_id).rows
    last = {(row.axis, row.version): row for row in rows if not row.for_past}
    unknown = [f"{axis} ({version})" for axis, version in versions.items() if (axis, version) not in last]
    if unknown:
        raise ValueError(f"store {store_id}: versions that nobody chose cannot be published: {', '.join(unknown)}")
    served = {axis: last[axis, version] for axis, version in versions.items()}
    cursor.execute(
        "UPDATE quimbi.promotions SET publication_id = %s "
        "WHERE store_id = %s AND promotion_id = ANY(%s) AND publication_id IS NULL",
        (publication_id, store_id, [row.promotion_id for row in served.values()]),
    )
    passed_over = [
        row.promotion_id
        for row in rows
        if row.axis in served
        and row.promotion_id < served[row.axis].promotion_id
        and not (row.is_published or row.by_hand or row.for_past)
    ]
    cursor.execute(
        "DELETE FROM quimbi.promotions WHERE store_id = %s AND promotion_id = ANY(%s)", (store_id, passed_over)
    )


def mark_echoed(database: Database, store_id: str, promotion_ids: Iterable[int]) -> None:
    """Note that MLflow's tags and aliases say what these rows do."""
    database.execute(
        store_id,
        "UPDATE quimbi.promotions SET echoed_at = now() WHERE store_id = %s AND promotion_id = ANY(%s)",
        (store_id, list(promotion_ids)),
    )


@dataclass(frozen=True)
class FitRecord:
    """A fit of a forecast: ``active``, ``weak`` or, without a model, ``inactive``, the latter two for a reason."""

    status: str = INACTIVE
    reason: str | None = None
    model_version: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Which model serves and what its test found; empty without one."""


def write_fit(database: Database, store_id: str, run_id: str, forecast: str, at: Instant, fit: FitRecord) -> None:
    """Note what a run's fit as of an instant found of a ``forecast``: the churn risk, or value to come.

    A run that tries again replaces it.
    """
    row = {"store_id": store_id, "run_id": run_id, "forecast": forecast, "as_of": zoned(at), **vars(fit)}
    with database.transaction(store_id) as cursor:
        rows = [row | {"figures": json.dumps(dict(fit.figures))}]
        upsert(cursor, FITS, ("store_id", "run_id", "forecast"), rows, stamp="fitted_at")


def read_fit(
    database: Database, store_id: str, forecast: str, *, at: Instant | None = None, version: str | None = None
) -> FitRecord | None:
    """Return the last fit of a forecast, or the last as of an instant, or the one that gave a version, or None."""
    rows = database.execute(
        store_id,
        f"SELECT status, reason, model_version, figures FROM quimbi.{FITS} "
        "WHERE store_id = %(store)s AND forecast = %(forecast)s AND as_of = coalesce(%(at)s, as_of) "
        "AND (%(version)s::text IS NULL OR model_version = %(version)s) ORDER BY fitted_at DESC LIMIT 1",
        {"store": store_id, "forecast": forecast, "at": None if at is None else zoned(at), "version": version},
    )
    return next((FitRecord(*row) for row in rows), None)
