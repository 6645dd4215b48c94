"""What is done with a store's history, wherever it is done: models fitted as of an instant, and everybody scored.

Belongs here: the order of the steps, on plain data. Does not: any step's formula, where tables and models rest
(``resources``), Dagster's assets (``defs``). Assets, weekly snapshots, the backtest, the dry run and the Python
API all call this.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import AXES, Features, StoreReference, checked_axes, feature_frame, fit_reference, measure
from quimbi_assets.axis_table import AxisTable
from quimbi_assets.churn.examples import choose_horizon
from quimbi_assets.churn.history import read_history
from quimbi_assets.clustering.abstention import measure_differences
from quimbi_assets.clustering.axis_fit import AxisFit, FitOptions, fit_axis_model, why_inactive
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.noise_test import NoiseTest
from quimbi_assets.clustering.transition import Transition, measure_transition
from quimbi_assets.errors import BadInputError, InsufficientHistoryError
from quimbi_assets.history import History
from quimbi_assets.instants import Instant
from quimbi_assets.naming.values import plural
from quimbi_assets.profiles.scores import AxisScores, matrix, score_features
from quimbi_assets.profiles.stays import StayModel, learn_stays
from quimbi_assets.sampling import sample_places

HORIZON_CUSTOMERS = 20_000
"""Customers whose gaps between orders the horizon of a transition is chosen from."""
OnFit = Callable[[str, AxisFit], object]
"""Told of each axis's fit as soon as it is there, from a thread of its own."""


@dataclass(frozen=True)
class FittedStore:
    """The models of a store as of an instant, by axis.

    ``fits`` tell whether each takes its champion's place, ``noise`` whether customers really differ and their segments
    hold, ``inactive`` why an axis has no model. Who stays in which segment is learnt from the last ``transition``; in
    words, why there is none.
    """

    fits: Mapping[str, AxisFit]
    noise: Mapping[str, NoiseTest]
    inactive: Mapping[str, str]
    transition: Transition | str = "no transition was asked for"

    @property
    def models(self) -> dict[str, AxisModel]:
        """The fitted models by axis."""
        return {axis: fit.model for axis, fit in self.fits.items()}

    def stays(self, axis: str, model: AxisModel) -> StayModel:
        """Learn who stays in a segment of a model, be it this fit's or the champion's."""
        return learn_stays(AXES[axis], model, self.transition)


def require_population(history: History, at_least: int, option: str = "--min-population ") -> None:
    """Refuse, as bad input, a store with too few customers to segment; ``option`` is what the message advises."""
    n, everything = history.n_customers, history.until(None)
    if not n and not everything.n_customers:
        raise BadInputError(
            f"store {history.store.store_id}: none of its orders counts as a purchase by its policy and currency, "
            f"{history.store.currency or 'any'}; load them with their own: quimbi load --orders F --currency CODE"
        )
    if not n:
        raise BadInputError(
            f"store {history.store.store_id} has no order before {history.end}: the first is of {everything.span[0]}"
        )
    if n < at_least:
        raise BadInputError(
            f"store {history.store.store_id} has {plural(n, 'customer')} before {history.end}, fewer than {at_least}: "
            f"segments of so few would be arbitrary; to try all the same, use {option}{max(n, 2)}"
        )


def measured_together(store_id: str, tables: Mapping[str, AxisTable]) -> tuple[Instant | None, frozenset[str]]:
    """Return the instant that features are of, and the columns recorded by then.

    A BadInputError if they are of several, or of different columns: models of them would be of no one history.
    """
    apart: dict[tuple[Instant | None, frozenset[str]], list[str]] = defaultdict(list)
    for name, table in tables.items():
        apart[table.facts.at, table.facts.recorded].append(name)
    if len(apart) > 1:
        groups = "; ".join(f"{', '.join(names)} as of {at}" for (at, _), names in apart.items())
        raise BadInputError(
            f"features of store {store_id} were measured apart ({groups}); measure them in one run: "
            f"quimbi run --store-id {store_id}"
        )
    return next(iter(apart))


def sampled_features(tables: Mapping[str, AxisTable], options: Mapping[str, FitOptions]) -> dict[str, pd.DataFrame]:
    """Read, of each axis, the features of the customers that shape its fit out of tables at rest.

    Axes measured by one run hold the same customers; those of another are drawn from their own.
    """
    places: dict[tuple[str | None, FitOptions], NDArray[np.intp]] = {}
    for name, table in tables.items():
        draw = (table.facts.run_id, options[name])
        if draw not in places:
            places[draw] = sample_places(table.customers, options[name].max_sample, options[name].random_state)
    return {n: feature_frame(table.take(places[table.facts.run_id, options[n]])) for n, table in tables.items()}


def dominant_counts(scored: AxisTable) -> NDArray[np.int64]:
    """Count the customers of each segment in an axis's table of memberships; shape (k,)."""
    k = len(scored.facts.segment_ids)
    counts = np.zeros(k, dtype=np.int64)
    for batch in scored.batches(["distance"]):
        counts += np.bincount(matrix(batch["distance"], k).argmin(axis=1), minlength=k)
    return counts


def sample_store(history: History, axes: Iterable[str] | None, options: FitOptions) -> Features:
    """Measure the customers that shape fits, beside what the whole store records and is measured against."""
    sample = history.sample(options.max_sample, options.random_state)
    return Features(measure(sample, axes, reference=fit_reference(history), recorded=history.recorded))


