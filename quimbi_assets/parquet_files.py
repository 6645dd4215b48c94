"""Parquet files as one process sees them: what it wrote or read lately and is small is not opened again.

Belongs here: opening a file, and the memory of small ones. Does not: what is in them (``axis_table``, ``engines``).

A run of 14 axes looks at some sixty files eight times each: at their facts, a sample, batches. On an object store each
look is a request or more. A file that another process has written meanwhile is noticed, and read.
"""

import io
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from cachetools import LRUCache, cached
from upath import UPath

from quimbi_assets.errors import BadInputError

SMALL = 4 * 2**20
"""Bytes up to which a file is kept."""
KEPT = 64 * 2**20
"""Bytes of files kept in all, and as many of decoded rows; those not used for longest go first."""
Version = tuple[int, str]
"""Size in bytes, and all that the file system knows of a file: when it was changed, its inode or tag."""
_contents: "LRUCache[tuple[str, Version], bytes]" = LRUCache(KEPT, getsizeof=len)
_decoded: "LRUCache[tuple[str, Version], pa.Table]" = LRUCache(KEPT, getsizeof=lambda rows: rows.nbytes)
_lock = Lock()


def is_local(path: UPath | Path) -> bool:
    """Whether a path is one of this machine's."""
    return getattr(path, "protocol", "") in ("", "file")


def opened(path: UPath | Path) -> pq.ParquetFile:
    """Open a Parquet file so that no thread of Arrow's is left with a file of Python's; one that is none is bad input.

    ``pq.read_table`` of an open Python file lets such a thread close it a moment after the table is there; where the
    process ends in that moment, Python 3.11 aborts it with exit code 134 (seen after one in ten runs).
    """
    version = _version(path)
    try:
        if version[0] <= SMALL:
            return pq.ParquetFile(pa.BufferReader(_content(path, version)))
        return pq.ParquetFile(getattr(path, "path", str(path)) if is_local(path) else path.open("rb"))
    except pa.ArrowInvalid as why:
        raise BadInputError(f"{path} is damaged ({why}); make it anew: quimbi run --store-id <store>") from why


def small_table(path: UPath | Path) -> pa.Table | None:
    """Return the rows of a small file as Arrow holds them; None for a large file or a folder."""
    if path.is_dir():
        return None
    version = _version(path)
    return _rows(path, version) if version[0] <= SMALL else None


class RememberedFile(io.RawIOBase):
    """A file that is being written; if it stays small, its content is remembered under the place it is moved to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._content = file, io.BytesIO()

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self._file.tell()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write to the file."""
        if self._content.tell() <= SMALL:
            self._content.write(data)
        return self._file.write(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def remember(self, place: UPath) -> None:
        """Keep what was written as the content of its final place."""
        content, version = self._content.getvalue(), _version(place)
        if len(content) == version[0] <= SMALL:
            with _lock:
                _contents[str(place), version] = content


def _key(path: UPath | Path, version: Version) -> tuple[str, Version]:
    return str(path), version


def _version(path: UPath | Path) -> Version:
    place = UPath(path)
    known = place.fs.info(place.path)
    return int(known["size"]), str(known)


@cached(_contents, _key, _lock)
def _content(path: UPath | Path, version: Version) -> bytes:
    return path.read_bytes()


@cached(_decoded, _key, _lock)
def _rows(path: UPath | Path, version: Version) -> pa.Table:
    """Decoded once for all questions about a small store's orders, lines and tickets."""
    with opened(path) as file:
        return file.read(use_threads=is_local(path))
