"""Tables between assets: what is written is read again, on any file system, and the process that read it ends well."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from quimbi_assets.resources.parquet_io import read_frame, write_frame

READS_AND_ENDS = """
import sys
from upath import UPath
from quimbi_assets.resources.parquet_io import _read_table
_read_table(UPath(sys.argv[1]))
sys.exit(0)
"""


@pytest.fixture
def frame():
    found = pd.DataFrame({"value": [1.5, np.nan, -2.0], "name": ["a", "b", None]}, index=pd.Index(["x", "y", "z"]))
    found.attrs = {"observation_end": "2025-01-01", "recorded": ["orders.channel"]}
    return found


@pytest.mark.parametrize("place", ["local", "file://local", "memory://tables"])
def test_a_frame_and_its_attrs_are_read_as_written(frame, tmp_path, place):
    path = UPath(place.replace("local", str(tmp_path))) / "axis" / "store.parquet"
    write_frame(frame, path)
    found = read_frame(path)
    pd.testing.assert_frame_equal(found, frame)
    assert found.attrs == frame.attrs
    assert [each.name for each in path.parent.iterdir()] == ["store.parquet"]


def test_a_process_that_ends_right_after_reading_ends_well(frame, tmp_path):
    """A thread of Arrow's left with a file of Python's aborted four in five such processes on two cores."""
    path = tmp_path / "store.parquet"
    write_frame(frame, UPath(path))
    command = [sys.executable, "-c", READS_AND_ENDS, str(path)]
    ended = [subprocess.run(command, capture_output=True, text=True, timeout=120, check=False) for _ in range(6)]
    assert {process.returncode for process in ended} == {0}, ended
