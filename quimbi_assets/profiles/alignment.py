"""Axes that describe the same customers as of the same instant, gathered out of what each stage left of each axis.

Belongs here: whether axes can be profiled together, and why not. Does not: where tables rest, profiles
(``assemble``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from quimbi_assets.axis_table import ACTIVE, AxisTable
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import Instant, zoned
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.assemble import ProfileContext
from quimbi_assets.profiles.scores import AxisScores, scores_from_table
from quimbi_assets.profiles.stays import StayModel
from quimbi_assets.sampling import sample_places

STAGES = ("features", "memberships", "segments")
"""What an axis needs of this instant and these customers to be profiled."""
TOGETHER = "nothing new is published; compute all axes together: quimbi run without --axes"


@dataclass(frozen=True)
class AlignedAxes:
    """Axes that describe the same customers as of the same instant.

    ``segments`` are rows of ``dim_segment_master``, ``not_weak`` the axes whose model is active rather than weak.
    """

    at: Instant
    features: Mapping[str, AxisTable]
    memberships: Mapping[str, AxisTable]
    segments: Mapping[str, pd.DataFrame]
    not_weak: list[str]

    @property
    def axes(self) -> list[str]:
        """Their names."""
        return list(self.memberships)

    @property
    def versions(self) -> dict[str, str]:
        """Model versions that the customers were scored with, by axis."""
        return {name: str(table.facts.model_version) for name, table in self.memberships.items()}

    def context(
        self, store_id: str, archetypes: ArchetypeSet, currency: str, stays: Mapping[str, StayModel]
    ) -> ProfileContext:
        """Return what profiles on these axes are made with."""
        return ProfileContext(
            store_id=store_id,
            as_of=zoned(self.at),
            segments=self.segments,
            versions=self.versions,
            currency=currency,
            archetypes=archetypes,
            weak=frozenset(self.axes) - frozenset(self.not_weak),
            stays=stays,
        )

    def sampled_scores(self, models: Iterable[AxisModel]) -> dict[str, AxisScores]:
        """Return the scores of the customers that archetypes are chosen on: the largest sample that a model drew."""
        options = max(map(FitOptions.of, models), key=lambda one: one.max_sample)
        customers = next(iter(self.memberships.values())).customers
        places = sample_places(customers, options.max_sample, options.random_state)
        return {n: scores_from_table(t.take(places), t.facts.segment_ids) for n, t in self.memberships.items()}


def align(
    tables: Mapping[str, Mapping[str, AxisTable]], run_id: str, published: Iterable[str] = ()
) -> AlignedAxes | None:
    """Gather the active axes, which have to describe the same customers as of the same instant; None if none is active.

    ``tables`` are the last ones by stage and axis, those of models among them; ``published`` the axes of the profiles
    that people see.

    A BadInputError if they do not, or if tables of a published one are gone: profiles would lose an axis, or be of two
    instants. A run of some axes after new orders, or one that died half-way, leaves them so; what is published stays
    until all are computed together.
    """
    lost = [name for name in published if not all(name in tables[stage] for stage in (*STAGES, "models"))]
    if lost:
        raise BadInputError(
            f"what was computed of {', '.join(lost)} is missing from the files, as after half a restore; {TOGETHER}"
        )
    active = active_tables(tables)
    axes = list(active["features"])
    if not axes:
        return None
    measured, scored, described = (active[stage] for stage in STAGES)
    leader = next((name for name in axes if scored[name].facts.run_id == run_id), axes[0])
    at = scored[leader].facts.at
    assert at is not None
    for name in axes:
        if described[name].facts.model_version != scored[name].facts.model_version:
            raise BadInputError(f"{name}: its segments are of another model than its memberships; {TOGETHER}")
        instants = {measured[name].facts.at, scored[name].facts.at}
        if instants != {at}:
            other = next(iter(instants - {at}))
            raise BadInputError(f"{name} was computed as of {other}, {leader} as of {at}; {TOGETHER}")
        if not all(_same_customers(active[stage][name], scored[leader]) for stage in STAGES[:2]):
            raise BadInputError(f"{name} was computed for other customers than {leader}; {TOGETHER}")
    fitted = tables["models"]
    return AlignedAxes(
        at=at,
        features={name: measured[name] for name in axes},
        memberships={name: scored[name] for name in axes},
        segments={name: described[name].read().to_pandas() for name in axes},
        not_weak=[name for name in axes if name in fitted and fitted[name].facts.status == ACTIVE],
    )


def active_tables(tables: Mapping[str, Mapping[str, AxisTable]]) -> dict[str, dict[str, AxisTable]]:
    """Return the tables of axes that are active at every stage: what is only measured yet is profiled by nobody."""
    active = {
        stage: {name: table for name, table in tables[stage].items() if table.facts.inactive_reason is None}
        for stage in STAGES
    }
    axes = [name for name in active["features"] if all(name in active[stage] for stage in STAGES)]
    return {stage: {name: active[stage][name] for name in axes} for stage in STAGES}


def refuse_apart(before: Mapping[str, AxisTable], at: Instant, n_customers: int) -> None:
    """Say at once what `align` would after hours: BadInputError if tables computed before fit none made now.

    ``before`` are features of published axes that are not computed anew; `align` says it of what was never published.
    """
    for name, table in before.items():
        if table.facts.inactive_reason is not None:
            continue
        if table.facts.at != at:
            raise BadInputError(f"{name} was computed as of {table.facts.at}, this run is as of {at}; {TOGETHER}")
        if table.n_rows != n_customers:
            raise BadInputError(
                f"{name} was computed for {table.n_rows:,} customers, this run has {n_customers:,}; {TOGETHER}"
            )


def _same_customers(one: AxisTable, other: AxisTable) -> bool:
    """Whether two tables hold the same customers: those of one run do, of others it is looked up."""
    if one.facts.run_id == other.facts.run_id:
        return True
    return one.n_rows == other.n_rows and one.customers.equals(other.customers)
