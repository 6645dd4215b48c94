"""Runs in MLflow: an experiment per store, a run per materialization with a child run per axis, and MLflow's own pages.

Belongs here: runs, what any of them takes, the addresses and the server of the pages. Does not: what is recorded of a
model or a backtest (``records``), registered models (``registry``).

Everything goes through ``MlflowClient`` with an explicit address: nothing global is set, and two stores, or two
threads, do not meet. MLflow is imported on first use.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pandas as pd

from quimbi_assets.resources.home import pages_address
from quimbi_assets.resources.mlflow.registry import ModelRegistry
from quimbi_assets.texts import FORMULA

STORE_REFERENCE = "store_reference.csv"
_TEXT = FORMULA.replace(r"\A", r"\A'*", 1)
"""A text that is written behind one more apostrophe than it has, and (``_CELL``) what so comes back."""
_CELL = FORMULA.replace(r"\A", r"\A'+", 1)
"""Artifact of a run: what its axis's features were measured against."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Opens MLflow's pages on training runs; without it they ask, or show pages for language models."""
NOTE = "mlflow.note.content"
"""Tag that MLflow shows as the description of an experiment or run."""
"""Where links in Dagster's pages lead: stores' pages send on to wherever MLflow's are at the time of the click."""
QUIET_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Keeps MLflow from reporting its use and from looking about for projects."""


_EXPERIMENT = """Store **{store}**: a run for each time its axes were fitted, with one run an axis below it; further
runs of what is foretold, of backtests, of names asked for, and of weeks. Filter by `tags.axis = 'purchase_value'` for
all fits of an axis, by `tags.status = 'weak'` for axes that do not tell customers apart."""


class Run:
    """A run that is under way, or was; what it is given is in the tracker at once."""

    def __init__(self, client: Any, run_id: str, experiment_id: str) -> None:
        self.client, self.run_id, self.experiment_id = client, run_id, experiment_id

    def log(
        self,
        metrics: Mapping[str, float] | Iterable[tuple[str, float, int]] = (),
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> None:
        """Add metrics (finite, by name or with steps), parameters and tags, in one request."""
        from mlflow.entities import Metric, Param, RunTag

        steps = [(n, v, 0) for n, v in metrics.items()] if isinstance(metrics, Mapping) else metrics
        now = int(time.time() * 1000)
        self.client.log_batch(
            self.run_id,
            metrics=[Metric(name, float(value), now, step) for name, value, step in steps],
            params=[Param(name, str(value)) for name, value in (params or {}).items()],
            tags=[RunTag(name, str(value)) for name, value in (tags or {}).items()],
        )

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Add files, by name."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.write_text(content) if isinstance(content, str) else path.write_bytes(content)
            self.client.log_artifacts(self.run_id, folder)


class Tracking:
    """Runs and registered models of all stores, in MLflow's backend (``postgresql+psycopg2://...``, or ``http(s)://``).

    ``artifact_root``, a directory or a URI, is where artifacts of new experiments go.
    """

    def __init__(self, tracking_uri: str, artifact_root: str | Path) -> None:
        self.tracking_uri = tracking_uri
        root = str(artifact_root)
        self.artifact_root = root if "://" in root else Path(root).absolute().as_uri()
        self._references: dict[str, pd.DataFrame | None] = {}

    @cached_property
    def client(self) -> Any:
        """``MlflowClient`` on the backend; the first use creates MLflow's tables if there are none."""
        for name, value in QUIET_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        for name in ("alembic", "mlflow.store.db.utils", "mlflow.utils.environment"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    @cached_property
    def registry(self) -> ModelRegistry:
        """Registered models on the same backend."""
        return ModelRegistry(self.client)

    @contextmanager
    def run(
        self, store_id: str, name: str, tags: Mapping[str, object] | None = None, parent: Run | None = None
    ) -> Iterator[Run]:
        """Open a run of a store, shown below its parent; it ends as finished with the block, or as failed.

        Tags come beside those that every run has; such as ``dagster_run_id`` and ``as_of``.
        """
        every = {"store": store_id, "mlflow.source.name": "quimbi", "mlflow.source.git.commit": code_version()}
        below = {} if parent is None else {"mlflow.parentRunId": parent.run_id}
        experiment_id = self.experiment(store_id) if parent is None else parent.experiment_id
        more = {key: str(value) for key, value in (tags or {}).items()}
        made = self.client.create_run(experiment_id, tags={**every, **more, **below}, run_name=name)
        run = Run(self.client, str(made.info.run_id), experiment_id)
        try:
            yield run
        except BaseException:
            self.client.set_terminated(run.run_id, "FAILED")
            raise
        self.client.set_terminated(run.run_id, "FINISHED")

    def end_left(self, store_id: str) -> int:
        """Mark as killed the store's runs that are under way, and as failed models half saved; return how many.

        For a store nobody runs now: their processes are gone.
        """
        experiment = self.client.get_experiment_by_name(_experiment_name(store_id))
        if experiment is None:
            return 0
        runs = self.client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'", max_results=1000)
        newest = self.client.search_logged_models([experiment.experiment_id]) if runs else []
        half_saved = [model for model in newest if str(model.status) == "PENDING"]
        for model in half_saved:  # first: they are looked for where a run is under way
            self.client.finalize_logged_model(model.model_id, "FAILED")
        for run in runs:
            self.client.set_terminated(run.info.run_id, "KILLED")
        return len(runs) + len(half_saved)

    def experiment(self, store_id: str) -> str:
        """Return the id of the store's experiment ``quimbi/<store_id>``, created or restored if need be."""
        from mlflow.exceptions import MlflowException

        name, place = _experiment_name(store_id), f"{self.artifact_root}/{quote(store_id, safe='')}"
        known = self.client.get_experiment_by_name(name)
        about = {"store": store_id, NOTE: _EXPERIMENT.format(store=store_id)}
        if known is None:
            try:
                return str(self.client.create_experiment(name, place, tags=EXPERIMENT_TAGS | about))
            except MlflowException:  # another process was faster
                known = self.client.get_experiment_by_name(name)
                if known is None:
                    raise
        if known.lifecycle_stage == "deleted":
            self.client.restore_experiment(known.experiment_id)
        for tag, text in about.items():
            if known.tags.get(tag) != text:  # of before experiments were described
                self.client.set_experiment_tag(known.experiment_id, tag, text)
        return str(known.experiment_id)

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
            return reference_of_csv(path)

    def serve_command(self, host: str = "127.0.0.1", port: int = 5000) -> tuple[list[str], dict[str, str]]:
        """Return the command, and the environment to add to the process's, that serve MLflow's pages.

        The address of the backend, which may hold a password, goes by the environment: a command line is visible to
        every user of a machine.
        """
        command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
        environment = {
            **QUIET_ENVIRONMENT,
            "MLFLOW_BACKEND_STORE_URI": self.tracking_uri,
            "MLFLOW_DEFAULT_ARTIFACT_ROOT": self.artifact_root,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        return command, environment


def _experiment_name(store_id: str) -> str:
    return f"quimbi/{store_id}"


def spreadsheet_csv(reference: pd.DataFrame) -> str:
    """Return a store reference as CSV that a spreadsheet does not compute; products and categories are named by it."""
    key = reference["key"].str.replace(_TEXT, lambda text: f"'{text[0]}", regex=True)
    return reference.assign(key=key).to_csv(index=False)


def reference_of_csv(path: str | Path) -> pd.DataFrame:
    """Read what :func:`spreadsheet_csv` wrote, or a release before it."""
    kinds = {"kind": "str", "key": "str", "value": "float64"}
    frame = pd.read_csv(
        path, dtype=kinds, keep_default_na=False, na_values={"value": [""]}, float_precision="round_trip"
    )
    return frame.assign(key=frame["key"].str.replace(_CELL, lambda cell: cell[0][1:], regex=True))


def run_url(run_id: str, picture: str | None = None) -> str:
    """Return the address that leads to a run in MLflow's pages, or to a picture of it."""
    return f"{pages_address()}/mlflow/runs/{run_id}" + (f"/{quote(picture)}" if picture else "")


def axis_url(store_id: str, axis_name: str) -> str:
    """Return the address that leads to a comparison of all fits of an axis of a store in MLflow's pages."""
    return f"{pages_address()}/mlflow/axes/{axis_name}?{urlencode({'store': store_id})}"


@cache
def code_version() -> str:
    """Return the commit of the running code, or the package's version where there is no repository.

    ``QUIMBI_GIT_COMMIT`` decides where it is set, as in an image built without ``.git``.
    """
    commit = os.environ.get("QUIMBI_GIT_COMMIT")
    if commit:
        return commit
    git = ["git", "-C", str(Path(__file__).parent)]
    # Installed in an environment that lies in somebody's repository, the package is not of that one.
    commands = ([*git, "ls-files", "--error-unmatch", Path(__file__).name], [*git, "rev-parse", "HEAD"])
    try:
        answers = [
            subprocess.run(one, capture_output=True, text=True, check=True, timeout=5).stdout for one in commands
        ]
        return answers[1].strip()
    except (OSError, subprocess.SubprocessError):
        return metadata.version("quimbi_assets")
