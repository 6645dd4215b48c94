"""MLflow tracking as a Dagster resource.

Belongs here: the resource. Does not: any MLflow call (``runs``, ``registry``).
"""

from functools import lru_cache
from importlib import import_module
from threading import Thread

from dagster import ConfigurableResource

from quimbi_assets.resources.home import artifacts_dir
from quimbi_assets.resources.mlflow.runs import Tracking
from quimbi_assets.resources.postgres.database import open_database


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


def _import_all() -> None:
    for name in ("mlflow", "skops.io", "mlflow.sklearn"):
        import_module(name)


@lru_cache(maxsize=4)
def _tracking(url: str, artifact_root: str) -> Tracking:
    return Tracking(url, artifact_root)
