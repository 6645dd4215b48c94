"""Moving the aliases of registered models: which version serves, which one waits.

Belongs here: promoting, holding back, rolling back. Does not: registering and loading (``model_registry``), which
version should serve (``clustering.promotion``).

A new version is ``candidate`` until it is promoted; a champion is no candidate. Promoting an older version is a
rollback.
"""

from typing import Any

from quimbi_assets.orders.errors import BadInputError
from quimbi_assets.resources.model_registry import CANDIDATE, CHAMPION, registered_name

PROMOTION_TAG = "promotion"
"""Tag of a version: why it serves or does not."""


def promote(client: Any, store_id: str, axis_name: str, version: str, reason: str) -> None:
    """Let a version serve from now on: the newest, or an older one to roll back.

    Parameters
    ----------
    client : MlflowClient
        On the backend that holds the registry.
    store_id, axis_name : str
        Store and axis.
    version : str
        A registered version.
    reason : str
        Why, for the version's tag.

    Raises
    ------
    BadInputError
        If there is no such version.
    """
    from mlflow.exceptions import MlflowException

    name = registered_name(store_id, axis_name)
    try:
        client.get_model_version(name, version)
    except MlflowException as error:
        raise BadInputError(f"axis {axis_name} of store {store_id} has no model version {version}") from error
    client.set_registered_model_alias(name, CHAMPION, version)
    client.set_model_version_tag(name, version, PROMOTION_TAG, f"promoted: {reason}")
    if str(client.get_registered_model(name).aliases.get(CANDIDATE)) == version:
        client.delete_registered_model_alias(name, CANDIDATE)


def hold(client: Any, store_id: str, axis_name: str, version: str, reason: str) -> None:
    """Leave a version a candidate, and note why."""
    client.set_model_version_tag(registered_name(store_id, axis_name), version, PROMOTION_TAG, f"held: {reason}")
