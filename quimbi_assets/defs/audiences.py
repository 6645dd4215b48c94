"""Stage 6: published profiles → audiences, each with those who entered and left it.

Belongs here: the assets, one an audience of the project. Does not: who is in one (``quimbi_assets.audiences``), the
tables (``resources.postgres.tables.audiences``).
"""

import logging
from collections.abc import Iterator

import dagster as dg

from quimbi_assets.audiences.definitions import BUILT_IN, Audience, Definitions
from quimbi_assets.audiences.fields import Vocabulary
from quimbi_assets.defs.events import Metadata, Rule, StageEvent, facts
from quimbi_assets.defs.labels import table_metadata
from quimbi_assets.defs.partitions import OWNERS, PROFILES_KEY, STORES
from quimbi_assets.defs.runs import retried
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.audiences import audience_query, project_definitions
from quimbi_assets.resources.dagster_resources import Listener, StoreDatabase
from quimbi_assets.resources.postgres.tables.audiences import refresh_audience
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary
from quimbi_assets.resources.webhooks import send_events

LOG = logging.getLogger(__name__)
CHECK = Rule(
    "renewed",
    "The store understands the audience's filter; who is in it was found anew, and its webhook was told.",
    "`problem` says what is wrong: mend the filter in `audiences.yaml` (segments and axes may be other ones since), or "
    "set the webhook's secret; the next run, or a materialization here, renews it. Until then it stays as it was.",
)


def _known() -> Definitions:
    """Return what the file defines; the standing lists alone if it cannot be read, so that the graph still loads."""
    try:
        return project_definitions()
    except BadInputError as error:
        LOG.warning("%s; only the standing audiences are assets until it is mended", error)
        return Definitions(BUILT_IN)


DEFINED = _known()


def audience_key(name: str) -> dg.AssetKey:
    """Key of an audience's asset."""
    return dg.AssetKey(["audiences", name])


AUDIENCE_KEYS = tuple(audience_key(name) for name in DEFINED.audiences)


@dg.multi_asset(
    name="audiences",
    can_subset=True,
    specs=[
        dg.AssetSpec(
            audience_key(one.name),
            deps=[PROFILES_KEY],
            skippable=True,
            description=f"{one.about or 'Customers whom a filter of the project chooses.'} `{one.where}`",
            group_name="audiences",
            owners=OWNERS,
            kinds={"postgres"},
            partitions_def=STORES,
        )
        for one in DEFINED.audiences.values()
    ],
    check_specs=[CHECK.spec(key) for key in AUDIENCE_KEYS],
)
@retried
def audiences(context: dg.AssetExecutionContext, database: StoreDatabase, progress: Listener) -> Iterator[StageEvent]:
    """Bring the partition's audiences up to date; one whose filter the store does not understand stays as it was."""
    store_id = context.partition_key
    defined, vocabulary, problems = project_definitions(), read_vocabulary(database, store_id), []
    columns = table_metadata(database, "audience_members")
    progress.step("audiences", 0.98)
    for name in DEFINED.audiences:
        key, one = audience_key(name), defined.audiences.get(name)
        if key not in context.selected_asset_keys:
            continue
        if one is None or not one.is_of(store_id):
            yield CHECK.result(key, True, status="no audience of this store")
            continue
        metadata, problem = _renewed(database, store_id, one, vocabulary)
        if metadata is not None:
            yield dg.MaterializeResult(asset_key=key, metadata=metadata | columns)
        yield CHECK.result(key, not problem, problem=problem or None)
        problems += [problem] if problem else []
    for problem in problems:
        progress.warn(problem)
        context.log.warning(problem)


def _renewed(
    database: StoreDatabase, store_id: str, one: Audience, vocabulary: Vocabulary
) -> tuple[Metadata | None, str]:
    """Renew an audience and tell its webhook; return facts, None where it stays as it was, and what went wrong."""
    try:
        query = audience_query(one, vocabulary)
    except BadInputError as error:
        return None, str(error)
    state = refresh_audience(database, store_id, one, query)
    webhook = send_events(database, store_id, one) if one.webhook else None
    metadata = facts(
        state.customers, value=state.value, entered=state.entered, left=state.left, filter=one.where,
        webhook=webhook,
        as_of=state.as_of and state.as_of.isoformat(),
    )  # fmt: skip
    return metadata, f"audience {one.name}: {webhook}" if webhook and webhook.startswith("not sent") else ""
