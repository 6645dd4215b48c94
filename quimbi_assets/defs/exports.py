"""Stage 7: audiences and profiles → the lists that a project's file sends somewhere.

Belongs here: the assets, one a target of the file. Does not: what a target is (``quimbi_assets.audiences``), writing
and sending (``resources.export_targets``).

What cannot be sent fails the target's check, not the run: what people see is published by then, and the next run sends
what is still to be sent.
"""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg

from quimbi_assets.audiences.definitions import ExportTarget
from quimbi_assets.defs.audiences import DEFINED, audience_key
from quimbi_assets.defs.events import Rule, StageEvent, facts
from quimbi_assets.defs.partitions import ACTIONS_KEY, OWNERS, PROFILES_KEY, STORES
from quimbi_assets.defs.runs import retried
from quimbi_assets.errors import BadInputError, ServiceUnavailableError
from quimbi_assets.resources.dagster_resources import Listener, StoreDatabase
from quimbi_assets.resources.export_targets import export
from quimbi_assets.resources.home import directory, quimbi_home

CHECK = Rule(
    "went_out",
    "The list was written or sent whole; what was not is sent by the next run.",
    "`problem` says what is missing: set the key, or mend `audiences.yaml`; then `quimbi export`, or wait for the next "
    "run. What was sent already is not sent again.",
)


def export_key(name: str) -> dg.AssetKey:
    """Key of a target's asset."""
    return dg.AssetKey(["exports", name])


def export_asset(target: ExportTarget) -> dg.AssetsDefinition:
    """Return the asset that brings a store's list to a target."""
    key = export_key(target.name)
    who = f"audience {target.audience}" if target.audience else target.where or "everybody"
    how = "sent" if target.send else "shown, not sent" if target.form == "klaviyo" else f"written to {target.out}"

    @dg.asset(
        key=key,
        deps=[audience_key(target.audience) if target.audience else ACTIONS_KEY if target.rule else PROFILES_KEY],
        partitions_def=STORES,
        group_name="exports",
        owners=OWNERS,
        kinds={"klaviyo" if target.form == "klaviyo" else "file"},
        output_required=False,
        check_specs=[CHECK.spec(key)],
        description=f"The list {target.name} in the form {target.form}: {who}; {how}, whenever profiles are published.",
    )
    @retried
    def brought(context: dg.AssetExecutionContext, database: StoreDatabase, progress: Listener) -> Iterator[StageEvent]:
        store_id, problem = context.partition_key, ""
        if not target.is_of(store_id):
            yield CHECK.result(key, True, status="not a list of this store")
            return
        progress.step(f"export {target.name}", 0.99)
        try:
            summary = export(database, store_id, placed(target, store_id), lambda line: progress.step(line, 0.99))
            yield dg.MaterializeResult(asset_key=key, metadata=facts(report="\n".join(summary.lines)))
        except (BadInputError, ServiceUnavailableError) as error:
            problem = str(error)
            progress.warn(f"export {target.name}: {problem}")
        yield CHECK.result(key, not problem, problem=problem or None)

    return brought


def placed(target: ExportTarget, store_id: str) -> ExportTarget:
    """Return a target with its files' places for a store: below the project's home, if not said in full."""
    home, out, contacts = quimbi_home(), target.out, target.contacts
    if out is not None:
        path = home / str(out).replace("{store}", store_id)
        directory(path.parent)
        out = str(path)
    if contacts is not None:
        contacts = str(home / str(contacts).replace("{store}", store_id))
    return replace(target, out=out, contacts=contacts)


EXPORT_KEYS = tuple(export_key(name) for name in DEFINED.exports)
exports = [export_asset(target) for target in DEFINED.exports.values()]
