"""Distances, memberships and evidence of customers on one axis, and the table that carries them between stages.

Belongs here: applying a fitted model, and the table's columns. Does not: the formulas (``clustering``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.scoring import evident, memberships_from_distances


@dataclass(frozen=True)
class AxisScores:
    """How n customers stand to the k segments of one axis, these in the model's order.

    ``memberships``, shape (n, k): 0-1, rows sum to 1; ``distances``, shape (n, k): to each centre, in scaled units;
    ``low_evidence``, shape (n,): whether the customer has too few orders for this axis.
    """

    customers: pd.Index
    segment_ids: list[str]
    memberships: NDArray[np.float64]
    distances: NDArray[np.float64]
    low_evidence: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: "Sequence[AxisScores]") -> "AxisScores":
        """Put the scores of customers who follow one another together."""
        arrays = zip(*((part.memberships, part.distances, part.low_evidence) for part in parts), strict=True)
        customers = parts[0].customers.append([part.customers for part in parts[1:]])
        return cls(customers, parts[0].segment_ids, *map(np.concatenate, arrays))

    @property
    def dominant(self) -> NDArray[np.intp]:
        """Position of the nearest segment, shape (n,), the first of equals, as ``AxisModel.predict``."""
        return np.asarray(np.argmin(self.distances, axis=1))

    @property
    def dominant_ids(self) -> NDArray[np.object_]:
        """Id of the dominant segment of each customer, shape (n,)."""
        return np.array(self.segment_ids, dtype=object)[self.dominant]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Customers whose dominant segment each is, shape (k,)."""
        return np.bincount(self.dominant, minlength=len(self.segment_ids))

    def part(self, rows: slice) -> "AxisScores":
        """Return the scores of some of the customers."""
        of_some = self.memberships[rows], self.distances[rows], self.low_evidence[rows]
        return AxisScores(self.customers[rows], self.segment_ids, *of_some)


def score_axis(model: AxisModel, features: pd.DataFrame) -> AxisScores:
    """Score customers on one axis, from its feature frame, which has at least what the model uses."""
    # Column by column: selecting several of a frame takes 0.3 ms, which one customer on 13 axes would pay 13 times.
    columns = [features[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in model.features_]
    values = np.column_stack(columns)
    distances = model.distances(values)
    return AxisScores(
        customers=features.index,
        segment_ids=list(model.segment_ids_),
        memberships=memberships_from_distances(distances, model.temperature),
        distances=distances,
        low_evidence=~evident(features, values, model.min_orders),
    )


def score_features(features: Mapping[str, pd.DataFrame], models: Mapping[str, AxisModel]) -> dict[str, AxisScores]:
    """Score customers on every axis that has both a model and features, in the models' order."""
    return {axis: score_axis(model, features[axis]) for axis, model in models.items() if axis in features}


def scores_schema(k: int) -> pa.Schema:
    """Return the columns of the asset ``memberships/<axis>`` for k segments.

    ``membership`` (0-1, summing to 1) and ``distance``, each a list of k in the order of the table's segment ids.
    """
    numbers = pa.list_(pa.float64(), k)
    return pa.schema(
        [("customer_id", pa.string()), ("membership", numbers), ("distance", numbers), ("low_evidence", pa.bool_())]
    )


def scores_to_table(scores: AxisScores) -> pa.Table:
    """Write scores as rows of ``scores_schema``."""
    k = len(scores.segment_ids)
    return pa.table(
        [
            pa.array(scores.customers.astype(str), pa.string()),
            _lists(scores.memberships, k),
            _lists(scores.distances, k),
            pa.array(scores.low_evidence),
        ],
        schema=scores_schema(k),
    )


def _lists(values: NDArray[np.float64], k: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), k)


def scores_from_table(table: pa.Table, segment_ids: Sequence[str]) -> AxisScores:
    """Read scores back from rows of ``scores_schema``; a ValueError if they are of another number of segments."""
    k = len(segment_ids)
    return AxisScores(
        customers=pd.Index(table["customer_id"].to_pandas(), name="customer_id"),
        segment_ids=list(segment_ids),
        memberships=matrix(table["membership"], k),
        distances=matrix(table["distance"], k),
        low_evidence=table["low_evidence"].to_numpy(),
    )


def matrix(column: pa.ChunkedArray, k: int) -> NDArray[np.float64]:
    """Return a column of lists of k numbers as an array, shape (n, k).

    Of another length, its numbers would be dealt to the wrong customers: a ValueError.
    """
    if column.type.list_size != k:
        raise ValueError(f"a table of {column.type.list_size} segments, not {k}")
    return np.concatenate([np.empty(0), *(chunk.flatten().to_numpy() for chunk in column.chunks)]).reshape(-1, k)
