"""What acting did, planted in a simulated store: from entry on, customers acted on order more often than they would.

Belongs here: orders with the effect in them. Does not: who is acted on (``lift.assignment``), measuring it (``lift``).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.simulation.tables import UTC, Block

MORE = "-more"


@dataclass(frozen=True)
class Effect:
    """What acting on customers did: see ``plant_effect``. ValueError where a figure is out of range."""

    acted: pd.DataFrame
    raised: float
    window_days: int = 30

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0 < self.raised <= 1 or not 1 <= self.window_days <= 365:
            raise ValueError(
                f"an effect is above 0 and at most 1, in 1 to 365 days; got {self.raised} in {self.window_days}"
            )
        if lacking := {"customer_id", "entered_at"} - set(self.acted):
            raise ValueError(f"those acted on need the columns customer_id and entered_at; missing: {sorted(lacking)}")
        if self.acted["customer_id"].duplicated().any():
            raise ValueError("a customer is acted on once; there are several rows of some")

    def planted(self, block: Block, seed: int) -> Block:
        """Return a block of a store with the orders of the effect and their lines; none of those is sent back."""
        orders, lines = block["orders"], block["order_items"]
        narrow = orders.select(["order_id", "customer_id", "order_date"]).to_pandas()
        more = plant_effect(narrow, self.acted, self.raised, self.window_days, seed).iloc[len(narrow) :]
        doubled = pa.array(more["order_id"].str.removesuffix(MORE), pa.string())
        copied = _replaced(
            orders.take(pc.index_in(doubled, orders["order_id"])),
            order_id=pa.array(more["order_id"], pa.string()),
            order_date=pa.array(more["order_date"]).cast(UTC, safe=False),
            refund_amount=0.0,
        )
        of_lines = lines.filter(pc.is_in(lines["order_id"], doubled))
        of_lines = _replaced(
            of_lines, order_id=pc.binary_join_element_wise(of_lines["order_id"], MORE, ""), refund_amount=0.0,
            refunded_at=None,
        )  # fmt: skip
        was_acted_on = pc.is_in(block["labels"]["customer_id"], pa.array(self.acted["customer_id"], pa.string()))
        return block | {
            "orders": pa.concat_tables([orders, copied]),
            "order_items": pa.concat_tables([lines, of_lines]),
            "labels": block["labels"].append_column("acted_on", was_acted_on),
        }


def _replaced(rows: pa.Table, **columns: object) -> pa.Table:
    """Return rows with other columns of the same types: arrays, or one value for all."""
    for name, column in columns.items():
        place, kind = rows.column_names.index(name), rows.schema.field(name).type
        is_many = isinstance(column, pa.Array | pa.ChunkedArray)
        values = column.cast(kind) if is_many else pa.repeat(pa.scalar(column, kind), len(rows))  # type: ignore[attr-defined]
        rows = rows.set_column(place, rows.schema.field(name), values)
    return rows


def read_effect(path: Path, raised: float, window_days: int) -> Effect:
    """Return an effect on those in a CSV or Parquet file; ValueError if it cannot be read or used."""
    try:
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"customer_id": str})
        if "entered_at" in rows:
            rows = rows.assign(entered_at=pd.to_datetime(rows["entered_at"], utc=True))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"{path}: {error}") from error
    return Effect(rows, raised, window_days)


def plant_effect(orders: pd.DataFrame, acted: pd.DataFrame, raised: float, window_days: int, seed: int) -> pd.DataFrame:
    """Return orders to which those of an effect are added, shape (n_orders + n_added, columns).

    ``acted``: ``customer_id`` and ``entered_at`` of those acted on. Their orders of the window are so many more by the
    share ``raised``, 0 to 1: each brings a second one of its kind with this probability, at any time of the window;
    the rest stays as it is. The same ``seed`` adds the same.

    >>> orders = pd.DataFrame({"order_id": ["1"], "customer_id": ["c"], "order_date": pd.to_datetime(["2026-01-05"])})
    >>> acted = pd.DataFrame({"customer_id": ["c"], "entered_at": pd.to_datetime(["2026-01-01"])})
    >>> plant_effect(orders, acted, 1.0, 30, 0)["order_id"].tolist()
    ['1', '1-more']
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    entered = orders["customer_id"].map(acted.set_index("customer_id")["entered_at"])
    window = pd.Timedelta(days=window_days)
    is_within = (orders["order_date"] >= entered) & (orders["order_date"] < entered + window)
    is_doubled = is_within & (rng.random(len(orders)) < raised)
    more = orders[is_doubled].copy()
    more["order_id"] = more["order_id"].astype(str) + MORE
    more["order_date"] = entered[is_doubled] + window * rng.random(len(more))
    return pd.concat([orders, more], ignore_index=True)
