"""Loads a store's files and says what was taken and what was refused.

Belongs here: ``quimbi load``. Does not: reading, validating or writing (``ingest``, ``resources.postgres.loading``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quimbi_assets.commands.console import err, out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.home import directory
from quimbi_assets.resources.remote_files import check_place, is_remote

if TYPE_CHECKING:
    from quimbi_assets.resources.postgres.load_report import LoadReport


FEWEST_TO_RUN = 100
"""What ``quimbi run`` has for ``--min-population``."""


@dataclass(frozen=True)
class LoadOptions:
    """What is loaded, as the command line has it; files are paths, patterns of several, or addresses."""

    orders: str | None = None
    items: str | None = None
    tickets: str | None = None
    customers: str | None = None
    products: str | None = None
    columns: str | None = None
    time_zone: str | None = None
    currency: str | None = None
    address: str | None = None
    layout: str = "quimbi"
    schema: str | None = None
    orders_query: str | None = None
    items_query: str | None = None
    every: str | None = None
    full: bool = False

    @property
    def files(self) -> tuple[str | None, ...]:
        """Files, in the order of ``load_store``'s arguments."""
        return self.orders, self.items, self.tickets, self.customers, self.products


def load_files(store_id: str, options: LoadOptions) -> None:
    """Load files or what is new in a source, make the store a partition, and report."""
    named = columns_named(options.columns)
    for path in options.files:
        if path is not None:
            check_place(path)
    if options.address is None:
        if options.every or options.orders_query or options.items_query or options.full:
            raise BadInputError("--every, --full and queries are about a source: give its address with --from")
        _load_files(store_id, options, named)
    else:
        _pull(store_id, options, options.address, named)


def _load_files(store_id: str, options: LoadOptions, named: dict[str, str]) -> None:
    with steps(store_id) as progress:
        progress.step("starting the database")
        from quimbi_assets.resources.postgres.database import open_database
        from quimbi_assets.resources.postgres.loading import load_store

        report = load_store(
            open_database(),
            store_id,
            *options.files,
            columns=named,
            time_zone=options.time_zone,
            currency=options.currency,
            progress=progress.step,
        )
    print_report(report, time_zone_given=options.time_zone is not None)


def _pull(store_id: str, options: LoadOptions, address: str, named: dict[str, str]) -> None:
    """Load what is new in a source."""
    if any((options.orders, options.tickets, options.customers, options.products)):
        raise BadInputError("--from brings orders of its own: load other files with a command of their own")
    with steps(store_id) as progress:
        progress.step("starting the database")
        from quimbi_assets.resources.postgres.database import open_database
        from quimbi_assets.resources.postgres.pulling import Pull, is_database, pull
        from quimbi_assets.resources.postgres.tables.sources import Source

        if options.items is not None and is_database(address):
            raise BadInputError("--items is a file; what a database has comes with --from")
        source = Source(
            address if is_database(address) else _place(address),
            options.layout,
            options.schema,
            options.orders_query,
            options.items_query,
            None if options.items is None else _place(options.items),
            tuple(named.items()),
        )
        asked = Pull(options.time_zone, options.currency, options.every, options.full)
        report = pull(open_database(), store_id, source, asked, progress.step)
    if report is None:
        out.print(f"store {store_id}: nothing new since the last load (--full reads everything again)", markup=False)
    else:
        print_report(report, time_zone_given=options.time_zone is not None)
    if options.every in ("hour", "day"):
        out.print(f"pulled every {options.every} while `quimbi ui` runs and the schedule `pulls` is on", markup=False)


def _place(path: str) -> str:
    """Return a path as it is from everywhere; an address, or the variable that holds one, is."""
    from quimbi_assets.resources.postgres.pulling import VARIABLE

    return path if path.startswith(VARIABLE) or is_remote(path) else str(Path(path).expanduser().absolute())


def print_report(report: "LoadReport", *, time_zone_given: bool) -> None:
    """Print what a load did, and what there is to do next."""
    store_id = report.store.store_id
    for line in report.lines():
        out.print(line, markup=False)
    if report.is_new and not time_zone_given:
        example = f" {report.likely_zone}" if report.likely_zone else ", such as Europe/London"
        out.print(
            "time zone: UTC, none being given; if it is not the shop's, its evenings are not its customers': "
            f"load again with --time-zone{example}",
            markup=False,
        )
    if refused := sum(table.refused for table in report.tables):
        err.print(
            f"quimbi: {plural(refused, 'row')} refused and kept with the reason: "
            f"quimbi refused --store-id {store_id}; mend them in the file and load it again",
            markup=False,
        )
    summary, run = report.summary, f"quimbi run --store-id {store_id}"
    if summary is not None and summary.customers < FEWEST_TO_RUN:
        few = f"next: load more orders: a run takes {FEWEST_TO_RUN} customers"
        run = f"{few}; to try all the same: {run} --min-population {max(summary.customers, 2)}"
    else:
        run = f"next: {run}"
    out.print(run, markup=False)


def columns_named(text: str | None) -> dict[str, str]:
    """Return what ``--columns`` says: column → the file's.

    >>> columns_named("order_id=Invoice, total_price=Sum total")
    {'order_id': 'Invoice', 'total_price': 'Sum total'}
    """
    parts = [part.partition("=") for part in (text or "").split(",") if part.strip()]
    if wrong := [column for column, _, name in parts if not column.strip() or name.strip() in ("", "?")]:
        raise BadInputError(
            f"--columns {wrong[0].strip()}: say which of the file's columns it is: order_id=Invoice,customer_id=Buyer"
        )
    return {column.strip(): name.strip() for column, _, name in parts}


def simulate_files(
    n_customers: int,
    out_dir: Path,
    seed: int,
    *,
    as_shopify: bool = False,
    slow_down_share: float = 0.0,
    slow_down_from: str | None = None,
    end_date: str | None = None,
    acted: Path | None = None,
    effect: float | None = None,
    effect_days: int = 30,
) -> None:
    """Simulate a store into ``out_dir``: as Parquet, or as Shopify would export it."""
    from quimbi_assets.simulation import write_store
    from quimbi_assets.simulation.effects import read_effect
    from quimbi_assets.simulation.shopify import write_exports

    if seed < 0:
        raise BadInputError(f"--seed {seed}: use 0 or more")
    folder = directory(out_dir.expanduser().absolute(), "--out")
    if (acted is None) != (effect is None):
        raise BadInputError("--acted says on whom, --effect by how much they order more: give both")
    write, kind = (write_exports, "csv") if as_shopify else (write_store, "parquet")
    with steps("simulating") as progress:
        try:
            counts = write(
                n_customers,
                folder,
                seed=seed,
                progress=lambda done, total: progress.step(f"{done:,} customers", done / total),
                slow_down_share=slow_down_share,
                slow_down_from=slow_down_from,
                effect=None if acted is None or effect is None else read_effect(acted, effect, effect_days),
                **({} if end_date is None else {"end_date": end_date}),
            )
        except ValueError as error:
            raise BadInputError(str(error)) from error
    for name, rows in counts.items():
        out.print(f"{folder / name}.{kind}  {rows:,} rows", markup=False)
