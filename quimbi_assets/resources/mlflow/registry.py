"""Registered models: one per store and axis, one of a store's churn risk, one of the value to come.

Belongs here: registering, loading, and letting aliases and tags say what was published. Does not: files
(``model_files``), runs (``runs``), which version serves (``postgres.tables.promotions``), which should
(``clustering.promotion``).

The tables name the version that serves; the registry follows, for people who look at MLflow's pages. Alias ``champion``
is what people see, ``candidate`` the last version that was fitted and does not serve.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import Instant, to_instant
from quimbi_assets.resources.mlflow.model_files import AnyModel, read, save
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables import promotions
from quimbi_assets.resources.postgres.tables.promotions import Choice, Promotions

if TYPE_CHECKING:
    from quimbi_assets.resources.mlflow.runs import Run

CHAMPION, CANDIDATE = "champion", "candidate"
PRIVATE = ("present",)
"""Aliases that registries of before have, and nobody outside reads; they are taken away."""
NAMED_TAG = "segments_named"
"""Tag of a registered model: the largest number of a segment id that any of its versions gave."""
STORE_TAG, AXIS_TAG = "store", "axis"
CHURN, VALUE = FORECASTS = promotions.FORECASTS
"""Stand where an axis's name would for the models of what is foretold of a store's customers."""
AS_OF_TAG = "as_of"
"""Tag of a version: the instant (naive UTC, exclusive) its data end at."""
PROMOTION_TAG = "promotion"
"""Tag of a version: what became of it, and why."""
PASSED, HELD, PROMOTED = "passed", "held", "promoted"
"""What the tag begins with: a fit that is to serve or not; one that serves, or served."""
FOR_PAST = "for snapshots of the past"
"""Reason of versions that score these and never serve."""
STATUS_TAG, WEAK = "status", "weak"
"""Tag of a run: whether the axis's customers really differ."""
MOST_VERSIONS = 10_000
"""Versions of one axis looked through for those of the past."""
MOST_UNPUBLISHED = 50
"""Newest versions of one axis looked through for those that no table knows yet."""


@dataclass(frozen=True)
class LoadedModel:
    """A registered model, loaded, and the run that logged it."""

    model: Any
    version: str
    run_id: str
    data_end: Instant
    """Where its data end, exclusive."""
    reason: str
    """Why it serves or does not, in words."""

    def choice(self, *, by_hand: bool = False) -> Choice:
        """Return the choice of this version, by its fit's checks or by a person."""
        return Choice(self.version, self.data_end, "by hand" if by_hand else self.reason, by_hand)


def model_and_version(loaded: LoadedModel | str) -> tuple[Any, str | None]:
    """Return a forecast's model with its version, or the reason that there is none."""
    return (loaded, None) if isinstance(loaded, str) else (loaded.model, loaded.version)


PUBLISHED = """
    SELECT version.name, version.source, version.run_id, as_of.value, coalesce(promotion.value, '')
    FROM model_versions AS version
    JOIN model_version_tags AS as_of ON as_of.name = version.name AND as_of.version = version.version
        AND as_of.key = %(as_of)s
    LEFT JOIN model_version_tags AS promotion ON promotion.name = version.name
        AND promotion.version = version.version AND promotion.key = %(promotion)s
    WHERE (version.name, version.version::text) IN %(wanted)s
"""
"""Where MLflow's own tables say that versions rest."""


def load_published(database: Database, store_id: str, versions: Mapping[str, str]) -> dict[str, LoadedModel]:
    """Load versions of a store's models as ``ModelRegistry.load_versions`` does, without MLflow: 3 s of imports.

    BadInputError as there.
    """
    names = {registered_name(store_id, axis): axis for axis in versions}
    wanted = tuple((name, versions[axis]) for name, axis in names.items())
    asked = {"as_of": AS_OF_TAG, "promotion": PROMOTION_TAG, "wanted": wanted}
    loaded = {}
    for name, place, run_id, as_of, fate in database.execute_mlflow(PUBLISHED, asked) if wanted else ():
        axis = names[name]
        try:
            model = _read_once(place, database.mlflow_url)
        except FileNotFoundError as error:
            raise _files_gone(store_id, axis, versions[axis], place) from error
        reason = fate.partition(": ")[2]
        loaded[axis] = LoadedModel(model, versions[axis], str(run_id), to_instant(as_of), reason)
    for axis in versions.keys() - loaded.keys():
        raise _no_version(store_id, axis, versions[axis])
    return {axis: loaded[axis] for axis in versions}


_read_once = lru_cache(maxsize=256)(read)
"""Files of a version never change: a server reads them once, however often its stores are published anew."""


def _no_version(store_id: str, axis_name: str, version: str) -> BadInputError:
    return BadInputError(f"axis {axis_name} of store {store_id} has no model version {version}")


