"""Beside the stages: all stores at once, a row each, those first that need a look.

Belongs here: the asset, its checks, the sensor that renews it. Does not: the query (``postgres.tables.shops``), what
``quimbi stores`` prints of it.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg
import pandas as pd

from quimbi_assets.defs.events import Metadata, Rule, StageEvent, facts
from quimbi_assets.defs.partitions import HEALTH_KEY, OWNERS
from quimbi_assets.defs.runs import retried
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables.shops import NewestOrders, ShopHealth, shops_health

FRESH = Rule(
    "every_store_is_fresh",
    "No store's newest order, and no store's last profiles, are older than its plan allows.",
    "`quimbi load`, or the store's source, for old orders; `quimbi run` for old profiles; a store that is closed may "
    "have more days (`quimbi plan --stale-after-days`).",
    warns=True,
    partitions_def=None,
)
RUNS = Rule(
    "no_store_fails",
    "The last run of every kind of work ended well for every store.",
    "open the run named in the table: its first red line says what is wrong. What was published before is still there; "
    "the next run that goes well settles it.",
    partitions_def=None,
)
GUARDS = Rule(
    "no_check_fails",
    "No check of any store's assets, but for those that only warn, failed when the asset was last made.",
    "the asset's page, under Checks, has the store's row and says what to do; the next run that passes settles it.",
    partitions_def=None,
)
REFITS = Rule(
    "no_refit_waits",
    "No axis of any store has a refit that waits for somebody to accept it.",
    "the page of the axis in `models` says why: `quimbi promote` accepts it; if nobody does, the champion serves on.",
    warns=True,
    partitions_def=None,
)
CHECKS = (FRESH, RUNS, GUARDS, REFITS)
RENEWED_SECONDS = 3600
PAUSE_SECONDS = 60
CLOCKS_SECONDS = 2
"""By which the database's clock may be behind, or round."""
NEWEST = NewestOrders()
"""Of the process that evaluates sensors, which stays."""
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dg.asset(
    key=HEALTH_KEY,
    group_name="stores",
    owners=OWNERS,
    kinds={"postgres"},
    check_specs=[rule.spec(HEALTH_KEY) for rule in CHECKS],
    description="One row a store: last order, last run, what of it fails, is stale or held, which axes are weak; those "
    "that need a look first. Renewed every hour and after runs; `quimbi stores` asks the same.",
)
@retried
def stores_health(context: dg.AssetExecutionContext) -> Iterator[StageEvent]:
    """Look at all stores."""
    shops = shops_health(open_database(), NEWEST)
    context.log.info(f"{len(shops)} stores")
    yield dg.MaterializeResult(asset_key=HEALTH_KEY, metadata=health_facts(shops))
    yield from health_checks(shops)


def health_facts(shops: Sequence[ShopHealth]) -> Metadata:
    """Return what the asset's page shows."""
    rows = [
        {
            "store": shop.store_id,
            "needs a look": shop.problems() or "no",
            "warnings": ", ".join(shop.warned_checks) or "none",
            "weak axes": ", ".join(shop.weak) or "none",
            "last order": _day(shop.last_order),
            "last run": shop.ran(),
            "state": shop.state,
        }
        for shop in sorted(shops, key=lambda shop: (not shop.problems(), not shop.failing, shop.store_id))
    ]
    return facts(
        len(rows),
        stores_that_need_a_look=sum(bool(shop.problems()) for shop in shops),
        stores_failing=sum(bool(shop.failing) for shop in shops),
        stores_with_failed_checks=sum(bool(shop.failed_checks) for shop in shops),
        stores_stale=sum(bool(shop.stale) for shop in shops),
        stores_with_held_refits=sum(bool(shop.held) for shop in shops),
        by_store=pd.DataFrame(rows) if rows else None,
    )


def health_checks(shops: Sequence[ShopHealth]) -> Iterator[dg.AssetCheckResult]:
    """Report whether any store is stale, fails, breaks a check or has a refit waiting, and which."""
    for rule, broken in (
        (FRESH, {shop.store_id: " and ".join(shop.stale) for shop in shops if shop.stale}),
        (RUNS, {shop.store_id: ", ".join(shop.failing) for shop in shops if shop.failing}),
        (GUARDS, {shop.store_id: ", ".join(shop.failed_checks) for shop in shops if shop.failed_checks}),
        (REFITS, {shop.store_id: ", ".join(shop.held) for shop in shops if shop.held}),
    ):
        table = pd.DataFrame(broken.items(), columns=["store", "what"]) if broken else None
        yield rule.result(HEALTH_KEY, not broken, stores=len(broken), by_store=table)


def _day(at: object) -> str:
    return "never" if at is None else str(at)[:10]


@dg.sensor(
    minimum_interval_seconds=PAUSE_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Renews `stores/health` every hour, and within a minute after runs that changed it; no run is launched "
    "for it.",
)
def stores_looked_at(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Report the health of all stores where runs changed it, else hourly: Dagster keeps every report for good."""
    now, before = time.time(), float(context.cursor or 0)
    last = context.instance.get_latest_materialization_event(HEALTH_KEY)
    reported = None if last is None or now - last.timestamp >= RENEWED_SECONDS else last.asset_materialization
    since = datetime.fromtimestamp(max(before - CLOCKS_SECONDS, 0), UTC)
    if reported and not context.instance.get_runs(dg.RunsFilter(statuses=ENDED, updated_after=since), limit=1):
        return dg.SkipReason("no run ended since the last look")
    shops = shops_health(open_database(), NEWEST)
    looked = dg.AssetMaterialization(HEALTH_KEY, metadata=health_facts(shops))
    if reported and reported.metadata == looked.metadata:
        return dg.SensorResult(skip_reason="the runs that ended changed nothing", cursor=str(now))
    evaluations = [
        dg.AssetCheckEvaluation(
            asset_key=HEALTH_KEY,
            check_name=str(result.check_name),
            passed=result.passed,
            metadata=result.metadata,
            severity=result.severity,
            description=result.description,
        )
        for result in health_checks(shops)
    ]
    return dg.SensorResult(asset_events=[looked, *evaluations], cursor=str(now))
