"""Runs compiled Ibis expressions on an engine: DuckDB in process, or Spark through the same interface.

Belongs here: registering frames, materialising the shared relations, fetching results. Does not: any formula.
Expressions are compiled once for a set of recorded columns and kept, so that one customer takes milliseconds.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import ibis
import pandas as pd
import pyarrow as pa

from quimbi_assets.axes._prepared import prepare
from quimbi_assets.axes._tables import INPUT_SCHEMAS, PREPARED_SCHEMAS, BusinessHours, Tables

INTERRUPTED = "Query interrupted"
"""What DuckDB's ``RuntimeError`` says where Ctrl-C ended a query."""


class Engine(Protocol):
    """What extraction needs of an engine; ``dialect`` is its Ibis backend's name."""

    dialect: str

    def register(self, name: str, frame: pa.Table) -> None:
        """Make ``frame`` readable as table ``name``."""

    def materialise(self, name: str, sql: str) -> None:
        """Compute ``sql`` once and keep it as table ``name``."""

    def fetch(self, sql: str) -> pd.DataFrame:
        """Run ``sql`` and return its rows."""


class DuckEngine:
    """DuckDB in memory, private to one extraction; use as a context manager.

    Parameters
    ----------
    threads : int or None
        Number of threads; None leaves it to DuckDB (all cores). Small inputs run faster on one.
    """

    dialect = "duckdb"

    def __init__(self, threads: int | None = None) -> None:
        import duckdb

        config: dict[str, Any] = {} if threads is None else {"threads": threads}
        self._connection = duckdb.connect(config=config)

    def __enter__(self) -> "DuckEngine":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Close; Ctrl-C while DuckDB computes is Ctrl-C, not a failed query."""
        self._connection.close()
        if isinstance(error, RuntimeError) and str(error) == INTERRUPTED:
            raise KeyboardInterrupt from error

    def register(self, name: str, frame: pa.Table) -> None:
        """Make ``frame`` readable as table ``name``, without a copy."""
        self._connection.register(name, frame)

    def materialise(self, name: str, sql: str) -> None:
        """Compute ``sql`` once and keep it as table ``name``."""
        self._connection.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {sql}')

    def fetch(self, sql: str) -> pd.DataFrame:
        """Run ``sql`` and return its rows."""
        return self._connection.execute(sql).df()


@lru_cache(maxsize=64)
def prepared_sql(dialect: str) -> Mapping[str, str]:
    """Compiled SQL of the prepared relations, in order of materialisation."""
    return {name: _compile(expression, dialect) for name, expression in prepare().items()}


@lru_cache(maxsize=512)
def axis_sql(axis_name: str, recorded: frozenset[str], business_hours: BusinessHours, dialect: str) -> str:
    """Compiled SQL of one axis: every customer once, in order, with all declared features."""
    from quimbi_assets.axes import AXES

    axis = AXES[axis_name]
    tables = Tables(recorded, business_hours)
    measured = axis.measure(tables)
    kept = {f.name: measured[f.name] for f in axis.features if set(f.needs) <= recorded}
    measured = measured.select("customer_id", **kept)
    everyone = tables.customers.select("customer_id", all_orders="n_orders")
    joined = everyone.left_join(measured, "customer_id").drop("customer_id_right")
    columns = {f.name: joined[f.name] if f.name in kept else ibis.null(_NULL_TYPES[f.kind]) for f in axis.features}
    columns["n_orders"] = joined.all_orders
    return _compile(joined.select("customer_id", **columns).order_by("customer_id"), dialect)


_NULL_TYPES = {"number": "float64", "text": "string", "flag": "boolean", "date": "string"}


def _compile(expression: ibis.Table, dialect: str) -> str:
    return str(ibis.to_sql(expression, dialect=dialect))


def register_inputs(engine: Engine, frames: Mapping[str, pa.Table]) -> None:
    """Register the input tables of ``INPUT_SCHEMAS`` and materialise nothing yet.

    Parameters
    ----------
    engine : Engine
        Where to register.
    frames : mapping of str to pyarrow Table
        One table per key of ``INPUT_SCHEMAS``.
    """
    for name in INPUT_SCHEMAS:
        engine.register(name, frames[name])


def materialise_prepared(engine: Engine) -> None:
    """Compute the relations of ``PREPARED_SCHEMAS`` on registered inputs."""
    sql = prepared_sql(engine.dialect)
    for name in PREPARED_SCHEMAS:
        engine.materialise(name, sql[name])