def last_transition(
    history: History, axes: Sequence[str], recorded: frozenset[str], reference: StoreReference, *, random_state: int = 0
) -> Transition | str:
    """Measure some customers a churn horizon, at most a fifth of the history, before its end, and at its end.

    ``recorded`` and ``reference`` are as for ``measure``, as of the end. In words why not, where the history is too
    short to have a horizon, or there is no axis.
    """
    if not axes:
        return "no axis was to be measured"
    try:
        days = choose_horizon(read_history(history.sample(HORIZON_CUSTOMERS, random_state)), history.end)
    except InsufficientHistoryError as why:
        return str(why)
    return measure_transition(history, axes, days, recorded=recorded, reference=reference, random_state=random_state)


def fit_store(
    history: History,
    features: Mapping[str, pd.DataFrame],
    reference: StoreReference,
    recorded: frozenset[str],
    options: FitOptions,
    *,
    champions: Mapping[str, AxisModel] | None = None,
    named: Mapping[str, int] | None = None,
    noise_test: bool = True,
    pool: Executor | None = None,
    on_fit: OnFit = lambda axis, fit: None,
) -> FittedStore:
    """Fit the axes of a store as of its history's end, and test which of them tell customers apart.

    ``features`` are of the customers that shape fits (``sample_store``, or ``sampled_features`` of what rests),
    ``champions`` the models that serve: their ids are inherited, and fits compared with them. ``named`` is by axis the
    largest number of a segment id so far. The ``noise_test``, and the last transition measured with it, take as long as
    the fits, which run here one after the other if there is no ``pool``.
    """
    champions, named = champions or {}, named or {}
    fits = {
        axis: _submitted(pool, axis, options, frame, champions.get(axis), named.get(axis, 0))
        for axis, frame in features.items()
    }
    with _telling(fits, on_fit):
        tested, seed = list(features) if noise_test else [], options.random_state
        transition = last_transition(history, tested, recorded, reference, random_state=seed)
        days = None if isinstance(transition, str) else transition.horizon_days
        noise = measure_differences(history, tested, recorded, reference, horizon_days=days, random_state=seed)
    outcomes = {axis: fit.result() for axis, fit in fits.items()}
    models = {axis: fit for axis, fit in outcomes.items() if isinstance(fit, AxisFit)}
    return FittedStore(
        fits=models,
        noise={axis: noise[axis].with_model(fit.model) for axis, fit in models.items() if noise_test},
        inactive={axis: fit for axis, fit in outcomes.items() if isinstance(fit, str)},
        transition=transition,
    )


def foresee_axes(history: History, axes: Iterable[str] | None, options: FitOptions) -> dict[str, str | None]:
    """Say of every axis why ``fit_store`` would leave it without a model; None: it would have one."""
    if not history.n_customers:
        return dict.fromkeys(checked_axes(axes), "no customer has ordered yet")
    measured = sample_store(history, axes, options)
    return {axis: why_inactive(axis, options, frame) for axis, frame in measured.items()} | dict(measured.inactive)


def _submitted(
    pool: Executor | None, axis: str, options: FitOptions, frame: pd.DataFrame, champion: AxisModel | None, named: int
) -> "Future[AxisFit | str]":
    if pool is not None:
        return pool.submit(fit_axis_model, axis, options, frame, champion, named)
    done: Future[AxisFit | str] = Future()
    done.set_result(fit_axis_model(axis, options, frame, champion, named))
    return done


@contextmanager
def _telling(fits: Mapping[str, "Future[AxisFit | str]"], on_fit: OnFit) -> Iterator[None]:
    """Tell of fits while the block takes this thread; all are told of when it ends."""
    axes = {fit: axis for axis, fit in fits.items()}

    def tell() -> None:
        for done in as_completed(axes):
            if isinstance(fit := done.result(), AxisFit):
                on_fit(axes[done], fit)

    teller = ThreadPoolExecutor(1)
    try:
        telling = teller.submit(tell)
        yield
        telling.result()
    finally:
        teller.shutdown(wait=False)


@dataclass(frozen=True)
class ScoredPart:
    """Some of a store's customers: their features and where they stand, axis by axis, in one order of customers."""

    features: Mapping[str, pd.DataFrame]
    scores: Mapping[str, AxisScores]


def score_store(
    history: History,
    models: Mapping[str, AxisModel],
    references: Mapping[str, StoreReference],
    recorded: frozenset[str],
) -> Iterator[ScoredPart]:
    """Measure and score everybody as of a history's end, part by part in ascending order of customer ids.

    Axes that cannot be measured as of then are left out. ``references`` is what the features are measured against, of
    the axes that declare so at least, ``recorded`` the columns the store records.
    """
    groups = _by_reference(models, references)
    measurements = [measure(history, axes, reference=one, recorded=recorded) for one, axes in groups]
    for parts in zip(*(measurement.parts() for measurement in measurements), strict=True):
        frames = {axis: feature_frame(table) for part in parts for axis, table in part.items()}
        ordered = {axis: frames[axis] for axis in models if axis in frames}
        if ordered:
            yield ScoredPart(ordered, score_features(ordered, models))


def _by_reference(
    axes: Iterable[str], references: Mapping[str, StoreReference]
) -> list[tuple[StoreReference, list[str]]]:
    """Group axes by what they are measured against, so that each is prepared once; those that need none go with one."""
    groups: dict[int, tuple[StoreReference, list[str]]] = {}
    first = next(iter(references.values()), StoreReference.empty())
    for axis in axes:
        reference = references.get(axis, first)
        groups.setdefault(reference.content(), (reference, []))[1].append(axis)
    return list(groups.values())
