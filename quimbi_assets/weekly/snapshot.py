"""A week's snapshot: where everybody stands at its end, and what is kept so that other models can score it later.

Belongs here: taking it part by part, its table at rest, how long snapshots are kept. Does not: which models score a
week, where tables rest (``defs``), the rows people query (``rows``).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.axes import AXES, StoreReference, axis_activity
from quimbi_assets.axis_table import Facts
from quimbi_assets.churn.model import ChurnModel
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.scoring import N_ORDERS
from quimbi_assets.errors import BadInputError
from quimbi_assets.history import History
from quimbi_assets.instants import Instant, last_week, week_end
from quimbi_assets.marketing import GROUPINGS, MarketingReference, group_customers
from quimbi_assets.pipeline import ScoredPart, require_population, score_store
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.risk import risk_scores
from quimbi_assets.profiles.scores import score_features
from quimbi_assets.weekly.causes import DIGESTS, customer_digests
from quimbi_assets.weekly.drift import ARCHETYPE, Ids, ScoredSnapshot, with_archetypes
from quimbi_assets.weekly.silence import LOOK_BACK_DAYS, RHYTHM_AXIS, closed_days, surprisal

ASSIGNED = "assigned"
"""Column of a snapshot's table: dominant segment by axis, archetype and groups, by what scored it then."""


@dataclass(frozen=True)
class WeekModels:
    """What scores a week: models by axis with their versions in the registry, and the store's archetypes of then.

    ``data_end``: where the data end that each was fitted on, later than the week where the store had no model yet.
    ``references``: what features are measured against, of the axes that declare so; ``marketing``: what groups are.
    """

    models: Mapping[str, AxisModel]
    versions: Mapping[str, str]
    data_end: Mapping[str, Instant]
    references: Mapping[str, StoreReference]
    archetypes: ArchetypeSet | None = None
    churn: ChurnModel | None = None
    churn_version: str | None = None
    marketing: MarketingReference | None = None

    def score(self, features: Mapping[str, pd.DataFrame], groups: Mapping[str, Ids] | None = None) -> ScoredSnapshot:
        """Score customers by their features, and say who is of which archetype; their groups go with them."""
        scored = with_archetypes(score_features(features, self.models), self.archetypes)
        return replace(scored, groups=groups or {})

    def groups(self, history: History, customers: pd.Index) -> dict[str, Ids]:
        """Return by grouping the groups of customers at a history's end, by the rules of the week; shape (n,)."""
        return {} if self.marketing is None else group_customers(history, self.marketing, customers).ids()

    def segments(self, scored: ScoredSnapshot) -> dict[str, list[str]]:
        """Return the ids of all segments that somebody may be of; then of archetypes and groups."""
        segments = {axis: list(score.segment_ids) for axis, score in scored.scores.items()}
        if scored.archetypes is not None and self.archetypes is not None:
            segments[ARCHETYPE] = self.archetypes.ids()
        return segments | {name: list(GROUPINGS[name]) for name in scored.groups}

    def reference_contents(self) -> dict[str, int]:
        """Return a number by axis that is the same for references that features come out the same against."""
        return {axis: reference.content() for axis, reference in self.references.items()}


@dataclass(frozen=True)
class SnapshotFacts(Facts):
    """Facts about a snapshot's table: the Monday that opens its week, ISO, and its end, exclusive.

    By axis: versions of the models of then, what their features were measured against
    (``WeekModels.reference_contents``), and why an axis could not be measured as of then.
    """

    week: str
    at: Instant
    model_versions: dict[str, str]
    references: dict[str, int]
    inactive: dict[str, str]


@dataclass(frozen=True)
class SnapshotPart:
    """Some of a snapshot's customers, n of them in ascending order of their ids.

    ``features``, by axis, indexed by customer: at least what any model of the axis may read, with ``n_orders``.
    ``digests``: of what was recorded of each (``causes.customer_digests``); without those of tickets in snapshots from
    before there were any. ``surprisal``, shape (n,): of their silence. ``assigned``, by axis, archetype and grouping,
    shape (n,): dominant segment of each by the models of then, None where it is not known.
    """

    features: Mapping[str, pd.DataFrame]
    digests: pd.DataFrame
    surprisal: NDArray[np.float64]
    assigned: Mapping[str, Ids]

    @property
    def customers(self) -> pd.Index:
        """Their ids."""
        return self.digests.index

    def to_table(self) -> pa.Table:
        """Write the part as rows of ``snapshot_schema``."""
        customers = self.customers
        n_orders = next(iter(self.features.values()))[N_ORDERS]
        columns = {
            "customer_id": pa.array(customers, pa.string()),
            N_ORDERS: pa.array(n_orders.to_numpy(), pa.int64()),
            **{name: pa.array(self.digests[name].to_numpy(), pa.uint64()) for name in DIGESTS},
            "surprisal": pa.array(self.surprisal),
            ASSIGNED: _struct({name: pa.array(ids, pa.string()) for name, ids in self.assigned.items()}),
        }
        for axis, frame in self.features.items():
            values = {name: pa.array(frame[name].to_numpy(np.float64), from_pandas=True) for name in readable(axis)}
            columns[axis] = _struct(values)
        return pa.table(columns)

    @classmethod
    def from_table(cls, rows: pa.Table) -> "SnapshotPart":
        """Read the part back from rows of ``snapshot_schema``."""
        customers = pd.Index(rows["customer_id"].to_pandas(), dtype="str", name="customer_id")
        n_orders = rows[N_ORDERS].to_numpy()
        features = {
            axis: pd.DataFrame(_fields(rows[axis]), index=customers).assign(**{N_ORDERS: n_orders})
            for axis in rows.column_names
            if axis in AXES
        }
        recorded = {name: rows[name].to_numpy() for name in DIGESTS if name in rows.column_names}
        assigned = {name: ids.astype(object) for name, ids in _fields(rows[ASSIGNED]).items()}
        return cls(features, pd.DataFrame(recorded, customers), rows["surprisal"].to_numpy(), assigned)


