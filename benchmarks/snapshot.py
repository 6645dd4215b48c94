"""Times a weekly snapshot and its comparison with the week before, in one process whose imports are done.

``--customers 27415 --seed 0``. Loads and runs a simulated store in a fresh home, makes a first snapshot, then times the
next one: seconds of wall and of CPU of this process, for the snapshot alone and for all that `quimbi snapshot` does.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path


class Stages:
    """Hears the steps of a run and notes when each began."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, float, float]] = []

    def warn(self, message: str) -> None:
        """Nothing that a timing needs."""

    def step(self, message: str, done: float | None = None) -> None:
        """Note a step."""
        self.begun.append((message, time.perf_counter(), time.process_time()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=27_415)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quimbi-benchmark-") as folder:
        files = Path(folder) / "files"
        os.environ["QUIMBI_HOME"] = str(Path(folder) / "home")
        quimbi = [sys.executable, "-m", "quimbi_assets.cli"]
        size = ["--customers", str(options.customers), "--out", str(files), "--seed", str(options.seed)]
        paths = ["--orders", str(files / "orders.parquet"), "--items", str(files / "order_items.parquet")]
        for arguments in (
            ["simulate", *size],
            ["load", "--store-id", "s", *paths, "--time-zone", "America/New_York"],
            ["run", "--store-id", "s", "--as-of", "2025-11-03T05:00Z"],
        ):
            subprocess.run([*quimbi, *arguments], check=True, capture_output=True)
        _time_weeks(date(2025, 11, 3))


def _time_weeks(first: date) -> None:
    from quimbi_assets.commands.over_time import snapshot_week

    for week in (first, first + timedelta(days=7), first + timedelta(days=14)):
        stages = Stages()
        snapshot_week("s", week, stages)  # type: ignore[arg-type]
        print(f"week of {week}")
        for (name, wall, cpu), (_, next_wall, next_cpu) in zip(stages.begun, stages.begun[1:], strict=False):
            print(f"  {name:45} {next_wall - wall:6.1f} s wall {next_cpu - cpu:6.1f} s CPU")


if __name__ == "__main__":
    main()