def _files_gone(store_id: str, axis_name: str, version: str, place: str) -> BadInputError:
    return BadInputError(
        f"axis {axis_name} of store {store_id}: the files of model version {version} are gone from {place}; "
        "put them back"
    )


class ModelRegistry:
    """The registered models of all stores, on the backend of an ``MlflowClient``."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._loaded: dict[str, AnyModel] = {}

    def register(
        self,
        run: "Run",
        store_id: str,
        axis_name: str,
        model: AnyModel,
        example: pd.DataFrame,
        as_of: str,
        fate: tuple[str, str],
        facts: Mapping[str, str],
    ) -> LoadedModel:
        """Save a model of the run that fitted it, on data up to ``as_of`` (naive UTC), and register it.

        ``example`` is input that it takes, of no customer; ``facts`` are further tags of the version. ``fate`` is
        :data:`PASSED` or :data:`HELD`, and why: it waits as candidate unless that is :data:`FOR_PAST`.
        """
        from mlflow.exceptions import MlflowException

        name, tags = registered_name(store_id, axis_name), {STORE_TAG: store_id, AXIS_TAG: axis_name}
        place, model_id = self._save(run, tags, model, example)
        about = model_description(store_id, axis_name)
        try:
            self.client.create_registered_model(name, tags=tags, description=about)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        every = {**tags, AS_OF_TAG: as_of, PROMOTION_TAG: ": ".join(fate), **facts}
        made = self.client.create_model_version(
            name, place, run.run_id, every, description=version_description(as_of, fate, facts), model_id=model_id
        )
        link = json.dumps([{"name": name, "version": made.version}])
        self.client.set_logged_model_tags(model_id, {"mlflow.modelVersions": link})
        if fate[1] != FOR_PAST:
            self.client.set_registered_model_alias(name, CANDIDATE, made.version)
        known = self.client.get_registered_model(name)
        if known.description != about:  # of before models were described
            self.client.update_registered_model(name, about)
        if isinstance(model, AxisModel):
            named = max(model.segments_named_, int(known.tags.get(NAMED_TAG, 0)))
            self.client.set_registered_model_tag(name, NAMED_TAG, str(named))
        return LoadedModel(model, str(made.version), run.run_id, to_instant(as_of), fate[1])

    def _save(self, run: "Run", tags: dict[str, str], model: AnyModel, example: pd.DataFrame) -> tuple[str, str]:
        """Save a model's files as an output of its run; return their place and MLflow's id of them."""
        from mlflow.entities import LoggedModelOutput

        logged = self.client.create_logged_model(run.experiment_id, "model", source_run_id=run.run_id, tags=tags)
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model"
                save(model, path, example)
                self.client.log_model_artifacts(logged.model_id, str(path))
            self.client.finalize_logged_model(logged.model_id, "READY")
        except BaseException:
            self.client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        self.client.log_outputs(run.run_id, [LoggedModelOutput(logged.model_id, step=0)])
        return str(logged.artifact_location), str(logged.model_id)

    def judged(self, store_id: str, axis_name: str, version: str, status: str) -> None:
        """Tag a version, and the model as of its last fit, with whether the axis's customers really differ."""
        name = registered_name(store_id, axis_name)
        self.client.set_model_version_tag(name, version, STATUS_TAG, status)
        self.client.set_registered_model_tag(name, STATUS_TAG, status)

    def load_versions(self, store_id: str, versions: Mapping[str, str]) -> dict[str, LoadedModel]:
        """Load these versions of a store's models, by axis; BadInputError if one is not there, or its file.

        A file is read once in the life of this object.
        """
        with ThreadPoolExecutor(8) as pool:
            loaded = pool.map(lambda axis: self._load(store_id, axis, versions[axis]), versions)
            return dict(zip(versions, loaded, strict=True))

    def _load(self, store_id: str, axis_name: str, version: str) -> LoadedModel:
        from mlflow.exceptions import MlflowException

        try:
            registered = self.client.get_model_version(registered_name(store_id, axis_name), version)
        except MlflowException as error:
            raise _no_version(store_id, axis_name, version) from error
        place = registered.source
        if place not in self._loaded:
            try:
                self._loaded[place] = read(place, self.client.tracking_uri)
            except FileNotFoundError as error:
                raise _files_gone(store_id, axis_name, version, place) from error
        reason = registered.tags.get(PROMOTION_TAG, "").partition(": ")[2]
        return LoadedModel(self._loaded[place], version, str(registered.run_id), ends(registered), reason)

    def segments_named(self, store_id: str) -> dict[str, int]:
        """Return, by axis, the largest number that a segment id of any version has."""
        return {m.tags[AXIS_TAG]: int(m.tags.get(NAMED_TAG, 0)) for m in self._registered(store_id)}

    def weak_axes(self, store_id: str, instants: Mapping[str, Instant]) -> frozenset[str]:
        """Return the axes that the last fit on data up to their instant, served or held, called weak."""
        weak = set()
        for axis, instant in instants.items():
            known = [version for version in self._versions(store_id, axis, MOST_VERSIONS) if ends(version) <= instant]
            if known:
                last = max(known, key=lambda v: (ends(v), int(v.version)))
                if self.client.get_run(last.run_id).data.tags.get(STATUS_TAG) == WEAK:
                    weak.add(axis)
        return frozenset(weak)

    def lineages(
        self, store_id: str, axes: Iterable[str], published: Iterable[tuple[str, str]]
    ) -> list[tuple[str, str, pd.DataFrame]]:
        """Return (axis, version, lineage) of versions fitted since the last ``published`` (axis, version).

        Also of versions of runs that came to nothing. Those for snapshots of the past are left out: nothing came before
        them.
        """
        known = set(published)
        new = []
        for axis in axes:
            for version in self._versions(store_id, axis, MOST_UNPUBLISHED):
                if (axis, str(version.version)) in known:
                    break
                if not version.tags.get(PROMOTION_TAG, "").endswith(f": {FOR_PAST}"):
                    new.append((axis, str(version.version)))
        return [(axis, version, self._load(store_id, axis, version).model.lineage_) for axis, version in new]

    def follow(self, store_id: str, promotions: Promotions) -> list[int]:
        """Let tags and aliases say what was published by all of the store's promotions; again, it changes nothing.

        Returns the ids of the promotions that are said now and were not before.
        """
        new = [row for row in promotions.rows if not row.is_echoed and (row.is_published or row.for_past)]
        for row in new:
            name = registered_name(store_id, row.axis)
            self.client.set_model_version_tag(name, row.version, PROMOTION_TAG, f"{PROMOTED}: {row.reason}")
        serving = promotions.serving()
        for registered in self._registered(store_id):
            axis, aliases = registered.tags[AXIS_TAG], registered.aliases
            if axis not in serving:
                continue
            if str(aliases.get(CHAMPION)) != serving[axis]:
                self.client.set_registered_model_alias(registered.name, CHAMPION, serving[axis])
            waiting = [CANDIDATE] if str(aliases.get(CANDIDATE)) == serving[axis] else []
            for alias in (*waiting, *(one for one in PRIVATE if one in aliases)):
                self.client.delete_registered_model_alias(registered.name, alias)
        return [row.promotion_id for row in new]

    def _registered(self, store_id: str) -> Iterator[Any]:
        quoted = quote(store_id, safe="")
        token = None
        while True:
            page = self.client.search_registered_models(f"name LIKE '{_like(quoted)}.%'", 1000, page_token=token)
            yield from (model for model in page if model.tags.get(STORE_TAG) == store_id)
            token = page.token
            if not token:
                return

    def _versions(self, store_id: str, axis_name: str, most: int) -> list[Any]:
        """Return the newest versions of a model, newest first."""
        name = _like(registered_name(store_id, axis_name))
        return list(self.client.search_model_versions(f"name = '{name}'", most, ["version_number DESC"]))


