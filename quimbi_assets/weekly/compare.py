"""A week's snapshot against the one before, both scored by the newer one's models: who moved, and beyond noise.

Belongs here: the comparison, migrations with hysteresis, its table at rest. Does not: why a customer moved
(``causes``), what is noise (``noise``), whom the store is told of (``notifications``).

A customer has a *stable segment* on every axis until they have moved clearly out of it: by an order, a refund or a
ticket, or by a silence that is unusual for them. Time that merely passes moves memberships, and their rows say so, but
no stable segment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from quimbi_assets.axis_table import AxisTable
from quimbi_assets.history import SECONDS_PER_DAY, History
from quimbi_assets.marketing import GROUPINGS
from quimbi_assets.weekly import noise, rescore
from quimbi_assets.weekly.causes import ACTED, CORRECTED, NEW, SILENT
from quimbi_assets.weekly.drift import ARCHETYPE, EARLIER_WEEKS, RECENT_WEEKS, Array, Ids, acceleration
from quimbi_assets.weekly.noise import ComparisonFacts, PastComparison
from quimbi_assets.weekly.notifications import decide_alerts
from quimbi_assets.weekly.rescore import NOWHERE, PART_ROWS, Codes, Flags, Movement
from quimbi_assets.weekly.silence import SilenceTest, judge_silence, lapsed
from quimbi_assets.weekly.snapshot import SnapshotFacts, WeekModels

LEARNING_WEEKS = 26
"""Weeks before this one that thresholds are learnt from, at most."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison found, of n customers; arrays of shape (n,).

    ``acceleration``, by axis: how much faster they moved in recent weeks than before, drift per day, NaN where not
    known. ``stable``, by axis: codes of the segments they are stable in now. ``moves``, a row a migration, are those of
    ``moves_table`` with ``drift`` NaN for archetypes and changed models. ``thresholds``: what counted as noise; None in
    a store's first comparison.
    """

    movement: Movement
    facts: ComparisonFacts
    acceleration: Mapping[str, Array]
    stable: Mapping[str, Codes]
    lapsed: Flags
    alert: Ids
    moves: pd.DataFrame
    thresholds: noise.NoiseThresholds | None

    def tables(self) -> Iterator[pa.Table]:
        """Yield its rows, what later comparisons need, some customers at a time; one struct an axis."""
        moved, n = self.movement, len(self.movement.customers)
        for start in range(0, max(n, 1), PART_ROWS):
            rows = slice(start, start + PART_ROWS)
            columns: dict[str, pa.Array] = {
                "customer_id": pa.array(moved.customers[rows], pa.string()),
                "cause": pa.array(moved.cause[rows], pa.string()),
                "surprisal_before": pa.array(moved.surprisal_before[rows]),
                "surprisal": pa.array(moved.surprisal[rows]),
                "acted_score": pa.array(moved.acted_score[rows]),
                "lapsed": pa.array(self.lapsed[rows]),
            }
            for axis, codes in self.stable.items():
                drift = moved.drift.get(axis, np.full(n, np.nan))[rows]
                ids = pa.array(rescore.to_ids(codes[rows], moved.segments[axis]), pa.string())
                columns[axis] = pa.StructArray.from_arrays([pa.array(drift), ids], names=["drift", "stable_segment"])
            yield pa.table(columns)


def compare_snapshots(
    newer: AxisTable,
    older: AxisTable | None,
    earlier: Sequence[PastComparison],
    models: WeekModels,
    history: History,
    weak: frozenset[str],
) -> Comparison:
    """Compare a week's snapshot at rest with the one before it; there is none in a store's first comparison.

    ``earlier`` are the comparisons up to the older snapshot's, oldest first; ``models`` scored the newer one, as of
    which some axes are ``weak``. The history is of today's rows, which tell whether the past was corrected since; what
    silence tells is learnt from those before the newer one's instant.
    """
    now, state = newer.facts_as(SnapshotFacts), None
    facts, silence = ComparisonFacts(now.week), SilenceTest("there is nothing to compare with yet")
    if older is not None:
        silence = judge_silence(history.until(now.at))
        then = older.facts_as(SnapshotFacts)
        facts = ComparisonFacts(now.week, then.week, (now.at - then.at).total_seconds() / SECONDS_PER_DAY)
        state = next((one for one in earlier if one.facts.week == then.week), None)
    moved = rescore.movement_between(newer, older, None if state is None else state.table, models, history)
    compared = [one for one in earlier if one.facts.older is not None][-LEARNING_WEEKS:]
    weeks = noise.weeks_to_learn_from(compared, moved)
    lead = {axis: noise.learn_lead(weeks, axis) for axis in moved.drift}
    level = noise.learn_surprisal(weeks)
    is_second = state is None or state.facts.older is None
    before = moved.surprisal_before > level if is_second else moved.lapsed_before
    lapsed_now = lapsed(moved.cause, moved.only_wrote, moved.surprisal, before, level)
    stable, moves = migrate(moved, lapsed_now, lead)
    moved = replace(moved, acted_score=acted_scores(moves, moved.customers, weak))
    acted = noise.learn_acted(noise.weeks_to_learn_from(compared, moved))
    n_quiet = sum(int((week.cause == SILENT).sum()) for week in weeks)
    thresholds = noise.NoiseThresholds(lead, level, acted, len(weeks), n_quiet, silence)
    return Comparison(
        movement=moved,
        facts=facts,
        acceleration=_accelerations(moved, facts.days, compared),
        stable=stable,
        lapsed=lapsed_now,
        alert=decide_alerts(moved.cause, before, lapsed_now, moved.acted_score, acted, silence),
        moves=moves,
        thresholds=None if older is None else thresholds,
    )


def _accelerations(moved: Movement, days: float | None, earlier: Sequence[PastComparison]) -> dict[str, Array]:
    """Return by axis how much faster customers moved in recent weeks than before; NaN where not known."""
    weeks = earlier[1 - RECENT_WEEKS - EARLIER_WEEKS :]
    places = [week.table.customers.get_indexer(moved.customers) for week in weeks]
    accelerations = {}
    for axis, drift in moved.drift.items():
        speeds = []
        for week, place in zip(weeks, places, strict=True):
            then = week.drift_on(axis)
            speed = np.full(week.table.n_rows, np.nan) if then is None else then / (week.facts.days or np.nan)
            speeds.append(rescore.at_places(speed, place, np.nan))
        accelerations[axis] = acceleration([*speeds, drift / (days or np.nan)])
    return accelerations


def migrate(moved: Movement, lapsed_now: Flags, lead: Mapping[str, float]) -> tuple[dict[str, Codes], pd.DataFrame]:
    """Decide who migrated: ``stable`` and ``moves`` of ``Comparison``.

    ``lead``, by axis: by how much another segment has to outweigh the stable one.
    """
    # About these something new is known, be it a silence that is unusual for them.
    free = np.isin(moved.cause, (ACTED, CORRECTED)) | ((moved.cause == SILENT) & lapsed_now)
    stable: dict[str, Codes] = {}
    moves = [moved.by_model]
    any_axis = np.zeros(len(free), dtype=np.bool_)
    for axis, segments in moved.segments.items():
        now, before = moved.dominant[axis], moved.stable[axis]
        goes = free & (before != NOWHERE) & (now != NOWHERE) & (before != now)
        if axis == ARCHETYPE:
            goes &= any_axis
        elif axis in GROUPINGS:  # by rules, to which time that passes counts: no noise to tell it from
            goes = (moved.cause != NEW) & (before != NOWHERE) & (now != NOWHERE) & (before != now)
        else:
            goes &= (moved.lead[axis] > lead[axis]) | (moved.cause == CORRECTED)
            any_axis |= goes
        stable[axis] = np.where(goes | (before == NOWHERE), now, before)
        drift = moved.drift[axis][goes] if axis in moved.drift else np.nan
        moves.append(
            rescore.moves_table(
                moved.customers[goes],
                axis,
                rescore.to_ids(before[goes], segments),
                rescore.to_ids(now[goes], segments),
                moved.cause[goes].astype(object),
                drift,
            )
        )
    return stable, pd.concat(moves, ignore_index=True)


def acted_scores(moves: pd.DataFrame, customers: pd.Index, weak: frozenset[str]) -> Array:
    """Return the drift of the farthest migration that an act caused, weak axes left out; 0 without; shape (n,)."""
    telling = moves[(moves["cause"] == ACTED) & ~moves["axis_name"].isin([*weak, ARCHETYPE, *GROUPINGS])]
    farthest = telling.groupby("customer_id")["drift"].max()
    return farthest.reindex(customers).fillna(0.0).to_numpy(dtype=np.float64)
