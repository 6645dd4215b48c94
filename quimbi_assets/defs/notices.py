"""What the store is told of a week: one message, ids only, the same customer not again for a while.

Belongs here: the asset. Does not: who is named and in which words (``drift.notices``), sending (``resources.slack``).
"""

from datetime import date

import dagster as dg
import pandas as pd

from quimbi_assets.defs.partitions import (
    MIGRATIONS_KEY,
    NOTICES_KEY,
    OWNERS,
    STORE_WEEKS,
    store_week_key,
    weeks_by_store,
)
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.stage_tables import facts
from quimbi_assets.ingest.plan import closed_week
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.slack import Slack, escaped
from quimbi_assets.weekly.notices import NoticePolicy, choose_notices, digest_text

PAST = "not sent: a week of the past"
AGAIN = "not sent: this week was told already"
NOBODY = "not sent: nobody is newly at risk"


@dg.asset(
    key=NOTICES_KEY,
    deps=[MIGRATIONS_KEY],
    partitions_def=STORE_WEEKS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="drift",
    owners=OWNERS,
    kinds={"postgres", "slack"},
    description="Which alerted customers the store is told of: the ten most valuable newly at risk, nobody twice "
    "within the weeks of its plan, nobody of the hold-out share. `quimbi.alert_notices`, and Slack for the last week.",
)
@retried
def notices(
    context: dg.AssetExecutionContext,
    store: StoreDatabase,
    slack: Slack,
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult:
    """Choose, record and send the partitions' notices, oldest week first."""
    for store_id, weeks in weeks_by_store(context).items():
        for week in weeks:
            progress.step(f"notices of {week}", 0.97)
            metadata = _week(store_id, week, store, slack, pd.Timestamp.now("UTC"))
            context.add_asset_metadata(metadata, NOTICES_KEY, store_week_key(store_id, week))
    return dg.MaterializeResult(asset_key=NOTICES_KEY)


def _week(
    store_id: str, week: date, store: StoreDatabase, slack: Slack, now: pd.Timestamp
) -> dict[str, dg.MetadataValue]:
    planned = next(found for found in store.planned_stores() if found.store_id == store_id)
    policy = NoticePolicy(planned.plan.repeat_after_weeks, planned.plan.holdout_share)
    alerts, flows = store.alerts(store_id, week)
    chosen = choose_notices(alerts, store.named_before(store_id, week), store_id, week, policy)
    outcome = AGAIN
    if not store.was_told(store_id, week):
        store.publish_notices(store_id, week, chosen)
        outcome = _tell(store_id, week, chosen, flows, store, slack, closed_week(now.tz_convert(planned.time_zone)))
    return facts(
        len(chosen),
        slack=outcome,
        newly_at_risk=int((chosen["alert"] == "newly_at_risk").sum()),
        named=int(chosen["named"].sum()),
        held_out=int(chosen["held_out"].sum()),
        named_lately=int(chosen["repeated"].sum()),
    )


def _tell(
    store_id: str,
    week: date,
    chosen: pd.DataFrame,
    flows: list[dict[str, object]],
    store: StoreDatabase,
    slack: Slack,
    newest: pd.Timestamp,
) -> str:
    if week < newest.date():
        return PAST
    if not chosen["named"].any():
        return NOBODY
    currency = store.settings(store_id).currency or ""
    outcome = slack.send(escaped(digest_text(store_id, week, chosen, flows, currency)))
    if outcome == "sent":
        store.mark_told(store_id, week)
    return outcome
