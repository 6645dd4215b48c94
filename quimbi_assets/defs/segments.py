"""Stage 4: clusters → named segments.

Belongs here: describing and naming each selected axis's segments, when to ask Claude, keeping and logging the answers,
the warning. Does not: words, tests and decisions (``naming``), requests (``resources.claude``), publishing
(``profiles``).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import dagster as dg
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.axis_table import AxisTable
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.defs.events import Metadata, Rule, StageEvent, facts, inactive_events
from quimbi_assets.defs.labels import table_metadata
from quimbi_assets.defs.partitions import ORDERS_KEY, axis_key, axis_spec
from quimbi_assets.defs.runs import retried
from quimbi_assets.naming.asking import PROMPT_VERSION, UnavailableError
from quimbi_assets.naming.conversation import Conversation, Named
from quimbi_assets.naming.plan import CurrentNames, NamePlan, decide_names, plan_names
from quimbi_assets.naming.rows import segment_rows
from quimbi_assets.pipeline import dominant_counts, sampled_features
from quimbi_assets.resources.claude import Claude
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, StoreDatabase, Tables
from quimbi_assets.resources.mlflow.registry import LoadedModel
from quimbi_assets.resources.mlflow.reports import checks_table, log_naming
from quimbi_assets.resources.postgres.run_lock import one_of_places
from quimbi_assets.resources.postgres.tables.naming import read_answers, read_given_names, write_answer

CHECK = Rule(
    "names_unique_and_counts_whole",
    "Names are unique in the axis; every customer is counted once.",
    "rename one of the two segments (`quimbi rename`); where the counts are wrong, run the axis again "
    "(`quimbi run --axes AXIS`).",
)
PLACES = 2
"""Runs that may ask Claude at the same time, whoever launched them."""
BY_CHOICE = "new segments are named by rule, as asked; run without --no-ai-naming to have Claude name them"


class NamingOptions(dg.Config):
    """Whether Claude names segments, and which model (else ``QUIMBI_NAMING_MODEL``, else the default)."""

    ai_naming: bool = True
    model: str | None = None


@dg.multi_asset(
    name="segments",
    specs=[
        axis_spec(
            "segments",
            axis.name,
            [ORDERS_KEY, axis_key("features", axis.name), axis_key("memberships", axis.name)],
            f"{axis.question} Named segments with their sizes and centres, published to `quimbi.dim_segment_master`.",
            {"postgres"},
        )
        for axis in AXES.values()
    ],
    can_subset=True,
    check_specs=[CHECK.spec(axis_key("segments", name)) for name in AXES],
)
@retried
def segments(
    context: dg.AssetExecutionContext,
    config: NamingOptions,
    tables: Tables,
    database: StoreDatabase,
    tracking: Mlflow,
    claude: Claude,
    progress: Listener,
) -> Iterator[StageEvent]:
    """Name the selected axes' segments of the partition's store; they are published with its profiles."""
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("segments", name) in context.selected_asset_keys]
    scored = {name: tables.required(axis_key("memberships", name), store_id) for name in selected}
    active = [name for name in selected if scored[name].facts.inactive_reason is None]
    versions = {name: str(scored[name].facts.model_version) for name in active}
    serving = tracking.registry.load_versions(store_id, versions)
    progress.step("naming segments", 0.75)
    plans = _plans(tables, store_id, serving, scored, read_given_names(database, store_id, versions))

    def tell(line: str) -> None:
        context.log.warning(line)
        progress.warn(line)

    naming = name_store(store_id, context.run_id, plans, config, claude, database, tracking, tell)
    if naming.warning:
        tell(naming.warning)
    now, columns = pd.Timestamp.now("UTC"), table_metadata(database, "dim_segment_master")
    for name in selected:
        key, source = axis_key("segments", name), scored[name].facts
        if name not in active:
            tables.write(key, store_id, [], source)
            yield from inactive_events(key, str(source.inactive_reason), [CHECK], columns)
            continue
        described, names, served = plans[name].brief.description, naming.names[name], serving[name]
        rows = segment_rows(
            store_id, AXES[name], described, names, served.model, valid_from=now, model_version=served.version
        )
        tables.write(key, store_id, rows, source)
        metadata = _metadata(rows) | naming.metadata(name) | columns
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
        yield _check(key, rows, scored[name].n_rows)


def _plans(
    tables: Tables,
    store_id: str,
    serving: Mapping[str, LoadedModel],
    scored: Mapping[str, AxisTable],
    current: Mapping[str, CurrentNames],
) -> dict[str, NamePlan]:
    """Describe the segments of the models that serve, and find which names stay."""
    orders = tables.required(ORDERS_KEY, store_id).facts
    currency = "" if orders.store is None else orders.store.currency or ""
    measured = {name: tables.required(axis_key("features", name), store_id) for name in serving}
    frames = sampled_features(measured, {name: FitOptions.of(one.model) for name, one in serving.items()})
    return {
        name: plan_names(
            AXES[name], one.model, frames[name], currency, current.get(name), dominant_counts(scored[name])
        )
        for name, one in serving.items()
    }


def _metadata(rows: pd.DataFrame) -> Metadata:
    shown = rows.sort_values("customer_count", ascending=False)
    table = pd.DataFrame(
        {
            "segment": shown["segment_name"],
            "customers": shown["customer_count"],
            "share": [f"{'█' * round(p / 5)} {p:.1f} %" for p in shown["population_percentage"]],
            "named by": shown["name_source"],
            "who they are": shown["interpretation"],
        }
    )
    return facts(len(rows), segments=table)


def _check(key: dg.AssetKey, rows: pd.DataFrame, n_customers: int) -> dg.AssetCheckResult:
    passed = rows["segment_name"].is_unique and int(rows["customer_count"].sum()) == n_customers
    return CHECK.result(key, passed, customers=n_customers)


@dataclass(frozen=True)
class StoreNaming:
    """The names of a store's axes, what was asked for them, and what a person should know."""

    model: str
    names: Mapping[str, pd.DataFrame]
    answers: Mapping[str, Conversation] = field(default_factory=dict)
    warning: str | None = None

    def metadata(self, axis_name: str) -> Metadata:
        """Return what the UI shows of an axis's naming."""
        sources = {str(who): int(n) for who, n in self.names[axis_name]["name_source"].value_counts().items()}
        answer = self.answers.get(axis_name)
        if answer is None:
            return facts(names_by=sources, naming_calls=0)
        failure = answer.failure
        return facts(
            names_by=sources,
            naming_model=self.model,
            **{"naming_calls" if name == "calls" else f"naming_{name}": n for name, n in answer.usage.counts().items()},
            naming_cost_usd=answer.usage.cost_usd(self.model),
            naming_checks=checks_table({axis_name: answer}).drop(columns="axis"),
            naming_failure=None if failure is None else str(failure),
        )


