"""What the fits of a store's churn risk found, one row a run.

Belongs here: the table ``churn_fits``. Does not: fitting (``churn``), which version serves (``promotions``), which one
is published (``publications``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quimbi_assets.axis_table import INACTIVE
from quimbi_assets.instants import Instant, zoned
from quimbi_assets.resources.postgres.copy import upsert
from quimbi_assets.resources.postgres.database import Database


@dataclass(frozen=True)
class ChurnFitRecord:
    """A fit: ``active``, ``weak`` or, without a model, ``inactive``, the latter two for a reason."""

    status: str = INACTIVE
    reason: str | None = None
    model_version: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Which model serves and what its test found; empty without one."""


def write_churn_fit(database: Database, store_id: str, run_id: str, at: Instant, fit: ChurnFitRecord) -> None:
    """Note what a run's fit as of an instant found; a run that tries again replaces it."""
    row = {"store_id": store_id, "run_id": run_id, "as_of": zoned(at), **vars(fit)}
    with database.transaction() as cursor:
        rows = [row | {"figures": json.dumps(dict(fit.figures))}]
        upsert(cursor, "churn_fits", ("store_id", "run_id"), rows, stamp="fitted_at")


def read_churn_fit(
    database: Database, store_id: str, *, at: Instant | None = None, version: str | None = None
) -> ChurnFitRecord | None:
    """Return the last fit, or the last one as of an instant, or the one that gave a version; None if there is none."""
    rows = database.execute(
        "SELECT status, reason, model_version, figures FROM quimbi.churn_fits WHERE store_id = %(store)s "
        "AND as_of = coalesce(%(at)s, as_of) AND (%(version)s::text IS NULL OR model_version = %(version)s) "
        "ORDER BY fitted_at DESC LIMIT 1",
        {"store": store_id, "at": None if at is None else zoned(at), "version": version},
    )
    return next((ChurnFitRecord(*row) for row in rows), None)
