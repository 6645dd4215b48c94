"""Rows of ``customer_profiles`` from scores and features, of everybody or, with models in memory, of one customer.

Belongs here: the columns of that table, each made by the module of its name, their schema, and what all profiles of a
run have in common. Does not: scoring (``scores``), writing tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.marketing.groups import COLUMNS, GROUPINGS, CustomerGroups
from quimbi_assets.naming.name_builder import is_usual
from quimbi_assets.naming.rows import to_json
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.expected import NUMBERS, Predictions, nothing_foretold
from quimbi_assets.profiles.fingerprint import axis_order, fingerprints
from quimbi_assets.profiles.interpretation import STRENGTHS, Placements, Traits, figure, interpretations, strengths
from quimbi_assets.profiles.json_text import (
    feature_objects,
    flat_objects,
    nested_objects,
    number_objects,
    number_texts,
    quoted,
)
from quimbi_assets.profiles.risk import ChurnRisks
from quimbi_assets.profiles.scores import AxisScores, score_features
from quimbi_assets.profiles.stays import StayModel
from quimbi_assets.profiles.stays import words as stay_words

if TYPE_CHECKING:
    import pandera.pandas as pandera

MOST_ROWS = 5_000
"""Rows built at a time: far under Arrow's 2 GB of text for one array, and a batch can be written while the next is
built."""
TOLD_BY_GROUPS = ("purchase_frequency", "purchase_value", "customer_maturity", "loyalty_trajectory")
"""Axes whose question a sentence has answered by lifecycle, value and change."""
RISK_AXIS = "loyalty_trajectory"
"""Its features in a profile hold the churn risk too, which no clustering ever reads."""
ALWAYS = (
    "store_id", "segment_memberships", "dominant_segments", "feature_vectors", "membership_strength", "stays",
    "stays_strength", "evidence", "fingerprint", "interpretation", "model_versions", "as_of",
)  # fmt: skip
"""Columns that are never null, whatever is in them."""


@dataclass(frozen=True)
class ProfileContext:
    """What all profiles of one run have in common.

    ``as_of``, at which the features were measured, is UTC where it is naive; ``segments`` hold ``segment_id``,
    ``segment_name`` and perhaps ``population_percentage``; ``versions`` are those of the models; ``currency`` is a code
    or sign. By the store's kept ``archetypes`` (``archetype_rows.kept_archetypes`` reads them from the table) a
    customer alone is of the one they are of in the crowd. No sentence says where anybody belongs on ``weak`` axes, on
    which customers do not differ. ``stays`` says by axis who stays in a segment, of those of which that is known.
    """

    store_id: str
    as_of: datetime
    segments: Mapping[str, pd.DataFrame]
    versions: Mapping[str, str]
    archetypes: ArchetypeSet
    currency: str = ""
    weak: frozenset[str] = frozenset()
    stays: Mapping[str, StayModel] = field(default_factory=dict)

    @cached_property
    def segment_names(self) -> dict[str, dict[str, str]]:
        """Names by axis and id."""
        segments = self.segments.items()
        return {axis: dict(zip(rows["segment_id"], rows["segment_name"], strict=True)) for axis, rows in segments}

    def names(self, axis: str, segment_ids: Sequence[str]) -> list[str]:
        """Return the names of an axis's segments; a ValueError if one has none."""
        known = self.segment_names.get(axis, {})
        nameless = [segment for segment in segment_ids if segment not in known]
        if nameless:
            raise ValueError(f"axis {axis}: no name for segment {', '.join(nameless)}")
        return [known[segment] for segment in segment_ids]

    def shares(self, axis: str, segment_ids: Sequence[str]) -> NDArray[np.float64]:
        """Return the shares of customers, 0-1, of an axis's segments, shape (k,); NaN where not known."""
        rows = self.segments[axis].set_index("segment_id")
        if "population_percentage" not in rows:
            return np.full(len(segment_ids), np.nan)
        return rows["population_percentage"].reindex(list(segment_ids)).to_numpy(dtype=np.float64) / 100.0