def name_store(
    store_id: str,
    run_id: str,
    plans: Mapping[str, NamePlan],
    options: NamingOptions,
    claude: Claude,
    database: StoreDatabase,
    tracking: Mlflow,
    tell: Callable[[str], None],
) -> StoreNaming:
    """Settle the names of a store's axes; asks only about axes that want it and were not described so before."""
    model = claude.model(options.model)
    if not options.ai_naming:
        warning = BY_CHOICE if any(plan.wants_model for plan in plans.values()) else None
        return StoreNaming(model, {n: decide_names(plan, {}) for n, plan in plans.items()}, warning=warning)
    wanted = {name: plan.brief for name, plan in plans.items() if plan.wants_model}
    digests = {name: brief.digest(model, PROMPT_VERSION) for name, brief in wanted.items()}
    before = read_answers(database, store_id, digests.values())
    unknown = {name: brief for name, brief in wanted.items() if digests[name] not in before}
    missing = claude.missing() if unknown else None
    answers: dict[str, Conversation] = {}
    if unknown and missing is None:
        with one_of_places(database, "Claude", PLACES, tell):
            answers = claude.name_axes(unknown, model)
    answers = {name: answer for name, answer in answers.items() if answer.failure or answer.usage.calls}
    for name, answer in answers.items():
        if answer.usage.calls:
            write_answer(database, store_id, digests[name], name, model, answer, run_id)
    if any(answer.usage.calls for answer in answers.values()):
        log_naming(tracking, store_id, run_id, model, answers)
    proposed: dict[str, Named] = {name: before[digest] for name, digest in digests.items() if digest in before}
    proposed |= {name: answer.passed for name, answer in answers.items()}
    names = {name: decide_names(plan, proposed.get(name, {})) for name, plan in plans.items()}
    return StoreNaming(model, names, answers, _warning(missing, len(unknown), answers))


def _warning(missing: UnavailableError | None, n_unknown: int, answers: Mapping[str, Conversation]) -> str | None:
    """Say in one line why segments have rule-made names, and what to do; None if all is well."""
    if missing is not None:
        return f"{n_unknown} axes are named by rule: {missing}; {missing.remedy} (or --no-ai-naming)"
    parts = []
    failures = [answer.failure for answer in answers.values() if answer.failure]
    if failures:
        first = next((one for one in failures if isinstance(one, UnavailableError)), failures[0])
        remedy = first.remedy if isinstance(first, UnavailableError) else "the next run asks again"
        parts.append(f"{len(failures)} of {n_unknown} axes are not all named by Claude: {first}; {remedy}")
    untrue = sum(
        len({o.segment_id for o in answer.outcomes} - set(answer.passed))
        for answer in answers.values()
        if answer.failure is None
    )
    if untrue:
        parts.append(
            f"{untrue} segments keep rule-made words, Claude's having failed a test: see naming_checks of the segments "
            "in quimbi ui, or name them with quimbi rename"
        )
    return ". ".join(parts) or None
