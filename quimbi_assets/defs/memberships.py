"""Stage 3, applied: every customer's membership in every segment of every active axis.

Belongs here: scoring with the model that serves, batch by batch. Does not: the formula (``clustering.scoring``).
"""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import AXES, feature_frame
from quimbi_assets.axis_table import TableFacts, table_writer
from quimbi_assets.clustering.scoring import N_ORDERS
from quimbi_assets.defs.events import Metadata, Rule, StageEvent, facts, inactive
from quimbi_assets.defs.partitions import axis_key, axis_spec
from quimbi_assets.defs.runs import retried
from quimbi_assets.errors import BadInputError
from quimbi_assets.profiles.scores import AxisScores, score_axis, scores_schema, scores_to_table
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, StoreDatabase, Tables
from quimbi_assets.resources.postgres.tables.promotions import read_promotions
from quimbi_assets.resources.publishing import models_chosen

TOLERANCE = 1e-9
NEVER_FITTED = TableFacts.inactive("no model of it was ever fitted; quimbi run fits one")
CHECK = Rule(
    "memberships_sum_to_1",
    "Memberships of every customer are between 0 and 1 and sum to 1 within 1e-9.",
    "nothing of this run is published, and people see the profiles of before. The model's file is damaged, or of "
    "another release: let an earlier version serve (`quimbi promote`), or fit anew (`quimbi run`).",
    blocks=True,
)


@dg.multi_asset(
    name="memberships",
    specs=[
        axis_spec(
            "memberships",
            axis.name,
            [axis_key("features", axis.name), axis_key("models", axis.name)],
            f"How much each customer belongs to each segment of {axis.name.replace('_', ' ')}: "
            "0 to 1, summing to 1 per customer, distances to the centres and evidence.",
            {"numpy", "mlflow"},
        )
        for axis in AXES.values()
    ],
    can_subset=True,
    check_specs=[CHECK.spec(axis_key("memberships", name)) for name in AXES],
)
@retried
def memberships(
    context: dg.AssetExecutionContext, tables: Tables, database: StoreDatabase, tracking: Mlflow, progress: Listener
) -> Iterator[StageEvent]:
    """Score every customer of the partition's store on the selected axes.

    One of which no model was ever chosen is inactive; BadInputError where one was and its table is gone.
    """
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("memberships", name) in context.selected_asset_keys]
    models = {name: tables.table(axis_key("models", name), store_id) for name in selected}
    chosen = read_promotions(database, store_id).chosen()
    gone = [name for name, table in models.items() if table is None and name in chosen]
    if gone:
        raise BadInputError(
            f"store {store_id}: what was found with the models of {', '.join(gone)} is missing from its files, as "
            f"after half a restore, and profiles would lose these axes; fit them anew: quimbi run --store-id {store_id}"
        )
    if not any(models.values()):
        raise BadInputError(f"store {store_id} has no model of these axes yet: quimbi run --store-id {store_id}")
    fitted = {name: NEVER_FITTED if table is None else table.facts for name, table in models.items()}
    progress.step("scoring customers", 0.68)
    active = [name for name in selected if fitted[name].inactive_reason is None]
    serving = models_chosen(database, tracking.registry, store_id, active)
    for name in selected:
        key, measured = axis_key("memberships", name), tables.required(axis_key("features", name), store_id)
        source = measured.facts
        reason = fitted[name].inactive_reason or source.inactive_reason
        if reason is not None:
            why = TableFacts.inactive(reason, at=source.at, run_id=context.run_id)
            yield from inactive(tables, key, store_id, why, [CHECK])
            continue
        model, version = serving[name].model, serving[name].version
        ids, wanted = tuple(model.segment_ids_), {"customer_id", N_ORDERS, *model.features_}
        scored_facts = TableFacts(source.at, fitted[name].status, None, source.recorded, source.run_id, version, ids)
        look = _Look(ids)
        with table_writer(tables.place(key, store_id), scores_schema(len(ids)), scored_facts) as write:
            for batch in measured.batches([column for column in measured.schema.names if column in wanted]):
                scores = score_axis(model, feature_frame(batch))
                write(scores_to_table(scores))
                look.at(scores)
        yield dg.MaterializeResult(asset_key=key, metadata=look.metadata(version))
        yield look.check(key)


class _Look:
    """What is seen of an axis's memberships while they are written."""

    def __init__(self, segment_ids: tuple[str, ...]) -> None:
        self._ids = segment_ids
        self._counts = np.zeros(len(segment_ids), dtype=np.int64)
        self._top: list[NDArray[np.float64]] = []
        self._n_low, self._worst, self._sound = 0, 0.0, True

    def at(self, scores: AxisScores) -> None:
        values = scores.memberships
        self._counts += scores.counts
        self._top.append(values.max(axis=1))
        self._n_low += int(scores.low_evidence.sum())
        if len(values):
            self._worst = max(self._worst, float(np.abs(values.sum(axis=1) - 1).max()))
        self._sound &= bool(np.isfinite(values).all() and (values >= 0).all())

    def metadata(self, version: str) -> Metadata:
        n = int(self._counts.sum())
        order = np.argsort(-self._counts, kind="stable")
        shares = [f"{self._counts[i] / max(n, 1):.1%}" for i in order]
        return facts(
            n,
            model_version=version,
            median_top_membership=float(np.median(np.concatenate(self._top))),
            low_evidence_share=self._n_low / max(n, 1),
            dominant=pd.DataFrame({"segment": [self._ids[i] for i in order], "share of customers": shares}),
        )

    def check(self, key: dg.AssetKey) -> dg.AssetCheckResult:
        passed = self._sound and self._worst <= TOLERANCE
        return CHECK.result(key, passed, largest_error=self._worst)
