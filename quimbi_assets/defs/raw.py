"""Stage 1: what a store sent, as one partition: its orders, lines and tickets after the order policy.

Belongs here: the assets and what people read about them. Does not: the policy itself (``orders``), loading files
(``quimbi load``).
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from quimbi_assets.defs.checks import schema_check
from quimbi_assets.defs.partitions import FRAMES, ITEMS_KEY, ORDERS_KEY, OWNERS, STORES, TICKETS_KEY, out_name
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.stage_tables import facts
from quimbi_assets.ingest.canonical import canonical_tickets
from quimbi_assets.ingest.policy import apply_policy
from quimbi_assets.ingest.schemas import CANONICAL_ITEMS, CANONICAL_ORDERS
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.workers import warm_up

CHECK = "canonical_schema"


def _out(key: dg.AssetKey, description: str) -> dg.AssetOut:
    return dg.AssetOut(
        key=key,
        description=description,
        group_name="raw",
        owners=OWNERS,
        kinds={"postgres", "pandas"},
        io_manager_key=FRAMES,
    )


@dg.multi_asset(
    name="raw_orders",
    outs={
        out_name(ORDERS_KEY): _out(
            ORDERS_KEY,
            "Orders that count as purchases: test, cancelled and draft orders, guests, other currencies and gift "
            "cards are left out by the store's order policy; times are naive UTC and store-local.",
        ),
        out_name(ITEMS_KEY): _out(ITEMS_KEY, "Lines of those orders, with refunds and when they happened."),
    },
    partitions_def=STORES,
    check_specs=[dg.AssetCheckSpec(CHECK, asset=ORDERS_KEY), dg.AssetCheckSpec(CHECK, asset=ITEMS_KEY)],
)
@retried
def raw_orders(
    context: dg.AssetExecutionContext,
    store: StoreDatabase,
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.Output | dg.AssetCheckResult]:
    """Read the partition's store and apply its order policy; while the database answers, what comes later starts."""
    progress.step("reading orders", 0.02)
    settings = store.settings(context.partition_key)
    tracking.begin_imports()
    sent_orders = store.orders(context.partition_key)
    warm_up(sent_orders["customer_id"].nunique())
    sent_items = store.items(context.partition_key)
    orders, items, report = apply_policy(
        sent_orders, sent_items, settings.policy, settings.time_zone, settings.currency
    )
    currency = settings.currency or _most_common(sent_orders["currency"])
    orders.attrs = {"time_zone": settings.time_zone, "currency": currency, "business_hours": settings.business_hours}
    n_customers = int(orders["customer_id"].nunique())
    yield dg.Output(
        orders,
        out_name(ORDERS_KEY),
        metadata=facts(
            len(orders),
            customers=n_customers,
            first_order=str(orders["order_date"].min()),
            last_order=str(orders["order_date"].max()),
            time_zone=settings.time_zone,
            currency=currency or "not recorded",
            order_policy=pd.DataFrame({"what": list(report), "rows": list(report.values())}),
            not_recorded=_not_recorded(orders),
        ),
    )
    yield schema_check(ORDERS_KEY, CHECK, orders, CANONICAL_ORDERS)
    yield dg.Output(
        items,
        out_name(ITEMS_KEY),
        metadata=facts(len(items), products=int(items["product_id"].nunique()), not_recorded=_not_recorded(items)),
    )
    yield schema_check(ITEMS_KEY, CHECK, items, CANONICAL_ITEMS)


def _most_common(values: pd.Series) -> str | None:
    common = values.mode()
    return str(common.iloc[0]) if len(common) else None


def _not_recorded(frame: pd.DataFrame) -> str:
    return ", ".join(column for column in frame if frame[column].isna().all()) or "nothing"


@dg.asset(
    key=TICKETS_KEY,
    partitions_def=STORES,
    group_name="raw",
    owners=OWNERS,
    kinds={"postgres", "pandas"},
    io_manager_key=FRAMES,
    description="Support tickets as the store sent them; an empty table where it sent none.",
)
@retried
def support_tickets(context: dg.AssetExecutionContext, store: StoreDatabase) -> dg.MaterializeResult:
    """Read the partition's tickets."""
    tickets = canonical_tickets(store.tickets(context.partition_key))
    return dg.MaterializeResult(value=tickets, metadata=facts(len(tickets)))
