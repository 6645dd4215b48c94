"""The demonstration: a real grocery year and a simulated store through the whole graph.

Belongs here: which stores, and what is printed. Does not: loading or running (``loading``, ``running``).
"""

import tempfile
import time
from pathlib import Path

from quimbi_assets.commands.console import err, out, steps
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.commands.showing import print_segments, segments_of

REAL, SIMULATED = "grocery", "simulated"
#: The simulation's own default.
SIMULATED_TIME_ZONE = "America/New_York"


def run_demo(n_customers: int) -> None:
    """Load both stores, run both, print their segments and how to open the UIs.

    Parameters
    ----------
    n_customers : int
        Customers of the simulated store.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="quimbi-demo-") as folder:
        _load_grocery(Path(folder))
        _load_simulated(Path(folder), n_customers)
    for store_id in (REAL, SIMULATED):
        with steps(store_id) as progress:
            run_store(store_id, RunOptions(), progress)
    for store_id in (REAL, SIMULATED):
        print_segments(segments_of(store_id))
    out.print(f"demo took {time.monotonic() - started:.0f} s")
    out.print("Look around:  make ui   (or: quimbi ui)   Dagster http://127.0.0.1:3000   MLflow http://127.0.0.1:5000")
    out.print(f"One customer: quimbi profile --store-id {REAL} --customer-ids 1")
    out.print(
        "Your store:   quimbi load --store-id mine --orders orders.csv --items items.csv && quimbi run --store-id mine"
    )


def _load(store_id: str, folder: Path, time_zone: str, tickets: bool) -> None:
    from quimbi_assets.resources.postgres.database import open_database
    from quimbi_assets.resources.postgres.loading import load_store

    with steps(store_id) as progress:
        progress.step("starting the database", 0.0)
        report = load_store(
            open_database(),
            store_id,
            folder / "orders.parquet",
            folder / "order_items.parquet",
            folder / "support_tickets.parquet" if tickets else None,
            time_zone=time_zone,
            progress=progress.step,
        )
    for line in report.lines():
        err.print(line, markup=False)


def _load_grocery(folder: Path) -> None:
    from quimbi_assets.ingest.completejourney import TIME_ZONE, completejourney_store

    target = folder / REAL
    target.mkdir()
    with steps(REAL) as progress:
        progress.step("reading a real grocery year (completejourney)", 0.0)
        orders, items = completejourney_store()
        orders.to_parquet(target / "orders.parquet")
        items.to_parquet(target / "order_items.parquet")
    _load(REAL, target, TIME_ZONE, tickets=False)


def _load_simulated(folder: Path, n_customers: int) -> None:
    from quimbi_assets.simulation import write_store

    target = folder / SIMULATED
    with steps(SIMULATED) as progress:
        progress.step(f"simulating {n_customers:,} customers", 0.0)
        write_store(n_customers, target, seed=0)
    _load(SIMULATED, target, SIMULATED_TIME_ZONE, tickets=True)
