"""Whether what `quimbi explain` tells would move a customer does: applied to the data and scored anew.

Of a store that was run (``--store-id``, in ``QUIMBI_HOME``), customers drawn by a seed are explained; every change that
is told is applied to its customer's rows, and the customer measured as of its day, without the shift in time by which
the search looks at all changes at once. Prints by axis how many are told a change, how many of these it moves to where
it was told to, and how many nothing tried would move; and how long one receipt takes. Many customers are measured
together here; one at a time they come out the same (a test of the package's contract).
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.axes import AXES
from quimbi_assets.explanation.changes import Change, Past
from quimbi_assets.explanation.search import (
    AxisMoves,
    Scored,
    finer_changes,
    first_moves,
    score_history,
    smaller,
    tried_changes,
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
            features,
            {
                axis: replace(one.part(row), customers=pd.Index(one.customers[row].str[5:]))
                for axis, one in scores.items()
            },
        )
        for some, row in zip(changes, rows, strict=True)
    ]


def moves_of(pasts: Sequence[Past], profiler: StoreProfiler, axes: Sequence[str]) -> list[dict[str, AxisMoves]]:
    """Return what moves each of several customers, by axis, as ``smallest_moves`` does of one."""
    tried = [tried_changes(past, axes) for past in pasts]
    scored = scored_together(pasts, profiler, tried)
    moves = [{axis: first_moves(axis, profiler.models[axis], one) for axis in axes} for one in scored]
    finer = [finer_changes(some, one) or [Change.waiting(0)] for some, one in zip(moves, scored, strict=True)]
    again = scored_together(pasts, profiler, finer)
    return [
        {axis: smaller(axis, some[axis], first_moves(axis, profiler.models[axis], one)) for axis in axes}
        for some, one in zip(moves, again, strict=True)
    ]


def check(
    pasts: Sequence[Past], moves: Sequence[dict[str, AxisMoves]], profiler: StoreProfiler
) -> dict[tuple[str, str], list[int]]:
    """Apply what was told, as of its day; return by axis and kind of move [told, moves where told, moves at all]."""
    by_day: dict[int, list[tuple[Past, Change, str, str]]] = defaultdict(list)
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for past, some in zip(pasts, moves, strict=True):
        for axis, one in some.items():
            counts[axis, "change"][0] += one.change is not None
            counts[axis, "waiting"][0] += one.waiting is not None
            for move in (one.change, one.waiting):
                if move is not None:
                    by_day[move.change.days].append((past, move.change, axis, move.segment))
    for told in by_day.values():
        histories = joined([past.applied(change) for past, change, _, _ in told])
        _, scores = score_history(histories, profiler.models, told[0][0])
        present = joined([past.history for past, _, _, _ in told])
        _, now = score_history(present, profiler.models, told[0][0])
        for place, (_, change, axis, segment) in enumerate(told):
            after, before = scores[axis].dominant_ids[place], now[axis].dominant_ids[place]
            count = counts[axis, "change" if change.kind else "waiting"]
            count[1] += after == segment
            count[2] += after != before
    return counts


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
    total: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for start in range(0, len(ids), arguments.together):
        some = ids[start : start + arguments.together]
        pasts = [Past(drawn.of([one]).in_memory(), profiler.recorded, profiler.reference) for one in some]
        for key, counts in check(pasts, moves_of(pasts, profiler, axes), profiler).items():
            total[key] = [a + b for a, b in zip(total[key], counts, strict=True)]
        told, there, moved = (sum(one[i] for one in total.values()) for i in range(3))
        print(f"{start + len(some)} customers: {told:,} told, {there:,} there, {moved:,} moved", flush=True)
    print("\n| axis | told a change | moves them there | nothing would | told of waiting | moves them there |")
    print("|---|---:|---:|---:|---:|---:|")
    for axis in axes:
        (told, there, _), (waits, waited, _) = total[axis, "change"], total[axis, "waiting"]
        print(f"| {axis} | {told:,} | {there:,} | {len(ids) - told:,} | {waits:,} | {waited:,} |")
    seconds = []
    for one in ids[: arguments.timed]:
        begun = time.perf_counter(), time.process_time()
        profiler.explain(one)
        seconds.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    wall, cpu = np.median(np.array(seconds), axis=0)
    print(f"\none receipt, median of {len(seconds)}: {wall:.2f} s, {cpu:.2f} s of processor")


if __name__ == "__main__":
    main()
