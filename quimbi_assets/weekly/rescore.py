"""The snapshot before a week's, scored anew by the week's models, beside the week's own: how far everybody moved.

Belongs here: reading the two in step, where customers were stable before, what a change of models did to that. Does
not: which moves are more than noise (``compare``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.axis_table import AxisTable
from quimbi_assets.clustering.scoring import N_ORDERS
from quimbi_assets.history import History
from quimbi_assets.marketing import GROUPINGS
from quimbi_assets.pipeline import score_store
from quimbi_assets.weekly.causes import DIGESTS, MODEL, causes, customer_digests
from quimbi_assets.weekly.drift import Array, Ids, ScoredSnapshot, lead_over, measure_drift
from quimbi_assets.weekly.snapshot import SnapshotFacts, SnapshotPart, WeekModels

PART_ROWS = 50_000
"""Customers compared at a time."""
NOWHERE = -1
"""Code of a customer who has no segment, because there is nothing to compare with."""
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]


def to_ids(codes: Codes, segments: Sequence[str]) -> Ids:
    """Return the segment ids of codes, None for ``NOWHERE``."""
    return np.array([*segments, None], dtype=object)[codes]


def to_codes(ids: Ids, segments: Sequence[str]) -> Codes:
    """Return the codes of segment ids, ``NOWHERE`` for those that are not among the segments."""
    places = pd.Index(np.array(segments, dtype=object)).get_indexer(pd.Index(ids, dtype=object))
    return np.asarray(places, dtype=np.int32)


def at_places(values: NDArray[Any], place: NDArray[np.intp], missing: Any) -> NDArray[Any]:
    """Return values at some places, ``missing`` for a place below 0; shape of ``place``."""
    placed = np.full(len(place), missing, dtype=values.dtype)
    known = place >= 0
    placed[known] = values[place[known]]
    return placed


def moves_table(
    customers: pd.Index, axis: str, start: Ids, end: Ids, cause: Ids | str, drift: Array | float = np.nan
) -> pd.DataFrame:
    """Return migrations: ``customer_id``, ``axis_name``, ``from_segment``, ``to_segment``, ``cause``, ``drift``."""
    columns = {"from_segment": start, "to_segment": end, "cause": cause, "drift": drift}
    frame = pd.DataFrame({"customer_id": customers.to_numpy(dtype=object), "axis_name": axis, **columns})
    return frame.astype({"drift": "float64"})


@dataclass(frozen=True)
class Movement:
    """How n customers of the newer of two snapshots moved, before it is known what is noise; arrays of shape (n,).

    By axis: ``segments``, ids of the newer models' segments (then those of archetypes, then groups), in which codes are
    places; codes of the ``dominant`` segments, and of those they were ``stable`` in before; ``drift``, how far they
    moved (0-1; NaN where not known); ``lead``, by how much their dominant segment outweighs the stable one.
    ``by_model`` are migrations that a change of models made (``moves_table``); ``only_wrote`` says who acted by tickets
    alone; ``lapsed_before`` is as the comparison before had it; ``acted_score``, the drift of the farthest migration
    that an act caused, is empty until migrations are known.
    """

    customers: pd.Index
    segments: Mapping[str, list[str]]
    dominant: Mapping[str, Codes]
    stable: Mapping[str, Codes]
    drift: Mapping[str, Array]
    lead: Mapping[str, Array]
    by_model: pd.DataFrame
    cause: NDArray[np.str_]
    only_wrote: Flags
    surprisal_before: Array
    surprisal: Array
    lapsed_before: Flags
    acted_score: Array = field(default_factory=lambda: np.zeros(0))

    def drift_on(self, axis: str) -> Array | None:
        """Return how far each moved on an axis; None if the axis is not there."""
        return self.drift.get(axis)

    @classmethod
    def joined(cls, parts: Sequence["Movement"]) -> "Movement":
        """Join parts of the customers, one or more."""

        def along(name: str) -> Any:
            return np.concatenate([getattr(part, name) for part in parts])

        def by_axis(name: str) -> Any:
            mappings = [getattr(part, name) for part in parts]
            return {axis: np.concatenate([values[axis] for values in mappings]) for axis in mappings[0]}

        return cls(
            customers=pd.Index(along("customers"), dtype="str", name="customer_id"),
            segments=parts[0].segments,
            by_model=pd.concat([part.by_model for part in parts], ignore_index=True),
            **{name: by_axis(name) for name in ("dominant", "stable", "drift", "lead")},
            **{name: along(name) for name in ("cause", "only_wrote", "surprisal_before", "surprisal", "lapsed_before")},
        )


@dataclass(frozen=True)
class Before:
    """Customers of the older snapshot, m of them, as the newer one's models see them.

    ``stable``, by axis, shape (m,): segments of the newer models that they were stable in; ``by_model``: migrations
    that the change of models alone made (``moves_table``). ``digests`` of the older instant are as they were then,
    ``recomputed`` ones from today's rows; ``lapsed`` is as the comparison before had it.
    """

    scored: ScoredSnapshot
    stable: Mapping[str, Ids]
    by_model: pd.DataFrame
    digests: pd.DataFrame
    recomputed: pd.DataFrame
    surprisal: pd.Series
    lapsed: pd.Series

    @classmethod
    def nobody(cls, newer: ScoredSnapshot) -> "Before":
        """Return the older side of a store's first snapshot."""
        scores = {axis: score.part(slice(0, 0)) for axis, score in newer.scores.items()}
        digests, numbers = pd.DataFrame(columns=list(DIGESTS), dtype="uint64"), pd.Series(dtype="float64")
        moves = moves_table(newer.customers[:0], "", np.empty(0, dtype=object), np.empty(0, dtype=object), MODEL)
        return cls(ScoredSnapshot(scores), {}, moves, digests, digests, numbers, numbers.astype(bool))


