"""Where tables rest between assets: one Parquet file an asset and store, on any file system that fsspec knows.

Belongs here: the IO manager and reading an asset's table from outside a run. Does not: what is in the tables.
"""

import json
import os
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dagster import AssetKey, InputContext, OutputContext, UPathIOManager
from upath import UPath

from quimbi_assets.resources.home import storage_dir

#: Key under which a frame's ``attrs`` rest in the Parquet file.
ATTRS_KEY = b"quimbi_attrs"


class FrameIOManager(UPathIOManager):
    """Writes and reads pandas frames as Parquet, ``<asset key>/<store>.parquet``.

    A file is written beside its place and moved there, so that readers never see half of one. A frame's ``attrs``
    (JSON-able) travel with it.

    Parameters
    ----------
    base_path : UPath
        Folder or URL (``file://``, ``s3://``, ``gs://``) of the tables.
    """

    extension = ".parquet"

    def __init__(self, base_path: UPath) -> None:
        super().__init__(base_path=base_path)

    def dump_to_path(self, context: OutputContext, obj: pd.DataFrame, path: UPath) -> None:
        """Write one frame."""
        write_frame(obj, path)

    def load_from_path(self, context: InputContext, path: UPath) -> pd.DataFrame:
        """Read one frame."""
        return read_frame(path)

    def read(self, key: AssetKey, store_id: str) -> pd.DataFrame | None:
        """Return the last table of an asset for a store, or None if there is none yet."""
        path = self._base_path.joinpath(*key.path, f"{store_id}{self.extension}")
        return read_frame(path) if path.exists() else None

    def read_week(self, key: AssetKey, store_id: str, week: date) -> pd.DataFrame | None:
        """Return the table of an asset for a store and week, or None if there is none."""
        path = self._week(key, store_id, week)
        return read_frame(path) if path.exists() else None

    def write_week(self, key: AssetKey, store_id: str, week: date, frame: pd.DataFrame) -> None:
        """Write the table of an asset for a store and week, where the IO manager would."""
        write_frame(frame, self._week(key, store_id, week))

    def drop_week(self, key: AssetKey, store_id: str, week: date) -> None:
        """Remove the table of an asset for a store and week; no error if there is none."""
        self._week(key, store_id, week).unlink(missing_ok=True)

    def _week(self, key: AssetKey, store_id: str, week: date) -> UPath:
        return self._base_path.joinpath(*key.path, store_id, f"{week.isoformat()}{self.extension}")


def frame_io_manager(base_url: str | None = None) -> FrameIOManager:
    """Return the IO manager of this home.

    Parameters
    ----------
    base_url : str, optional
        Where the tables rest; default ``QUIMBI_STORAGE_URL``, else ``$QUIMBI_HOME/storage``.
    """
    url = base_url or os.environ.get("QUIMBI_STORAGE_URL")
    return FrameIOManager(UPath(url) if url else UPath(storage_dir()))


def write_frame(frame: pd.DataFrame, path: UPath) -> None:
    """Write ``frame`` and its ``attrs`` to ``path``, whole or not at all."""
    attrs: dict[Any, Any] = dict(frame.attrs)
    plain = frame.copy(deep=False)
    plain.attrs = {}
    table = pa.Table.from_pandas(plain)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), ATTRS_KEY: json.dumps(attrs).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
    partial.rename(path)


def _read_table(path: UPath) -> pa.Table:
    """Read a Parquet file so that no thread of Arrow's is left with a file of Python's.

    ``pq.read_table`` of an open Python file lets such a thread close it a moment after the table is there; where the
    process ends in that moment, Python 3.11 aborts it with exit code 134 (seen after one in ten runs).
    """
    if path.protocol in ("", "file"):
        with pq.ParquetFile(path.path) as parquet:
            return parquet.read()
    with path.open("rb") as file, pq.ParquetFile(file) as parquet:
        return parquet.read(use_threads=False)


def read_frame(path: UPath) -> pd.DataFrame:
    """Read a frame written by ``write_frame``."""
    table = _read_table(path)
    attrs = json.loads((table.schema.metadata or {}).get(ATTRS_KEY, b"{}"))
    try:
        frame = table.to_pandas()
    except TypeError:
        # pandas cannot parse its own name of an Arrow list type; such frames have no index to restore.
        frame = table.replace_schema_metadata(None).to_pandas()
    frame.attrs = attrs
    return frame
