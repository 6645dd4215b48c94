"""Who names which segment: a person before anybody, then Claude, then rules; and when Claude need not be asked.

Belongs here: putting names from all sources together. Does not: making any (``naming``, ``conversation``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from quimbi_assets.axes._axis import Axis
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.naming.asking.brief import AxisBrief
from quimbi_assets.naming.asking.conversation import Named
from quimbi_assets.naming.asking.house_tests import check_named
from quimbi_assets.naming.describe import describe_segments
from quimbi_assets.naming.naming import name_segments
from quimbi_assets.naming.persistence import GivenNames

CLAUDE, RULES, PERSON = "claude", "rules", "person"


@dataclass(frozen=True)
class Standing:
    """What an axis's segments are called before anybody is asked.

    Parameters
    ----------
    brief : AxisBrief
        The axis; its ``fixed`` names stay.
    by_person : dict of segment id to str
        Names a person set.
    by_claude : Named
        Names of Claude's that still fit, each with its text where that still is true, else an empty one.
    kept : dict of segment id to str
        Rule-made names that still fit.
    """

    brief: AxisBrief
    by_person: dict[str, str] = field(default_factory=dict)
    by_claude: Named = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def wants_claude(self) -> bool:
        """Whether any segment lacks a name of Claude's or a person's, or a name of Claude's a text that is true."""
        return any(s not in self.brief.fixed for s in self.brief.ids) or any(not t for _, t in self.by_claude.values())


def standing(
    axis: Axis,
    model: AxisModel,
    features: pd.DataFrame,
    currency: str,
    given: GivenNames | None,
) -> Standing:
    """Find which names stay.

    Parameters
    ----------
    axis : Axis
        Its declaration.
    model : AxisModel
        The model that serves.
    features : DataFrame, shape (n_customers, n_columns)
        The axis's feature frame.
    currency : str
        Of the store.
    given : GivenNames, optional
        Names that segments have.
    """
    description = describe_segments(axis, model, features)
    here = list(description["segment_id"])
    fitting = given.still_fitting(model, description) if given else {}
    source = given.source if given else {}
    declared = {s: str(n) for s, n in zip(here, description["structural"], strict=True) if isinstance(n, str)}
    by_person = {s: given.name[s] for s in here if given and source.get(s) == PERSON}
    theirs = {s: n for s, n in fitting.items() if source.get(s) == CLAUDE and n not in by_person.values()}
    kept = {s: n for s, n in fitting.items() if s not in by_person and s not in declared and s not in theirs}
    rule_made = name_segments(axis, description, currency)
    fixed = {**declared, **theirs, **by_person}
    brief = AxisBrief(axis, description, rule_made, currency, fixed)
    texts = given.text if given else {}
    by_claude = {
        s: (n, _still_true(brief, s, texts.get(s, ""))) for s, n in fixed.items() if s in theirs or texts.get(s)
    }
    return Standing(brief, by_person, by_claude, kept)


def _still_true(brief: AxisBrief, segment: str, text: str) -> str:
    """Return a text of Claude's if it agrees with today's numbers, else nothing."""
    failed = any(wrong for _, wrong in check_named(brief, segment, brief.fixed[segment], text, []))
    return "" if failed else text


def decide_names(standing: Standing, asked: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Settle every segment's name and text.

    Parameters
    ----------
    standing : Standing
        What was settled before asking.
    asked : mapping of segment id to (str, str)
        What Claude said and passed the tests; empty if it was not asked.

    Returns
    -------
    DataFrame, shape (k, 5)
        ``segment_id``, ``segment_name``, ``interpretation``, ``name_source`` (``claude``, ``rules`` or ``person``),
        ``text_source`` (``claude`` or ``rules``). Names are unique; a person's always stays.
    """
    brief = standing.brief
    names, source = dict(standing.by_person), dict.fromkeys(standing.by_person, PERSON)
    offers = [
        (CLAUDE, {s: n for s, (n, _) in standing.by_claude.items()}),
        (CLAUDE, {s: n for s, (n, _) in asked.items() if s not in brief.fixed}),
        (RULES, standing.kept),
    ]
    declared = {str(n) for n in brief.description["structural"] if isinstance(n, str)}
    for who, offered in offers:
        for segment, name in offered.items():
            is_declared = isinstance(brief.description["structural"].iloc[brief.ids.index(segment)], str)
            if segment not in names and not is_declared and name not in {*names.values(), *declared}:
                names[segment], source[segment] = name, who
    settled = name_segments(brief.axis, brief.description, brief.currency, names)
    texts = {s: text for s, (_, text) in {**standing.by_claude, **asked}.items() if text}
    settled["name_source"] = [source.get(s, RULES) for s in settled["segment_id"]]
    settled["text_source"] = [CLAUDE if s in texts else RULES for s in settled["segment_id"]]
    told = zip(settled["segment_id"], settled["interpretation"], strict=True)
    settled["interpretation"] = [texts.get(s, text) for s, text in told]
    return settled
