"""Nested columns as JSON text, written for all rows at once.

Belongs here: turning matrices of values into one JSON object a row. Does not: what the objects mean.

Building the text by Arrow's string kernels takes a fixed number of calls whatever the number of rows, so that
one row costs well under a millisecond and a hundred thousand are not looped over.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NULL = "null"


def number_texts(values: NDArray[np.float64]) -> pa.StringArray:
    """Write numbers as JSON, with as many digits as it takes to read the same number back.

    Parameters
    ----------
    values : ndarray, shape (n, m)
        NaN and infinities are written as null.

    Returns
    -------
    StringArray of length n m
        Row by row.

    Examples
    --------
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


def flat_objects(keys: Sequence[str], texts: pa.StringArray) -> pa.StringArray:
    """Write one object a row.

    Parameters
    ----------
    keys : sequence of m str
        Keys, the same in every row.
    texts : StringArray of length n m
        JSON values, row by row.

    Returns
    -------
    StringArray of length n

    Examples
    --------
    >>> flat_objects(["a", "b"], pa.array(["1", "2", "3", "null"])).to_pylist()
    ['{"a": 1, "b": 2}', '{"a": 3, "b": null}']
    """
    heads = [f"{json.dumps(key)}: " for key in keys]
    return _joined(["{" + heads[0], *(f", {head}" for head in heads[1:])], texts, "}")


def nested_objects(keys: Mapping[str, Sequence[str]], texts: pa.StringArray) -> pa.StringArray:
    """Write one object of objects a row.

    Parameters
    ----------
    keys : mapping of outer key to inner keys
        m inner keys in all, at least one for each outer key.
    texts : StringArray of length n m
        JSON values, row by row.

    Returns
    -------
    StringArray of length n

    Examples
    --------
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
