"""MLflow tracking as a Dagster resource: one parent run a materialization, one child run an axis.

Belongs here: the resource and how assets use it. Does not: MLflow calls (``tracking``).
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from threading import Thread
from typing import Any

import pandas as pd
from dagster import ConfigurableResource

from quimbi_assets.axes import Axis
from quimbi_assets.churn.training import ChurnFit
from quimbi_assets.clustering.axis_fit import AxisFit
from quimbi_assets.clustering.verdict import Differences
from quimbi_assets.resources.home import artifacts_dir
from quimbi_assets.resources.mlflow import churn as churn_tracking
from quimbi_assets.resources.mlflow.tracking import STORE_REFERENCE, LoadedModel, Tracking
from quimbi_assets.resources.parquet_io import FrameIOManager
from quimbi_assets.resources.postgres.database import open_database

#: Where links in Dagster's pages find MLflow's.
UI_VARIABLE = "QUIMBI_MLFLOW_UI"
DEFAULT_UI = "http://127.0.0.1:5000"


@dataclass(frozen=True)
class LoggedModel:
    """A model that was just logged: its run, version in the registry, page, and pictures (PNG by file name)."""

    run_id: str
    version: str
    url: str
    pictures: Mapping[str, bytes]


@dataclass(frozen=True)
class MaterializationLog:
    """Logs the axes of one materialization under its parent run; ``for_past``: for snapshots of their time only."""

    tracking: Tracking
    store_id: str
    run_id: str
    tags: Mapping[str, str]
    for_past: bool = False

    def axis(
        self,
        axis: Axis,
        fit: AxisFit,
        features: pd.DataFrame,
        reference: pd.DataFrame | None = None,
        predecessor: str | None = None,
    ) -> LoggedModel:
        """Log a fitted axis, and make it champion if so decided.

        Parameters
        ----------
        axis : Axis
            The declaration.
        fit : AxisFit
            Its model, the decision and pictures.
        features : DataFrame
            What it was fitted on; leaves a digest only.
        reference : DataFrame, optional
            The store reference its features were measured against, kept beside the model where the axis uses it.
        predecessor : str, optional
            Version it was compared with, which serves if the fit does not.
        """
        tags = {**self.tags, "as_of": str(features.attrs.get("observation_end", ""))}
        files = {STORE_REFERENCE: reference.to_csv(index=False)} if axis.reference and reference is not None else {}
        logged = self.tracking.log_axis_model(
            self.store_id,
            axis.name,
            fit.model,
            self.run_id,
            features,
            tags,
            pictures=fit.pictures,
            extra_files=files,
            decision=fit.decision,
            predecessor=predecessor,
            for_past=self.for_past,
        )
        base = os.environ.get(UI_VARIABLE, DEFAULT_UI)
        return LoggedModel(logged.run_id, str(logged.version), self.tracking.run_url(logged.run_id, base), fit.pictures)

    def differences(self, logged: LoggedModel, found: Differences) -> None:
        """Add to an axis's run whether its customers really differ: tags ``status`` and ``reason``, and figures."""
        tags = {"status": found.status} | ({"reason": found.reason} if found.reason else {})
        self.tracking.log_verdict(logged.run_id, tags, found.metrics())

    def inactive(self, axis_name: str, reason: str) -> None:
        """Note that an axis is inactive, and why."""
        self.tracking.log_inactive(self.run_id, axis_name, reason)


