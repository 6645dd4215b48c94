"""Rows of ``customer_profiles`` from scores and features.

Belongs here: the columns of that table, each made by the module of its name. Does not: scoring (``scores``),
writing tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.naming.rows import to_json
from quimbi_assets.profiles.archetypes import archetype_ids
from quimbi_assets.profiles.context import ProfileContext
from quimbi_assets.profiles.feature_vectors import feature_vectors
from quimbi_assets.profiles.fingerprint import axis_order, fingerprints
from quimbi_assets.profiles.interpretation import STRENGTHS, Placements, figure, interpretations, strengths
from quimbi_assets.profiles.json_text import flat_objects, nested_objects, number_texts, quoted
from quimbi_assets.profiles.risk import ChurnRisks
from quimbi_assets.profiles.scores import AxisScores

MOST_ROWS = 5_000
"""Rows built at a time: far under Arrow's 2 GB of text for one array, and a batch can be written while the next is
built."""
RISK_AXIS = "loyalty_trajectory"
"""Its features in a profile hold the churn risk too, which no clustering ever reads."""


def assemble_scores(
    scores: Mapping[str, AxisScores],
    features: Mapping[str, pd.DataFrame],
    context: ProfileContext,
    churn: ChurnRisks | None = None,
) -> pd.DataFrame:
    """Build profiles from scores.

    Parameters
    ----------
    scores : mapping of axis to AxisScores
        One or more axes, of n customers in one order.
    features : mapping of axis to DataFrame of n rows
        Indexed by the same customers.
    context : ProfileContext
        What all rows share.
    churn : ChurnRisks, optional
        Of the same customers in the same order.

    Returns
    -------
    DataFrame of n rows
        The columns of ``customer_profiles``, Arrow-backed, JSON as text. ``lifetime_value`` is null where its
        axis was not measured; ``churn_risk_score`` and ``churn_drivers`` are null without ``churn``.

    Raises
    ------
    ValueError
        If there is no axis, or the frames are not of the same customers.
    """
    table = pa.concat_tables(profile_batches(scores, features, context, churn))
    return pd.DataFrame(table.to_pandas(types_mapper=pd.ArrowDtype))


def profile_batches(
    scores: Mapping[str, AxisScores],
    features: Mapping[str, pd.DataFrame],
    context: ProfileContext,
    churn: ChurnRisks | None = None,
) -> Iterator[pa.Table]:
    """Build profiles as ``assemble_scores`` does, yielding them some thousand rows at a time, in order.

    Raises
    ------
    ValueError
        If there is no axis, or the frames are not of the same customers.
    """
    axes = axis_order(scores)
    if not axes:
        raise ValueError("no active axis: there is nothing to profile")
    customers = scores[axes[0]].customers
    _check_customers(customers, axes, scores, features)
    ordered = {axis: scores[axis] for axis in axes}
    if churn is not None:
        features = _with_risk(features, churn)
    for rows, batch in _batches(ordered, features, len(customers)):
        part = None if churn is None else churn.part(rows)
        yield _table(*batch, context, part)


def _with_risk(features: Mapping[str, pd.DataFrame], churn: ChurnRisks) -> Mapping[str, pd.DataFrame]:
    """Store the risk where people look for it: with what tells whether a customer is warming or cooling."""
    if RISK_AXIS not in features:
        return features
    return {**features, RISK_AXIS: features[RISK_AXIS].assign(churn_risk_score=churn.risk)}


def _batches(
    scores: Mapping[str, AxisScores], features: Mapping[str, pd.DataFrame], n: int
) -> Iterator[tuple[slice, tuple[Mapping[str, AxisScores], Mapping[str, pd.DataFrame]]]]:
    """Cut scores and features into parts of at most ``MOST_ROWS`` customers; a single part is not copied."""
    if n <= MOST_ROWS:
        yield slice(0, n), (scores, features)
        return
    for start in range(0, n, MOST_ROWS):
        rows = slice(start, start + MOST_ROWS)
        own = {a: score.part(rows) for a, score in scores.items()}
        yield rows, (own, {a: f.iloc[rows] for a, f in features.items()})


def _check_customers(
    customers: pd.Index,
    axes: Sequence[str],
    scores: Mapping[str, AxisScores],
    features: Mapping[str, pd.DataFrame],
) -> None:
    """Refuse frames that are not about the same customers in the same order."""
    missing = [axis for axis in axes if axis not in features]
    if missing:
        raise ValueError(f"no features of axis {', '.join(missing)}")
    indexes = [(axis, scores[axis].customers) for axis in axes] + [(a, f.index) for a, f in features.items()]
    for axis, index in indexes:
        if not (index is customers or index.equals(customers)):
            raise ValueError(f"axis {axis}: its frame is not of the same customers in the same order")


def _table(
    scores: Mapping[str, AxisScores],
    features: Mapping[str, pd.DataFrame],
    context: ProfileContext,
    churn: ChurnRisks | None,
) -> pa.Table:
    """Build the rows of one batch of customers; axes in their final order."""
    axes, own = list(scores), list(scores.values())
    ids = [score.segment_ids for score in own]
    n = len(own[0].customers)
    standing = _standing(own)
    served = {} if churn is None or churn.version is None else {"churn_risk": churn.version}
    versions = to_json({axis: str(context.versions[axis]) for axis in axes} | served)
    risk = np.full(n, np.nan) if churn is None else churn.risk
    memberships = number_texts(np.hstack([score.memberships for score in own]))
    lifetime = figure(features, "lifetime_value", n)
    names = [context.names(axis, segment_ids) for axis, segment_ids in zip(axes, ids, strict=True)]
    return pa.table(
        {
            "store_id": _constant(context.store_id, n),
            "customer_id": pa.array(own[0].customers.astype(str), pa.string()),
            "archetype_id": pa.array(archetype_ids(scores, context.archetypes), pa.string()),
            "segment_memberships": nested_objects(dict(zip(axes, ids, strict=True)), memberships),
            "dominant_segments": flat_objects(axes, _words([quoted(s) for s in ids], standing.dominant)),
            "feature_vectors": feature_vectors(features, axes),
            "membership_strength": flat_objects(axes, _words([quoted(STRENGTHS)] * len(axes), standing.strength)),
            "evidence": flat_objects(axes, _words([quoted(["ok", "low"])] * len(axes), standing.low_evidence)),
            "fingerprint": fingerprints([score.distances for score in own]),
            "lifetime_value": pa.array(lifetime, mask=np.isnan(lifetime)),
            "churn_risk_score": pa.array(risk, mask=np.isnan(risk)),
            "churn_drivers": pa.nulls(n, pa.string()) if churn is None else churn.drivers,
            "interpretation": _interpretation(
                interpretations(standing, names, features, context.currency, [axis in context.weak for axis in axes]),
                churn,
            ),
            "model_versions": _constant(versions, n),
            "as_of": pa.repeat(pa.scalar(_utc(context.as_of), pa.timestamp("us", "UTC")), n),
        }
    )


def _interpretation(said: pa.StringArray, churn: ChurnRisks | None) -> pa.StringArray:
    """Add the sentence about churn risk where there is one."""
    return said if churn is None else pc.binary_join_element_wise(said, churn.sentence, " ", null_handling="skip")


def _standing(scores: Sequence[AxisScores]) -> Placements:
    """Collect where the customers stand, one column an axis."""
    return Placements(
        dominant=np.column_stack([score.dominant for score in scores]),
        top=np.column_stack([score.memberships.max(axis=1) for score in scores]),
        strength=np.column_stack([strengths(score.memberships) for score in scores]),
        low_evidence=np.column_stack([score.low_evidence for score in scores]),
    )


def _words(vocabularies: Sequence[pa.StringArray], codes: np.ndarray) -> pa.StringArray:
    """Look up codes, shape (n, m), each column in its own vocabulary; row by row."""
    starts = np.cumsum([0, *map(len, vocabularies)])[:-1]
    return pc.take(pa.concat_arrays(vocabularies), pa.array((codes + starts).ravel()))


def _constant(text: str, n: int) -> pa.StringArray:
    return pa.repeat(pa.scalar(text, pa.string()), n)


def _utc(instant: datetime) -> pd.Timestamp:
    stamp = pd.Timestamp(instant)
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