def ends(version: Any) -> Instant:
    """Return the instant that a version's data end at."""
    return to_instant(version.tags[AS_OF_TAG])


def registered_name(store_id: str, axis_name: str) -> str:
    """Name of a registered model; characters that MLflow refuses (``/``, ``:``) are percent-encoded.

    BadInputError if the axis's name holds a dot, by which it would be another store's.

    >>> registered_name("shop_1", "purchase_value"), registered_name("eu/1", "x")
    ('shop_1.purchase_value', 'eu%2F1.x')
    """
    if "." in axis_name:
        raise BadInputError(f"there is no axis {axis_name[:64]!r}")
    return f"{quote(store_id, safe='')}.{axis_name}"


def model_description(store_id: str, axis_name: str) -> str:
    """Say what a registered model is of, for people who look at MLflow's list of thousands."""
    serves = f"`@{CHAMPION}` is what people see; `quimbi promote --store-id {store_id}` chooses another version."
    if axis_name in FORECASTS:
        return f"{_FORETELLS[axis_name]} of store **{store_id}**, learnt from its own past. {serves}"
    question = AXES[axis_name].question if axis_name in AXES else ""
    return f"Segments of store **{store_id}** by {axis_name.replace('_', ' ')}. {question} {serves}"


_FORETELLS = {CHURN: "Who is about to stay away", VALUE: "What customers will order and spend"}


def version_description(as_of: str, fate: tuple[str, str], facts: Mapping[str, str]) -> str:
    """Say what a version is: on which data, how it divides customers, and what became of the fit."""
    figures = ", ".join(f"{name.replace('_', ' ')} {facts[name]}" for name in _SHOWN if name in facts)
    return f"Data up to {as_of[:10]}; {figures + '; ' if figures else ''}{fate[0]}: {fate[1]}"


_SHOWN = ("k", "silhouette", "halves_ari", "kind", "horizon_days")


def _like(text: str) -> str:
    return text.replace("'", "''")
