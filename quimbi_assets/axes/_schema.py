"""A pandera schema for every axis's feature table, made from its declaration.

Belongs here: types and ranges. Does not: the checks' place in Dagster (``defs.checks``).
"""

import numpy as np
import pandera.pandas as pandera

from quimbi_assets.axes._axis import Axis, Feature


def feature_schema(axis: Axis) -> pandera.DataFrameSchema:
    """Build the schema of an axis's feature table.

    Parameters
    ----------
    axis : Axis
        The declaration.

    Returns
    -------
    DataFrameSchema
        Every declared column, finite and within its range or NULL; ``n_orders`` >= 1; unique customers. Validating
        raises ``pandera.errors.SchemaErrors`` when called with ``lazy=True``.
    """
    columns = {feature.name: _column(feature) for feature in axis.features}
    columns["n_orders"] = pandera.Column("int64", pandera.Check.ge(1))
    return pandera.DataFrameSchema(
        columns,
        index=pandera.Index(name="customer_id", unique=True, nullable=False),
        strict=True,
        name=f"features/{axis.name}",
    )


def _column(feature: Feature) -> pandera.Column:
    if feature.kind != "number":
        return pandera.Column(nullable=True)
    checks = [pandera.Check(np.isfinite, name="finite")]
    if feature.low is not None:
        checks.append(pandera.Check.ge(feature.low))
    if feature.high is not None:
        checks.append(pandera.Check.le(feature.high))
    return pandera.Column("float64", checks, nullable=True)