def stable_before(
    older: ScoredSnapshot,
    segments: Mapping[str, Sequence[str]],
    assigned: Mapping[str, Ids],
    state: Mapping[str, Ids] | None = None,
) -> tuple[dict[str, Ids], pd.DataFrame]:
    """Say where the older snapshot's m customers, scored by the newer models, were stable, and whom a change moved.

    ``segments`` are the ids that the newer models have; by axis, shape (m,): ``assigned``, dominant segments by the
    models of then, and ``state``, stable segments as the comparison before this one left them. Returns ``stable`` and
    ``by_model`` of ``Before``.

    Who was stable in their dominant segment is so under the new model. Who was held in another keeps it as long as
    the new model has it.
    """
    stable, moves = {}, []
    nowhere = np.full(len(older.customers), None, dtype=object)
    for axis, now in older.dominant().items():
        dominant_then = assigned.get(axis, nowhere)
        was = dominant_then if state is None else state.get(axis, nowhere)
        was = np.where(pd.isna(was), dominant_then, was)
        held = (was != dominant_then) & ~pd.isna(was) & np.isin(was.astype(str), segments[axis])
        stable[axis] = np.where(held, was, now)
        moved = ~pd.isna(was) & ~pd.isna(stable[axis]) & (was != stable[axis])
        moves.append(moves_table(older.customers[moved], axis, was[moved], stable[axis][moved], MODEL))
    return stable, pd.concat(moves, ignore_index=True)


def measure_movement(
    part: SnapshotPart, newer: ScoredSnapshot, before: Before, segments: Mapping[str, list[str]]
) -> Movement:
    """Measure how customers of the newer snapshot, scored, moved from the older one; ``segments`` are all there are."""
    customers = part.customers
    place = before.scored.customers.get_indexer(customers)
    nowhere = np.full(len(before.scored.customers), None, dtype=object)
    dominant, moves = newer.dominant(), before.by_model
    stable = {axis: at_places(before.stable.get(axis, nowhere), place, None) for axis in dominant}
    cause, only_wrote = causes(before.digests, before.recomputed, part.digests)
    return Movement(
        customers=customers,
        segments=segments,
        dominant={axis: to_codes(ids, segments[axis]) for axis, ids in dominant.items()},
        stable={axis: to_codes(ids, segments[axis]) for axis, ids in stable.items()},
        drift=measure_drift(before.scored, newer),
        lead={axis: lead_over(score, stable[axis]) for axis, score in newer.scores.items()},
        by_model=moves[moves["customer_id"].isin(customers) & moves["axis_name"].isin(list(dominant))],
        cause=cause,
        only_wrote=only_wrote,
        surprisal_before=before.surprisal.reindex(customers).fillna(0.0).to_numpy(),
        surprisal=part.surprisal,
        lapsed_before=before.lapsed.reindex(customers, fill_value=False).to_numpy(dtype=bool),
    )


