"""What a snapshot keeps of every customer besides its rows: features, so that another model can score it later.

Belongs here: the one wide table, and the features read back from it. Does not: where it rests.
"""

from collections.abc import Mapping

import pandas as pd

from quimbi_assets.axes import AXES

SEPARATOR = "|"
DIGEST, N_ORDERS, SURPRISE = "digest", "n_orders", "surprise"


def kept_table(features: Mapping[str, pd.DataFrame], digests: pd.Series, surprise: pd.Series) -> pd.DataFrame:
    """Put the features that any model could read into one table.

    Parameters
    ----------
    features : mapping of axis to DataFrame of n rows
        From ``extract_features``; the same customers in the same order in all.
    digests, surprise : Series of length n
        From ``digest`` and ``silence``.

    Returns
    -------
    DataFrame of n rows
        Indexed by ``customer_id``: ``<axis>|<feature>``, ``n_orders``, ``digest``, ``surprise``.
    """
    first = next(iter(features.values()))
    columns = {
        f"{axis}{SEPARATOR}{name}": table[name] for axis, table in features.items() for name in _readable(axis, table)
    }
    own = {N_ORDERS: first[N_ORDERS], DIGEST: digests.reindex(first.index), SURPRISE: surprise.reindex(first.index)}
    return pd.DataFrame({**columns, **own}, index=first.index)


def kept_features(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the kept features by axis, as models read them."""
    names = [str(column) for column in table.columns if SEPARATOR in str(column)]
    by_axis: dict[str, list[str]] = {}
    for name in names:
        by_axis.setdefault(name.split(SEPARATOR)[0], []).append(name)
    return {
        axis: table[[*own, N_ORDERS]].rename(columns=lambda name: name.split(SEPARATOR)[-1])
        for axis, own in by_axis.items()
    }


def _readable(axis: str, table: pd.DataFrame) -> list[str]:
    """Columns that a model of the axis may read: its clustering features, and those that tell a state."""
    declared = AXES[axis]
    names = [f.name for f in declared.clustering_features] + [s.feature for s in declared.structural]
    return [name for name in dict.fromkeys(names) if name in table and name != N_ORDERS]
