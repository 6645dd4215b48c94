"""Which declared features a fit can use: recorded, telling customers apart, and no fact twice.

Belongs here: what is left out before anything is divided, and why. Does not: features left out because customers
divide better without them (``views``).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.clustering.scaling import Scaler, fit_scaler
from quimbi_assets.clustering.transforms import Array
from quimbi_assets.errors import InactiveAxisError

TWIN = 0.999
"""Size of a correlation from which two features are one fact: a share and its complement, or the same counted twice."""


def usable_features(divided: pd.DataFrame, transforms: dict[str, str]) -> tuple[Scaler, list[str], dict[str, str]]:
    """Fit the scaler to the features that can be used.

    Parameters
    ----------
    divided : DataFrame of n rows
        Features in shop units of the customers to divide.
    transforms : dict of str to str
        Declared clustering features with their transforms.

    Returns
    -------
    Scaler
        Over the usable features.
    list of str
        Their names, in declared order.
    dict of str to str
        The others, with the reason.

    Raises
    ------
    InactiveAxisError
        If fewer than two features vary.
    """
    dropped = {name: "not recorded" for name in transforms if name not in divided}
    present = [name for name in transforms if name not in dropped]
    values = divided[present].to_numpy(dtype=np.float64)
    scaler, varies = fit_scaler(values, [transforms[name] for name in present])
    undefined = ~np.isfinite(values).any(axis=0)
    for name, varied, empty in zip(present, varies, undefined, strict=True):
        if not varied:
            dropped[name] = "undefined for everyone" if empty else "practically the same for everyone"
    if varies.sum() < 2:
        why = "; ".join(f"{name} is {reason}" for name, reason in dropped.items()) or "no other is declared"
        raise InactiveAxisError(f"customers differ in {varies.sum()} feature(s) only, two are needed: {why}")
    twins = _twins(scaler.scale_values(values), np.isfinite(values), varies)
    for i, (other, correlation) in twins.items():
        same = "says the same as" if correlation > 0 else "is the complement of"
        dropped[present[i]] = f"{same} {present[other]} (correlation {correlation:.3f})"
    kept = varies & ~np.isin(np.arange(len(present)), list(twins))
    return scaler.take(kept), [name for name, use in zip(present, kept, strict=True) if use], dropped


def _twins(scaled: Array, defined: NDArray[np.bool_], varies: NDArray[np.bool_]) -> dict[int, tuple[int, float]]:
    """Return each column that repeats an earlier one, with that column and the correlation."""
    found: dict[int, tuple[int, float]] = {}
    for later in np.flatnonzero(varies):
        for earlier in np.flatnonzero(varies[:later]):
            both = defined[:, earlier] & defined[:, later]
            pair = scaled[both][:, [earlier, later]]
            if later in found or earlier in found or len(pair) < 3 or not (np.ptp(pair, axis=0) > 0).all():
                continue
            correlation = float(np.asarray(np.corrcoef(pair.T))[0, 1])
            if abs(correlation) >= TWIN:
                found[int(later)] = (int(earlier), correlation)
    return found
