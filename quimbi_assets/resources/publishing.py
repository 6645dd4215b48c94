"""A store's result for everybody: the tables at once, then MLflow's tags and aliases, which follow them.

Belongs here: what takes both systems. Does not: SQL (``postgres``), calls of MLflow (``mlflow``).

The tables are the truth. Killed between the two, MLflow's pages show the version before until the next publication.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from quimbi_assets.resources.mlflow.registry import CHURN, LoadedModel, ModelRegistry
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.promotions import keep_for_past, mark_echoed, read_promotions
from quimbi_assets.resources.postgres.tables.publications import Publication, publish_run


def publish(database: Database, registry: ModelRegistry, publication: Publication) -> None:
    """Publish a run's result and let MLflow follow; where ``publish_run`` raises, nothing is published."""
    publish_run(database, publication)
    follow(database, registry, publication.store_id)


def keep_model_of_past(
    database: Database, registry: ModelRegistry, store_id: str, axis: str, model: LoadedModel
) -> None:
    """Note a model that scores snapshots of its time only, and let MLflow follow; ``axis`` may be the churn risk."""
    keep_for_past(database, store_id, {axis: model.choice()})
    follow(database, registry, store_id)


def follow(database: Database, registry: ModelRegistry, store_id: str) -> None:
    """Bring MLflow's tags and aliases in line with what is published of a store; to do so again changes nothing."""
    echoed = registry.follow(store_id, read_promotions(database, store_id))
    mark_echoed(database, store_id, echoed)


def models_before(
    database: Database, registry: ModelRegistry, store_id: str, instants: Mapping[str, pd.Timestamp | str]
) -> dict[str, LoadedModel]:
    """Load what new fits are compared with, and what scores snapshots: see ``Promotions.predecessors``."""
    versions = read_promotions(database, store_id).predecessors(instants)
    return registry.load_versions(store_id, versions)


def models_chosen(
    database: Database, registry: ModelRegistry, store_id: str, axes: Iterable[str]
) -> dict[str, LoadedModel]:
    """Load the models that customers are to be scored with, by axis: the last ones chosen."""
    chosen, wanted = read_promotions(database, store_id).chosen(), set(axes)
    return registry.load_versions(store_id, {axis: v for axis, v in chosen.items() if axis in wanted})


def churn_model(database: Database, registry: ModelRegistry, store_id: str, as_of: str) -> LoadedModel | str:
    """Load the churn model that is to serve as of an instant (naive UTC), or say why there is none."""
    promotions = read_promotions(database, store_id)
    versions = promotions.predecessors({CHURN: as_of}, to_serve=True)
    found = registry.load_versions(store_id, versions).get(CHURN)
    return found or no_churn_model(store_id, as_of)


def no_churn_model(store_id: str, as_of: str) -> str:
    """Say that no churn model knows a store up to an instant."""
    return f"no churn model was fitted on data up to {as_of}; quimbi run --store-id {store_id} fits one"
