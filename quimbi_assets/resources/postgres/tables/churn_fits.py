"""What fits of a store's churn risk found, by the instant they were made as of.

Belongs here: the table ``churn_fits``. Does not: fitting (``churn``), which version serves (``promotions``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quimbi_assets.axis_table import INACTIVE
from quimbi_assets.instants import Instant, to_instant, zoned
from quimbi_assets.resources.postgres.copy import upsert
from quimbi_assets.resources.postgres.database import Database


@dataclass(frozen=True)
class ChurnFitRecord:
    """A fit as of an instant: ``active``, ``weak`` or, without a model, ``inactive``, the latter two for a reason."""

    at: Instant
    run_id: str
    status: str = INACTIVE
    reason: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Which model serves and what its test found; empty without one."""


def write_churn_fit(database: Database, store_id: str, fit: ChurnFitRecord) -> None:
    """Note what a fit found, in place of an earlier one as of the same instant."""
    row = {"store_id": store_id, "as_of": zoned(fit.at), "status": fit.status, "reason": fit.reason}
    more = {"figures": json.dumps(dict(fit.figures)), "run_id": fit.run_id}
    with database.transaction() as cursor:
        upsert(cursor, "churn_fits", ("store_id", "as_of"), [row | more], stamp="fitted_at")


def read_churn_fit(database: Database, store_id: str, until: Instant | None = None) -> ChurnFitRecord | None:
    """Return the last fit as of an instant or before it, or the last of all; None if there is none."""
    rows = database.execute(
        "SELECT as_of, run_id, status, reason, figures FROM quimbi.churn_fits "
        "WHERE store_id = %s AND as_of <= coalesce(%s, 'infinity'::timestamptz) ORDER BY as_of DESC LIMIT 1",
        (store_id, None if until is None else zoned(until)),
    )
    return next((ChurnFitRecord(to_instant(at), *rest) for at, *rest in rows), None)
