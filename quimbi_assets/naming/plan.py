"""Who names which segment: a person before a model, a model before rules; and which names outlive a refit.

Belongs here: putting names from all sources together, and whether a name still fits. Does not: making any
(``rule_names``, ``conversation``), where they are kept (``resources``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes._axis import Axis
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.naming.brief import AxisBrief
from quimbi_assets.naming.conversation import Named
from quimbi_assets.naming.name_builder import is_from_rules
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets.naming.segment_statistics import describe_segments
from quimbi_assets.naming.validators import check_named, wrong_words

MODEL, RULES, PERSON = "claude", "rules", "person"

MOVED = 1.0
"""Standard deviations by which the mean of one feature may move, since the segment was named, before it is named anew.
Assumption: it takes half a standard deviation to say an adjective (``rule_names.SECOND_Z``); twice that, and what was
said may not be true any more."""


@dataclass(frozen=True)
class CurrentNames:
    """Names that an axis's segments have, by segment id, and where the segments were when they got them.

    ``centre``: means in original units then, by feature, NaN or None where undefined. ``source``: ``claude``,
    ``person`` or, also where it is missing, ``rules``. ``text``: the last interpretation where a model wrote it.
    """

    name: Mapping[str, str]
    centre: Mapping[str, Mapping[str, float]]
    source: Mapping[str, str] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)

    def still_fitting(self, model: AxisModel, description: pd.DataFrame) -> dict[str, str]:
        """Return the names of segments none of whose features moved by more than one standard deviation since.

        The scale is that of the model that serves; a feature undefined then or now does not count.
        """
        known = [segment for segment in description["segment_id"] if segment in self.name]
        if not known:
            return {}
        columns = [f"centre:{feature}" for feature in model.features_]
        now = description.set_index("segment_id").loc[known, columns].to_numpy(dtype=np.float64)
        then = np.array([[self.centre[s].get(f) for f in model.features_] for s in known], dtype=np.float64)
        moves = np.abs(model.scaled(now) - model.scaled(then))
        largest = np.where(np.isnan(then) | np.isnan(now), 0.0, moves).max(axis=1, initial=0.0)
        return {segment: self.name[segment] for segment, move in zip(known, largest, strict=True) if move <= MOVED}


@dataclass(frozen=True)
class NamePlan:
    """What an axis's segments are called before a model is asked: names that still fit, by who gave them.

    With a model's name goes its text where that still is true, else an empty one.
    """

    brief: AxisBrief
    by_person: dict[str, str] = field(default_factory=dict)
    by_model: Named = field(default_factory=dict)
    by_rule: dict[str, str] = field(default_factory=dict)

    @property
    def wants_model(self) -> bool:
        """Whether any segment lacks a name of a model's or a person's, or a name of a model's a text that is true."""
        return any(s not in self.brief.fixed for s in self.brief.ids) or any(not t for _, t in self.by_model.values())


def plan_names(
    axis: Axis,
    model: AxisModel,
    features: pd.DataFrame,
    currency: str,
    current: CurrentNames | None,
    counts: NDArray[np.int64] | None = None,
) -> NamePlan:
    """Find which names stay, by the model that serves and the axis's feature frame.

    ``counts`` are the customers of each segment, shape (k,), where the frame is of a sample.
    """
    description = describe_segments(model, features, counts)
    current = current or CurrentNames({}, {})
    segments, source = list(description["segment_id"]), current.source
    fitting = current.still_fitting(model, description)
    declared = {s: str(n) for s, n in zip(segments, description["structural"], strict=True) if isinstance(n, str)}
    by_person = {s: current.name[s] for s in segments if source.get(s) == PERSON}
    brief = AxisBrief(axis, description, name_segments(axis, description, currency), currency)
    true = {s: n for s, n in fitting.items() if not wrong_words(brief, segments.index(s), n)}
    theirs = {s: n for s, n in true.items() if source.get(s) == MODEL and n not in by_person.values()}
    fixed = {**declared, **theirs, **by_person}
    brief = replace(brief, fixed=fixed)
    by_rule = {s: n for s, n in true.items() if s not in fixed and is_from_rules(axis, n)}
    by_model = {
        s: (n, _still_true(brief, s, current.text.get(s, "")))
        for s, n in fixed.items()
        if s in theirs or current.text.get(s)
    }
    return NamePlan(brief, by_person, by_model, by_rule)


def _still_true(brief: AxisBrief, segment: str, text: str) -> str:
    """Return a model's text if it agrees with today's numbers, else nothing."""
    failed = any(wrong for _, wrong in check_named(brief, segment, brief.fixed[segment], text, []))
    return "" if failed else text


def decide_names(plan: NamePlan, asked: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Settle every segment's name and text; ``asked`` is what a model said and passed the tests, by segment id.

    Names are unique; a person's always stays. To the columns of ``name_segments`` come ``name_source`` (``claude``,
    ``rules`` or ``person``) and ``text_source`` (``claude`` or ``rules``).
    """
    brief = plan.brief
    names, source = dict(plan.by_person), dict.fromkeys(plan.by_person, PERSON)
    offers = [
        (MODEL, {s: n for s, (n, _) in plan.by_model.items()}),
        (MODEL, {s: n for s, (n, _) in asked.items() if s not in brief.fixed}),
        (RULES, plan.by_rule),
    ]
    declared = brief.declared
    for who, offered in offers:
        for segment, name in offered.items():
            taken = {*names.values(), *declared.values()}
            if segment not in names and segment not in declared and name not in taken:
                names[segment], source[segment] = name, who
    settled = name_segments(brief.axis, brief.description, brief.currency, names)
    texts = {s: text for s, (_, text) in {**plan.by_model, **asked}.items() if text}
    settled["name_source"] = [source.get(s, RULES) for s in settled["segment_id"]]
    settled["text_source"] = [MODEL if s in texts else RULES for s in settled["segment_id"]]
    rows = zip(settled["segment_id"], settled["interpretation"], strict=True)
    settled["interpretation"] = [texts.get(s, text) for s, text in rows]
    return settled
