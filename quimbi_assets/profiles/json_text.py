"""Nested columns as JSON text, written for all rows at once.

Belongs here: turning columns and matrices of values into one JSON object a row. Does not: what the objects mean.

Building the text by Arrow's string kernels takes a fixed number of calls whatever the number of rows, so that
one row costs well under a millisecond and a hundred thousand are not looped over.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NULL = "null"
DECIMALS = 6
"""Of the numbers of features."""


def number_texts(values: NDArray[np.float64]) -> pa.StringArray:
    """Write numbers, shape (n, m), as n m JSON texts row by row, NaN and infinities as null.

    With as many digits as it takes to read the same number back.

    >>> number_texts(np.array([[0.1, 3.0, float("nan")]])).to_pylist()
    ['0.1', '3', 'null']
    """
    flat = np.ascontiguousarray(values, dtype=np.float64).ravel() + 0.0
    numbers = pa.array(flat, mask=~np.isfinite(flat))
    return pc.fill_null(pc.cast(numbers, pa.string()), NULL)


def column_texts(column: pd.Series) -> pa.StringArray:
    """Write a column of texts or flags as JSON, null where undefined; each distinct text is escaped once."""
    array = pa.array(column, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_boolean(array.type):
        return pc.fill_null(pc.cast(array, pa.string()), NULL)
    encoded = pc.dictionary_encode(pc.cast(array, pa.string()))
    escaped = quoted(encoded.dictionary.to_pylist())
    return pc.fill_null(pc.take(escaped, encoded.indices), NULL)


def quoted(words: Iterable[str]) -> pa.StringArray:
    """Write words as JSON strings.

    >>> quoted(["ok", 'a "b"']).to_pylist()
    ['"ok"', '"a \\\\"b\\\\""']
    """
    return pa.array([json.dumps(word, ensure_ascii=False) for word in words], pa.string())


def feature_objects(features: Mapping[str, pd.DataFrame]) -> pa.StringArray:
    """Write the features of n customers, in one order in all frames, as ``{axis: {feature: value}}`` a customer.

    Every column of an axis's frame: numbers rounded to 6 decimals, texts, flags; null where undefined.
    """
    n = len(next(iter(features.values())))
    columns = [frame[name] for frame in features.values() for name in frame.columns]
    is_number = [pd.api.types.is_numeric_dtype(c.dtype) and not pd.api.types.is_bool_dtype(c.dtype) for c in columns]
    numbers = [
        column.to_numpy(dtype=np.float64, na_value=np.nan)
        for column, number in zip(columns, is_number, strict=True)
        if number
    ]
    matrix = np.column_stack(numbers) if numbers else np.empty((n, 0))
    texts = [column_texts(column) for column, number in zip(columns, is_number, strict=True) if not number]
    pool = pa.concat_arrays([number_texts(np.round(matrix, DECIMALS)), *texts])
    # In the pool: numbers row by row, then one text column after another.
    rows, m = np.arange(n, dtype=np.int64), len(numbers)
    before = accumulate(is_number, initial=0)
    places = [
        rows * m + n_before if number else n * (m + j - n_before) + rows
        for j, (number, n_before) in enumerate(zip(is_number, before, strict=False))
    ]
    keys = {axis: list(frame.columns) for axis, frame in features.items()}
    return nested_objects(keys, pc.take(pool, pa.array(np.column_stack(places).ravel())))


def flat_objects(keys: Sequence[str], vocabularies: Sequence[pa.StringArray], codes: NDArray[Any]) -> pa.StringArray:
    """Write one object of the same m keys a row, from codes, shape (n, m), each column's in its own vocabulary.

    >>> flat_objects(["a", "b"], [quoted(["ok", "low"]), quoted("xyz")], np.array([[0, 2], [1, 0]])).to_pylist()
    ['{"a": "ok", "b": "z"}', '{"a": "low", "b": "x"}']
    """
    starts = np.cumsum([0, *map(len, vocabularies)])[:-1]
    texts = pc.take(pa.concat_arrays(vocabularies), pa.array((codes + starts).ravel()))
    return _joined(_heads(keys), texts, "}")


def _heads(keys: Sequence[str]) -> list[str]:
    return [f"{', ' if place else '{'}{json.dumps(key)}: " for place, key in enumerate(keys)]


def number_objects(keys: Sequence[str], values: NDArray[np.float64]) -> pa.StringArray:
    """Write one object of the same m keys a row, from numbers, shape (n, m)."""
    return _joined(_heads(keys), number_texts(values), "}")


def nested_objects(keys: Mapping[str, Sequence[str]], texts: pa.StringArray) -> pa.StringArray:
    """Write one object of objects a row, from n m JSON values row by row.

    There are m inner keys in all, at least one for each outer key.

    >>> nested_objects({"x": ["a", "b"], "y": ["c"]}, pa.array(["1", "2", "3"])).to_pylist()
    ['{"x": {"a": 1, "b": 2}, "y": {"c": 3}}']
    """
    prefixes: list[str] = []
    for outer, inner in keys.items():
        opening = ("{" if not prefixes else "}, ") + f"{json.dumps(outer)}: {{"
        prefixes += [f"{opening if i == 0 else ', '}{json.dumps(key)}: " for i, key in enumerate(inner)]
    return _joined(prefixes, texts, "}}")


def _joined(prefixes: list[str], texts: pa.StringArray, closing: str) -> pa.StringArray:
    """Put a prefix before every text, join each row's m of them, and close it."""
    m = len(prefixes)
    n = len(texts) // m
    tiled = pc.take(pa.array(prefixes, pa.string()), pa.array(np.tile(np.arange(m, dtype=np.int32), n)))
    tokens = pc.binary_join_element_wise(tiled, texts, "")
    rows = pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * np.int32(m), tokens)
    return pc.binary_join_element_wise(pc.binary_join(rows, ""), closing, "")
