"""Stage 5: memberships × segments → one profile a customer, replaced as a whole.

Belongs here: gathering what the axes found and publishing it in one transaction. Does not: what a profile says
(``profiles``).
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.defs.checks import rule_check, schema_check
from quimbi_assets.defs.one_instant import STAGES, active_tables, axes_not_weak, of_one_instant
from quimbi_assets.defs.partitions import CHURN_KEY, FRAMES, ORDERS_KEY, OWNERS, PROFILES_KEY, STORES, axis_key
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.stage_tables import facts
from quimbi_assets.profiles.archetype_choice import ArchetypeChoice, choose_archetypes
from quimbi_assets.profiles.archetype_rows import archetype_rows, kept_archetypes
from quimbi_assets.profiles.assemble import ProfileContext, profile_batches
from quimbi_assets.profiles.risk import ChurnRisks, churn_risks, no_risks
from quimbi_assets.profiles.schema import PROFILE_SCHEMA
from quimbi_assets.profiles.scores import scores_from_frame
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import FrameIOManager
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.progress import Progress

CHECK = "profile_schema"
ARCHETYPE_CHECK = "archetypes_few_populous_and_true"
SHOWN = 10


@dg.asset(
    key=PROFILES_KEY,
    deps=[*(axis_key(stage, name) for stage in ("models", *STAGES) for name in AXES), CHURN_KEY],
    partitions_def=STORES,
    group_name="profiles",
    owners=OWNERS,
    kinds={"postgres"},
    pool="database",
    io_manager_key=FRAMES,
    check_specs=[dg.AssetCheckSpec(name, asset=PROFILES_KEY) for name in (CHECK, ARCHETYPE_CHECK)],
    description="Who each customer is: memberships, dominant segments, strengths, archetype, fingerprint, value, churn "
    "risk, published to `quimbi.customer_profiles`; the archetypes themselves to `quimbi.archetypes`.",
)
@retried
def customer_profiles(
    context: dg.AssetExecutionContext,
    frames: dg.ResourceParam[FrameIOManager],
    store: StoreDatabase,
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.Output | dg.AssetCheckResult]:
    """Assemble and publish the profiles of the partition's store."""
    store_id = context.partition_key
    progress.step("assembling profiles", 0.8)
    tables = active_tables(frames, store_id)
    axes, as_of, left_out = of_one_instant(tables, context.run_id)
    orders = frames.read(ORDERS_KEY, store_id)
    named = {name: tables["segments"][name] for name in axes}
    scores = {name: scores_from_frame(tables["memberships"][name]) for name in axes}
    instant = pd.Timestamp(as_of, tz="UTC").to_pydatetime()
    before = store.archetypes(store_id, pd.Timestamp(instant))
    not_weak = axes_not_weak(frames, store_id, axes)
    choice = choose_archetypes(scores, kept_archetypes(before), not_weak)
    archetypes = archetype_rows(store_id, choice, named, pd.Timestamp.now("UTC").to_pydatetime(), instant, before)
    profile_context = ProfileContext(
        store_id=store_id,
        as_of=instant,
        segments=named,
        versions={name: tables["memberships"][name].attrs["model_version"] for name in axes},
        currency="" if orders is None else orders.attrs.get("currency") or "",
        archetypes=choice.kept,
        weak=frozenset(axes) - frozenset(not_weak),
    )
    churn = _churn(frames, tracking, profile_context, orders, scores[axes[0]].customers)
    own_features = {name: tables["features"][name] for name in axes}
    batches = []
    with store.replacing_profiles(store_id) as append:
        for batch in profile_batches(scores, own_features, profile_context, churn):
            append(batch)
            batches.append(batch)
        progress.step("publishing profiles", 0.9)
        profiles = pd.concat(batches, ignore_index=True)
        check = schema_check(PROFILES_KEY, CHECK, profiles, PROFILE_SCHEMA)
        if not check.passed:
            yield check
            raise dg.Failure("profiles do not fulfil their schema and were not published", metadata=check.metadata)
        store.publish_archetypes(store_id, archetypes)
    yield dg.Output(profiles, metadata=_metadata(profiles, axes, as_of, left_out, archetypes))
    yield check
    yield _archetype_check(choice)


def _churn(
    frames: FrameIOManager,
    tracking: MlflowTracking,
    context: ProfileContext,
    orders: pd.DataFrame | None,
    customers: pd.Index,
) -> ChurnRisks:
    """Score customers with the churn model that serves as of the profiles' instant."""
    instant = pd.Timestamp(context.as_of).tz_convert("UTC").tz_localize(None)
    serving = tracking.serving_churn(frames, context.store_id, str(instant))
    if isinstance(serving, str) or orders is None:
        return no_risks(len(customers), str(serving))
    version = str(serving.version)
    return churn_risks(serving.model, orders, instant, customers, version=version, currency=context.currency)


def _archetype_check(choice: ArchetypeChoice) -> dg.AssetCheckResult:
    return rule_check(
        PROFILES_KEY,
        ARCHETYPE_CHECK,
        choice.within_bounds,
        "At most 250 archetypes, each of max(30, 0.1 %) customers or more; joining rare combinations to the nearest "
        "kept one costs at most 20 % of the median product of memberships.",
        archetypes=len(choice.counts),
        smallest=int(choice.counts.min()),
        floor=choice.floor,
        product_retained=float(choice.retained),
        bits_about_all_axes=float(choice.information),
        axes=", ".join(choice.kept.axes) or "none",
    )


def _metadata(
    profiles: pd.DataFrame, axes: list[str], as_of: str, left_out: dict[str, str], archetypes: pd.DataFrame
) -> dict[str, dg.MetadataValue]:
    sample = profiles[["customer_id", "archetype_id", "lifetime_value", "interpretation"]].head(5)
    return facts(
        len(profiles),
        as_of=as_of,
        active_axes=", ".join(axes),
        axes_left_out=left_out or None,
        archetypes=len(archetypes),
        largest_archetypes=archetypes[["name", "customer_count", "population_percentage"]].head(SHOWN),
        churn_risk_known_share=float(profiles["churn_risk_score"].notna().mean()),
        total_lifetime_value=float(profiles["lifetime_value"].sum()),
        examples=sample,
    )
