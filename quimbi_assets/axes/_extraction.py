"""Features of any axes for any customers, as of any instant: the one door into this package.

Belongs here: finding the axes there are, and running their expressions by parts of the customers or on an engine that
spreads them itself. Does not: formulas (the axis modules), what is visible (``history``).
"""

import pkgutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pyarrow as pa

from quimbi_assets.axes._axis import Axis, axis_activity, axis_schema
from quimbi_assets.axes._measures import join
from quimbi_assets.axes._reference import StoreReference
from quimbi_assets.axes._tables import Tables, prepare
from quimbi_assets.axis_table import Facts, written_in_parts
from quimbi_assets.engines import Engine, SpreadingEngine, cores
from quimbi_assets.errors import UnknownAxisError
from quimbi_assets.history import History
from quimbi_assets.instants import Instant, to_instant
from quimbi_assets.store import BusinessHours, Store

if TYPE_CHECKING:
    from upath import UPath

COMPILING = Lock()
"""Held while an expression is compiled: parts that want the same one wait for it instead of compiling it too."""
_IBIS_TYPES = {"number": "float64", "text": "string", "flag": "boolean", "date": "string"}


def _discover() -> dict[str, Axis]:
    modules = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    axes = [import_module(f"{__package__}.{name}").AXIS for name in modules if not name.startswith("_")]
    # Those that need tickets come last: where a store begins to send them, no other axis's place in a list moves.
    return {axis.name: axis for axis in sorted(axes, key=lambda axis: (axis.kind, axis.reads_tickets, axis.name))}


AXES: dict[str, Axis] = _discover()
"""Every axis by name: the marketing axes, then the support axes, each alphabetically, last those about tickets."""


def checked_axes(axes: Iterable[str] | None) -> list[str]:
    """Return the names of axes, each once; all of them for None. ``UnknownAxisError`` if one does not exist."""
    if axes is None:
        return list(AXES)
    names = [axes] if isinstance(axes, str) else list(dict.fromkeys(axes))
    unknown = [name for name in names if name not in AXES]
    if unknown:
        raise UnknownAxisError(f"unknown axis {', '.join(unknown)}; there are: {', '.join(AXES)}")
    return names


@dataclass(frozen=True)
class Measurement:
    """The features of some axes of a history: what will be measured, before a row of it is."""

    history: History
    """Of one instant, exclusive: as of it everything is measured."""
    recorded: frozenset[str]
    """Columns the store records."""
    reference: StoreReference
    """What a few features are measured against."""
    axes: list[str]
    """The active ones."""
    inactive: dict[str, str] = field(default_factory=dict)
    """Reason of each axis that is not."""
    unrecorded: dict[str, list[str]] = field(default_factory=dict)
    """Clustering features of active axes that the store cannot have."""

    def parts(self) -> Iterator[dict[str, pa.Table]]:
        """Yield the features by axis (``axis_schema``) of one part of the customers after the other, in order of ids.

        Each part runs on one thread of an engine of its own, as many at a time as there are cores: the same data give
        the same bytes however many these are, and no more than a few parts are in memory.
        """
        waiting = deque(self.history.parts())
        if len(waiting) == 1:
            yield self._part(waiting[0])
            return
        with ThreadPoolExecutor(cores()) as pool:
            running = deque(pool.submit(self._part, waiting.popleft()) for _ in range(min(cores() + 1, len(waiting))))
            while running:
                done = running.popleft().result()
                if waiting:
                    running.append(pool.submit(self._part, waiting.popleft()))
                yield done

    def write(self, targets: "Mapping[str, UPath]", engine: SpreadingEngine, facts: Facts) -> None:
        """Have an engine that spreads the work itself write each axis's features as a table, in order of ids.

        All axes' tables take their places when the last is written; none does after an error.
        """
        self.history.register(engine)
        self._prepare(engine)
        with ExitStack() as whole:
            for name in self.axes:
                folder = whole.enter_context(written_in_parts(targets[name], facts))
                engine.write(self._sql(name, engine.dialect), folder, axis_schema(AXES[name]))

    def _part(self, part: History) -> dict[str, pa.Table]:
        with part.open(threads=1) as engine:
            self._prepare(engine)
            return {
                name: engine.arrow(self._sql(name, engine.dialect)).cast(axis_schema(AXES[name])) for name in self.axes
            }

    def _prepare(self, engine: Engine) -> None:
        for name, table in self.reference.tables().items():
            engine.view(name, table)
        for name, sql in _prepared_sql(engine.dialect).items():
            engine.materialise(name, sql)

    def _sql(self, axis_name: str, dialect: str) -> str:
        with COMPILING:
            return _axis_sql(axis_name, self.recorded, self.history.store.hours, dialect)


