"""Stage 0: a shop's own database or files, and its helpdesk → what a store has sent, as far as it is new.

Belongs here: the assets that pull. Does not: how a source is read (``resources.postgres.pulling``,
``resources.gorgias.puller``), which stores are due (``schedules``), what counts of it (``raw``).
"""

from collections.abc import Iterator

import dagster as dg

from quimbi_assets.defs.events import facts
from quimbi_assets.defs.partitions import HELPDESK_KEY, OWNERS, SOURCE_KEY, STORES
from quimbi_assets.defs.runs import retried
from quimbi_assets.defs.schedules import DUE_TAG
from quimbi_assets.resources.dagster_resources import Listener, StoreDatabase
from quimbi_assets.resources.gorgias.puller import pull_tickets
from quimbi_assets.resources.postgres.pulling import Pull, pull
from quimbi_assets.resources.postgres.tables.sources import read_sources

CALL = "call "
"""What the tag of a run begins with that a helpdesk's call asked for (`sensors.helpdesks_called`)."""


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
    sources = [
        known.source for known in read_sources(database, store_id) if known.every and not known.source.is_helpdesk
    ]
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


@dg.asset(
    key=HELPDESK_KEY,
    partitions_def=STORES,
    group_name="source",
    owners=OWNERS,
    kinds={"postgres"},
    description="New and changed tickets of the store's helpdesk, as `gorgias pull --every day` asked for them or it "
    "called, and how many of all its tickets belong to customers with orders. A store without one is loaded by hand.",
)
@retried
def pulled_tickets(
    context: dg.AssetExecutionContext, database: StoreDatabase, progress: Listener
) -> Iterator[dg.MaterializeResult[None]]:
    """Pull what is new in the helpdesk of the partition's store, if it is to be pulled again and again, or called."""
    store_id = context.partition_key
    if not any(known.is_pulled and known.source.is_helpdesk for known in read_sources(database, store_id)):
        yield dg.MaterializeResult(metadata=facts(0, sources=0))
        return
    is_due = not context.run.tags.get(DUE_TAG, "").startswith(CALL)
    report = pull_tickets(database, store_id, progress.step, is_due=is_due)
    for line in report.lines():
        context.log.info(line)
    tickets, meeting = report.written["tickets"], report.meeting
    yield dg.MaterializeResult(
        metadata=facts(
            tickets.new + tickets.changed + tickets.removed,
            sources=1,
            new=tickets.new,
            changed=tickets.changed,
            left_out=sum(report.left_out.values()),
            tickets_of_customers=meeting.of_customers,
            share_of_customers=meeting.share,
            calls=report.calls,
        )
    )
