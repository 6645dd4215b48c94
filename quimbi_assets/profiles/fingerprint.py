"""The fingerprint: a customer's distances to the centres of all segments of all active axes, as one vector.

How to read it: axes follow one another in the order of ``axis_order``, and within an axis its segments follow
in the model's order (``<axis>_1``, ``<axis>_2``, ...); position 0 is the distance to the first segment of the
first axis. Two customers are alike where the Euclidean distance of their fingerprints is small. Positions are
comparable between customers profiled by the same ``model_versions`` only. ``fingerprint_positions`` spells
them out.

Belongs here: order and layout. Does not: distances themselves (``scores``), searching for neighbours.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from quimbi_assets.axes import AXES


def axis_order(names: Iterable[str]) -> list[str]:
    """Put axes in the one order used everywhere: that of the registry, then unknown ones alphabetically.

    Examples
    --------
    >>> axis_order(["zeta", "return_behavior", "alpha", "purchase_value"])
    ['purchase_value', 'return_behavior', 'alpha', 'zeta']
    """
    known = {name: position for position, name in enumerate(AXES)}
    return sorted(names, key=lambda name: (known.get(name, len(known)), name))


def fingerprint_positions(segment_ids: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """List what each position of a fingerprint measures.

    Parameters
    ----------
    segment_ids : mapping of axis to its segment ids
        The active axes; segments in the model's order.

    Returns
    -------
    DataFrame, shape (length of the fingerprint, 3)
        ``position`` (from 0), ``axis``, ``segment_id``.

    Examples
    --------
    >>> fingerprint_positions({"b": ["b_1"], "a": ["a_1", "a_2"]}).to_dict("list")
    {'position': [0, 1, 2], 'axis': ['a', 'a', 'b'], 'segment_id': ['a_1', 'a_2', 'b_1']}
    """
    pairs = [(axis, segment) for axis in axis_order(segment_ids) for segment in segment_ids[axis]]
    frame = pd.DataFrame(pairs, columns=["axis", "segment_id"])
    frame.insert(0, "position", range(len(frame)))
    return frame


def fingerprints(distances: Sequence[NDArray[np.float64]]) -> pa.ListArray:
    """Join distances of all axes into one vector a customer.

    Parameters
    ----------
    distances : sequence of ndarray, shapes (n, k_axis)
        In the order of ``axis_order``.

    Returns
    -------
    ListArray of float32, length n
        Each of length sum of k_axis.
    """
    joined = np.hstack(distances).astype(np.float32)
    n, width = joined.shape
    return pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * np.int32(width), pa.array(joined.ravel()))