def movement_between(
    newer: AxisTable, older: AxisTable | None, state: AxisTable | None, models: WeekModels, history: History
) -> Movement:
    """Score two snapshots at rest by the newer one's models, some customers at a time, and measure how far they moved.

    There is no older one in a store's first comparison; ``state`` is the older one's comparison, if any. The history is
    of today's rows, which tell whether the past was corrected since.
    """
    reader = None if older is None else _BeforeReader(older, state, models, history)
    parts = []
    for rows in newer.batches(rows=PART_ROWS):
        part = SnapshotPart.from_table(rows)
        groups = {name: ids for name, ids in part.assigned.items() if name in GROUPINGS and models.marketing}
        side = models.score(part.features, groups)
        segments = models.segments(side)
        before = Before.nobody(side) if reader is None else reader.beside(part.customers, segments)
        parts.append(measure_movement(part, side, before, segments))
    return Movement.joined(parts)


class _BeforeReader:
    """Reads the older snapshot, and its comparison, in step with the newer one."""

    def __init__(self, older: AxisTable, state: AxisTable | None, models: WeekModels, history: History) -> None:
        facts, contents = older.facts_as(SnapshotFacts), models.reference_contents()
        self._older, self._state = _InStep(older), None if state is None else _InStep(state)
        self._models, self._then = models, history.until(facts.at)
        self._same_models = facts.model_versions == dict(models.versions)
        changed = [axis for axis, content in contents.items() if content != facts.references.get(axis)]
        self._measure_anew = [axis for axis in changed if axis in older.schema.names]

    def beside(self, customers: pd.Index, segments: Mapping[str, Sequence[str]]) -> Before:
        """Return those whose ids are no larger than the last of some customers, and were not returned before."""
        last = str(customers[-1])
        part = SnapshotPart.from_table(self._older.up_to(last))
        history = self._then.between(str(customers[0]), last)
        features = {**part.features, **self._measured_anew(part.customers, history)}
        side = self._models.score(features, self._models.groups(history, part.customers))
        of_groups = {name: ids for name, ids in part.assigned.items() if name in GROUPINGS}
        assigned = {**side.dominant(), **of_groups} if self._same_models else part.assigned
        state, lapsed = None, pd.Series(dtype=bool)
        if self._state is not None:
            rows = self._state.up_to(last)
            ids = pd.Index(rows["customer_id"].to_pandas(), dtype="str")
            place, axes = ids.get_indexer(part.customers), [c.name for c in rows.schema if pa.types.is_struct(c.type)]
            stable_then = {axis: pc.struct_field(rows[axis], "stable_segment").to_numpy() for axis in axes}
            state = {axis: at_places(column.astype(object), place, None) for axis, column in stable_then.items()}
            lapsed = pd.Series(rows["lapsed"].to_numpy(), ids)
        stable, by_model = stable_before(side, segments, assigned, state)
        surprisal = pd.Series(part.surprisal, part.customers)
        return Before(side, stable, by_model, part.digests, customer_digests(history), surprisal, lapsed)

    def _measured_anew(self, customers: pd.Index, history: History) -> dict[str, pd.DataFrame]:
        """Measure features as of then anew where what they are measured against has changed."""
        if not self._measure_anew or not len(customers):
            return {}
        models = {axis: self._models.models[axis] for axis in self._measure_anew}
        measured = list(score_store(history, models, self._models.references, self._then.recorded))
        frames = {axis: pd.concat([part.features[axis] for part in measured]) for axis in models}
        # Customers of then: those whom a correction added or took away since are not compared.
        return {axis: frame.reindex(customers).fillna({N_ORDERS: 0}) for axis, frame in frames.items()}


class _InStep:
    """Reads a table whose rows are in ascending order of ``customer_id``, up to one id after the other."""

    def __init__(self, table: AxisTable) -> None:
        self._batches: Iterator[pa.Table] = table.batches(rows=PART_ROWS)
        self._rest = next(self._batches)

    def up_to(self, last: str) -> pa.Table:
        """Return the rows up to an id, that one included, which were not returned before."""
        parts = []
        while True:
            within = pc.sum(pc.less_equal(self._rest["customer_id"], last)).as_py() or 0
            parts.append(self._rest.slice(0, within))
            self._rest = self._rest.slice(within)
            if len(self._rest) or (following := next(self._batches, None)) is None:
                return pa.concat_tables(parts)
            self._rest = following
