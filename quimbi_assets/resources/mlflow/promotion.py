"""Moving the aliases of registered models: which version serves, which one waits.

Belongs here: promoting, holding back, rolling back. Does not: registering and loading (``model_registry``), which
version should serve (``clustering.promotion``).

A new version is ``candidate`` until it is promoted; a champion is no candidate. Promoting an older version is a
rollback, and refits go on from there. A version fitted as of the past serves too (its profiles are of the past), but
refits go on from ``present``.
"""

from typing import Any

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.mlflow.registry import (
    CANDIDATE,
    CHAMPION,
    PRESENT,
    PROMOTED,
    PROMOTION_TAG,
    ends,
    registered_name,
)


def promote(client: Any, store_id: str, axis_name: str, version: str, reason: str, *, by_hand: bool = False) -> None:
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
    by_hand : bool
        Whether refits go on from this version even if another one's data reach further.

    Raises
    ------
    BadInputError
        If there is no such version.
    """
    from mlflow.exceptions import MlflowException

    name = registered_name(store_id, axis_name)
    try:
        promoted = client.get_model_version(name, version)
    except MlflowException as error:
        raise BadInputError(f"axis {axis_name} of store {store_id} has no model version {version}") from error
    aliases = client.get_registered_model(name).aliases
    present = aliases.get(PRESENT, aliases.get(CHAMPION))
    client.set_registered_model_alias(name, CHAMPION, version)
    client.set_model_version_tag(name, version, PROMOTION_TAG, f"{PROMOTED}: {reason}")
    if by_hand or present is None or ends(promoted) >= ends(client.get_model_version(name, str(present))):
        client.set_registered_model_alias(name, PRESENT, version)
    elif PRESENT not in aliases:
        client.set_registered_model_alias(name, PRESENT, str(present))
    if str(aliases.get(CANDIDATE)) == version:
        client.delete_registered_model_alias(name, CANDIDATE)


def keep_for_past(client: Any, store_id: str, axis_name: str, version: str, candidate: str | None) -> None:
    """Let a version score snapshots of its time and nothing else: no alias moves, and a waiting candidate waits on.

    ``candidate`` is the version that was candidate before this one was registered, None if there was none.
    """
    name = registered_name(store_id, axis_name)
    client.set_model_version_tag(name, version, PROMOTION_TAG, f"{PROMOTED}: for snapshots of the past")
    if candidate is not None:
        client.set_registered_model_alias(name, CANDIDATE, candidate)
    elif CANDIDATE in client.get_registered_model(name).aliases:
        client.delete_registered_model_alias(name, CANDIDATE)


def hold(client: Any, store_id: str, axis_name: str, version: str, reason: str, serving: str | None = None) -> None:
    """Leave a version a candidate, and note why; ``serving`` is the version it was compared with, which serves."""
    name = registered_name(store_id, axis_name)
    client.set_model_version_tag(name, version, PROMOTION_TAG, f"held: {reason}")
    if serving is not None and str(client.get_registered_model(name).aliases.get(CHAMPION)) != serving:
        client.set_registered_model_alias(name, CHAMPION, serving)