def _struct(fields: Mapping[str, pa.Array]) -> pa.StructArray:
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields))


def _fields(column: pa.ChunkedArray) -> dict[str, NDArray[np.generic]]:
    return {field.name: pc.struct_field(column, field.name).to_numpy() for field in column.type}


def readable(axis: str) -> list[str]:
    """Return the features that a model of the axis may read: those that shape segments, and those that tell a state."""
    declared = AXES[axis]
    names = [f.name for f in declared.clustering_features] + [s.feature for s in declared.structural]
    return [name for name in dict.fromkeys(names) if name != N_ORDERS]


class TakenPart(NamedTuple):
    """A part of a snapshot that is being taken: what is kept of it, its scores, and churn risks (0-1) if known."""

    snapshot: SnapshotPart
    scored: ScoredSnapshot
    risk: NDArray[np.float64] | None


def until_week_end(week: date, history: History, at_least: int) -> History:
    """Return what was known by the week's end, if it is over and the store had customers by then."""
    store, end = history.store, week_end(week, history.store.time_zone)
    if end > Instant.now("UTC").tz_localize(None):
        raise BadInputError(f"week {week} of store {store.store_id} is not over before {end} UTC")
    then = history.until(end)
    require_population(history, 1)
    if (n := then.n_customers) < at_least:
        last = last_week(history.end, store.time_zone)
        raise BadInputError(
            f"store {store.store_id} has {n} customers by the end of week {week}, fewer than {at_least}; its last "
            f"whole week: quimbi snapshot --store-id {store.store_id} --week {last}"
        )
    return then


def snapshot_facts(week: date, history: History, models: WeekModels) -> SnapshotFacts:
    """Return the facts of a week's snapshot; the history ends with the week."""
    activity = {axis: axis_activity(AXES[axis], history.recorded)[0] for axis in models.models}
    inactive = {axis: reason for axis, reason in activity.items() if reason is not None}
    return SnapshotFacts(week.isoformat(), history.end, dict(models.versions), models.reference_contents(), inactive)


def snapshot_schema(axes: Iterable[str]) -> pa.Schema:
    """Return the columns of a snapshot's table: one struct an axis, its features within."""
    names = list(axes)
    of_axes = [(axis, pa.struct([(name, pa.float64()) for name in readable(axis)])) for axis in names]
    assigned = pa.struct([(name, pa.string()) for name in (*names, ARCHETYPE, *GROUPINGS)])
    digests = [(name, pa.uint64()) for name in DIGESTS]
    plain = [("customer_id", pa.string()), (N_ORDERS, pa.int64()), *digests, ("surprisal", pa.float64())]
    return pa.schema([*plain, (ASSIGNED, assigned), *of_axes])


def take_snapshot(history: History, models: WeekModels) -> Iterator[TakenPart]:
    """Measure and score everybody as of a history's end, part by part in ascending order of customer ids."""
    closed = closed_days(history.orders_a_day(LOOK_BACK_DAYS))
    for part in score_store(history, models.models, models.references, history.recorded):
        yield _taken(part, history, models, closed)


def _taken(part: ScoredPart, history: History, models: WeekModels, closed: NDArray[np.bool_]) -> TakenPart:
    scored = with_archetypes(part.scores, models.archetypes)
    customers = scored.customers
    of_part = history.between(customers[0], customers[-1])
    scored = replace(scored, groups=models.groups(of_part, customers))
    rhythm = part.features.get(RHYTHM_AXIS)
    nowhere = np.full(len(customers), None, dtype=object)
    assigned = dict.fromkeys((*part.scores, ARCHETYPE, *GROUPINGS), nowhere) | scored.dominant()
    snapshot = SnapshotPart(
        features=part.features,
        digests=customer_digests(of_part).loc[customers],
        surprisal=np.zeros(len(customers)) if rhythm is None else surprisal(rhythm, closed),
        assigned=assigned,
    )
    return TakenPart(snapshot, scored, None if models.churn is None else risk_scores(models.churn, of_part, customers))


def weeks_to_drop(weeks: Iterable[date], weekly_weeks: int = 26, monthly_months: int | None = None) -> list[date]:
    """Return the weeks (Mondays), of those that have a snapshot, whose snapshots are not kept any more, oldest first.

    Kept is every one of so many weeks (at least 1), counted back from the newest; of so many months beyond (None:
    without end), the first snapshot that a month has.

    >>> weeks = [date(2025, 1, 6) + timedelta(days=7 * i) for i in range(10)]
    >>> [f"{week:%m-%d}" for week in weeks_to_drop(weeks, weekly_weeks=2)]
    ['01-13', '01-20', '01-27', '02-10', '02-17', '02-24']
    """
    ordered = sorted(set(weeks))
    if not ordered:
        return []
    first_weekly = ordered[-1] - timedelta(days=7 * (weekly_weeks - 1))
    dropped, months_kept = [], set()
    for week in ordered:
        if week >= first_weekly:
            break
        month = (week.year, week.month)
        age = (ordered[-1].year - week.year) * 12 + ordered[-1].month - week.month
        too_old = monthly_months is not None and age > monthly_months
        if too_old or month in months_kept:
            dropped.append(week)
        else:
            months_kept.add(month)
    return dropped
