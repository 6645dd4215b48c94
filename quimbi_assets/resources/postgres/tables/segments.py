"""Writes what people query: axis status, and named segments, each in one transaction.

Belongs here: the SQL of the out-tables, and reading them back for the command line. Does not: what is in them, bulk
transfer (``bulk``), which writes profiles.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import Database

#: PostgreSQL's type codes of smallint, integer and bigint.
INTEGER_TYPES = (21, 23, 20)

SEGMENT_COLUMNS = (
    "store_id",
    "axis_name",
    "segment_id",
    "segment_name",
    "interpretation",
    "cluster_center",
    "scaler_params",
    "population_percentage",
    "customer_count",
    "valid_from",
    "valid_to",
    "model_version",
    "stability",
    "name_source",
    "text_source",
)
PERSONS_NAMES = """
    UPDATE quimbi.dim_segment_master AS current SET segment_name = renamed.segment_name, name_source = 'person'
    FROM quimbi.segment_renames AS renamed
    WHERE current.store_id = %s AND current.axis_name = ANY(%s) AND current.valid_to IS NULL
        AND renamed.store_id = current.store_id AND renamed.axis_name = current.axis_name
        AND renamed.segment_id = current.segment_id AND renamed.segment_name <> current.segment_name
"""
"""Lets names stand that people set while a run was under way."""
AXIS_COLUMNS = (
    "store_id",
    "axis_name",
    "status",
    "reason",
    "k",
    "silhouette",
    "stability_ari",
    "mlflow_run_id",
    "model_version",
    "as_of",
    "held_reason",
)


def publish_axis_models(database: Database, store_id: str, summaries: Mapping[str, pd.DataFrame | None]) -> None:
    """Insert or update one row per axis in ``quimbi.axis_models``.

    Parameters
    ----------
    database : Database
        Where to write.
    store_id : str
        The store.
    summaries : mapping of axis name to frame
        The tables of ``models/<axis>``: one row, or an empty one with the reason in ``attrs``.
    """
    rows = [_axis_row(store_id, name, frame) for name, frame in summaries.items() if frame is not None]
    columns = ", ".join(AXIS_COLUMNS)
    updates = ", ".join(f"{c} = EXCLUDED.{c}" for c in AXIS_COLUMNS[2:])
    marks = ", ".join(["%s"] * len(AXIS_COLUMNS))
    with database.transaction() as cursor:
        cursor.executemany(
            f"INSERT INTO quimbi.axis_models ({columns}) VALUES ({marks}) "
            f"ON CONFLICT (store_id, axis_name) DO UPDATE SET {updates}",
            rows,
        )


def _axis_row(store_id: str, axis_name: str, frame: pd.DataFrame) -> tuple[Any, ...]:
    as_of = frame.attrs.get("observation_end")
    stamp = None if as_of is None else pd.Timestamp(as_of, tz="UTC").to_pydatetime()
    if frame.empty:
        return (store_id, axis_name, "inactive", frame.attrs["reason"], *[None] * 5, stamp, None)
    row = frame.iloc[0]
    return (
        store_id,
        axis_name,
        row["status"],
        row["reason"],
        int(row["k"]),
        float(row["silhouette"]),
        float(row["stability_ari"]),
        row["mlflow_run_id"],
        row["model_version"],
        stamp,
        row["held_reason"],
    )


def publish_serving(database: Database, store_id: str, serving: Mapping[str, tuple[AxisModel, str, str]]) -> None:
    """Bring ``quimbi.axis_models`` in line with the models that score, where another version was chosen by hand.

    Parameters
    ----------
    database : Database
        Where to write.
    store_id : str
        The store.
    serving : mapping of axis name to (model, version, run id)
        Axes whose row names this version already are left alone.
    """
    rows = [
        (model.k_, float(model.silhouette_), float(model.stability_ari_), run_id, version, store_id, axis, version)
        for axis, (model, version, run_id) in serving.items()
    ]
    with database.transaction() as cursor:
        cursor.executemany(
            "UPDATE quimbi.axis_models SET k = %s, silhouette = %s, stability_ari = %s, mlflow_run_id = %s, "
            "model_version = %s, held_reason = NULL "
            "WHERE store_id = %s AND axis_name = %s AND model_version IS DISTINCT FROM %s",
            rows,
        )


def publish_segments(
    database: Database, store_id: str, rows: Mapping[str, pd.DataFrame], retired: Sequence[str] = ()
) -> None:
    """Make these the current segments of their axes; what was current until now ends (``valid_to``).

    Parameters
    ----------
    database : Database
        Where to write.
    store_id : str
        The store.
    rows : mapping of axis name to DataFrame
        Rows of ``dim_segment_master``.
    retired : sequence of str
        Axes that have no segments any more.
    """
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE quimbi.dim_segment_master SET valid_to = now() "
            "WHERE store_id = %s AND axis_name = ANY(%s) AND valid_to IS NULL",
            (store_id, [*rows, *retired]),
        )
        _insert_segments(cursor, rows)
        cursor.execute(PERSONS_NAMES, (store_id, list(rows)))


def keep_past_segments(database: Database, rows: Mapping[str, pd.DataFrame]) -> None:
    """Add segments that score snapshots of the past only: they end where they begin, and none becomes current."""
    with database.transaction() as cursor:
        _insert_segments(cursor, {axis: frame.assign(valid_to=frame["valid_from"]) for axis, frame in rows.items()})


def _insert_segments(cursor: Any, rows: Mapping[str, pd.DataFrame]) -> None:
    columns, marks = ", ".join(SEGMENT_COLUMNS), ", ".join(["%s"] * len(SEGMENT_COLUMNS))
    records = [
        tuple(None if pd.isna(value) else value for value in record)
        for frame in rows.values()
        for record in frame[list(SEGMENT_COLUMNS)].itertuples(index=False, name=None)
    ]
    cursor.executemany(f"INSERT INTO quimbi.dim_segment_master ({columns}) VALUES ({marks})", records)


def read_segments(database: Database, store_id: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what a run found.

    Returns
    -------
    axes : DataFrame
        Rows of ``axis_models``, by axis name.
    segments : DataFrame
        Current rows of ``dim_segment_master``.

    Raises
    ------
    BadInputError
        If the store was never run.
    """
    axes = _query(database, "SELECT * FROM quimbi.axis_models WHERE store_id = %s ORDER BY axis_name", store_id)
    if axes.empty:
        raise BadInputError(f"store {store_id} has no segments yet; compute them: quimbi run --store-id {store_id}")
    segments = _query(
        database,
        "SELECT * FROM quimbi.dim_segment_master WHERE store_id = %s AND valid_to IS NULL "
        "ORDER BY axis_name, segment_id",
        store_id,
    )
    return axes, segments


def read_profiles(database: Database, store_id: str, customer_ids: Sequence[str]) -> pd.DataFrame:
    """Read profiles in the order asked for.

    Raises
    ------
    BadInputError
        If any customer has no profile; the message names them.
    """
    found = _query(
        database,
        "SELECT * FROM quimbi.customer_profiles WHERE store_id = %s AND customer_id = ANY(%s)",
        store_id,
        list(customer_ids),
    ).set_index("customer_id", drop=False)
    unknown = [customer for customer in customer_ids if customer not in found.index]
    if unknown:
        raise BadInputError(f"store {store_id} has no profile of customer {', '.join(unknown)}")
    return found.loc[list(customer_ids)]


def _query(database: Database, sql: str, *parameters: Any) -> pd.DataFrame:
    with database.transaction() as cursor:
        cursor.execute(sql, parameters)
        names = [column.name for column in cursor.description]
        integers = [column.name for column in cursor.description if column.type_code in INTEGER_TYPES]
        rows = pd.DataFrame(cursor.fetchall(), columns=names)
        # A NULL among them would turn counts into floats ("4.0 segments").
        return rows.astype(dict.fromkeys(integers, "Int64")).astype(dict.fromkeys(integers, object))
