"""A model's state in plain types, so that it is saved without pickling code.

Belongs here: frames to lists and back. Numbers, text, lists and arrays pass as they are. The reason: a format
that refuses to run code while loading (skops) does not know pandas' internals, and a model that holds none also
loads under another version of pandas.
"""

from typing import Any

import pandas as pd

_FRAME = "frame:"


def to_plain(state: dict[str, Any]) -> dict[str, Any]:
    """Replace frames by lists.

    Parameters
    ----------
    state : dict
        Attributes by name.

    Returns
    -------
    dict
        The same; each frame as a dict under its name prefixed with ``frame:``.

    Examples
    --------
    >>> to_plain({"k": 2, "t": pd.DataFrame({"a": [1.5]}, index=["x"])})
    {'k': 2, 'frame:t': {'columns': ['a'], 'values': [[1.5]], 'index': ['x'], 'names': [None]}}
    """
    return dict(_plain(name, value) for name, value in state.items())


def from_plain(state: dict[str, Any]) -> dict[str, Any]:
    """Undo :func:`to_plain`; state without frames is returned as it is."""
    return dict(_restored(name, value) for name, value in state.items())


def _plain(name: str, value: Any) -> tuple[str, Any]:
    if not isinstance(value, pd.DataFrame):
        return name, value
    return _FRAME + name, {
        "columns": value.columns.tolist(),
        "values": [value[column].tolist() for column in value],
        "index": value.index.tolist(),
        "names": list(value.index.names),
    }


def _restored(name: str, value: Any) -> tuple[str, Any]:
    if not name.startswith(_FRAME):
        return name, value
    keys, names = value["index"], value["names"]
    index = pd.MultiIndex.from_tuples(keys, names=names) if len(names) > 1 else pd.Index(keys, name=names[0])
    return name.removeprefix(_FRAME), pd.DataFrame(
        dict(zip(value["columns"], value["values"], strict=True)), index=index
    )