def profile_batches(
    scores: Mapping[str, AxisScores],
    features: Mapping[str, pd.DataFrame],
    context: ProfileContext,
    churn: ChurnRisks | None = None,
    value: Predictions | None = None,
    groups: CustomerGroups | None = None,
) -> Iterator[pa.Table]:
    """Build the rows of ``customer_profiles``, JSON as text, some thousand at a time.

    Scores, features, risks, predictions and groups are of the same customers in one order. ``lifetime_value`` is null
    where its axis was not measured; ``churn_risk_score`` and ``churn_drivers`` are null without ``churn``, and so with
    ``value`` and ``groups``.

    A ValueError if there is no axis, or the frames are not of the same customers.
    """
    axes = axis_order(scores)
    if not axes:
        raise ValueError("no active axis: there is nothing to profile")
    customers = scores[axes[0]].customers
    for index in (*(scores[axis].customers for axis in axes), *(frame.index for frame in features.values())):
        if not index.equals(customers):
            raise ValueError("scores and features are not of the same customers in the same order")
    if churn is not None and RISK_AXIS in features:
        # Where people look for it: with what tells whether a customer is warming or cooling.
        features = {**features, RISK_AXIS: features[RISK_AXIS].assign(churn_risk_score=churn.risk)}
    n = len(customers)
    for start in range(0, max(n, 1), MOST_ROWS):
        rows = slice(start, start + MOST_ROWS)
        yield _table(
            {axis: scores[axis].part(rows) for axis in axes},
            features if n <= MOST_ROWS else {axis: frame.iloc[rows] for axis, frame in features.items()},
            context,
            None if churn is None else churn.part(rows),
            nothing_foretold(len(customers[rows])) if value is None else value.part(rows),
            None if groups is None else groups.part(rows),
        )


def _table(
    scores: Mapping[str, AxisScores],
    features: Mapping[str, pd.DataFrame],
    context: ProfileContext,
    churn: ChurnRisks | None,
    value: Predictions,
    groups: CustomerGroups | None,
) -> pa.Table:
    axes, customers = list(scores), next(iter(scores.values())).customers
    n = len(customers)
    stays = [context.stays.get(axis, StayModel()) for axis in axes]
    placements = _placements(list(scores.values()), stays)
    forecasts = {"churn_risk": churn and churn.version, "value_to_come": value.version}
    versions = {axis: str(context.versions[axis]) for axis in axes} | {n: v for n, v in forecasts.items() if v}
    archetype = context.archetypes.assign(scores)
    traits = _traits(scores, context, archetype)
    placed, usual = (_ungrouped(n), None) if groups is None else (groups.columns, groups.usual_days)
    risk, scored = (None, None) if churn is None else (churn.sentence, churn.risk)
    sentences = interpretations(placements, traits, placed, features, context.currency, risk, scored, usual)
    return pa.table(
        {
            "store_id": pa.repeat(pa.scalar(context.store_id, pa.string()), n),
            "customer_id": pa.array(customers.astype(str), pa.string()),
            "archetype_id": pa.array(context.archetypes.ids(), pa.string()).take(pa.array(archetype)),
            **_by_axis(scores, placements, features),
            "lifetime_value": pa.array(figure(features, "lifetime_value", n), from_pandas=True),
            "churn_risk_score": pa.array(np.full(n, np.nan) if churn is None else churn.risk, from_pandas=True),
            "churn_drivers": pa.nulls(n, pa.string()) if churn is None else churn.drivers,
            **_columns(value.columns),
            **_columns(placed),
            "interpretation": sentences,
            "model_versions": pa.repeat(pa.scalar(to_json(versions), pa.string()), n),
            "as_of": pa.repeat(pa.scalar(_utc(context.as_of), pa.timestamp("us", "UTC")), n),
        }
    )


def _traits(scores: Mapping[str, AxisScores], context: ProfileContext, archetype: NDArray[np.intp]) -> Traits:
    """Return what may be told: not weak axes, what lifecycle and value tell already, nor against the archetype."""
    may_tell = np.column_stack([np.full(len(archetype), _is_trait(axis, context)) for axis in scores])
    for j, (axis, score) in enumerate(scores.items()):
        if axis in context.archetypes.axes:
            place = context.archetypes.axes.index(axis)
            of_archetype = np.array([row[place] for row in context.archetypes.segments], dtype=object)[archetype]
            may_tell[:, j] &= np.array(score.segment_ids, dtype=object)[score.dominant] == of_archetype
    names = [context.names(axis, score.segment_ids) for axis, score in scores.items()]
    shares = [context.shares(axis, score.segment_ids) for axis, score in scores.items()]
    striking = [
        np.where([is_usual(axis, name) for name in of_axis], np.nan, share)
        for axis, of_axis, share in zip(scores, names, shares, strict=True)
    ]
    return Traits(names, striking, may_tell)


