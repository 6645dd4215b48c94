"""The fitted model of one axis: from feature values in original units to memberships.

Belongs here: the scikit-learn estimator that ties scaling, structural segments and selection together and is saved
whole; the statistics it remembers of raw values, in aggregate, and the bins that later weeks are compared with. Does
not: how a partition is measured or chosen, what segments are called, where models are kept.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import TransformerMixin, clone

from quimbi_assets.clustering.candidates import Candidate
from quimbi_assets.clustering.fitting import LEFT_OUT, divide, fit_axis, prepare_samples
from quimbi_assets.clustering.prepared_sample import PreparedSample
from quimbi_assets.clustering.quality import adjusted_rand, contingency
from quimbi_assets.clustering.scaling import Array, clean
from quimbi_assets.clustering.scoring import N_ORDERS, FittedAxis, distances_to, evident, numbers, read_training
from quimbi_assets.clustering.segment_ids import give_ids
from quimbi_assets.clustering.selection import selection_table
from quimbi_assets.errors import InactiveAxisError
from quimbi_assets.sampling import customer_order

HALF = 4_000
"""Most customers that shape the division of a half (ADR 4: what more would change)."""
JUDGED = 10_000
"""Most customers on whose places two halves are compared."""
QUANTILES = [0.1, 0.5, 0.9]
N_BINS = 10
DECILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


class AxisModel(TransformerMixin, FittedAxis):
    """Segments of one axis: transform, winsorise, standardise, distance to centres, memberships.

    Fitting chooses the number of segments; scoring applies the fitted figures to any customer and refits nothing. The
    fitted object holds aggregates only, no row of a customer (so there is no ``labels_``).

    Beside what scores (:class:`FittedAxis`) it remembers of the customers that shaped the fit, in original units, where
    names, sentences and drift start: ``centers_shop_``, ``coverage_`` and ``quantiles_`` (:func:`segment_figures`),
    ``population_`` (:func:`population_figures`); and ``shares_``, shape (k,), by dominant segment.
    ``segment_stability_``, shape (k,), is Jaccard stability, 0-1, 1 for structural segments, which a rule defines;
    ``selection_`` has a row per candidate. ``reference_bins_`` are of all customers given to ``fit``
    (:func:`learn_bins`).
    """

    def fit(self, X: Any, y: Any = None, champion: FittedAxis | None = None, named: int = 0) -> Self:
        """Learn limits, scaling, number of segments and centres.

        ``X`` is a frame indexed by customer or an array, shape (n, d), whose features are called ``x0``, ``x1`` ...:
        clustering features in original units, NULL where undefined; ``n_orders`` and structural columns where there
        are. The fit may start at the centres of the champion, the axis's model that serves, and segments that are kept
        take its ids; ``named`` is the largest number of an id given so far on this axis, where other versions gave more
        than the champion knows. Raises ``InactiveAxisError`` if fewer than two features vary or too few customers are
        evidence.
        """
        frame, transforms, known = self._training(X)
        samples = prepare_samples(self, frame, transforms, known, champion)
        raw, labels, centers = self._remember(*fit_axis(samples))
        self.segment_ids_, self.segments_named_, self.lineage_ = give_ids(self, X, champion, named)
        figures = segment_figures(raw, labels, self.segment_ids_, centers)
        self.centers_shop_, self.coverage_, self.quantiles_ = figures
        self.population_ = population_figures(raw)
        self.n_low_evidence_ = int(len(frame) - known.sum())
        shares = np.bincount(self.predict(X), minlength=self.k_) / len(frame)
        self.reference_bins_ = learn_bins(self._values(X), self.features_, shares)
        return self

    def agreement_of_halves(self, X: Any) -> float:
        """Divide each of two halves of the customers anew, states, features and number of segments left free; compare.

        Adjusted Rand index over the customers whom no state and no lack of orders places in this model, fitted to
        ``X``: 1 where both halves place everybody alike, about 0 where no more than by chance; NaN where a half gives
        nothing to segment, or nobody is so placed. Halves are drawn by the seed and the customers' ids. Two samples of
        a store's customers agree less than bootstrap refits, which share customers and hold the number of segments.
        """
        frame, transforms, known = self._training(X)
        order = customer_order(frame.index, self.random_state)
        is_free = np.array([state is None for state in self.structural_], dtype=np.bool_)
        judged = order[(known & is_free[self.predict(X)])[order]][:JUDGED]
        unfitted, placed = clone(self).set_params(max_sample=HALF), []
        for half in (order[::2], order[1::2]):
            try:
                sample, chosen = divide(prepare_samples(unfitted, frame.iloc[half], transforms, known[half]))
            except InactiveAxisError:
                return float("nan")
            scaler, centers = sample.place(chosen)
            values = clean(numbers(frame.iloc[judged], sample.columns_of(chosen.features)))
            placed.append((np.argmin(distances_to(scaler.scale_values(values), centers), axis=1), len(centers)))
        (first, k), (second, other_k) = placed
        return adjusted_rand(contingency(first, second, k, other_k)) if len(judged) else float("nan")

    @property
    def n_divided_(self) -> int:
        """Customers that shaped the fit and that no state places: they decide what the other segments are."""
        return round(self.n_fit_ * float(sum(self.shares_[[state is None for state in self.structural_]])))

    def check(self, X: Any) -> None:
        """Raise what ``fit`` raises where customers give nothing to segment, without fitting."""
        first = prepare_samples(self, *self._training(X))[0]
        first.numbers_of_clusters(first.features)

    def _training(self, X: Any) -> tuple[pd.DataFrame, dict[str, str], NDArray[np.bool_]]:
        """Return the rows to learn from, the transforms of the clustering features, and whose evidence is enough."""
        if not 2 <= self.min_k <= self.max_k:
            raise ValueError(f"need 2 <= min_k <= max_k, not {self.min_k} and {self.max_k}")
        declared = list(self.transforms) if self.transforms else None
        frame = read_training(self, X, declared, [state[0] for state in self.structural])
        transforms = self.transforms or dict.fromkeys((c for c in frame.columns.tolist() if c != N_ORDERS), "identity")
        known = evident(frame, numbers(frame, [f for f in transforms if f in frame]), self.min_orders)
        return frame, transforms, known

    def _remember(
        self, sample: PreparedSample, candidates: list[Candidate]
    ) -> tuple[pd.DataFrame, NDArray[np.intp], Array]:
        """Take over the chosen partition: structural segments first, then the others in increasing order.

        Returns, of the n customers that shaped it, cleaned values, shape (n, d), and dominant segments; and the centres
        in original units, shape (k, d).
        """
        chosen = next(c for c in candidates if c.chosen)
        scaled, states = sample.scaled[:, sample.uses(chosen.features)], sample.states
        scaler, self.cluster_centers_ = sample.place(chosen)
        self.features_ = sample.columns_of(chosen.features)
        reasons = sample.dropped | dict.fromkeys(sample.features, LEFT_OUT)
        self.dropped_ = {name: why for name, why in reasons.items() if name not in self.features_}
        self.transforms_, self.states_ = scaler.transforms, scaler.states
        self.winsor_low_, self.winsor_high_ = scaler.low, scaler.high
        self.mean_, self.scale_ = scaler.mean, scaler.scale
        rank = np.lexsort(chosen.centers.T[::-1])
        self.structural_ = [*states, *[None] * len(rank)]
        self.segment_stability_ = np.concatenate([np.ones(len(states)), chosen.stability.jaccard[rank]])
        self.selection_, self.k_ = selection_table(candidates), len(self.cluster_centers_)
        self.silhouette_, self.stability_ari_ = chosen.silhouette, chosen.stability.ari
        self.stability_spread_ = chosen.stability.ari_spread
        labels = np.argmin(distances_to(scaled, self.cluster_centers_), axis=1)
        self.n_fit_ = len(labels)
        self.shares_ = np.bincount(labels, minlength=self.k_) / self.n_fit_
        return sample.raw[self.features_], labels, scaler.original_values(self.cluster_centers_)


def segment_figures(
    frame: pd.DataFrame, labels: NDArray[np.intp], segment_ids: list[str], fill: Array
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Mean, coverage and quantiles of every feature per segment, by segment id.

    Means, shape (k, d), are free of NaN: ``fill``, the values of the scaled centres, stands in where nobody in the
    segment has a value. Coverage, shape (k, d), is the share of customers for whom a feature is defined, 0-1. Quantiles
    (10, 50 and 90 %), shape (3 k, d), are by ``(segment_id, quantile)``, NaN where nobody has a value.
    """
    ids = np.asarray(segment_ids, dtype=object)[labels]
    by_segment = frame.groupby(ids)
    means = by_segment.mean().reindex(segment_ids).fillna(pd.DataFrame(fill, index=segment_ids, columns=frame.columns))
    coverage = frame.notna().astype(np.float64).groupby(ids).mean().reindex(segment_ids).fillna(0.0)
    places = pd.MultiIndex.from_product([segment_ids, QUANTILES], names=["segment_id", "quantile"])
    return means, coverage, by_segment.quantile(np.asarray(QUANTILES)).reindex(places)


