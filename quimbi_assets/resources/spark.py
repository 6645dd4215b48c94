"""Spark, where a store's history is more than one machine should read: the same expressions, spread by its executors.

Belongs here: opening Spark, and ``engines.Engine`` on it, with the settings that change numbers. Does not: any formula;
the expressions are those of ``quimbi_assets.axes``, compiled for Spark.

Rows go from Parquet to Parquet by the executors. Only ``arrow`` brings any into this process.
"""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import ibis
import pyarrow as pa
import sqlglot

from quimbi_assets.errors import BadInputError, EngineFailedError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from upath import UPath

SHUFFLE_PARTITIONS = "spark.sql.shuffle.partitions"
SETTINGS = {
    # Times are naive: with a zone, Spark would move some of them where daylight saving begins.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    # What cannot be computed is an error, as on DuckDB, not a NULL or a number that wrapped around.
    "spark.sql.ansi.enabled": "true",
    # Compiled text escapes backslashes, and means what it says: ${x} is no variable.
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.variable.substitute": "false",
    # A broadcast goes through the driver: enough for the clock and prices, never a large store's orders or customers.
    "spark.sql.autoBroadcastJoinThreshold": str(2**20),
    "spark.sql.parquet.compression.codec": "zstd",
}
QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
NO_SPARK = "Spark is not installed; install it: pip install 'quimbi_assets[spark]'"
NO_JAVA = "Spark needs Java 17 or newer; install it (Debian: apt-get install default-jre-headless) or set JAVA_HOME"
ENDED = "its Java process ended"
NO_MEMORY = ("OutOfMemoryError", ENDED)
MORE_MEMORY = "; more memory: PYSPARK_SUBMIT_ARGS='--driver-memory 4g pyspark-shell'"
P = ParamSpec("P")
T = TypeVar("T")
_GLOB = str.maketrans({character: f"\\{character}" for character in "\\*?[]{}"})


def _in_one_line(call: Callable[P, T]) -> Callable[P, T]:
    """Turn Java's stack into one line: an EngineFailedError with what began it.

    It is raised free of its causes: a lost connection among them would ask Dagster for another try.
    """

    @wraps(call)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        from py4j.protocol import Py4JError, Py4JNetworkError
        from pyspark.errors import PySparkException

        try:
            return call(*args, **kwargs)
        except (ConnectionError, Py4JNetworkError):
            reason = ENDED
        except (Py4JError, PySparkException) as error:
            reason = _innermost(str(error))
        mend = MORE_MEMORY if any(sign in reason for sign in NO_MEMORY) else ""
        raise EngineFailedError(f"Spark gave up: {reason}{mend}")

    return wrapped


def _innermost(trace: str) -> str:
    """Return the line of a Java stack that says what began it.

    >>> _innermost("An error occurred while calling o1.x.\\n: a.B: no\\n\\tat a.b\\nCaused by: c.D: full\\n\\tat c.d")
    'c.D: full'
    """
    lines = [line.strip(": ") for line in trace.splitlines() if line.strip(": ")]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    messages = [line for line in lines if not line.startswith(("An error occurred", "at "))]
    return (causes[-1].removeprefix("Caused by: ") if causes else (messages or lines or [trace])[0]).strip()


class SparkEngine(ExitStack):
    """Spark as ``engines.Engine``; use as a context manager, which lets go of what was kept.

    On the running session a new one of the same application is opened, so that names of views and settings are private.
    """

    def __init__(self, session: "SparkSession") -> None:
        super().__init__()
        # Not a literal: reading it loads Ibis's Spark backend, whose options the compiler needs.
        self.dialect: str = ibis.pyspark.name
        self._session = session.newSession()
        for setting, value in SETTINGS.items():
            self._session.conf.set(setting, value)
        context = session.sparkContext
        if str(context.master).startswith("local") and not context.getConf().contains(SHUFFLE_PARTITIONS):
            # Spark's 200 are for a cluster; on one machine each is a task of a few rows.
            self._session.conf.set(SHUFFLE_PARTITIONS, str(2 * context.defaultParallelism))

    @_in_one_line
    def view(self, name: str, source: "pa.Table | UPath", where: str = "") -> None:
        """Make the rows of ``source`` that meet a condition readable as table ``name``.

        An Arrow table goes through this process: it is to be small.
        """
        frame = self._session.createDataFrame(source) if isinstance(source, pa.Table) else self._parquet(source)
        if where:
            # Spark reads 'it''s' as 'its', and takes backslashes for escapes.
            frame = frame.where(sqlglot.transpile(where, read="duckdb", write="spark")[0])
        frame.createOrReplaceTempView(name)

    @_in_one_line
    def materialise(self, name: str, sql: str) -> None:
        """Keep the result of ``sql`` on the executors as table ``name``, computed when first read."""
        frame = self._session.sql(sql).cache()
        self.callback(_end, frame.unpersist)
        frame.createOrReplaceTempView(name)

    @_in_one_line
    def arrow(self, sql: str) -> pa.Table:
        """Return the rows of ``sql``, which are few."""
        return self._session.sql(sql).toArrow()

    @_in_one_line
    def write(self, sql: str, folder: "UPath", schema: pa.Schema) -> None:
        """Have the executors write the rows of ``sql`` as Parquet files that, by name, are in its order."""
        from pyspark.sql.pandas.types import from_arrow_schema

        rows = self._session.sql(sql).to(from_arrow_schema(schema))
        rows.write.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").parquet(_url(folder))
        for checksum in folder.glob(".*.crc"):
            checksum.unlink()

    def _parquet(self, place: "UPath") -> "DataFrame":
        return self._session.read.option("pathGlobFilter", "*.parquet").parquet(_url(place).translate(_GLOB))


@contextmanager
def open_engine(name: str) -> Iterator[SparkEngine | None]:
    """Open the engine of that name, ``duckdb`` or ``spark``, for one extraction.

    None stands for DuckDB in process, which works by parts of the customers and needs nothing opened. BadInputError if
    the name is unknown, or Spark or Java is not installed.
    """
    if name == "duckdb":
        yield None
        return
    if name != "spark":
        raise BadInputError(f"unknown engine {name!r}; there are: duckdb, spark")
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise BadInputError(NO_SPARK) from error
    running = SparkSession.getActiveSession()
    session = running or _started()
    try:
        with SparkEngine(session) as engine:
            yield engine
    finally:
        if running is None:
            _end(session.stop)


def _end(end: Callable[[], object]) -> None:
    """End something of Spark's; no error if Spark has ended."""
    with suppress(EngineFailedError):
        _in_one_line(end)()


def has_java() -> bool:
    """Tell whether there is a Java runtime to start Spark on."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin") if home else None) is not None


def _started() -> "SparkSession":
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    if not has_java():
        raise BadInputError(NO_JAVA)
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        return SparkSession.builder.appName("quimbi").config(map={**QUIET}).getOrCreate()
    except PySparkRuntimeError as error:
        raise BadInputError(NO_JAVA) from error
    finally:
        # Spark's own handler fails once its session is over.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, on_interrupt)


def _url(place: "UPath") -> str:
    """Return where Hadoop finds a place."""
    if place.protocol in ("", "file"):
        return f"file://{Path(place.path).absolute()}"
    return str(place).replace("s3://", "s3a://", 1) if place.protocol == "s3" else str(place)