class MlflowTracking(ConfigurableResource):
    """Experiments, runs and registered models on the store's own database server.

    Artifacts rest under ``QUIMBI_HOME`` unless an artifact root is configured.

    Parameters
    ----------
    artifact_root : str, optional
        Folder or URI for artifacts of new experiments.
    """

    artifact_root: str | None = None

    def begin_imports(self) -> None:
        """Begin to import MLflow and skops, 3 s, on a thread of their own; returns at once."""
        Thread(target=_import_all, name="imports", daemon=True).start()

    def tracking(self) -> Tracking:
        """Return the tracking client, one per process and database."""
        return _tracking(open_database().mlflow_url, self.artifact_root or str(artifacts_dir()))

    @contextmanager
    def materialization(
        self, store_id: str, dagster_run_id: str, parameters: Mapping[str, Any], for_past: bool = False
    ) -> Iterator[MaterializationLog]:
        """Open the parent run of one materialization; it ends as finished or failed with the block.

        Parameters
        ----------
        store_id : str
            The store.
        dagster_run_id : str
            Tagged on every run, so that the two UIs can be matched.
        parameters : mapping
            Options of the run, tagged on the parent.
        for_past : bool
            Whether what is fitted scores snapshots of its time only.
        """
        tracking = self.tracking()
        tags = {"dagster_run_id": dagster_run_id}
        options = {f"option.{name}": str(value) for name, value in parameters.items()}
        run_id = tracking.start_parent(store_id, {**tags, **options})
        try:
            yield MaterializationLog(tracking, store_id, run_id, tags, for_past)
        except BaseException:
            tracking.finish(run_id, "FAILED")
            raise
        tracking.finish(run_id)

    def log_churn(
        self, store_id: str, fit: ChurnFit, as_of: str, dagster_run_id: str, picture: bytes, *, for_past: bool = False
    ) -> LoadedModel:
        """Log, register and serve a churn model fitted on data up to ``as_of``; see ``churn_tracking.log_churn``."""
        tags = {"dagster_run_id": dagster_run_id}
        return churn_tracking.log_churn(self.tracking(), store_id, fit, as_of, tags, picture, for_past=for_past)

    def serving_churn(self, frames: FrameIOManager, store_id: str, as_of: str) -> LoadedModel | str:
        """Return the churn model that serves as of an instant, or why there is none."""
        return churn_tracking.serving_churn(frames, self.tracking(), store_id, as_of)

    def run_url(self, run_id: str) -> str:
        """Return the address of a run in MLflow's pages."""
        return self.tracking().run_url(run_id, os.environ.get(UI_VARIABLE, DEFAULT_UI))

    def champions(self, store_id: str, axes: Iterable[str]) -> dict[str, LoadedModel]:
        """Load the models that serve the axes now, from the registry by alias."""
        return self.tracking().load_champions(store_id, axes)

    def has_models(self, store_id: str) -> bool:
        """Whether any axis of the store has a model that serves."""
        return bool(self.tracking().champion_versions(store_id))

    def predecessors(self, store_id: str, instants: Mapping[str, str]) -> dict[str, LoadedModel]:
        """Load what new fits of axes are compared with; ``instants`` say where each one's data end, naive UTC."""
        return self.tracking().load_predecessors(store_id, instants)

    def versions(self, store_id: str, versions: Mapping[str, str]) -> dict[str, LoadedModel]:
        """Load these versions, by axis."""
        return self.tracking().registry.load_versions(store_id, versions)

    def store_reference(self, run_id: str) -> pd.DataFrame | None:
        """Return the store reference that a run's features were measured against, None if the axis has none."""
        return self.tracking().store_reference(run_id)

    def weak_axes(self, store_id: str, axes: Iterable[str], instant: pd.Timestamp) -> frozenset[str]:
        """Return the axes that the last fit on data up to an instant called weak."""
        return self.tracking().registry.weak_axes(store_id, axes, instant)

    def log_pictures(self, store_id: str, name: str, pictures: Mapping[str, bytes], tags: Mapping[str, str]) -> str:
        """Log pictures as a run of their own; return its page."""
        tracking = self.tracking()
        run_id = tracking.log_pictures(store_id, name, pictures, tags)
        return tracking.run_url(run_id, os.environ.get(UI_VARIABLE, DEFAULT_UI))

    def segments_named(self, store_id: str) -> dict[str, int]:
        """Return, by axis, the largest number of a segment id given so far."""
        return self.tracking().registry.segments_named(store_id)

    def serve_command(self, host: str, port: int) -> tuple[list[str], dict[str, str]]:
        """Return command and extra environment that serve MLflow's pages."""
        return self.tracking().serve_command(host, port)


def _import_all() -> None:
    for name in ("mlflow", "skops.io", "mlflow.sklearn"):
        import_module(name)


@lru_cache(maxsize=4)
def _tracking(url: str, artifact_root: str) -> Tracking:
    return Tracking(url, artifact_root)
