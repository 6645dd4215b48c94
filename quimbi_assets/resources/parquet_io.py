"""Where tables rest between assets: Parquet under the asset's key and the store, on any file system fsspec knows.

Belongs here: places, and a store's history as its raw assets left it. Does not: what is in the tables.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa
from upath import UPath

from quimbi_assets.axis_table import AxisTable, Facts, remove, write_table
from quimbi_assets.errors import BadInputError
from quimbi_assets.history import History
from quimbi_assets.ingest.canonical import arrow_schema
from quimbi_assets.parquet_files import is_local
from quimbi_assets.resources.home import directory, quimbi_home
from quimbi_assets.store import Store

if TYPE_CHECKING:
    from dagster import AssetKey

    Key = AssetKey | tuple[str, ...]  # parts alone are for who does without Dagster, a second of imports

RAW: Mapping[str, tuple[str, ...]] = {
    "raw_orders": ("raw", "orders"),
    "raw_items": ("raw", "order_items"),
    "raw_tickets": ("raw", "support_tickets"),
}
"""Assets that hold a store's history, by the name of its table."""
REFERENCE = ("features", "store_reference")
EXTENSION = ".parquet"


class ParquetTables:
    """Tables of assets, ``<asset key>/<store>.parquet`` or ``<asset key>/<store>/<week>.parquet``."""

    def __init__(self, base: UPath) -> None:
        self.base = base

    def place(self, key: "Key", store_id: str, week: date | None = None) -> UPath:
        """Return where the table of an asset rests, whether it is there or not.

        BadInputError if the store's id, which may be a partition that somebody added by hand, would lead elsewhere.
        """
        _refuse_crafted(store_id)
        folder = self.base.joinpath(*_parts(key))
        if week is None:
            return folder / f"{store_id}{EXTENSION}"
        return folder / store_id / f"{week.isoformat()}{EXTENSION}"

    def table(self, key: "Key", store_id: str, week: date | None = None) -> AxisTable | None:
        """Return the last table of an asset, or None if there is none yet."""
        place = self.place(key, store_id, week)
        return AxisTable(place) if place.exists() else None

    def required(self, key: "Key", store_id: str) -> AxisTable:
        """Return the last table of an asset; BadInputError if there is none yet."""
        table = self.table(key, store_id)
        if table is None:
            asset = "/".join(_parts(key))
            raise BadInputError(f"store {store_id} has no {asset} yet: quimbi run --store-id {store_id}")
        return table

    def write(
        self,
        key: "Key",
        store_id: str,
        rows: Iterable[pa.Table | pa.RecordBatch] | pd.DataFrame,
        facts: Facts,
        week: date | None = None,
        schema: pa.Schema | None = None,
    ) -> AxisTable:
        """Replace the table of an asset and return it."""
        if isinstance(rows, pd.DataFrame):
            rows = [pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata()]
        place = self.place(key, store_id, week)
        write_table(place, rows, facts, schema)
        return AxisTable(place)

    def leftovers(self, store_id: str) -> Iterator[UPath]:
        """Yield what killed runs of a store left half written, or half moved, where nobody runs it now."""
        _refuse_crafted(store_id)
        for pattern in (f".{store_id}{EXTENSION}.*", f"{store_id}/.*{EXTENSION}.*"):
            yield from (p for p in sorted(self.base.glob(f"*/*/{pattern}")) if p.suffix in (".partial", ".before"))

    def mend(self, store_id: str) -> int:
        """Remove what killed runs left of a store nobody runs now; return how much there was.

        A table that was on its way out when its successor had not come yet goes back to its place.
        """
        left = list(self.leftovers(store_id))
        for path in left:
            place = path.with_name(path.name[1:].rsplit(".", 3)[0])
            if path.suffix == ".before" and not place.exists():
                path.rename(str(place))
            else:
                remove(path)
        return len(left)

    def keep_weeks(self, store_id: str, weeks: Collection[date]) -> int:
        """Remove a store's tables of other weeks than these, whichever there are; return how many there were."""
        _refuse_crafted(store_id)
        n = 0
        for path in list(self.base.glob(f"*/*/{store_id}/*{EXTENSION}")):
            with suppress(ValueError):  # a part of a table that an engine spread has no week for a name
                if date.fromisoformat(path.stem) not in weeks:
                    remove(path)
                    n += 1
        return n

    def history(self, store_id: str) -> History:
        """Return a store's history as its raw assets left it; BadInputError before the first run."""
        tables = {name: self.table(key, store_id) for name, key in RAW.items()}
        orders = tables["raw_orders"]
        if orders is None or tables["raw_items"] is None:
            raise BadInputError(f"store {store_id} has no orders in the graph yet: quimbi run --store-id {store_id}")
        rows = {n: arrow_schema(n).empty_table() if t is None else t.place for n, t in tables.items()}
        return History(orders.facts.store or Store(store_id), rows)


def _refuse_crafted(store_id: str) -> None:
    """Refuse a partition's name that is no store's and would meet another's files: a path, a pattern, a table's."""
    is_path = store_id != Path(store_id).name or store_id.startswith(".") or not store_id.isprintable()
    if not store_id or is_path or EXTENSION in store_id.lower() or any(sign in store_id for sign in "*?["):
        raise BadInputError(f"{store_id[:64]!r} is no store's id: it would lead to another store's files")


def _parts(key: "Key") -> tuple[str, ...]:
    parts: Any = key
    return tuple(getattr(parts, "path", parts))


def parquet_tables(base_url: str | None = None) -> ParquetTables:
    """Return the tables under a folder or URL (``file://``, ``s3://``, ``gs://``).

    By default that is ``QUIMBI_STORAGE_URL``, else ``$QUIMBI_HOME/storage``.
    """
    url = base_url or os.environ.get("QUIMBI_STORAGE_URL")
    if url and "@" in urlsplit(url).netloc:
        # It stands in Dagster's log with each table that is written.
        raise BadInputError(
            "QUIMBI_STORAGE_URL must hold no key: leave out what stands before @, and set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS"
        )
    if url and is_local(UPath(url)):
        directory(Path(UPath(url).path), "QUIMBI_STORAGE_URL")
    return ParquetTables(UPath(url) if url else UPath(directory(quimbi_home() / "storage")))
