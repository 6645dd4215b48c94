"""A store's profiler with everything loaded: the models of its profiles, segment names, reference and clock.

Belongs here: gathering what profiling needs from registry, database and storage. Does not: profiling
(``profiles``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from quimbi_assets.axes import AXES, Features, StoreReference, measure
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.errors import BadInputError, NeverRunError, UnknownCustomerError
from quimbi_assets.explanation.changes import Past
from quimbi_assets.explanation.receipt import explain
from quimbi_assets.explanation.search import HORIZONS, USUAL_SHARE
from quimbi_assets.explanation.words import Shown, receipt_record
from quimbi_assets.history import History
from quimbi_assets.instants import Instant
from quimbi_assets.marketing import MarketingReference, group_customers
from quimbi_assets.profiles.archetype_rows import kept_archetypes
from quimbi_assets.profiles.assemble import ProfileContext, profile_customers
from quimbi_assets.profiles.expected import predictions
from quimbi_assets.profiles.rendering import profile_record
from quimbi_assets.profiles.risk import churn_risks
from quimbi_assets.profiles.stays import StayModel, learn_stays
from quimbi_assets.resources.mlflow.registry import (
    CHURN,
    FORECASTS,
    VALUE,
    LoadedModel,
    load_published,
    model_and_version,
)
from quimbi_assets.resources.mlflow.runs import code_version
from quimbi_assets.resources.parquet_io import REFERENCE, parquet_tables
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.tables.publications import read_archetypes, read_publication, read_segments
from quimbi_assets.resources.postgres.tables.stores import read_store
from quimbi_assets.store import Store


@dataclass(frozen=True)
class StoreProfiler:
    """Profiles customers of one store with the models that serve it now, as of the last run.

    ``forecasts`` are the models of churn risk and value to come that serve as of that instant, or why there is none.
    """

    store: Store
    context: ProfileContext
    models: Mapping[str, AxisModel]
    reference: StoreReference
    recorded: frozenset[str]
    observation_end: pd.Timestamp
    forecasts: Mapping[str, LoadedModel | str]
    archetype_names: dict[str, str]
    marketing: MarketingReference

    def profile(
        self, orders: pd.DataFrame, items: pd.DataFrame | None = None, tickets: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Profile customers from all their rows (``canonical_tables``), as in ``customer_profiles``, with names."""
        history = History.from_frames(orders, items, tickets, self.store).until(self.observation_end)
        features = Features(measure(history, self.models, recorded=self.recorded, reference=self.reference))
        customers = next(iter(features.values())).index
        churn, value = (model_and_version(self.forecasts[name]) for name in (CHURN, VALUE))
        groups = group_customers(history, self.marketing, customers)
        risks = churn_risks(
            churn[0], history, customers, version=churn[1], currency=self.context.currency, usual_days=groups.usual_days
        )
        foretold = predictions(value[0], history, customers, version=value[1], risk=risks.known)
        rows = profile_customers(features, self.models, self.context, risks, foretold, groups)
        names = self.context.segment_names, self.archetype_names
        records = [profile_record({str(k): v for k, v in row.items()}, *names) for row in rows.to_dict("records")]
        return rows.assign(**{column: [one[column] for one in records] for column in ("segments", "archetype")})

    @cached_property
    def usual(self) -> tuple[dict[tuple[str, int], int], float | None]:
        """How much customers of the store do at most within the time of a change, and pay for one order."""
        whole = parquet_tables().history(self.store.store_id).until(self.observation_end)
        return whole.most_within(HORIZONS, USUAL_SHARE), whole.times_the_middle(USUAL_SHARE)

    def explain(self, customer_id: str, recorded: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
        """Return the receipt of a customer of the store, from the rows of the last run (``words.receipt_record``).

        ``recorded`` is what ``served.read_recorded`` returns. UnknownCustomerError if the rows are of no such customer.
        """
        history = parquet_tables().history(self.store.store_id).until(self.observation_end).of([customer_id])
        past = Past(history.in_memory(), self.recorded, self.reference, *self.usual)
        if not len(past.tables["raw_orders"]):
            raise UnknownCustomerError(f"store {self.store.store_id} has no order of customer {customer_id}")
        axes = [axis for axis in AXES if axis in self.models]
        shown = Shown(
            self.context.segment_names, self.context.currency, self.context.weak, recorded, self.context.versions,
            code_version(),
        )  # fmt: skip
        return receipt_record(explain(past, self.models, axes), past, shown)


def open_profiler(store_id: str) -> StoreProfiler:
    """Load what profiling a store's customers takes; do this once, then profile as often as needed.

    UnknownStoreError or BadInputError if the store is unknown, was never run, or a run of it ended half-way: what
    customers are measured against would not be what their models know.
    """
    database = open_database()
    with database.snapshot(store_id) as now:
        store = read_store(now, store_id)
        axes, segments = read_segments(now, store_id)
        published = read_publication(now, store_id)
        archetypes = read_archetypes(now, store_id)
    if published is None or published.marketing is None:
        raise NeverRunError(store_id, "profiles")
    marketing = MarketingReference.from_json(published.marketing)
    versions = {axis: version for axis, version in published.model_versions.items() if axis not in FORECASTS}
    tables = parquet_tables()
    measured = tables.required(("features", next(iter(versions))), store_id).facts
    if measured.at != published.as_of:
        raise BadInputError(
            f"store {store_id}: a run measured customers as of {measured.at} and did not end, profiles are as of "
            f"{published.as_of}; end it: quimbi run --store-id {store_id}"
        )
    store = measured.store or store  # what a load changed since is not in the published profiles
    reference = StoreReference.from_frame(tables.required(REFERENCE, store_id).read().to_pandas())
    loaded = load_published(database, store_id, published.model_versions)
    forecasts = _forecasts(database, store_id, loaded, published.as_of)
    archetype_set = kept_archetypes(archetypes)
    assert archetype_set is not None  # published with the profiles
    context = ProfileContext(
        store_id=store_id,
        as_of=published.as_of.to_pydatetime(),
        segments={str(name): frame for name, frame in segments.groupby("axis_name")},
        versions=versions,
        archetypes=archetype_set,
        currency=store.currency or "",
        weak=frozenset(axes.loc[axes["status"] == "weak", "axis_name"]),
        stays=_stays(axes, loaded),
    )
    models, at, recorded = {name: one.model for name, one in loaded.items()}, published.as_of, measured.recorded
    names = dict(zip(archetypes["archetype_id"], archetypes["name"], strict=True))
    return StoreProfiler(store, context, models, reference, recorded, at, forecasts, names, marketing)


def _forecasts(
    database: Database, store_id: str, loaded: dict[str, LoadedModel], as_of: Instant
) -> dict[str, LoadedModel | str]:
    """Take the models of what is foretold out of those loaded; of one that is not there, why there is none."""
    absent = [name for name in FORECASTS if name not in loaded]
    reasons: dict[str, str] = {}
    if absent:
        from quimbi_assets.resources.publishing import no_forecast_model  # all that fits takes, half a second

        reasons = {name: no_forecast_model(database, store_id, name, as_of) for name in absent}
    return {name: reasons[name] if name in reasons else loaded.pop(name) for name in FORECASTS}


def _stays(axes: pd.DataFrame, loaded: Mapping[str, LoadedModel]) -> dict[str, StayModel]:
    """Return who stays where by axis: as published, else, in a result of before it was learnt, as the axis declares."""
    known = dict(zip(axes["axis_name"], axes["stays"], strict=True))
    return {
        name: StayModel.from_json(known[name]) if known[name] else learn_stays(AXES[name], one.model, "not learnt yet")
        for name, one in loaded.items()
    }