def population_figures(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean, ``sd``, median, deciles (``p10`` ... ``p90``) of every feature over the fit population; shape (d, 12)."""
    deciles = frame.quantile(DECILES).T
    deciles.columns = pd.Index([f"p{round(q * 100)}" for q in DECILES])
    figures = pd.DataFrame({"mean": frame.mean(), "sd": frame.std(ddof=0), "median": deciles["p50"]})
    return figures.join(deciles)


def learn_bins(values: Array, names: Sequence[str], shares: Array) -> dict[str, Any]:
    """Learn bins of about equally many customers, from the values (n, d) of all at the fit and the segments' shares.

    Returns ``n``; ``features``: per feature ``edges`` (at most 9, increasing; a value equal to an edge lies below it)
    and ``shares``, one a bin and at last that of undefined values; ``segments``: the shares.
    """
    features = {name: _bins(values[:, i]) for i, name in enumerate(names)}
    return {"n": len(values), "features": features, "segments": [float(share) for share in shares]}


def _bins(values: Array) -> dict[str, list[float]]:
    defined = values[np.isfinite(values)]
    levels = np.linspace(0, 1, N_BINS + 1)[1:-1]
    edges = np.unique(np.quantile(defined, levels)) if len(defined) else np.empty(0)
    return {"edges": edges.tolist(), "shares": bin_shares(values, edges).tolist()}


def bin_shares(values: Array, edges: Array) -> Array:
    """Return the share of values in each bin, the last bin being that of undefined ones; shape (n_edges + 2,)."""
    defined = values[np.isfinite(values)]
    counts = np.bincount(np.searchsorted(edges, defined, side="left"), minlength=len(edges) + 1)
    return np.concatenate([counts, [len(values) - len(defined)]]) / max(len(values), 1)


def bins_table(bins: dict[str, Any]) -> pd.DataFrame:
    """Return the bins as a table for people: ``feature``, ``up_to`` (the last but one open, the last undefined)."""
    rows = [
        (name, edge, share)
        for name, learnt in bins["features"].items()
        for edge, share in zip([*learnt["edges"], np.inf, np.nan], learnt["shares"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["feature", "up_to", "share"])
