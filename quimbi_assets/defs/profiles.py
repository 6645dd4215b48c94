"""Stage 5: memberships × segments → one profile a customer, published with the whole of the run's result.

Belongs here: gathering what the axes found and publishing it at once. Does not: what a profile says (``profiles``).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from quimbi_assets.axes import AXES, feature_frame
from quimbi_assets.axis_table import INACTIVE, AxisTable, side_by_side
from quimbi_assets.defs.events import Metadata, Rule, SchemaCheck, StageEvent, facts
from quimbi_assets.defs.labels import table_metadata
from quimbi_assets.defs.partitions import (
    AXIS_STAGES,
    CHANGED_AT,
    FORECAST_KEYS,
    HISTORY,
    OWNERS,
    PROFILES_KEY,
    STORES,
    axis_key,
    last_tables,
)
from quimbi_assets.defs.runs import retried
from quimbi_assets.history import History
from quimbi_assets.instants import zoned
from quimbi_assets.marketing import GROUPINGS, MarketingReference, fit_affinities, fit_marketing, group_customers
from quimbi_assets.marketing.affinity import Affinities, affinity_figures
from quimbi_assets.marketing.catalogue import Catalogue
from quimbi_assets.marketing.figures import TREND_DAYS, GroupFigures, past_counts
from quimbi_assets.profiles.alignment import AlignedAxes, align
from quimbi_assets.profiles.archetype_choice import ArchetypeChoice, choose_archetypes
from quimbi_assets.profiles.archetype_rows import archetype_rows, kept_archetypes
from quimbi_assets.profiles.assemble import ProfileContext, profile_batches, profile_schema
from quimbi_assets.profiles.expected import predictions
from quimbi_assets.profiles.risk import churn_risks
from quimbi_assets.profiles.scores import scores_from_table
from quimbi_assets.profiles.stays import StayModel, learn_stays
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, StoreDatabase, Tables
from quimbi_assets.resources.home import home_catalogue
from quimbi_assets.resources.mlflow.registry import CHURN, FORECASTS, VALUE, LoadedModel, model_and_version
from quimbi_assets.resources.postgres.tables.history import read_shares_at
from quimbi_assets.resources.postgres.tables.publications import (
    AxisState,
    Publication,
    publish_reasons,
    read_archetypes,
    read_lineages,
    read_publication,
)
from quimbi_assets.resources.publishing import forecast_model, publish
from quimbi_assets.store import Store

CHECK = Rule(
    "profile_schema",
    "Every profile has all its columns, of their types and within their ranges.",
    "nothing was published, and people see the profiles of before. `first_cases` has the rows, `by_check` the rules: "
    "an order that cannot be (mend it and load it again), or a model of another release (`quimbi promote`).",
)
ARCHETYPE_CHECK = Rule(
    "archetypes_few_populous_and_true",
    "At most 250 archetypes, each of max(30, 0.1 %) customers or more; joining rare combinations to the nearest "
    "kept one costs at most 20 % of the median product of memberships.",
    "profiles are published; read segments of single axes rather than archetypes. Fewer segments an axis, as by "
    "`quimbi run --max-k 4`, or more customers bring archetypes back.",
)
SHOWN, TABLE = 10, "customer_profiles"
MOST_ROWS = 20_000
"""Customers read at a time."""


@dg.asset(
    key=PROFILES_KEY,
    deps=[*HISTORY, *(axis_key(stage, name) for stage in AXIS_STAGES for name in AXES), *FORECAST_KEYS],
    partitions_def=STORES,
    group_name="profiles",
    owners=OWNERS,
    kinds={"postgres"},
    check_specs=[rule.spec(PROFILES_KEY) for rule in (CHECK, ARCHETYPE_CHECK)],
    description="Who each customer is: memberships, dominant segments, strengths, archetype, fingerprint, value, churn "
    "risk, value to come, lifecycle, value tier, RFM group, what they buy most, published to "
    "`quimbi.customer_profiles` in one transaction with axes, segments, archetypes and what each group is worth "
    "(`quimbi.group_figures`).",
)
@retried
def customer_profiles(
    context: dg.AssetExecutionContext, tables: Tables, database: StoreDatabase, tracking: Mlflow, progress: Listener
) -> Iterator[StageEvent]:
    """Assemble the profiles of the partition's store and publish the run's result with them."""
    store_id, registry = context.partition_key, tracking.registry
    progress.step("assembling profiles", 0.8)
    latest, history = last_tables(tables, store_id, AXES), tables.history(store_id)
    aligned = align(latest, context.run_id, _published_axes(database, store_id))
    if aligned is None:
        publish_reasons(database, store_id, axis_states(latest, {}))
        raise dg.Failure("no axis is active for this store: there is nothing to profile")
    instant = zoned(aligned.at)
    before = read_archetypes(database, store_id, pd.Timestamp(instant))
    serving = registry.load_versions(store_id, aligned.versions)
    sample = aligned.sampled_scores(one.model for one in serving.values())
    choice = choose_archetypes(sample, kept_archetypes(before), aligned.not_weak)
    states = axis_states(latest, serving)
    profile_context = _context(aligned, choice, states, history.store)
    forecasts = {name: forecast_model(database, registry, store_id, name, aligned.at) for name in FORECASTS}
    then, figures, catalogue = history.until(aligned.at), GroupFigures(), Catalogue.read(home_catalogue())
    marketing = fit_marketing(then, fit_affinities(then))
    batches = _Checked(_batches(aligned, profile_context, then, forecasts, marketing, figures), choice)

    @cache
    def archetypes() -> pd.DataFrame:  # once everybody is assembled
        return archetype_rows(store_id, batches.everybody, aligned.segments, datetime.now(UTC), instant, before)

    progress.step("publishing profiles", 0.9)
    publication = Publication(
        store_id=store_id,
        run_id=context.run_id,
        as_of=instant,
        axes=states,
        segments=aligned.segments,
        profiles=batches,
        archetypes=archetypes,
        model_versions=aligned.versions | {n: m.version for n, m in forecasts.items() if not isinstance(m, str)},
        marketing=marketing.to_json(),
        figures=lambda: _figure_rows(figures, then, serving, aligned.segments, database, marketing, catalogue),
        lineage=registry.lineages(store_id, aligned.axes, read_lineages(database, store_id)),
    )
    publish(database, registry, publication)
    yield from batches.events(aligned, archetypes(), marketing.affinities or {}, table_metadata(database, TABLE))


def _published_axes(database: StoreDatabase, store_id: str) -> list[str]:
    published = read_publication(database, store_id)
    return [] if published is None else [name for name in published.model_versions if name in AXES]


def _context(
    aligned: AlignedAxes, choice: ArchetypeChoice, states: Mapping[str, AxisState], store: Store
) -> ProfileContext:
    stays = {name: StayModel.from_json(states[name].stays) for name in aligned.axes}
    return aligned.context(store.store_id, choice.kept, store.currency or "", stays)


def axis_states(
    latest: Mapping[str, Mapping[str, AxisTable]], serving: Mapping[str, LoadedModel]
) -> dict[str, AxisState]:
    """Say of every axis what is published of it: of those profiled with these models, and of those inactive."""
    states = {}
    for name, fitted in latest["models"].items():
        scored = latest["memberships"].get(name)
        as_of = None if fitted.facts.at is None else zoned(fitted.facts.at)
        reason = fitted.facts.inactive_reason or (scored and scored.facts.inactive_reason)
        if reason:
            states[name] = AxisState(INACTIVE, reason, as_of=as_of)
        elif name in serving:
            states[name] = _axis_state(fitted, serving[name], as_of)
    return states


def _axis_state(fitted: AxisTable, served: LoadedModel, as_of: datetime | None) -> AxisState:
    """Say what is published of a profiled axis; the last fit need not be what serves."""
    (row,) = fitted.read().to_pylist()
    name, is_last = served.model.axis, fitted.facts.model_version == served.version
    stays = row.get("stays") if is_last else None
    halves = row.get("halves_ari") if is_last else served.model.halves_ari_
    since = "the next run learns it" if is_last else "chosen since the last fit"
    return AxisState(
        status=fitted.facts.status,
        reason=fitted.facts.reason,
        k=int(served.model.k_),
        silhouette=float(served.model.silhouette_),
        stability_ari=float(served.model.stability_ari_),
        halves_ari=None if halves is None or np.isnan(halves) else float(halves),
        customers_fitted=served.model.n_divided_,
        mlflow_run_id=served.run_id,
        model_version=served.version,
        held_reason=row["held_reason"] if is_last else None,
        stays=stays or learn_stays(AXES[name], served.model, since).to_json(),
        as_of=as_of,
    )


def _figure_rows(
    figures: GroupFigures,
    history: History,
    serving: Mapping[str, LoadedModel],
    segments: Mapping[str, pd.DataFrame],
    database: StoreDatabase,
    marketing: MarketingReference,
    catalogue: Catalogue,
) -> pd.DataFrame:
    """Return the rows of ``group_figures``, once everybody is assembled."""
    store_id = history.store.store_id
    actions = {(of, group): catalogue.of_group(of, group) for of, groups in GROUPINGS.items() for group in groups}
    for axis, one in serving.items():
        names = segments[axis].set_index("segment_id")["segment_name"].reindex(one.model.segment_ids_)
        chosen = catalogue.of_segments(one.model, figures.shares(axis), names.tolist())
        actions |= {(axis, segment): action for segment, action in zip(one.model.segment_ids_, chosen, strict=True)}
    past, everybody = past_counts(history, marketing)
    for when, days in TREND_DAYS.items():
        shares = read_shares_at(database, store_id, history.end - timedelta(days=days))
        past[when] |= {of: share * everybody[when] for of, share in shares.items()}
    return figures.rows(past, actions)


def _batches(
    aligned: AlignedAxes,
    context: ProfileContext,
    history: History,
    forecasts: Mapping[str, LoadedModel | str],
    marketing: MarketingReference,
    figures: GroupFigures,
) -> Iterator[pa.Table]:
    """Assemble the profiles batch by batch, in order of customer ids, and add up what their groups are worth."""
    churn, value = (model_and_version(forecasts[name]) for name in (CHURN, VALUE))
    features, memberships = (side_by_side(stage, MOST_ROWS) for stage in (aligned.features, aligned.memberships))
    for measured, scored in zip(features, memberships, strict=True):
        scores = {n: scores_from_table(t, aligned.memberships[n].facts.segment_ids) for n, t in scored.items()}
        frames = {name: feature_frame(table) for name, table in measured.items()}
        customers = frames[aligned.axes[0]].index
        their_history = history.between(customers[0], customers[-1])
        groups = group_customers(their_history, marketing, customers)
        risks = churn_risks(
            churn[0],
            their_history,
            customers,
            version=churn[1],
            currency=context.currency,
            usual_days=groups.usual_days,
        )
        foretold = predictions(value[0], their_history, customers, version=value[1], risk=risks.known)
        placed = {name: (score.segment_ids, score.dominant) for name, score in scores.items()}
        figures.add(groups, placed, foretold.columns["predicted_value_90d"].to_numpy())
        yield from profile_batches(scores, frames, context, risks, foretold, groups)


class _Checked:
    """Profiles on their way to the tables, refused as a whole if any row is not what it should be."""

    def __init__(self, batches: Iterator[pa.Table], choice: ArchetypeChoice) -> None:
        self._batches, self._choice, self._look = batches, choice, SchemaCheck(profile_schema())
        self._archetypes: Counter[str] = Counter()
        self._n_known, self._n_foretold, self._value, self._to_come = 0, 0, 0.0, 0.0

    @property
    def check(self) -> dg.AssetCheckResult:
        """What was found by now."""
        return self._look.result(PROFILES_KEY, CHECK)

    @cached_property
    def everybody(self) -> ArchetypeChoice:
        """The archetypes with all of their customers, once all have been taken."""
        return self._choice.of_everybody(self._archetypes)

    def __iter__(self) -> Iterator[pa.Table]:
        for batch in self._batches:
            self._look.look_at(batch.to_pandas(types_mapper=pd.ArrowDtype))
            self._archetypes.update(batch["archetype_id"].to_pylist())
            self._n_known += len(batch) - batch["churn_risk_score"].null_count
            self._n_foretold += len(batch) - batch["predicted_value_90d"].null_count
            self._to_come += float(np.nansum(batch["predicted_value_90d"].to_numpy()))
            self._value += float(np.nansum(batch["lifetime_value"].to_numpy()))
            yield batch
        if not self.check.passed:
            metadata = self.check.metadata
            raise dg.Failure("profiles do not fulfil their schema and were not published", metadata=metadata)

    def events(
        self, aligned: AlignedAxes, archetypes: pd.DataFrame, affinities: Affinities, columns: Metadata
    ) -> Iterator[StageEvent]:
        changes = {table.facts.changed_at for table in aligned.features.values()}
        metadata = facts(
            self._look.n_rows,
            as_of=str(aligned.at),
            active_axes=", ".join(aligned.axes),
            archetypes=len(archetypes),
            largest_archetypes=archetypes[["name", "customer_count", "population_percentage"]].head(SHOWN),
            churn_risk_known_share=self._n_known / max(self._look.n_rows, 1),
            total_lifetime_value=self._value,
            predicted_value_known_share=self._n_foretold / max(self._look.n_rows, 1),
            total_predicted_value_90d=self._to_come if self._n_foretold else None,
            affinities=affinity_figures(affinities),
            **{CHANGED_AT: changes.pop() if len(changes) == 1 else None},
        )
        yield dg.MaterializeResult(asset_key=PROFILES_KEY, metadata=metadata | columns)
        yield self.check
        yield _archetype_check(self.everybody)


def _archetype_check(choice: ArchetypeChoice) -> dg.AssetCheckResult:
    return ARCHETYPE_CHECK.result(
        PROFILES_KEY,
        choice.within_bounds,
        archetypes=len(choice.counts),
        smallest=int(choice.counts.min()),
        floor=choice.floor,
        product_retained=float(choice.retained),
        bits_about_all_axes=float(choice.information),
        axes=", ".join(choice.kept.axes) or "none",
    )
