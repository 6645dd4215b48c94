"""What the store is told of a week: one message, ids only, the same customer not again for a while.

Belongs here: the asset. Does not: who is named and in which words (``weekly.notifications``), sending
(``resources.slack``).
"""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg
import pandas as pd

from quimbi_assets import texts
from quimbi_assets.defs.events import Metadata, StageEvent, facts
from quimbi_assets.defs.labels import table_metadata
from quimbi_assets.defs.partitions import MIGRATIONS_KEY, NOTICES_KEY, store_week_key, weekly_asset, weeks_by_store
from quimbi_assets.defs.runs import retried
from quimbi_assets.instants import closed_week
from quimbi_assets.resources.dagster_resources import Listener, Messages, StoreDatabase
from quimbi_assets.resources.home import store_page
from quimbi_assets.resources.postgres.tables import drift, stores
from quimbi_assets.resources.postgres.tables.treatments import read_trials
from quimbi_assets.resources.slack import Slack
from quimbi_assets.weekly.notifications import choose_notifications, notification_text

PAST = "not sent: a week of the past"
AGAIN = "not sent: this week was told already"
NOBODY = "not sent: nobody has newly fallen silent"
TOLD_AFTER_END = timedelta(weeks=4)
"""For so long after its end a trial is told of: a message may be left out, and orders may come late. The store's page
and ``quimbi lift`` tell of it for ever."""


@weekly_asset(
    key=NOTICES_KEY,
    deps=[MIGRATIONS_KEY],
    kinds={"postgres", "slack"},
    description="Which alerted customers the store is told of: the ten most valuable newly silent, nobody twice "
    "within the weeks of its plan, nobody of the hold-out share. `quimbi.alert_notices`, and Slack for the last week.",
)
@retried
def notifications(
    context: dg.AssetExecutionContext, database: StoreDatabase, slack: Messages, progress: Listener
) -> Iterator[StageEvent]:
    """Choose, record and send the partitions' notifications, oldest week first."""
    for store_id, weeks in weeks_by_store(context).items():
        for week in weeks:
            progress.step(f"notifications of {week}", 0.97)
            metadata = table_metadata(database, "alert_notices") | _week(
                store_id, week, database, slack, pd.Timestamp.now("UTC")
            )
            context.add_asset_metadata(metadata, NOTICES_KEY, store_week_key(store_id, week))
    yield dg.MaterializeResult(asset_key=NOTICES_KEY)


def _week(store_id: str, week: date, database: StoreDatabase, slack: Slack, now: pd.Timestamp) -> Metadata:
    planned = next(one for one in stores.planned_stores(database) if one.store_id == store_id)
    alerts, flows, untold = drift.read_alerts(database, store_id, week)
    before = drift.named_before(database, store_id, week)
    chosen = choose_notifications(alerts, before, store_id, week, planned.plan)
    if not drift.publish_notices(database, store_id, week, chosen):
        outcome = AGAIN
    elif week < closed_week(now.tz_convert(planned.time_zone)).date():
        outcome = PAST
    elif not chosen["named"].any():
        outcome = NOBODY
    else:
        currency = stores.read_store(database, store_id).currency or ""
        text = texts.slack(notification_text(store_id, week, chosen, flows, currency))
        trials = [one for one in read_trials(database, store_id) if now - one.over_at <= TOLD_AFTER_END]
        helped = [f"{one.subject}: {one.words(currency)}" for one in trials]
        lines = ["Whether acting helped:", *(f"  {texts.slack(line)}" for line in helped)] if helped else []
        outcome = slack.send("\n".join([text, *lines, f"<{store_page(store_id)}|the store's page>"]))
        if outcome == "sent":
            tried = list(chosen.loc[chosen["tried"], "customer_id"])
            drift.mark_told(database, store_id, week, tried, planned.plan.holdout_share)
    return facts(
        len(chosen),
        slack=outcome,
        nobody_at_risk_because=untold,
        newly_at_risk=int((chosen["alert"] == "newly_at_risk").sum()),
        named=int(chosen["named"].sum()),
        held_out=int(chosen["held_out"].sum()),
        named_lately=int(chosen["repeated"].sum()),
    )
