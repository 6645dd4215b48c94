"""MLflow's own pages: addresses in them, and the command that serves them.

Belongs here: text only, no call of MLflow. Does not: starting or watching the server.
"""

import json
import sys
from collections.abc import Sequence
from urllib.parse import quote, urlencode

QUIET_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Keeps MLflow from reporting its use and from looking about for projects."""


def run_address(ui_base: str, experiment_id: str, run_id: str) -> str:
    """Return the address of a run.

    Examples
    --------
    >>> run_address("http://127.0.0.1:5000/", "1", "abc")
    'http://127.0.0.1:5000/#/experiments/1/runs/abc'
    """
    return f"{ui_base.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"


def comparison_address(ui_base: str, experiment_id: str, run_ids: Sequence[str]) -> str:
    """Return the address of the page that draws silhouette and stability by k of several runs.

    The page of an experiment's runs folds child runs away, and with them their charts; this one shows them.
    """
    shown = {
        "runs": list(run_ids),
        "metric": "silhouette",
        "experiments": [experiment_id],
        "plot_metric_keys": ["silhouette", "stability_ari"],
        "plot_layout": {},
    }
    query = urlencode({name: json.dumps(value) for name, value in shown.items()}, quote_via=quote)
    return f"{ui_base.rstrip('/')}/#/metric?{query}&x_axis=step"


def server_command(tracking_uri: str, artifact_root: str, host: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command, and the environment to add to the process's, that serve MLflow's pages.

    The address of the backend, which may hold a password, goes by the environment: a command line is visible to
    every user of a machine.
    """
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    environment = {
        **QUIET_ENVIRONMENT,
        "MLFLOW_BACKEND_STORE_URI": tracking_uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifact_root,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return command, environment
