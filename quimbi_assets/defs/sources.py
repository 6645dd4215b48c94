"""Stage 0: a shop's own database or files → what a store has sent, as far as it is new.

Belongs here: the asset that pulls. Does not: how a source is read (``resources.postgres.pulling``), which stores are
due (``schedules``), what counts of it (``raw``).
"""

from collections.abc import Iterator

import dagster as dg

from quimbi_assets.defs.events import facts
from quimbi_assets.defs.partitions import OWNERS, SOURCE_KEY, STORES
from quimbi_assets.defs.runs import retried
from quimbi_assets.resources.dagster_resources import Listener, StoreDatabase
from quimbi_assets.resources.postgres.pulling import Pull, pull
from quimbi_assets.resources.postgres.tables.sources import read_sources


@dg.asset(
    key=SOURCE_KEY,
    partitions_def=STORES,
    group_name="source",
    owners=OWNERS,
    kinds={"postgres"},
    description="New and changed orders of the store's sources, as `load --from ... --every day` asked for them: "
    "from its own database, read-only, or from files. A store without a source is loaded by hand.",
)
@retried
def pulled_orders(
    context: dg.AssetExecutionContext, database: StoreDatabase, progress: Listener
) -> Iterator[dg.MaterializeResult[None]]:
    """Pull what is new in each source of the partition's store that is to be pulled again and again."""
    store_id = context.partition_key
    sources = [known.source for known in read_sources(database, store_id) if known.every]
    reports = [pull(database, store_id, source, Pull(), progress.step) for source in sources]
    tables = [table for report in reports if report is not None for table in report.tables]
    for report in reports:
        for line in report.lines() if report is not None else ():
            context.log.info(line)
    yield dg.MaterializeResult(
        metadata=facts(
            sum(table.inserted + table.updated + table.deleted for table in tables),
            sources=len(sources),
            sources_with_news=sum(report is not None for report in reports),
            new=sum(table.inserted for table in tables),
            changed=sum(table.updated for table in tables),
            refused=sum(table.refused for table in tables),
        )
    )
