"""Chooses by hand which model version serves an axis: accepting a held refit, or rolling back.

Belongs here: checking the names, noting the choice, publishing what follows from it. Does not: the automatic rule
(``clustering.promotion``).
"""

from quimbi_assets.commands.console import out, steps
from quimbi_assets.errors import BadInputError


def promote_and_publish(store_id: str, axis_name: str, version: str, *, wait: bool = False) -> None:
    """Choose a registered version of an axis, score the store's customers with it, publish the result.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store, axis or version, or somebody runs the store and this is not to wait.
    """
    from quimbi_assets.commands.running import republish, store_lock

    with steps(store_id) as progress, store_lock(store_id, progress, wait=wait) as lock:
        promote_version(store_id, axis_name, version)
        republish(lock, store_id, axis_name, progress, ai_naming=True)
    out.print(
        f"published: quimbi segments --store-id {store_id}. The next run refits, from this version on.", markup=False
    )


def promote_version(store_id: str, axis_name: str, version: str) -> None:
    """Choose a registered version of an axis: it serves from the next publication on, and refits go on from it.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store, axis or version.
    """
    from quimbi_assets.axes import AXES
    from quimbi_assets.resources.dagster_resources import MlflowTracking
    from quimbi_assets.resources.postgres.database import open_database
    from quimbi_assets.resources.postgres.tables.promotions import choose_versions, read_promotions
    from quimbi_assets.resources.postgres.tables.stores import read_store

    database = open_database()
    read_store(database, store_id)
    if axis_name not in AXES:
        raise BadInputError(f"unknown axis {axis_name}; there are: {', '.join(AXES)}")
    found = MlflowTracking().tracking().registry.load_versions(store_id, {axis_name: version})[axis_name]
    before = read_promotions(database, store_id).chosen().get(axis_name, "none")
    choose_versions(database, store_id, {axis_name: found.choice(by_hand=True)})
    out.print(f"axis {axis_name} of store {store_id}: version {version} serves instead of {before}", markup=False)
