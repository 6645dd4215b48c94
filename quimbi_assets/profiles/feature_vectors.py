"""Feature values of every customer on every active axis, as one JSON object a customer.

Belongs here: the column ``feature_vectors``. Does not: measuring features (``axes``), writing JSON
(``json_text``).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.profiles.json_text import column_texts, nested_objects, number_texts

DECIMALS = 6


def feature_vectors(features: Mapping[str, pd.DataFrame], axes: Sequence[str]) -> pa.StringArray:
    """Write the features of n customers.

    Parameters
    ----------
    features : mapping of axis to DataFrame of n rows
        One order of customers in all frames.
    axes : sequence of str
        Axes to write, in this order.

    Returns
    -------
    StringArray of length n
        ``{axis: {feature: value}}`` with every column of the axis's frame: numbers rounded to 6 decimals,
        texts, flags; null where undefined.
    """
    frames = [features[axis] for axis in axes]
    n = len(frames[0])
    columns = [frame[name] for frame in frames for name in frame.columns]
    is_number = [_is_number(column) for column in columns]
    numbers = [
        column.to_numpy(dtype=np.float64, na_value=np.nan)
        for column, number in zip(columns, is_number, strict=True)
        if number
    ]
    matrix = np.column_stack(numbers) if numbers else np.empty((n, 0))
    texts = [column_texts(column) for column, number in zip(columns, is_number, strict=True) if not number]
    pool = pa.concat_arrays([number_texts(np.round(matrix, DECIMALS)), *texts])
    keys = {axis: list(frame.columns) for axis, frame in zip(axes, frames, strict=True)}
    return nested_objects(keys, pc.take(pool, _places(n, is_number)))


def _is_number(column: pd.Series) -> bool:
    kind = column.dtype
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def _places(n: int, is_number: list[bool]) -> pa.Array:
    """Where each row's values stand in the pool: numbers row by row, then one text column after another."""
    m = sum(is_number)
    rows = np.arange(n, dtype=np.int64)
    places = np.empty((n, len(is_number)), dtype=np.int64)
    numbers = texts = 0
    for j, number in enumerate(is_number):
        places[:, j] = rows * m + numbers if number else n * m + n * texts + rows
        numbers, texts = numbers + number, texts + (not number)
    return pa.array(places.ravel())
