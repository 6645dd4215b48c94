"""Addresses of what MLflow shows that stay good while MLflow moves: each sends on to where its pages are now.

Belongs here: these routes. Does not: what is recorded (``resources.mlflow``), serving MLflow (``commands.services``).

Dagster keeps the links of a materialization for ever, MLflow's port is chosen anew at every start. Nothing is read but
which experiment a run is of.
"""

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
_VIEW = """
    SELECT experiment_id, EXISTS (SELECT FROM experiment_tags AS tag WHERE tag.experiment_id = run.experiment_id
        AND tag.key = 'mlflow.sharedViewState.' || tag_of_run.value)
    FROM experiments JOIN runs AS run USING (experiment_id)
    JOIN tags AS tag_of_run ON tag_of_run.run_uuid = run.run_uuid AND tag_of_run.key = 'axis'
    WHERE experiments.name = %s AND tag_of_run.value = %s LIMIT 1
"""
"""The experiment of a store's fits of an axis, and whether it says how they are to be shown."""


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
        rows = database.execute_mlflow(_VIEW, (f"quimbi/{store}", axis_name))
        if not rows:
            raise BadInputError(f"MLflow has no fit of {axis_name} of store {store}")
        ((experiment, has_view),) = rows
        shown = {"viewStateShareKey": axis_name} if has_view else {"searchFilter": f"tags.axis = '{axis_name}'"}
        return _to(f"/#/experiments/{experiment}/runs?" + urlencode({"compareRunsMode": "CHART", **shown}))

    return router


def _to(place: str) -> RedirectResponse:
    return RedirectResponse(os.environ.get(UI_VARIABLE, DEFAULT_UI).rstrip("/") + place, 307, SEEN_FROM_DAGSTER)


def _experiment_of(database: Database, run_id: str) -> str:
    rows = database.execute_mlflow("SELECT experiment_id FROM runs WHERE run_uuid = %s", (run_id,))
    if not rows:
        raise BadInputError(f"MLflow has no run {run_id}: it was deleted, or is of another home")
    return str(rows[0][0])
