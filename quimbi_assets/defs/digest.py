"""What changed about the checks of each store, told once a day.

Belongs here: the sensor, and the words of its message. Does not: the checks (each with its asset), stores as a whole
(``health``), sending (``resources.slack``).

What is not right is held against what was told: a check that fails day after day is told once, and once more when it is
well again. The message goes out before it is noted as told, so that one who dies in between tells it again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import dagster as dg

from quimbi_assets import texts
from quimbi_assets.defs.partitions import HEALTH_KEY, STORES
from quimbi_assets.defs.runs import dagster_ui
from quimbi_assets.resources.dagster_resources import Messages
from quimbi_assets.resources.home import store_page
from quimbi_assets.resources.slack import NOT_SENT
from quimbi_assets.store import JsonRecord

PAUSE_SECONDS = 300
MOST_EVENTS = 1_000
"""Evaluations looked at in one tick, 0.3 s; those of three hundred stores' weekly runs take 26 ticks."""
FIRST_HOUR = 6
"""Of a day (UTC), after the night's runs."""
MOST_STORES = 20
"""Named in one message; the others are counted."""

Broken = dict[str, dict[str, str]]
"""By store, the checks that are not right now (``models/price_sensitivity real_differences``), with their severity."""
Weeks = dict[str, dict[str, str]]
"""By store, the newest week that each of its weekly checks was evaluated for (``2026-11-02``)."""


@dataclass(frozen=True)
class Told(JsonRecord):
    """How far evaluations were looked at, what is not right by now, what of it people know, and since which day."""

    after: int = 0
    broken: Broken = field(default_factory=dict)
    known: Broken = field(default_factory=dict)
    day: str = ""
    weeks: Weeks = field(default_factory=dict)


@dg.sensor(
    minimum_interval_seconds=PAUSE_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Once a day, after six in the morning (UTC), says in Slack which checks of which store fail, warn or "
    "are well again since it last did; nothing that stays as it is. Nothing without `SLACK_WEBHOOK_URL`.",
)
def checks_changed(context: dg.SensorEvaluationContext, slack: Messages) -> dg.SkipReason:
    """Follow evaluations, and tell what changed if it is time."""
    state, n_new = followed(context.instance, Told.from_json(context.cursor or None))
    now = datetime.now(UTC)
    outcome = f"{n_new} evaluations since the last look"
    if n_new < MOST_EVENTS and now.hour >= FIRST_HOUR and state.day != str(now.date()):
        stores = set(context.instance.get_dynamic_partitions(str(STORES.name)))
        broken, known, weeks = (_of(one, stores) for one in (state.broken, state.known, state.weeks))
        state = replace(state, broken=broken, known=known, weeks=weeks)
        text = digest_text(state.known, state.broken)
        outcome = slack.send(text) if text else "nothing changed"
        if not outcome.startswith(NOT_SENT):
            state = replace(state, known=state.broken, day=str(now.date()))
    context.update_cursor(state.to_json())
    return dg.SkipReason(outcome)


def followed(instance: dg.DagsterInstance, state: Told) -> tuple[Told, int]:
    """Return the state after the next evaluations, and how many they were.

    The last one of a check counts; of a weekly check, the last one of the newest week: an older week that is made again
    says nothing of how the store is now.
    """
    asked = dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION, after_cursor=state.after)
    records = instance.event_log_storage.get_event_records(asked, limit=MOST_EVENTS, ascending=True)
    broken = {store_id: dict(checks) for store_id, checks in state.broken.items()}
    weeks = {store_id: dict(checks) for store_id, checks in state.weeks.items()}
    for record in records:
        event = record.event_log_entry.dagster_event
        evaluation = None if event is None else event.asset_check_evaluation_data
        if evaluation is None or evaluation.partition is None:
            continue  # of all stores at once, or from before checks knew stores
        store_id, _, week = str(evaluation.partition).partition("|")
        checks = broken.setdefault(store_id, {})
        name = f"{evaluation.asset_key.to_user_string()} {evaluation.check_name}"
        if week:
            newest = weeks.setdefault(store_id, {})
            if week < newest.get(name, week):
                continue
            newest[name] = week
        if evaluation.passed:
            checks.pop(name, None)
        else:
            checks[name] = evaluation.severity.value
    after = records[-1].storage_id if records else state.after
    broken = {store_id: checks for store_id, checks in broken.items() if checks}
    return replace(state, after=after, broken=broken, weeks=weeks), len(records)


def _of(by_store: dict[str, dict[str, str]], stores: set[str]) -> dict[str, dict[str, str]]:
    return {store_id: checks for store_id, checks in by_store.items() if store_id in stores}


def digest_text(known: Broken, broken: Broken) -> str:
    """Return the message about what is not right now and was not told, and what is well again; empty if nothing is."""
    lines: list[tuple[bool, str, str]] = []
    for store_id in sorted(known.keys() | broken.keys()):
        before, now = known.get(store_id, {}), broken.get(store_id, {})
        new = {name: severity for name, severity in now.items() if name not in before}
        failing = [name for name, severity in new.items() if severity == dg.AssetCheckSeverity.ERROR.value]
        groups = {"fails": failing, "warns": new.keys() - set(failing), "well again": before.keys() - now.keys()}
        change = "; ".join(f"{what}: {_named(names)}" for what, names in groups.items() if names)
        if change:
            lines.append((not failing, store_id, f"*<{store_page(store_id)}|{texts.slack(store_id)}>* {change}"))
    if not lines:
        return ""
    shown = [line for *_, line in sorted(lines)[:MOST_STORES]]
    more = [f"... and {len(lines) - MOST_STORES} stores more"] if len(lines) > MOST_STORES else []
    stores = "1 store" if len(lines) == 1 else f"{len(lines)} stores"
    page = f"<{dagster_ui()}/assets/{'/'.join(HEALTH_KEY.path)}|all stores>"
    return "\n".join([f":bar_chart: quimbi: checks of {stores} changed", *shown, *more, page])


def _named(names: Iterable[str]) -> str:
    """Return checks by name, each with its assets: ``real_differences (price_sensitivity, purchase_value)``.

    >>> _named(["models/price refit_promoted", "models/gaps refit_promoted"])
    'refit_promoted (gaps, price)'
    """
    assets: Mapping[str, list[str]] = defaultdict(list)
    for asset, name in (each.rsplit(" ", 1) for each in sorted(names)):
        assets[name].append(asset.rsplit("/", 1)[-1])
    return ", ".join(f"{name} ({', '.join(of)})" for name, of in assets.items())
