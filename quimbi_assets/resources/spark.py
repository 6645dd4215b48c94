"""Engines that feature expressions run on, other than DuckDB in process: Spark, where one machine is not enough.

Belongs here: handing tables to an engine and taking results back, with the engine's settings that change numbers.
Does not: any formula; the expressions are those of ``quimbi_assets.axes``, compiled for the engine's dialect.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pyarrow as pa

from quimbi_assets.errors import BadInputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SHUFFLE_PARTITIONS = "spark.sql.shuffle.partitions"


class SparkEngine:
    """Spark, as ``extract_features(..., engine=SparkEngine(session))`` wants it; use as a context manager.

    Parameters
    ----------
    session : SparkSession
        A running session. A new session of the same application is opened on it, so that the names of temporary
        views and the time zone set here stay private.

    Notes
    -----
    Times are naive UTC or naive store-local. The session's time zone is UTC, or Spark would read clock times as
    those of the machine and daylight saving would move some of them.
    """

    def __init__(self, session: "SparkSession") -> None:
        # Not a literal: reading it loads Ibis's Spark backend, whose options the compiler needs.
        self.dialect: str = ibis.pyspark.name
        self._session = session.newSession()
        self._session.conf.set("spark.sql.session.timeZone", "UTC")
        context = session.sparkContext
        if context.master.startswith("local") and not context.getConf().contains(SHUFFLE_PARTITIONS):
            # Spark's 200 are for a cluster; on one machine each is a task of a few rows.
            self._session.conf.set(SHUFFLE_PARTITIONS, str(2 * context.defaultParallelism))
        self._kept: list[DataFrame] = []

    def __enter__(self) -> "SparkEngine":
        """Return the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of what was kept."""
        for frame in self._kept:
            frame.unpersist()
        self._kept.clear()

    def register(self, name: str, frame: pa.Table) -> None:
        """Make ``frame`` readable as view ``name``."""
        self._session.createDataFrame(frame).createOrReplaceTempView(name)

    def materialise(self, name: str, sql: str) -> None:
        """Keep the result of ``sql`` as view ``name``, computed when first read."""
        frame = self._session.sql(sql).cache()
        self._kept.append(frame)
        frame.createOrReplaceTempView(name)

    def fetch(self, sql: str) -> pd.DataFrame:
        """Run ``sql`` and return its rows."""
        return self._session.sql(sql).toArrow().to_pandas()


@contextmanager
def open_engine(name: str) -> Iterator[SparkEngine | None]:
    """Open the engine of that name for one extraction.

    Parameters
    ----------
    name : str
        ``duckdb`` or ``spark``.

    Yields
    ------
    SparkEngine or None
        None stands for DuckDB in process, which ``extract_features`` opens itself.

    Raises
    ------
    BadInputError
        If the name is unknown, or Spark is not installed.
    """
    if name == "duckdb":
        yield None
        return
    if name != "spark":
        raise BadInputError(f"unknown engine {name!r}; there are: duckdb, spark")
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise BadInputError("Spark is not installed; install it: pip install 'quimbi_assets[spark]'") from error
    session = SparkSession.builder.appName("quimbi").config("spark.ui.showConsoleProgress", "false").getOrCreate()
    try:
        with SparkEngine(session) as engine:
            yield engine
    finally:
        session.stop()
