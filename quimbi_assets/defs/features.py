"""Stage 2: raw orders → one feature table per axis, all from one subsettable multi_asset.

Belongs here: the assets, their checks and what people read about them in the UI. Does not: any formula (``axes``).
An inactive axis writes an empty table that says why, so that nothing downstream has to guess.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from quimbi_assets import axes
from quimbi_assets.axes import AXES, Axis, Measurement
from quimbi_assets.axis_table import TableFacts, table_writer
from quimbi_assets.defs.events import Metadata, Rule, SchemaCheck, StageEvent, facts, inactive
from quimbi_assets.defs.labels import code_version, data_version
from quimbi_assets.defs.partitions import HISTORY, ORDERS_KEY, PROFILES_KEY, REFERENCE_KEY, axis_key, axis_spec
from quimbi_assets.defs.runs import retried
from quimbi_assets.history import History
from quimbi_assets.instants import to_instant
from quimbi_assets.pipeline import require_population
from quimbi_assets.profiles.alignment import refuse_apart
from quimbi_assets.resources.dagster_resources import Listener, StoreDatabase, Tables
from quimbi_assets.resources.postgres.tables.publications import read_publication
from quimbi_assets.resources.spark import open_engine

CHECK = Rule(
    "declared_types_and_ranges",
    "Every feature is of its declared type, and within its declared range or missing.",
    "`by_check` names the feature, `first_cases` the values: look at these customers' orders, mend them and load them "
    "again. Where the orders are right, the axis's formula is wrong for this store; leave the axis out of audiences.",
)
TOTALS = Rule(
    "totals_reconcile",
    "All customers who had ordered by then are there, and their orders, spend and refunds come to the store's.",
    "what depends on this axis is not made, and people see the profiles of before. `by_total` has both sums: an order "
    "was lost or counted twice between `raw/orders` and the features. Run again; if it stays, report it.",
    blocks=True,
)
ADDED_UP = {"n_orders": "orders", "lifetime_value": "spend", "total_refunds": "refunds"}
"""Features whose sums are the store's, by what they are sums of."""
RELATIVE, ABSOLUTE = 1e-9, 0.005
"""By which two orders of adding up money may differ."""
MOST_SHOWN = 50_000
"""Customers, evenly spread, that the figures in the UI are taken from."""


class FeatureOptions(dg.Config):
    """As of when, and for how many customers at least."""

    as_of: str | None = None
    min_population: int = 100
    engine: str = "duckdb"


def _spec(axis: Axis) -> dg.AssetSpec:
    return axis_spec("features", axis.name, HISTORY, f"{axis.question}\n\n{axis.description}", {"duckdb", "ibis"})


_REFERENCE_SPEC = axis_spec(
    "features",
    REFERENCE_KEY.path[-1],
    HISTORY,
    "Store-wide prices and gaps that a few features are measured against, as of the same instant.",
    {"duckdb", "ibis"},
)


@dg.multi_asset(
    name="features",
    specs=[*(_spec(axis) for axis in AXES.values()), _REFERENCE_SPEC],
    can_subset=True,
    check_specs=[rule.spec(axis_key("features", name)) for name in AXES for rule in (CHECK, TOTALS)],
)
@retried
def features(
    context: dg.AssetExecutionContext,
    config: FeatureOptions,
    tables: Tables,
    database: StoreDatabase,
    progress: Listener,
) -> Iterator[StageEvent]:
    """Compute the selected axes' features of every customer of the partition's store."""
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("features", name) in context.selected_asset_keys]
    as_of = None if config.as_of is None else to_instant(config.as_of, "as_of")
    history = tables.history(store_id).until(as_of)
    require_population(history, config.min_population)
    progress.step(f"features of {len(selected)} axes", 0.1)
    if PROFILES_KEY in (context.run.asset_selection or ()):
        published = read_publication(database, store_id)
        profiled = set() if published is None else set(published.model_versions)
        others = [name for name in AXES if name in profiled and name not in selected]
        left = {name: tables.table(axis_key("features", name), store_id) for name in others}
        refuse_apart({n: t for n, t in left.items() if t is not None}, history.end, history.n_customers)
    reference = axes.fit_reference(history)
    measurement = axes.measure(history, selected, reference=reference)
    at, recorded, run_id = measurement.history.end, measurement.recorded, context.run_id
    changed_at = tables.required(ORDERS_KEY, store_id).facts.changed_at
    version = data_version(changed_at, history.n_customers, at)
    measured = TableFacts(at, recorded=recorded, run_id=run_id, store=history.store, changed_at=changed_at)
    if REFERENCE_KEY in context.selected_asset_keys:
        tables.write(REFERENCE_KEY, store_id, reference.to_frame(), measured)
        yield dg.MaterializeResult(asset_key=REFERENCE_KEY, data_version=version)
    looks = _written(measurement, tables, store_id, measured, config.engine)
    for name in selected:
        key, reason = axis_key("features", name), measurement.inactive.get(name)
        if reason is not None:
            why = TableFacts.inactive(reason, at=at, recorded=recorded, run_id=run_id)
            yield from inactive(tables, key, store_id, why, [CHECK, TOTALS], axes.axis_schema(AXES[name]))
            continue
        version = data_version(changed_at, history.n_customers, at, code_version(name))
        metadata = looks[name].metadata(AXES[name], measurement)
        yield dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=version)
        yield looks[name].check.result(key, CHECK)
        yield looks[name].adds_up(key, measurement.history)


