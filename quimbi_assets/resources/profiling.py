"""A store's profiler with everything loaded: champions, segment names, reference and clock.

Belongs here: gathering what a ``Profiler`` needs from registry, database and storage. Does not: profiling
(``profiles``).
"""

from dataclasses import dataclass

import pandas as pd
from dagster import AssetKey

from quimbi_assets.axes import BusinessHours, Features, StoreReference, extract_features
from quimbi_assets.errors import BadInputError
from quimbi_assets.profiles.archetype_rows import kept_archetypes
from quimbi_assets.profiles.profiler import Profiler
from quimbi_assets.profiles.risk import ChurnRisks, churn_risks, no_risks
from quimbi_assets.resources.mlflow.registry import LoadedModel
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import frame_io_manager
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.reading import common_currency
from quimbi_assets.resources.postgres.tables.archetypes import read_archetypes
from quimbi_assets.resources.postgres.tables.segments import read_segments
from quimbi_assets.resources.postgres.tables.stores import Store, read_store

REFERENCE_KEY = AssetKey(["features", "store_reference"])


@dataclass(frozen=True)
class StoreProfiler:
    """Profiles customers of one store with the models that serve it now.

    Parameters
    ----------
    store : Store
        How its orders are to be read.
    profiler : Profiler
        Models, names and versions.
    reference : StoreReference
        Store-wide quantities fitted with the models.
    recorded : frozenset of str
        Columns the store records.
    observation_end : Timestamp
        Instant of the last run, naive UTC; the default of ``profile``.
    churn : LoadedModel or str
        The churn model that serves as of that instant, or why there is none.
    """

    store: Store
    profiler: Profiler
    reference: StoreReference
    recorded: frozenset[str]
    observation_end: pd.Timestamp
    churn: LoadedModel | str

    def features(self, orders: pd.DataFrame, items: pd.DataFrame | None = None) -> Features:
        """Compute the features that the models need, of any of the store's customers.

        Parameters
        ----------
        orders, items : DataFrame
            Canonical rows of those customers, as ``extract_features`` takes them.
        """
        hours = self.store.business_hours or {}
        return extract_features(
            orders,
            items,
            axes=list(self.profiler.models),
            observation_end=self.observation_end,
            time_zone=self.store.time_zone,
            business_hours=BusinessHours(**{k: int(hours[k]) for k in ("opens", "closes") if k in hours}),
            recorded=self.recorded,
            reference=self.reference,
        )

    def profile(self, orders: pd.DataFrame, items: pd.DataFrame | None = None) -> pd.DataFrame:
        """Profile customers from their orders; rows as in ``customer_profiles``."""
        features = self.features(orders, items)
        customers = next(iter(features.values())).index
        return self.profiler.profile(features, self.risks(orders, customers))

    def risks(self, orders: pd.DataFrame, customers: pd.Index) -> ChurnRisks:
        """Return the churn risks of customers, as a run would give them; ``orders`` are all of theirs."""
        if isinstance(self.churn, str):
            return no_risks(len(customers), self.churn)
        currency, version = self.profiler.context.currency, str(self.churn.version)
        end = self.observation_end
        return churn_risks(self.churn.model, orders, end, customers, version=version, currency=currency)


def open_profiler(store_id: str) -> StoreProfiler:
    """Load what profiling a store's customers takes; do this once, then profile as often as needed.

    Parameters
    ----------
    store_id : str
        A store that was run.

    Returns
    -------
    StoreProfiler

    Raises
    ------
    UnknownStoreError, BadInputError
        If the store is unknown or was never run.
    """
    database = open_database()
    store = read_store(database, store_id)
    axes, segments = read_segments(database, store_id)
    by_axis = {str(name): frame for name, frame in segments.groupby("axis_name")}
    frames = frame_io_manager()
    tables = {name: frames.read(AssetKey(["features", name]), store_id) for name in by_axis}
    reference = frames.read(REFERENCE_KEY, store_id)
    known = [table for table in tables.values() if table is not None]
    if not known or reference is None:
        raise BadInputError(f"store {store_id} has no stored features; compute them: quimbi run --store-id {store_id}")
    tracking = MlflowTracking()
    champions = tracking.champions(store_id, by_axis)
    end = pd.Timestamp(known[0].attrs["observation_end"])
    profiler = Profiler(
        {name: loaded.model for name, loaded in champions.items()},
        by_axis,
        {name: str(loaded.version) for name, loaded in champions.items()},
        store_id=store_id,
        as_of=end.to_pydatetime(),
        currency=store.currency or common_currency(database, store_id) or "",
        archetypes=kept_archetypes(read_archetypes(database, store_id)),
        weak=axes.loc[axes["status"] == "weak", "axis_name"],
    )
    recorded = frozenset(known[0].attrs["recorded"])
    churn = tracking.serving_churn(frames, store_id, str(end))
    return StoreProfiler(store, profiler, StoreReference.from_frame(reference), recorded, end, churn)
