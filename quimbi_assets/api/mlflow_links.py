"""Addresses of what MLflow shows that stay good while MLflow moves: each sends on to where its pages are now.

Belongs here: these routes. Does not: what is recorded (``resources.mlflow``), serving MLflow (``commands.services``).

Dagster keeps the links of a materialization for ever, MLflow's port is chosen anew at every start. Nothing is read but
which experiment a run is of.
"""

import json
import os
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import Database

UI_VARIABLE, DEFAULT_UI = "QUIMBI_MLFLOW_UI", "http://127.0.0.1:5000"
"""Where MLflow's pages are; by default where ``quimbi ui`` serves them."""
SEEN_FROM_DAGSTER = {"Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "no-store"}
"""Dagster's pages, on another port, show the pictures."""
MOST_FITS = 12
"""Of an axis, the newest beside each other: a year of monthly refits."""
_FITS = """
    SELECT run.run_uuid, run.experiment_id FROM experiments JOIN runs AS run USING (experiment_id)
    JOIN tags AS tag ON tag.run_uuid = run.run_uuid AND tag.key = 'axis'
    WHERE experiments.name = %s AND tag.value = %s AND run.status = 'FINISHED' AND run.lifecycle_stage = 'active'
    ORDER BY run.start_time DESC LIMIT %s
"""


def mlflow_links(database: Database) -> APIRouter:
    """Return the routes; BadInputError where MLflow has no such run or store."""
    router = APIRouter(prefix="/mlflow", include_in_schema=False)

    @router.get("/runs/{run_id}")
    def run(run_id: str) -> RedirectResponse:
        return _to(f"/#/experiments/{_experiment_of(database, run_id)}/runs/{run_id}")

    @router.get("/runs/{run_id}/{picture}")
    def picture(run_id: str, picture: str) -> RedirectResponse:
        _experiment_of(database, run_id)
        return _to("/get-artifact?" + urlencode({"path": picture, "run_uuid": run_id}))

    @router.get("/axes/{axis_name}")
    def fits_over_time(axis_name: str, store: str) -> RedirectResponse:
        rows = database.execute_mlflow(_FITS, (f"quimbi/{store}", axis_name, MOST_FITS))
        if not rows:
            raise BadInputError(f"MLflow has no fit of {axis_name} of store {store}")
        runs = json.dumps([run_id for run_id, _ in rows])
        return _to("/#/compare-runs?" + urlencode({"runs": runs, "experiments": json.dumps([str(rows[0][1])])}))

    return router


def _to(place: str) -> RedirectResponse:
    return RedirectResponse(os.environ.get(UI_VARIABLE, DEFAULT_UI).rstrip("/") + place, 307, SEEN_FROM_DAGSTER)


def _experiment_of(database: Database, run_id: str) -> str:
    rows = database.execute_mlflow("SELECT experiment_id FROM runs WHERE run_uuid = %s", (run_id,))
    if not rows:
        raise BadInputError(f"MLflow has no run {run_id}: it was deleted, or is of another home")
    return str(rows[0][0])
