"""Registered models: one per store and axis, one of a store's churn risk; the version called ``champion`` serves.

Belongs here: registering, loading what an alias names. Does not: files (``model_files``), runs (``tracking``), moving
aliases (``model_promotion``), which version should be champion (``clustering.promotion``).

A new version is ``candidate`` until it is promoted. ``present`` is the promoted version whose data reach furthest:
mostly the champion, but not after a run as of the past.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from quimbi_assets.churn.model import ChurnModel
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.resources.mlflow import record as model_record
from quimbi_assets.resources.mlflow.model_files import read, save

CHAMPION, CANDIDATE, PRESENT = "champion", "candidate", "present"
NAMED_TAG = "segments_named"
"""Tag of a registered model: the largest number of a segment id that any of its versions gave."""
STORE_TAG, AXIS_TAG = "store", "axis"
CHURN = "churn_risk"
"""Stands where an axis's name would for a store's churn model."""
AS_OF_TAG = "as_of"
"""Tag of a version: the instant (naive UTC, exclusive) its data end at."""
PROMOTION_TAG, PROMOTED = "promotion", "promoted"
"""Tag of a version: why it serves, or served, or does not; it begins with ``promoted`` if it ever did."""
STATUS_TAG, WEAK = "status", "weak"
"""Tag of a run: whether the axis's customers really differ."""


MOST_VERSIONS = 10_000
"""Versions of one axis looked through for those of the past."""


@dataclass(frozen=True)
class LoadedModel:
    """A registered model, loaded.

    Parameters
    ----------
    model : AxisModel or ChurnModel
        Fitted.
    version : str
        Its version in the registry.
    run_id : str
        The run that logged it.
    """

    model: Any
    version: str
    run_id: str


