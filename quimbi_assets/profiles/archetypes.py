"""Archetypes: customers who are alike on every axis at once.

Level 1 is the dominant segment of each axis (the column ``dominant_segments``); level 2 the combination of
all of them, under one id; level 3 the fingerprint (``fingerprint``), which no longer rounds to segments.

Belongs here: the id of a combination. Does not: names or counts of archetypes.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

ID_BYTES = 6


def archetype_id(dominant: Mapping[str, str]) -> str:
    """Return the id of one combination of dominant segments.

    Parameters
    ----------
    dominant : mapping of axis to segment id
        The active axes, in any order.

    Returns
    -------
    str
        ``a`` and 12 hexadecimal digits: BLAKE2b of the sorted ``axis=segment_id`` lines. The same combination
        has the same id in every run and on every machine.

    Examples
    --------
    >>> archetype_id({"value": "value_2", "frequency": "frequency_1"})
    'a9fcf72922324'
    """
    pairs = "\n".join(sorted(f"{axis}={segment}" for axis, segment in dominant.items()))
    return "a" + hashlib.blake2b(pairs.encode(), digest_size=ID_BYTES).hexdigest()


def archetype_ids(
    dominant: NDArray[np.intp], axes: Sequence[str], segment_ids: Sequence[Sequence[str]]
) -> NDArray[np.object_]:
    """Return the archetype of every customer.

    Parameters
    ----------
    dominant : ndarray of int, shape (n, n_axes)
        Position of the dominant segment on each axis.
    axes : sequence of n_axes str
        Axis names.
    segment_ids : sequence of n_axes sequences of str
        Segment ids of each axis, by position.

    Returns
    -------
    ndarray of str, shape (n,)
        As ``archetype_id``; each combination that occurs is hashed once.
    """
    code = np.zeros(len(dominant), dtype=np.int64)
    for j, ids in enumerate(segment_ids):
        # Renumbered after every axis, so that no number of axes can overflow.
        code = np.unique(code * len(ids) + dominant[:, j], return_inverse=True)[1]
    _, first, combination = np.unique(code, return_index=True, return_inverse=True)
    hashed = [
        archetype_id({axis: ids[i] for axis, ids, i in zip(axes, segment_ids, row, strict=True)})
        for row in dominant[first].tolist()
    ]
    return np.array(hashed, dtype=object)[combination]
