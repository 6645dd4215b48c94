"""Axes that describe the same customers as of the same instant, chosen out of what each stage left of each axis.

Belongs here: which axes can be profiled together, and why the others cannot. Does not: where tables rest, profiles
(``assemble``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from quimbi_assets.axis_table import ACTIVE, AxisTable
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.instants import Instant, zoned
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.assemble import ProfileContext
from quimbi_assets.profiles.scores import AxisScores, scores_from_table
from quimbi_assets.sampling import sample_places

STAGES = ("features", "memberships", "segments")
"""What an axis needs of this instant and these customers to be profiled."""


@dataclass(frozen=True)
class AlignedAxes:
    """Axes that describe the same customers as of the same instant.

    ``segments`` are rows of ``dim_segment_master``, ``not_weak`` the axes whose model is active rather than weak,
    ``left_out`` active axes that do not fit in, with the reason.
    """

    at: Instant
    features: Mapping[str, AxisTable]
    memberships: Mapping[str, AxisTable]
    segments: Mapping[str, pd.DataFrame]
    not_weak: list[str]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def axes(self) -> list[str]:
        """Their names."""
        return list(self.memberships)

    @property
    def versions(self) -> dict[str, str]:
        """Model versions that the customers were scored with, by axis."""
        return {name: str(table.facts.model_version) for name, table in self.memberships.items()}

    def context(self, store_id: str, archetypes: ArchetypeSet, currency: str) -> ProfileContext:
        """Return what profiles on these axes are made with."""
        return ProfileContext(
            store_id=store_id,
            as_of=zoned(self.at),
            segments=self.segments,
            versions=self.versions,
            currency=currency,
            archetypes=archetypes,
            weak=frozenset(self.axes) - frozenset(self.not_weak),
        )

    def sampled_scores(self, models: Iterable[AxisModel]) -> dict[str, AxisScores]:
        """Return the scores of the customers that archetypes are chosen on: the largest sample that a model drew."""
        options = max(map(FitOptions.of, models), key=lambda one: one.max_sample)
        first = next(iter(self.memberships.values()))
        customers = pd.Index(first.read(["customer_id"])["customer_id"].to_pandas())
        places = sample_places(customers, options.max_sample, options.random_state)
        return {n: scores_from_table(t.take(places), t.facts.segment_ids) for n, t in self.memberships.items()}


def align(tables: Mapping[str, Mapping[str, AxisTable]], run_id: str) -> AlignedAxes | None:
    """Choose the axes that describe the same customers as of the same instant; None if no axis is active.

    ``tables`` are the last ones by stage and axis, those of models among them. The instant is that of the axes computed
    by this run, or the latest one when profiles run alone.
    """
    active = {stage: _active(tables[stage]) for stage in STAGES}
    whole = [name for name in active["features"] if all(name in active[stage] for stage in STAGES)]
    complete = [name for name in whole if len({active[stage][name].facts.model_version for stage in STAGES[1:]}) == 1]
    if not complete:
        return None
    ends = {name: at for name in complete if (at := active["memberships"][name].facts.at) is not None}
    of_this_run = [name for name in complete if active["memberships"][name].facts.run_id == run_id]
    leader = of_this_run[0] if of_this_run else max(complete, key=lambda name: ends[name])
    left_out = {
        name: f"computed as of {ends[name]} or for other customers"
        for name in complete
        if ends[name] != ends[leader]
        or not all(_same_customers(active[stage][name], active["memberships"][leader]) for stage in STAGES[:2])
    }
    axes = [name for name in complete if name not in left_out]
    # A run died between the two stages.
    left_out |= dict.fromkeys(set(whole) - set(complete), "its segments are of another model than its memberships")
    fitted = tables["models"]
    return AlignedAxes(
        at=ends[leader],
        features={name: active["features"][name] for name in axes},
        memberships={name: active["memberships"][name] for name in axes},
        segments={name: active["segments"][name].read().to_pandas() for name in axes},
        not_weak=[name for name in axes if name in fitted and fitted[name].facts.status == ACTIVE],
        left_out=left_out,
    )


def _active(tables: Mapping[str, AxisTable]) -> dict[str, AxisTable]:
    return {name: table for name, table in tables.items() if table.facts.inactive_reason is None}


def _same_customers(one: AxisTable, other: AxisTable) -> bool:
    """Whether two tables hold the same customers: those of one run do, of others it is looked up."""
    if one.facts.run_id == other.facts.run_id:
        return True
    ids = ["customer_id"]
    return one.n_rows == other.n_rows and one.read(ids).equals(other.read(ids))