def measure(
    history: History,
    axes: Iterable[str] | None = None,
    *,
    reference: StoreReference | None = None,
    recorded: frozenset[str] | None = None,
) -> Measurement:
    """Say what can be measured of a history as of its end, on all axes or some; ``UnknownAxisError`` if one is none.

    Features that need the reference are NULL without it. The columns ``recorded`` are by default read off the visible
    rows: give the store's own where a few of its customers are measured, whose rows may not show every column.
    """
    names = checked_axes(axes)
    columns = history.recorded if recorded is None else recorded
    activity = {name: axis_activity(AXES[name], columns) for name in names}
    return Measurement(
        history.until(history.end),
        columns,
        reference or StoreReference.empty(),
        [name for name in names if activity[name][0] is None],
        {name: reason for name, (reason, _) in activity.items() if reason is not None},
        {name: lost for name, (reason, lost) in activity.items() if reason is None and lost},
    )


class Features(dict[str, pd.DataFrame]):
    """Feature tables by axis, of a bounded number of customers, with what the store does not record of them.

    Each is indexed by ``customer_id`` (str, sorted; the same index in every table) and holds every declared feature of
    its axis (NULL where undefined or not recorded) and ``n_orders``.
    """

    def __init__(self, measurement: Measurement) -> None:
        parts = list(measurement.parts())
        super().__init__(
            {name: feature_frame(pa.concat_tables([part[name] for part in parts])) for name in measurement.axes}
        )
        self.recorded, self.reference = measurement.recorded, measurement.reference
        self.inactive, self.unrecorded = measurement.inactive, measurement.unrecorded


def feature_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table of features as models read it, indexed by ``customer_id``."""
    frame: pd.DataFrame = table.to_pandas().set_index("customer_id")
    flags = [column.name for column in table.schema if pa.types.is_boolean(column.type)]
    frame.index = frame.index.astype("str")
    texts = [column.name for column in table.schema if pa.types.is_string(column.type) and column.name in frame]
    return frame.astype({**dict.fromkeys(flags, "boolean"), **dict.fromkeys(texts, "str")})


def extract_features(
    orders: pd.DataFrame,
    items: pd.DataFrame | None = None,
    axes: Iterable[str] | None = None,
    observation_end: Instant | str | None = None,
    *,
    tickets: pd.DataFrame | None = None,
    time_zone: str = "UTC",
    business_hours: BusinessHours | None = None,
    recorded: frozenset[str] | None = None,
    reference: StoreReference | None = None,
) -> Features:
    """Compute feature tables of customers from frames of their orders; see ``measure`` and ``canonical_tables``.

    ``observation_end`` is exclusive, a naive one UTC; by default the end of the local day of the last order.

    >>> orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["ann", "ann"], "total_price": [20.0, 30.0],
    ...                        "order_date": pd.to_datetime(["2025-01-01 10:00", "2025-01-31 10:00"])})
    >>> features = extract_features(orders, axes=["purchase_value"], observation_end="2025-03-02 10:00")
    >>> features["purchase_value"][["lifetime_value", "avg_order_value", "value_trend"]]
                 lifetime_value  avg_order_value  value_trend
    customer_id
    ann                    50.0             25.0          NaN
    """
    hours = None if business_hours is None else vars(business_hours)
    history = History.from_frames(orders, items, tickets, Store(time_zone=time_zone, business_hours=hours))
    at = None if observation_end is None else to_instant(observation_end, "observation_end")
    return Features(measure(history.until(at), axes, reference=reference, recorded=recorded))


@lru_cache(maxsize=8)
def _prepared_sql(dialect: str) -> Mapping[str, str]:
    """Compiled SQL of the prepared relations, in order of materialisation."""
    return {name: str(ibis.to_sql(expression, dialect=dialect)) for name, expression in prepare().items()}


@lru_cache(maxsize=512)
def _axis_sql(axis_name: str, recorded: frozenset[str], business_hours: BusinessHours, dialect: str) -> str:
    """Compiled SQL of one axis: every customer once, in order, with all declared features."""
    axis = AXES[axis_name]
    tables = Tables(recorded, business_hours)
    measured = axis.measure(tables)
    known = {f.name: measured[f.name] for f in axis.features if set(f.needs) <= recorded}
    customers = tables.customers.select("customer_id", all_orders="n_orders")
    joined = join(customers, measured.select("customer_id", **known))
    columns = {f.name: joined[f.name] if f.name in known else ibis.null(_IBIS_TYPES[f.kind]) for f in axis.features}
    columns["n_orders"] = joined.all_orders
    return str(ibis.to_sql(joined.select("customer_id", **columns).order_by("customer_id"), dialect=dialect))