class _Look:
    """What is seen of an axis's table while it is written: every row by the check, evenly spread ones for people."""

    def __init__(self, axis: Axis, step: int) -> None:
        self.check = SchemaCheck(axes.feature_schema(axis))
        self._step, self._shown, self._sums = step, list[pd.DataFrame](), Counter[str]()

    def at(self, part: pa.Table) -> None:
        frame = axes.feature_frame(part)
        self.check.look_at(frame)
        self._shown.append(frame.iloc[:: self._step])
        self._sums.update({what: float(frame[name].sum()) for name, what in ADDED_UP.items() if name in frame})

    def adds_up(self, key: dg.AssetKey, history: History) -> dg.AssetCheckResult:
        sums = {"customers": float(self.check.n_rows), **self._sums}
        store = {"customers": float(history.n_customers), **history.totals}
        rows = pd.DataFrame({"features": sums, "orders": {what: store[what] for what in sums}})
        agree = np.isclose(rows["features"], rows["orders"], rtol=RELATIVE, atol=ABSOLUTE)
        return TOTALS.result(key, bool(agree.all()), by_total=rows.rename_axis("total of").reset_index())

    def metadata(self, axis: Axis, measurement: Measurement) -> Metadata:
        frame = pd.concat(self._shown)
        defined = [f for f in axis.clustering_features if f.name in frame]
        table = pd.DataFrame(
            {
                "feature": [f.name for f in defined],
                "meaning": [f.meaning for f in defined],
                "unit": [f.unit for f in defined],
                "defined for": [f"{frame[f.name].notna().mean():.0%}" for f in defined],
                "10 %": [frame[f.name].quantile(0.1) for f in defined],
                "median": [frame[f.name].median() for f in defined],
                "90 %": [frame[f.name].quantile(0.9) for f in defined],
            }
        )
        return facts(
            row_count=self.check.n_rows,
            status="active",
            as_of=str(measurement.history.end),
            not_recorded=", ".join(measurement.unrecorded.get(axis.name, [])) or "nothing",
            features=table,
        )


def _written(
    measurement: Measurement, tables: Tables, store_id: str, table_facts: TableFacts, engine_name: str
) -> dict[str, _Look]:
    """Write the active axes' tables, whole or not at all, and return what was seen of them."""
    step = int(np.ceil(max(measurement.history.n_customers, 1) / MOST_SHOWN))
    looks = {name: _Look(AXES[name], step) for name in measurement.axes}
    places = {name: tables.place(axis_key("features", name), store_id) for name in measurement.axes}
    with open_engine(engine_name) as engine:
        if engine is not None:
            measurement.write(places, engine, table_facts)
            for name in measurement.axes:
                for batch in tables.required(axis_key("features", name), store_id).batches():
                    looks[name].at(batch)
            return looks
    with ExitStack() as stack:
        write = {
            name: stack.enter_context(table_writer(places[name], axes.axis_schema(AXES[name]), table_facts))
            for name in measurement.axes
        }
        for part in measurement.parts():
            for name, rows in part.items():
                write[name](rows)
                looks[name].at(rows)
    return looks
