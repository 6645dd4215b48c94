"""Times the commands a shop waits for, each as a process of its own in a fresh home: simulate, load, run.

``--customers 27415 --seed 0``. Prints one line a command: wall seconds, and for ``run`` the seconds at which its
stages began.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def quimbi(home: Path, *arguments: str) -> tuple[float, str]:
    """Run a command; return its wall seconds and what it said on stderr."""
    command = [sys.executable, "-m", "quimbi_assets.cli", *arguments]
    started = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, "QUIMBI_HOME": str(home)}, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - started, done.stderr


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=27_415)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quimbi-benchmark-") as folder:
        home, files = Path(folder) / "home", Path(folder) / "files"
        home.mkdir()
        size = ["--customers", str(options.customers), "--out", str(files), "--seed", str(options.seed)]
        paths = ["--orders", str(files / "orders.parquet"), "--items", str(files / "order_items.parquet")]
        for name, arguments in (
            ("simulate", ["simulate", *size]),
            ("load", ["load", "--store-id", "s", *paths, "--time-zone", "America/New_York"]),
            ("run, first of a home", ["run", "--store-id", "s"]),
            ("run, again", ["run", "--store-id", "s"]),
        ):
            seconds, said = quimbi(home, *arguments)
            print(f"{name:24} {seconds:7.1f} s")
            if name.startswith("run"):
                print("".join(f"    {line}\n" for line in said.splitlines() if " s  " in line), end="")


if __name__ == "__main__":
    main()
