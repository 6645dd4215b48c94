"""Chooses by hand which model version serves an axis: accepting a held refit, or rolling back.

Belongs here: checking the names, moving the alias, publishing what follows from it. Does not: the automatic rule
(``clustering.promotion``).
"""

from quimbi_assets.commands.console import out, steps
from quimbi_assets.errors import BadInputError


def promote_and_publish(store_id: str, axis_name: str, version: str) -> None:
    """Make a registered version the champion of an axis, score the store's customers with it, publish the result.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store, axis or version.
    """
    promote_version(store_id, axis_name, version)
    from quimbi_assets.commands.running import republish

    with steps(store_id) as progress:
        republish(store_id, axis_name, progress, ai_naming=True)
    out.print(
        f"published: quimbi segments --store-id {store_id}. The next run refits, from this version on.", markup=False
    )


def promote_version(store_id: str, axis_name: str, version: str) -> None:
    """Make a registered version the champion of an axis; published tables stay as they are.

    Raises
    ------
    UnknownStoreError, BadInputError
        If there is no such store, axis or version.
    """
    from quimbi_assets.axes import AXES
    from quimbi_assets.resources.mlflow.resource import MlflowTracking
    from quimbi_assets.resources.postgres.database import open_database
    from quimbi_assets.resources.postgres.tables.stores import read_store

    read_store(open_database(), store_id)
    if axis_name not in AXES:
        raise BadInputError(f"unknown axis {axis_name}; there are: {', '.join(AXES)}")
    tracking = MlflowTracking().tracking()
    before = tracking.champion_versions(store_id, [axis_name]).get(axis_name, "none")
    tracking.promote(store_id, axis_name, version)
    out.print(f"axis {axis_name} of store {store_id}: version {version} serves instead of {before}", markup=False)
