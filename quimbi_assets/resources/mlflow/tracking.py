"""Experiment tracking: an experiment per store, a run per materialization, a child run per axis.

Belongs here: runs, metrics and artifacts in MLflow. Does not: what is recorded of a model (``model_record``), the
registry of models (``model_registry``), any decision about models.

Everything goes through ``MlflowClient`` with an explicit address: nothing global is set, and two stores, or two
threads, do not meet. MLflow is imported on first use.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.pictures import draw
from quimbi_assets.clustering.promotion import Decision
from quimbi_assets.resources.code_version import code_version
from quimbi_assets.resources.mlflow import pages
from quimbi_assets.resources.mlflow import record as model_record
from quimbi_assets.resources.mlflow.promotion import hold, keep_for_past, promote
from quimbi_assets.resources.mlflow.registry import LoadedModel, ModelRegistry

STORE_REFERENCE = "store_reference.csv"
"""Artifact of a run: what its axis's features were measured against."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Opens MLflow's pages on training runs; without it they ask, or show pages for language models."""


class Tracking:
    """Runs and registered models of all stores.

    Parameters
    ----------
    tracking_uri : str
        MLflow's backend: ``postgresql+psycopg2://...``, or an ``http(s)://`` server.
    artifact_root : str or Path
        Where artifacts of new experiments go: a directory or a URI.
    """

    def __init__(self, tracking_uri: str, artifact_root: str | Path) -> None:
        self.tracking_uri = tracking_uri
        root = str(artifact_root)
        self._references: dict[str, pd.DataFrame | None] = {}
        self.artifact_root = root if "://" in root else Path(root).absolute().as_uri()
        self._experiments: dict[str, str] = {}

    @cached_property
    def client(self) -> Any:
        """``MlflowClient`` on the backend; the first use creates MLflow's tables if there are none."""
        for name, value in pages.QUIET_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        for name in ("alembic", "mlflow.store.db.utils", "mlflow.utils.environment"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    @cached_property
    def registry(self) -> ModelRegistry:
        """Registered models on the same backend."""
        return ModelRegistry(self.client)

    def experiment(self, store_id: str) -> str:
        """Return the id of the store's experiment ``quimbi/<store_id>``, created or restored if need be."""
        self._experiments[store_id] = found = self._find_experiment(store_id)
        return found

    def _find_experiment(self, store_id: str) -> str:
        from mlflow.exceptions import MlflowException

        name = f"quimbi/{store_id}"
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self.client.create_experiment(name, self._place(store_id), tags=EXPERIMENT_TAGS))
            except MlflowException:
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def start_parent(self, store_id: str, tags: Mapping[str, str] | None = None) -> str:
        """Start the run of one materialization, parent of its axes' runs.

        Parameters
        ----------
        store_id : str
            Store.
        tags : mapping of str to str
            Such as ``dagster_run_id`` and ``as_of``.

        Returns
        -------
        str
            Run id.
        """
        return self._start(store_id, f"{store_id} {time.strftime('%Y-%m-%d %H:%M', time.gmtime())}", tags)

    def start_run(self, store_id: str, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Start a run of that name that is no materialization, and return its id."""
        return self._start(store_id, name, tags)

    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """End a run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        self.client.set_terminated(run_id, status)

    def log_inactive(self, run_id: str, axis_name: str, reason: str) -> None:
        """Note on the parent run that an axis is inactive, and why."""
        self.client.set_tag(run_id, f"inactive.{axis_name}", reason)

    def log_verdict(self, run_id: str, tags: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        """Add tags and finite metrics to a run, ended or not."""
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        self.client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def log_axis_model(
        self,
        store_id: str,
        axis_name: str,
        model: AxisModel,
        parent_run_id: str,
        features: pd.DataFrame,
        tags: Mapping[str, str] | None = None,
        *,
        segments_table: pd.DataFrame | None = None,
        pictures: Mapping[str, bytes] | None = None,
        extra_files: Mapping[str, str] | None = None,
        decision: Decision | None = None,
        predecessor: str | None = None,
        for_past: bool = False,
    ) -> LoadedModel:
        """Log one fitted axis as a child run, register its model as candidate, and promote it if so decided.

        Parameters
        ----------
        store_id, axis_name : str
            Store and axis; the registered model is ``<store_id>.<axis_name>``.
        model : AxisModel
            Fitted.
        parent_run_id : str
            Run of the materialization.
        features : DataFrame of n rows indexed by customer
            What it was fitted on; leaves a digest and counts only.
        tags : mapping of str to str
            Such as ``dagster_run_id`` and ``as_of``.
        segments_table : DataFrame, optional
            Named segments, logged as a table.
        pictures : mapping of str to bytes, optional
            PNG by file name, where they are drawn already (``clustering.pictures.draw``).
        extra_files : mapping of str to str, optional
            Further text artifacts by name.
        decision : Decision, optional
            Whether the model serves from now on; it does if nothing was decided.
        predecessor : str, optional
            Version that serves if the model does not.
        for_past : bool
            Whether it is to score snapshots of its time only: then no alias moves, whatever was decided.

        Returns
        -------
        LoadedModel
            The model with its new version and run id.
        """
        all_tags = {**(tags or {}), "axis": axis_name, "mlflow.parentRunId": parent_run_id}
        name = f"{axis_name} {all_tags.get('as_of', '')[:10]}".strip()
        run_id = self._start(store_id, name, all_tags, experiment_id=self._experiments.get(store_id))
        try:
            self._log_figures(run_id, model, decision, all_tags.get("as_of", ""))
            self._log_dataset(run_id, store_id, axis_name, features)
            with tempfile.TemporaryDirectory() as folder:
                model_record.write_files(model, Path(folder), segments_table)
                for name, picture in (pictures or draw(model)).items():
                    (Path(folder) / name).write_bytes(picture)
                for name, text in (extra_files or {}).items():
                    (Path(folder) / name).write_text(text)
                self.client.log_artifacts(run_id, folder)
            waiting = self.registry.candidate(store_id, axis_name) if for_past else None
            version = self.registry.register(
                self._experiments[store_id], run_id, store_id, axis_name, model, all_tags.get("as_of", "")
            )
            if for_past:
                keep_for_past(self.client, store_id, axis_name, version, waiting)
            elif decision is None or decision.promoted:
                promote(self.client, store_id, axis_name, version, decision.reason if decision else "logged")
            else:
                hold(self.client, store_id, axis_name, version, decision.reason, predecessor)
        except BaseException:
            self.finish(run_id, "FAILED")
            raise
        self.finish(run_id)
        return LoadedModel(model, version, run_id)

    def promote(self, store_id: str, axis_name: str, version: str) -> None:
        """Let a version serve from now on: a candidate that was held, or an older version to roll back.

        Parameters
        ----------
        store_id, axis_name : str
            Store and axis.
        version : str
            A registered version.

        Raises
        ------
        BadInputError
            If there is no such version.

        Notes
        -----
        Moves the alias and nothing else: published segments and profiles are the new champion's from the next time
        ``memberships``, ``segments`` and ``profiles`` run. Segments that come back have their old ids and names.
        """
        promote(self.client, store_id, axis_name, str(version), "by hand", by_hand=True)

    def champion_versions(self, store_id: str, axes: Iterable[str] | None = None) -> dict[str, str]:
        """Return the version of each of the store's champions, by axis; axes without one are left out."""
        return self.registry.champion_versions(store_id, axes)

    def load_champions(self, store_id: str, axes: Iterable[str] | None = None) -> dict[str, LoadedModel]:
        """Load the store's champions, by axis; axes without one are left out."""
        return self.registry.load_champions(store_id, axes)

    def load_predecessors(self, store_id: str, instants: Mapping[str, str]) -> dict[str, LoadedModel]:
        """Load what new fits are compared with, by axis; ``instants`` say where each one's data end."""
        return self.registry.load_predecessors(store_id, instants)

    def store_reference(self, run_id: str) -> pd.DataFrame | None:
        """Return the store reference kept beside a model, by the run that logged it; None if none was."""
        if run_id not in self._references:
            self._references[run_id] = self._read_reference(run_id)
        return self._references[run_id]

    def _read_reference(self, run_id: str) -> pd.DataFrame | None:
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self.client.download_artifacts(run_id, STORE_REFERENCE, folder)
            except (MlflowException, OSError):
                return None
            kinds = {"kind": "str", "key": "str", "value": "float64"}
            return pd.read_csv(
                path, dtype=kinds, keep_default_na=False, na_values={"value": [""]}, float_precision="round_trip"
            )

    def log_pictures(self, store_id: str, name: str, pictures: Mapping[str, bytes], tags: Mapping[str, str]) -> str:
        """Log pictures (PNG by file name) as a run of their own, and return its id."""
        run_id = self._start(store_id, name, tags)
        with tempfile.TemporaryDirectory() as folder:
            for file, picture in pictures.items():
                (Path(folder) / file).write_bytes(picture)
            self.client.log_artifacts(run_id, folder)
        self.finish(run_id)
        return run_id

    def run_url(self, run_id: str, ui_base: str) -> str:
        """Return the address of a run in MLflow's pages at ``ui_base``."""
        return pages.run_address(ui_base, self.client.get_run(run_id).info.experiment_id, run_id)

    def comparison_url(self, run_ids: Sequence[str], ui_base: str) -> str:
        """Return the address of the page that draws the candidates' figures of several runs over one another."""
        experiment_id = self.client.get_run(run_ids[0]).info.experiment_id
        return pages.comparison_address(ui_base, experiment_id, run_ids)

    def serve_command(self, host: str = "127.0.0.1", port: int = 5000) -> tuple[list[str], dict[str, str]]:
        """Return the command, and the environment to add to the process's, that serve MLflow's pages."""
        return pages.server_command(self.tracking_uri, self.artifact_root, host, port)

    def _place(self, store_id: str) -> str:
        """Directory of a store's artifacts."""
        return f"{self.artifact_root}/{quote(store_id, safe='')}"

    def _start(self, store_id: str, name: str, tags: Mapping[str, str] | None, experiment_id: str | None = None) -> str:
        """Start a run with the tags that every run has; the experiment is looked for if it is not given."""
        every = {"store": store_id, "mlflow.source.name": "quimbi", "mlflow.source.git.commit": code_version()}
        run = self.client.create_run(
            experiment_id or self.experiment(store_id),
            tags={**every, **{k: str(v) for k, v in (tags or {}).items()}},
            run_name=name,
        )
        return str(run.info.run_id)

    def _log_figures(self, run_id: str, model: AxisModel, decision: Decision | None, as_of: str) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value, step in model_record.metrics(model, decision)]
        # MLflow's page of two runs draws the parameters in which they differ, and can compare nothing else by default.
        own = {"as_of": as_of[:10], **model_record.params(model)} if as_of else model_record.params(model)
        parameters = [Param(name, value) for name, value in own.items()]
        tags = [RunTag(name, value) for name, value in model_record.decision_tags(decision).items()]
        self.client.log_batch(run_id, metrics=metrics, params=parameters, tags=tags)

    def _log_dataset(self, run_id: str, store_id: str, axis_name: str, features: pd.DataFrame) -> None:
        """Note which customers' features were used: a digest and counts, never a row."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = {"store": store_id, "asset": f"features/{axis_name}"}
        profile = json.dumps(model_record.dataset_profile(features))
        dataset = Dataset(
            name=f"{store_id}.{axis_name}",
            digest=model_record.digest(features),
            source_type="quimbi",
            source=json.dumps(source),
            profile=profile,
        )
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
