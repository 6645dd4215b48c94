"""The fitted model of one axis: from feature values in original units to memberships.

Belongs here: the scikit-learn estimator that ties scaling, structural segments and selection together and is
saved whole. Does not: how a partition is measured or chosen, what segments are called, where models are kept.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils import Tags

from quimbi_assets.axes._axis import Axis
from quimbi_assets.clustering.fitting import Fit, fit_axis, prepare_samples
from quimbi_assets.clustering.scoring import N_ORDERS, FittedAxis, evident, numbers, read_training
from quimbi_assets.clustering.segment_ids import give_ids
from quimbi_assets.clustering.selection import selection_table
from quimbi_assets.clustering.summary import (
    learn_bins,
    population_figures,
    segment_coverage,
    segment_means,
    segment_quantiles,
)


class AxisModel(TransformerMixin, FittedAxis):
    """Segments of one axis: transform, winsorise, standardise, distance to centres, memberships.

    Fitting chooses the number of segments; scoring applies the fitted figures to any customer and refits nothing. The
    fitted object holds aggregates only, no row of a customer (so there is no ``labels_``).

    Parameters
    ----------
    axis : str
        Prefix of segment ids.
    transforms : dict of str to str, optional
        The clustering features, in order, with the name of each one's transform (``scaling.TRANSFORMS``). None: every
        numeric column except ``n_orders``, untransformed.
    structural : tuple of (feature, equals, name)
        States that may be segments of their own. The feature may be any column of the frame.
    min_orders : int
        Orders from which a customer is evidence, where the frame has ``n_orders``.
    min_k, max_k : int
        Fewest and most segments, structural ones included.
    max_sample : int
        Most customers that shape the fit, drawn by a seeded hash of the index.

    Attributes
    ----------
    features_ : list of str
        The d columns a customer is scored by: the clustering features used, in declared order, then columns
        of structural states that are no clustering feature.
    dropped_ : dict of str to str
        Features not used, with the reason: not recorded, constant, a twin of another, or better left out.
    segment_ids_ : list of str
        ``<axis>_<number>``; segments lie in the order structural ones first, then by the first feature's centre,
        and a first fit numbers them so from 1. A refit's kept segments have the champion's ids.
    segments_named_ : int
        Largest number given so far.
    lineage_ : DataFrame
        What became of the champion's segments and where these come from (``segment_ids.SegmentIds``).
    structural_ : list of (str or None)
        Per segment, the name of its state, or None.
    cluster_centers_ : ndarray of shape (k, d)
        Centres in scaled space.
    winsor_low_, winsor_high_, mean_, scale_ : ndarray of shape (d,)
        Limits, mean and standard deviation, in transformed units.
    states_ : list of (int, float, float)
        Structural states: column, raw value, scaled score.
    centers_shop_ : DataFrame of shape (k, d)
        Mean of raw values per segment; where nobody has a value (see ``coverage_``), that of the scaled centre.
    coverage_ : DataFrame of shape (k, d)
        Share of the segment's customers with a value, 0-1.
    quantiles_ : DataFrame of shape (3 k, d)
        10, 50 and 90 % quantiles, by ``(segment_id, quantile)``.
    population_ : DataFrame of shape (d, 12)
        Mean, sd, median and deciles of raw values over the fit population.
    shares_ : ndarray of shape (k,)
        Share of the fit population whose dominant segment it is.
    selection_ : DataFrame
        One row per candidate: ``k``, ``features``, ``structural``, figures, ``chosen``, ``reason``.
    silhouette_, stability_ari_, stability_spread_ : float
        Figures of the chosen candidate; the last is the standard deviation of the ARI over bootstrap refits.
    segment_stability_ : ndarray of shape (k,)
        Jaccard stability, 0-1; 1 for structural segments, which a rule defines.
    n_fit_, n_low_evidence_ : int
        Customers that shaped the fit, and those given to ``fit`` whose evidence is low.
    reference_bins_ : dict
        How features and segments were distributed among all customers given to ``fit`` (``summary.learn_bins``).
    """

    def __init__(
        self,
        axis: str = "",
        transforms: dict[str, str] | None = None,
        *,
        structural: tuple[tuple[str, float, str], ...] = (),
        min_orders: int = 1,
        min_k: int = 2,
        max_k: int = 6,
        max_sample: int = 50_000,
        temperature: float = 1.0,
        random_state: int = 0,
    ) -> None:
        self.axis = axis
        self.transforms = transforms
        self.structural = structural
        self.min_orders = min_orders
        self.min_k = min_k
        self.max_k = max_k
        self.max_sample = max_sample
        self.temperature = temperature
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """Declare to scikit-learn that NULL is allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any = None, champion: FittedAxis | None = None, named: int = 0) -> Self:
        """Learn limits, scaling, number of segments and centres.

        Parameters
        ----------
        X : DataFrame of n rows indexed by customer, or array of shape (n, d)
            Clustering features in original units, NULL where undefined; ``n_orders`` and structural columns where
            there are. In an array the features are called ``x0``, ``x1`` ...
        champion : FittedAxis, optional
            The axis's model that serves: the fit may start at its centres, and segments that are kept take its ids.
        named : int
            Largest number of a segment id given so far on this axis, where other versions gave more than the
            champion knows.

        Raises
        ------
        InactiveAxisError
            If fewer than two features vary or too few customers are evidence.
        """
        frame, transforms, known = self._training(X)
        fit = fit_axis(self, frame, transforms, known, champion)
        self._remember(fit)
        self.segment_ids_, self.segments_named_, self.lineage_ = give_ids(self, X, champion, named)
        self._summarise(fit)
        self.n_low_evidence_ = int(len(frame) - known.sum())
        shares = np.bincount(self.predict(X), minlength=self.k_) / len(frame)
        self.reference_bins_ = learn_bins(self._values(X), self.features_, shares)
        return self

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

    def _remember(self, fit: Fit) -> None:
        """Take over what the fit found out, in aggregate."""
        self.features_, self.dropped_, self.transforms_ = fit.features, fit.dropped, fit.scaler.transforms
        self.winsor_low_, self.winsor_high_ = fit.scaler.low, fit.scaler.high
        self.mean_, self.scale_, self.states_ = fit.scaler.mean, fit.scaler.scale, fit.scaler.states
        self.cluster_centers_, self.structural_ = fit.centers, fit.structural
        self.k_ = len(fit.centers)
        self.selection_ = selection_table(fit.candidates)
        self.silhouette_, self.stability_ari_ = fit.chosen.silhouette, fit.chosen.stability.ari
        self.stability_spread_ = fit.chosen.stability.ari_spread
        self.segment_stability_ = fit.stability
        self.n_fit_ = len(fit.labels)
        self.shares_ = np.bincount(fit.labels, minlength=self.k_) / self.n_fit_

    def _summarise(self, fit: Fit) -> None:
        """Describe the segments in original units."""
        segments = (fit.raw, fit.labels, self.segment_ids_)
        self.centers_shop_ = segment_means(*segments, fit.scaler.original_values(fit.centers))
        self.coverage_ = segment_coverage(*segments)
        self.quantiles_ = segment_quantiles(*segments)
        self.population_ = population_figures(fit.raw)


def axis_model(axis: Axis, **options: Any) -> AxisModel:
    """Return the unfitted model of an axis."""
    return AxisModel(
        axis=axis.name,
        transforms={f.name: f.transform for f in axis.clustering_features},
        structural=tuple((s.feature, s.equals, s.name) for s in axis.structural),
        min_orders=axis.min_orders,
        **options,
    )