def _is_trait(axis: str, context: ProfileContext) -> bool:
    return axis not in context.weak and axis not in TOLD_BY_GROUPS


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _ungrouped(n: int) -> pa.Table:
    return pa.table([pa.nulls(n, column.type) for column in COLUMNS], schema=COLUMNS)


def _by_axis(
    scores: Mapping[str, AxisScores], placements: Placements, features: Mapping[str, pd.DataFrame]
) -> dict[str, pa.Array]:
    """Return the columns that say something of every axis."""
    axes, each = list(scores), list(scores.values())
    ids = {axis: score.segment_ids for axis, score in scores.items()}

    def in_words(words: Sequence[str], codes: NDArray[Any]) -> pa.StringArray:
        return flat_objects(axes, [quoted(words)] * len(axes), codes)

    return {
        "segment_memberships": nested_objects(ids, number_texts(np.hstack([score.memberships for score in each]))),
        "dominant_segments": flat_objects(axes, [quoted(of_axis) for of_axis in ids.values()], placements.dominant),
        "feature_vectors": feature_objects({axis: features[axis] for axis in axes}),
        "membership_strength": in_words(STRENGTHS, np.column_stack([strengths(score.memberships) for score in each])),
        "stays": number_objects(axes, placements.stays),
        "stays_strength": in_words(STRENGTHS, placements.strength),
        "evidence": in_words(("ok", "low"), placements.low_evidence),
        "fingerprint": fingerprints([score.distances for score in each]),
    }


def _placements(scores: Sequence[AxisScores], stays: Sequence[StayModel]) -> Placements:
    dominant = [score.dominant for score in scores]
    each = zip(stays, scores, dominant, strict=True)
    chances = np.column_stack([model.chances(score.memberships, nearest) for model, score, nearest in each])
    return Placements(
        dominant=np.column_stack(dominant),
        stays=chances,
        strength=stay_words(chances),
        low_evidence=np.column_stack([score.low_evidence for score in scores]),
    )


def _utc(instant: datetime) -> pd.Timestamp:
    stamp = pd.Timestamp(instant)
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


def profile_schema() -> "pandera.DataFrameSchema":
    """Return what a batch of rows of ``customer_profiles`` must fulfil."""
    import pandera.pandas as pandera  # half a second, which an explanation does not need

    return pandera.DataFrameSchema(
        {
            **{name: pandera.Column() for name in ALWAYS},
            "customer_id": pandera.Column(unique=True),
            "archetype_id": pandera.Column(checks=pandera.Check.str_matches(r"^a[0-9a-f]{12}$")),
            "lifetime_value": pandera.Column(checks=pandera.Check.ge(0), nullable=True),
            "churn_risk_score": pandera.Column(checks=pandera.Check.in_range(0, 1), nullable=True),
            "churn_drivers": pandera.Column(nullable=True),
            **{name: pandera.Column(checks=pandera.Check.ge(0), nullable=True) for name in NUMBERS},
            "expected_next_order_at": pandera.Column(nullable=True),
            "prediction_reason": pandera.Column(nullable=True),
            **{name: pandera.Column(checks=pandera.Check.isin(groups)) for name, groups in GROUPINGS.items()},
            "n_orders": pandera.Column(checks=pandera.Check.ge(1)),
            "days_since_last_order": pandera.Column(checks=pandera.Check.ge(0)),
            "usual_days": pandera.Column(checks=pandera.Check.ge(0), nullable=True),
            **{name: pandera.Column() for name in ("first_order_at", "last_order_at")},
            "affinities": pandera.Column(nullable=True),
        },
        strict=True,
        name="profiles/customer_profiles",
    )


def profile_customers(
    features: Mapping[str, pd.DataFrame],
    models: Mapping[str, AxisModel],
    context: ProfileContext,
    churn: ChurnRisks | None = None,
    value: Predictions | None = None,
    groups: CustomerGroups | None = None,
) -> pd.DataFrame:
    """Return the rows of ``customer_profiles`` of some customers, Arrow-backed, with the models in memory.

    Features of a few customers are measured with the store's own ``recorded`` columns, so that the axes are those of
    the store: those that have both a model and features.
    """
    scores = score_features(features, models)
    table = pa.concat_tables(profile_batches(scores, features, context, churn, value, groups))
    return pd.DataFrame(table.to_pandas(types_mapper=pd.ArrowDtype))