class ModelRegistry:
    """The registered models of all stores.

    Parameters
    ----------
    client : MlflowClient
        On the backend that holds the registry.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._loaded: dict[str, AxisModel | ChurnModel] = {}

    def register(
        self, experiment_id: str, run_id: str, store_id: str, axis_name: str, model: AxisModel, as_of: str = ""
    ) -> str:
        """Save a model and register it as ``<store_id>.<axis_name>``, a candidate.

        Parameters
        ----------
        experiment_id, run_id : str
            Where it was fitted.
        store_id, axis_name : str
            What it is for.
        model : AxisModel
            Fitted.
        as_of : str
            Instant its data end at, naive UTC.

        Returns
        -------
        str
            Its version.
        """
        tags = {STORE_TAG: store_id, AXIS_TAG: axis_name}
        facts = {
            "segment_ids": json.dumps(model.segment_ids_),
            "k": str(model.k_),
            "silhouette": f"{model.silhouette_:.4f}",
            "stability_ari": f"{model.stability_ari_:.4f}",
            AS_OF_TAG: as_of,
        }
        version = self._register(experiment_id, run_id, tags, model, model_record.input_example(model), facts)
        name = registered_name(store_id, axis_name)
        named = max(model.segments_named_, int(self.client.get_registered_model(name).tags.get(NAMED_TAG, 0)))
        self.client.set_registered_model_tag(name, NAMED_TAG, str(named))
        return version

    def register_churn(
        self, experiment_id: str, run_id: str, store_id: str, model: ChurnModel, example: pd.DataFrame, as_of: str
    ) -> str:
        """Save a churn model and register it as ``<store_id>.churn_risk``, a candidate; returns its version."""
        tags = {STORE_TAG: store_id, AXIS_TAG: CHURN}
        facts = {"kind": model.kind, "horizon_days": str(model.horizon_days), AS_OF_TAG: as_of}
        return self._register(experiment_id, run_id, tags, model, example, facts)

    def _register(
        self,
        experiment_id: str,
        run_id: str,
        tags: dict[str, str],
        model: AxisModel | ChurnModel,
        example: pd.DataFrame,
        facts: Mapping[str, str],
    ) -> str:
        from mlflow.entities import LoggedModelOutput

        logged = self.client.create_logged_model(experiment_id, "model", source_run_id=run_id, tags=tags)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            save(model, path, example)
            self.client.log_model_artifacts(logged.model_id, str(path))
        self.client.finalize_logged_model(logged.model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        return self._new_candidate(logged, run_id, tags, facts)

    def _new_candidate(self, logged: Any, run_id: str, tags: dict[str, str], facts: Mapping[str, str]) -> str:
        name = registered_name(tags[STORE_TAG], tags[AXIS_TAG])
        self._ensure_registered(name, tags)
        version = self.client.create_model_version(
            name, logged.artifact_location, run_id=run_id, tags={**tags, **facts}, model_id=logged.model_id
        )
        link = json.dumps([{"name": name, "version": version.version}])
        self.client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": link})
        self.client.set_registered_model_alias(name, CANDIDATE, version.version)
        return str(version.version)

    def _ensure_registered(self, name: str, tags: dict[str, str]) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name, tags=tags)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def segments_named(self, store_id: str) -> dict[str, int]:
        """Return, by axis, the largest number that a segment id of any version has."""
        return {m.tags[AXIS_TAG]: int(m.tags.get(NAMED_TAG, 0)) for m in self._registered(store_id)}

    def candidate(self, store_id: str, axis_name: str) -> str | None:
        """Return the version of an axis that waits to serve, None if none does."""
        for registered in self._registered(store_id):
            if registered.tags[AXIS_TAG] == axis_name:
                found = registered.aliases.get(CANDIDATE)
                return None if found is None else str(found)
        return None

    def champion_versions(self, store_id: str, axes: Iterable[str] | None = None) -> dict[str, str]:
        """Return the version of each of a store's champions.

        Parameters
        ----------
        store_id : str
            Store.
        axes : iterable of str, optional
            Axes of interest, all by default.

        Returns
        -------
        dict of str to str
            By axis; axes without a champion are left out.
        """
        serving = {
            m.tags[AXIS_TAG]: str(m.aliases[CHAMPION]) for m in self._registered(store_id) if CHAMPION in m.aliases
        }
        wanted = set(serving if axes is None else axes)
        return {axis: version for axis, version in serving.items() if axis in wanted}

    def _registered(self, store_id: str) -> Iterator[Any]:
        """Yield the registered models of a store."""
        quoted = quote(store_id, safe="")
        token = None
        while True:
            page = self.client.search_registered_models(f"name LIKE '{_like(quoted)}.%'", 1000, page_token=token)
            yield from (model for model in page if model.tags.get(STORE_TAG) == store_id)
            token = page.token
            if not token:
                return

    def load_champions(self, store_id: str, axes: Iterable[str] | None = None) -> dict[str, LoadedModel]:
        """Load a store's champions.

        Parameters
        ----------
        store_id : str
            Store.
        axes : iterable of str, optional
            Axes of interest, all by default.

        Returns
        -------
        dict of str to LoadedModel
            By axis; axes without a champion are left out. A file is read once in the life of this object.
        """
        return self._load_all(store_id, self.champion_versions(store_id, axes))

    def load_predecessors(self, store_id: str, instants: Mapping[str, str]) -> dict[str, LoadedModel]:
        """Load what new fits are compared with: of each axis, the last version of those promoted that saw no more.

        Parameters
        ----------
        store_id : str
            Store.
        instants : mapping of axis name to str
            Where the data of the new fits end, naive UTC, exclusive.

        Returns
        -------
        dict of str to LoadedModel
            By axis; axes of which no promoted version's data end by then are left out. It is the champion, but for
            runs as of the past, which must not know what came later, and for the first run after these.
        """
        found = {}
        for registered in self._registered(store_id):
            axis = registered.tags[AXIS_TAG]
            if axis in instants and (version := self._predecessor(registered, pd.Timestamp(instants[axis]))):
                found[axis] = version
        return self._load_all(store_id, found)

    def load_versions(self, store_id: str, versions: Mapping[str, str]) -> dict[str, LoadedModel]:
        """Load these versions of a store's models, by axis."""
        return self._load_all(store_id, versions)

    def weak_axes(self, store_id: str, axes: Iterable[str], instant: pd.Timestamp) -> frozenset[str]:
        """Return the axes that the last fit on data up to an instant (naive UTC), served or held, called weak."""
        weak = set()
        for axis in axes:
            name = _like(registered_name(store_id, axis))
            every = self.client.search_model_versions(f"name = '{name}'", max_results=MOST_VERSIONS)
            known = [version for version in every if ends(version) <= instant]
            if known:
                last = max(known, key=lambda v: (ends(v), int(v.version)))
                if self.client.get_run(last.run_id).data.tags.get(STATUS_TAG) == WEAK:
                    weak.add(axis)
        return frozenset(weak)

    def _predecessor(self, registered: Any, instant: pd.Timestamp) -> str | None:
        name, present = registered.name, registered.aliases.get(PRESENT, registered.aliases.get(CHAMPION))
        if present is None:
            return None
        if ends(self.client.get_model_version(name, str(present))) <= instant:
            return str(present)
        every = self.client.search_model_versions(f"name = '{_like(name)}'", max_results=MOST_VERSIONS)
        served = [v for v in every if v.tags.get(PROMOTION_TAG, "").startswith(PROMOTED) and ends(v) <= instant]
        return str(max(served, key=lambda v: (ends(v), int(v.version))).version) if served else None

    def _load_all(self, store_id: str, versions: Mapping[str, str]) -> dict[str, LoadedModel]:
        with ThreadPoolExecutor(8) as pool:
            loaded = pool.map(lambda axis: self._load(registered_name(store_id, axis), versions[axis]), versions)
            return dict(zip(versions, loaded, strict=True))

    def _load(self, name: str, version: str) -> LoadedModel:
        found = self.client.get_model_version(name, version)
        place = found.source
        if place not in self._loaded:
            self._loaded[place] = read(place, self.client.tracking_uri)
        return LoadedModel(self._loaded[place], version, str(found.run_id))


def ends(version: Any) -> pd.Timestamp:
    """Return the instant a version's data end at; the earliest there is where it was not recorded."""
    return pd.Timestamp(version.tags.get(AS_OF_TAG) or pd.Timestamp.min)


def registered_name(store_id: str, axis_name: str) -> str:
    """Name of a registered model; characters that MLflow refuses (``/``, ``:``) are percent-encoded.

    Examples
    --------
    >>> registered_name("shop_1", "purchase_value"), registered_name("eu/1", "x")
    ('shop_1.purchase_value', 'eu%2F1.x')
    """
    return f"{quote(store_id, safe='')}.{axis_name}"


def _like(text: str) -> str:
    return text.replace("'", "''")
