"""Stage 4, naming: asks Claude about the axes that need it, and says what came of it.

Belongs here: when to ask, keeping and logging answers, the warning. Does not: requests (``resources.claude``), tests
and decisions (``naming``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import dagster as dg
import pandas as pd

from quimbi_assets.defs.events import Metadata, facts
from quimbi_assets.naming.asking import PROMPT_VERSION, UnavailableError
from quimbi_assets.naming.conversation import Conversation, Named
from quimbi_assets.naming.plan import NamePlan, decide_names
from quimbi_assets.resources.claude import Claude
from quimbi_assets.resources.dagster_resources import Mlflow, StoreDatabase
from quimbi_assets.resources.mlflow.reports import checks_table, log_naming
from quimbi_assets.resources.postgres.run_lock import one_of_places
from quimbi_assets.resources.postgres.tables.naming import read_answers, write_answer

PLACES = 2
"""Runs that may ask Claude at the same time, whoever launched them."""
BY_CHOICE = "new segments are named by rule, as asked; run without --no-ai-naming to have Claude name them"


class NamingOptions(dg.Config):
    """Whether Claude names segments, and which model (else ``QUIMBI_NAMING_MODEL``, else the default)."""

    ai_naming: bool = True
    model: str | None = None


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
