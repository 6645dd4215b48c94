"""Whether what `quimbi explain` tells would move a customer does: applied to the data and scored anew.

Of a store that was run (``--store-id``, in ``QUIMBI_HOME``), customers drawn by a seed are explained; every change that
is told is applied to its customer's rows, and the customer measured as of its day, without the shift in time by which
the search looks at all changes at once. Prints by axis how many are told a change, how many of these it moves to where
it was told to, and how many nothing tried would move; and how long one receipt takes. Many customers are measured
together here; one at a time they come out the same (a test of the package's contract). Ctrl-C ends the explaining: what
was told until then is checked, day by day, and counted as it goes.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.axes import AXES
from quimbi_assets.explanation.changes import Change, Past
from quimbi_assets.explanation.search import (
    AxisMoves,
    Move,
    Scored,
    finer_changes,
    first_moves,
    score_history,
    smaller,
    tried_changes,
    with_silences,
)
from quimbi_assets.history import History
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.profiling import StoreProfiler, open_profiler


def joined(histories: Sequence[History]) -> History:
    """Put the histories of several customers, or of several futures, together; ids are prefixed by their places."""
    tables = {}
    for name in histories[0].tables:
        parts = []
        for place, history in enumerate(histories):
            rows = history.tables[name]
            assert isinstance(rows, pa.Table)
            for column in ("customer_id", "order_id", "ticket_id"):
                if column in rows.column_names:
                    prefixed = pc.binary_join_element_wise(f"{place:05d}", rows[column], "")
                    rows = rows.set_column(rows.column_names.index(column), column, prefixed)
            parts.append(rows)
        tables[name] = pa.concat_tables(parts)
    return History(histories[0].store, tables, histories[0].end)


def scored_together(
    pasts: Sequence[Past], profiler: StoreProfiler, changes: Sequence[Sequence[Change]]
) -> list[Scored]:
    """Score the changes of several customers at once."""
    whole = joined([past.with_changes(some) for past, some in zip(pasts, changes, strict=True)])
    features, scores = score_history(whole, profiler.models, pasts[0])
    customers = next(iter(scores.values())).customers
    whose = customers.str[:5].astype(int).to_numpy()
    rows = [slice(*np.searchsorted(whose, [place, place + 1])) for place in range(len(pasts))]
    return [
        Scored(
            some,
            {axis: frame.iloc[row] for axis, frame in features.items()},
            {
                axis: replace(one.part(row), customers=pd.Index(one.customers[row].str[5:]))
                for axis, one in scores.items()
            },
            profiler.models,
        )
        for some, row in zip(changes, rows, strict=True)
    ]


def moves_of(pasts: Sequence[Past], profiler: StoreProfiler, axes: Sequence[str]) -> list[dict[str, AxisMoves]]:
    """Return what moves each of several customers, by axis, as ``smallest_moves`` does of one."""
    scored = scored_together(pasts, profiler, [tried_changes(past, axes) for past in pasts])
    moves = [
        {axis: first_moves(axis, profiler.models[axis], one, past) for axis in axes}
        for past, one in zip(pasts, scored, strict=True)
    ]
    more = [finer_changes(some, one) for some, one in zip(moves, scored, strict=True)]
    again = scored_together(pasts, profiler, [with_silences(some) for some in more])
    for past, some, changes, one in zip(pasts, moves, more, again, strict=True):
        for axis in changes:
            some[axis] = smaller(axis, some[axis], first_moves(axis, profiler.models[axis], one, past))
    return moves


@dataclass(frozen=True)
class Told:
    """A move that one customer is told on one axis, and the customer's segment there now."""

    past: Past
    axis: str
    move: Move
    now: str


def check(moves: Sequence[Told], profiler: StoreProfiler, together: int) -> dict[tuple[str, str], list[int]]:
    """Apply what was told, as of its day; return by axis and kind of move [told, moves where told, moves at all]."""
    by_day: dict[int, list[Told]] = defaultdict(list)
    for told in moves:
        by_day[told.move.change.days].append(told)
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for same_day in by_day.values():
        for start in range(0, len(same_day), together):
            some = same_day[start : start + together]
            histories = joined([one.past.applied(one.move.change) for one in some])
            _, scores = score_history(histories, profiler.models, some[0].past)
            for place, one in enumerate(some):
                after = scores[one.axis].dominant_ids[place]
                count = counts[one.axis, "change" if one.move.change.kind else "waiting"]
                right = (1, after == one.move.segment, after != one.now)
                count[:] = [a + b for a, b in zip(count, right, strict=True)]
            told, there, _ = (sum(one[i] for one in counts.values()) for i in range(3))
            print(f"{told:,} of {len(moves):,} applied: {there:,} are where it was told", flush=True)
    return counts


def told_of(pasts: Sequence[Past], profiler: StoreProfiler, axes: Sequence[str]) -> list[Told]:
    """Return what some customers are told on every axis; where they are now comes of their rows as they stand."""
    _, now = score_history(joined([past.history for past in pasts]), profiler.models, pasts[0])
    return [
        Told(past, axis, move, now[axis].dominant_ids[place])
        for place, (past, some) in enumerate(zip(pasts, moves_of(pasts, profiler, axes), strict=True))
        for axis, one in some.items()
        for move in (one.change, one.waiting)
        if move is not None
    ]


def print_table(total: Mapping[tuple[str, str], Sequence[int]], axes: Sequence[str], customers: int) -> None:
    """Print by axis how many were told a move, how many of these it moves, and whom nothing tried would move."""
    print("\n| axis | told a change | moves them there | nothing would | share | told of waiting | moves them there |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for axis in axes:
        (told, there, _), (waits, waited, _) = total[axis, "change"], total[axis, "waiting"]
        share = f"{1 - told / customers:.1%}"
        print(f"| {axis} | {told:,} | {there:,} | {customers - told:,} | {share} | {waits:,} | {waited:,} |")
    told, there, moved = (sum(one[i] for one in total.values()) for i in range(3))
    print(f"\n{told:,} told, {there:,} there ({there / told:.2%}), {moved:,} moved at all ({moved / told:.2%})")


def main() -> None:
    """Explain, apply, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store-id", required=True)
    parser.add_argument("--customers", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--together", type=int, default=25)
    parser.add_argument("--timed", type=int, default=10)
    arguments = parser.parse_args()
    profiler = open_profiler(arguments.store_id)
    history = parquet_tables().history(arguments.store_id).until(profiler.observation_end)
    drawn = history.sample(arguments.customers, arguments.seed).in_memory()
    ids = drawn.customers.to_pylist()
    axes = [axis for axis in AXES if axis in profiler.models]
    moves: list[Told] = []
    explained = 0
    with suppress(KeyboardInterrupt):
        for start in range(0, len(ids), arguments.together):
            some = ids[start : start + arguments.together]
            pasts = [
                Past(drawn.of([one]).in_memory(), profiler.recorded, profiler.reference, *profiler.usual)
                for one in some
            ]
            moves += told_of(pasts, profiler, axes)
            explained += len(some)
            print(f"{explained} customers: {len(moves):,} told, {time.process_time():.0f} s of processor", flush=True)
    print_table(check(moves, profiler, 40 * arguments.together), axes, explained)
    seconds = []
    for one in ids[: arguments.timed]:
        begun = time.perf_counter(), time.process_time()
        profiler.explain(one)
        seconds.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    if seconds:
        wall, cpu = np.median(np.array(seconds), axis=0)
        print(f"\none receipt, median of {len(seconds)}: {wall:.2f} s, {cpu:.2f} s of processor")


if __name__ == "__main__":
    main()
