"""Rule-made segment names a shopkeeper could live with: true, short, unique, the same for the same numbers.

Belongs here: choosing words, settling clashes. Does not: which words are true (``descriptors``), how ranges are written
(``name_builder``), what is said of a segment in sentences (``sentences``).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from quimbi_assets.axes._axis import Axis
from quimbi_assets.naming.descriptors import Descriptor, segment_descriptors, slug
from quimbi_assets.naming.name_builder import SAYABLE, Draft, value_range
from quimbi_assets.naming.sentences import interpret

# Assumption: a second adjective earns its place from half a standard deviation, half the first one's
# contrast, and only if it does not follow from the first (correlation over the axis's segments below 0.95).
SECOND_Z = 0.5
SECOND_CONTRAST = 0.5
REDUNDANT = 0.95
MOST_ADJECTIVES = 3

Drafts = list[Draft]


def name_segments(
    axis: Axis, description: pd.DataFrame, currency: str = "", current: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Name and interpret every segment of an axis, described by ``describe_segments``, by rule.

    ``current``: unique names by segment id that stay, also instead of a declared one; the others are named around them.
    Returns k rows of ``segment_id``; ``segment_name``, matching ``[a-z][a-z0-9_]{2,39}`` and unique;
    ``interpretation``, two or three short sentences (``sentences.interpret``).

    A structural segment keeps its declared name. Others get the adjective of the feature that tells them from
    their siblings best, and a second one if it says something new; where no word is true, the axis's ``usual`` one.
    Segments that end up with the same words get, in this order: the next separating feature, one word less (two of
    them), a range of values, a number. The sentences of a segment with a current name are those it would have without:
    they say what is so now.
    """
    descriptors = segment_descriptors(axis, description)
    first = [_first_draft(axis, description, row, words) for row, words in enumerate(descriptors)]
    names = [(current or {}).get(segment, "") for segment in description["segment_id"]]
    fixed_first = [replace(draft, fixed=name) if name else draft for draft, name in zip(first, names, strict=True)]
    drafts = _settle(fixed_first, descriptors, axis, description)
    free = _settle(first, descriptors, axis, description) if current else drafts
    worded = [anew if name else draft for draft, anew, name in zip(drafts, free, names, strict=True)]
    return pd.DataFrame(
        {
            "segment_id": description["segment_id"].to_list(),
            "segment_name": [draft.name for draft in drafts],
            "interpretation": [interpret(axis, description, d.row, d.descriptors, currency) for d in worded],
        }
    )


def _settle(drafts: Drafts, descriptors: list[list[Descriptor]], axis: Axis, description: pd.DataFrame) -> Drafts:
    drafts = list(drafts)
    resolvers: tuple[Callable[[Drafts], Drafts], ...] = (
        lambda group: _add_feature(group, [[t for t in words if t.z >= SAYABLE] for words in descriptors]),
        lambda group: _add_feature(group, descriptors),
        _say_less,
        lambda group: [value_range(draft, group, axis, description) for draft in group],
        # Segments of identical numbers: their position is all that is left.
        lambda group: [replace(draft, suffix=f"group_{draft.row + 1}") for draft in group],
    )
    for resolver in resolvers:
        for group in list(_clashes(drafts)):
            for draft in resolver(group):
                drafts[draft.row] = draft
    return drafts


def _first_draft(axis: Axis, description: pd.DataFrame, row: int, descriptors: list[Descriptor]) -> Draft:
    """Give a segment its declared name or its one or two most telling adjectives."""
    declared = description["structural"].iloc[row]
    if isinstance(declared, str):
        return Draft(row, slug(axis.people), fixed=slug(declared))
    sayable = [t for t in descriptors if t.z >= SAYABLE] or [t for t in descriptors if t.is_figure][:1]
    draft = Draft(row, slug(axis.people), tuple(sayable[:1]), neutral=slug(axis.usual))
    for descriptor in sayable[1:]:
        first = sayable[0]
        stands = not (descriptor.is_comparison or first.is_comparison)
        telling = stands and descriptor.z >= SECOND_Z and descriptor.contrast >= SECOND_CONTRAST * first.contrast
        if telling and draft.admits(descriptor) and not _follows(descriptor, first, description):
            return replace(draft, descriptors=(first, descriptor))
    return draft


def _follows(descriptor: Descriptor, first: Descriptor, description: pd.DataFrame) -> bool:
    """Whether one descriptor's feature moves with another's; over two segments, one word tells all there is to tell."""
    columns = [f"z:{t.features[0]}" for t in (first, descriptor)]
    scores = description[columns].dropna().to_numpy(dtype=float)
    if len(description) == 2:
        return True
    if len(scores) < 3 or (scores.std(axis=0) < 1e-9).any():
        return False
    return bool(abs(np.corrcoef(scores.T)[0, 1]) >= REDUNDANT)


def _clashes(drafts: Drafts) -> Iterator[Drafts]:
    """Yield the groups of drafts with one name, without the declared name among them, which stays."""
    groups: dict[str, Drafts] = defaultdict(list)
    for draft in drafts:
        groups[draft.key].append(draft)
    for group in groups.values():
        if len(group) > 1:
            yield [draft for draft in group if not draft.fixed] or group[1:]


def _add_feature(group: Drafts, descriptors: list[list[Descriptor]]) -> Drafts:
    """Give the members of a clash the next feature that tells them apart, as often as that helps."""
    keys = {t.features: t.order for draft in group for t in descriptors[draft.row] if draft.admits(t)}
    best, best_score = group, (1, 0, 0)
    for key, order in keys.items():
        trial = [_with_feature(draft, key, descriptors[draft.row]) for draft in group]
        spread = sum(d.descriptors[-1].z for d, old in zip(trial, group, strict=True) if d != old)
        score = (len({draft.key for draft in trial}), round(2 * spread), -order)
        if score[0] > 1 and score > best_score:
            best, best_score = trial, score
    if best is group:
        return group
    parts = defaultdict(list)
    for draft in best:
        parts[draft.key].append(draft)
    return [d for part in parts.values() for d in (_add_feature(part, descriptors) if len(part) > 1 else part)]


def _say_less(group: Drafts) -> Drafts:
    """Let two of the same words differ by how many are said: both of whom they are truer of, one of the other."""
    if len(group) != 2 or any(len(draft.descriptors) < 2 for draft in group):
        return group
    less = min(group, key=lambda draft: (sum(one.z for one in draft.descriptors), draft.row))
    return [replace(draft, descriptors=draft.descriptors[:1]) if draft is less else draft for draft in group]


def _with_feature(draft: Draft, key: tuple[str, ...], descriptors: list[Descriptor]) -> Draft:
    """Add the segment's word for one feature, if it has one that fits."""
    for descriptor in descriptors:
        if descriptor.features == key and draft.admits(descriptor) and len(draft.descriptors) < MOST_ADJECTIVES:
            return replace(draft, descriptors=(*draft.descriptors, descriptor))
    return draft
