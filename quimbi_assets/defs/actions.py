"""Stage 6: published profiles → what is to be done about each customer, by the project's rules; and whether it helped.

Belongs here: the assets. Does not: rules (``quimbi_assets.actions``), deciding (``resources.postgres.tables.actions``),
what may be concluded of a trial (``quimbi_assets.lift``).

A rule that a store does not understand, or that can never fire, fails the check, not the run; the others are decided.
"""

from collections.abc import Iterator

import dagster as dg

from quimbi_assets.defs.events import Rule, StageEvent, facts
from quimbi_assets.defs.labels import table_metadata
from quimbi_assets.defs.partitions import ACTIONS_KEY, HISTORY, LIFT_KEY, OWNERS, PROFILES_KEY, STORES
from quimbi_assets.defs.runs import retried
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.actions import decide_store
from quimbi_assets.resources.dagster_resources import Listener, StoreDatabase
from quimbi_assets.resources.postgres.tables.stores import store_currency
from quimbi_assets.resources.postgres.tables.treatments import refresh_findings, trial_record

CHECK = Rule(
    "rules_can_fire",
    "The file of rules can be read; the store understands every rule of its, and each can be true of somebody.",
    "`problems` says which and why: mend `actions.yaml` (`quimbi actions --store-id S --check` says the same); the "
    "next run decides anew. Where the file cannot be read, what was decided stays.",
    warns=True,
)


@dg.asset(
    key=ACTIONS_KEY,
    deps=[PROFILES_KEY],
    partitions_def=STORES,
    group_name="actions",
    owners=OWNERS,
    kinds={"postgres"},
    output_required=False,
    check_specs=[CHECK.spec(ACTIONS_KEY)],
    description="What is to be done about each customer, by which rule of `actions.yaml`, or of the ready rules.",
)
@retried
def customer_actions(
    context: dg.AssetExecutionContext, database: StoreDatabase, progress: Listener
) -> Iterator[StageEvent]:
    """Decide for the partition's customers; only what changed is written."""
    store_id, problems = context.partition_key, []
    progress.step("actions", 0.98)
    try:
        check = decide_store(database, store_id)
        state, problems = check.evaluation, check.problems
        metadata = facts(
            state.customers, by_rule=state.acted, chosen=state.chosen, control_groups=state.held,
            entered=state.entered, changed=state.changed, left=state.left, conflicts=check.conflicts,
            idle=[f"{rule}: {why}" for rule, why in check.idle.items()],
            as_of=state.as_of and state.as_of.isoformat(),
        )  # fmt: skip
        yield dg.MaterializeResult(
            asset_key=ACTIONS_KEY, metadata=metadata | table_metadata(database, "customer_actions")
        )
    except BadInputError as error:
        problems = [str(error)]
    for problem in problems:
        progress.warn(problem)
        context.log.warning(problem)
    yield CHECK.result(ACTIONS_KEY, not problems, problems=problems or None)


@dg.asset(
    key=LIFT_KEY,
    deps=[*HISTORY, PROFILES_KEY],  # what acts may leave its output out, and would take this with it
    partitions_def=STORES,
    group_name="actions",
    owners=OWNERS,
    kinds={"postgres"},
    description="What each trial showed by now: those acted on beside its control group, `quimbi.trials.finding`.",
)
@retried
def lift(context: dg.AssetExecutionContext, database: StoreDatabase) -> Iterator[StageEvent]:
    """Count the partition's trials anew; whoever enters in this run does not count before their window is over."""
    store_id = context.partition_key
    currency = store_currency(database, store_id) or ""
    records = [trial_record(state, currency) for state in refresh_findings(database, store_id)]
    helped = {one["subject"]: one["words"] for one in records}
    yield dg.MaterializeResult(
        asset_key=LIFT_KEY, metadata=facts(len(records), helped=helped) | table_metadata(database, "trials")
    )
