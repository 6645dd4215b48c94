"""Stage 3, beside the fit: whether the customers of a store really differ on each axis.

Belongs here: handing the store's tables to the test, its check and its table in the UI. Does not: the test
(``clustering.abstention``), the rule and its words (``clustering.verdict``). A weak axis keeps its segments.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd

from quimbi_assets.axes import StoreReference
from quimbi_assets.clustering.abstention import measure_differences
from quimbi_assets.clustering.verdict import REAL_SHARE, Differences
from quimbi_assets.defs.partitions import ITEMS_KEY, ORDERS_KEY, REFERENCE_KEY, axis_key
from quimbi_assets.defs.stage_tables import business_hours, facts, inactive_reason
from quimbi_assets.resources.parquet_io import FrameIOManager

CHECK = "real_differences"


def axis_differences(
    frames: FrameIOManager, store_id: str, names: Sequence[str], random_state: int
) -> dict[str, Differences]:
    """Test those of the axes that have features, as of the instant of these.

    Parameters
    ----------
    frames : FrameIOManager
        Holds the stages' tables.
    store_id : str
        The store.
    names : sequence of str
        Axes.
    random_state : int
        Seed of the sample and of the orders dealt.
    """
    tables = {name: frames.read(axis_key("features", name), store_id) for name in names}
    active = {name: table for name, table in tables.items() if inactive_reason(table) is None}
    orders, items = frames.read(ORDERS_KEY, store_id), frames.read(ITEMS_KEY, store_id)
    reference = frames.read(REFERENCE_KEY, store_id)
    if not active or orders is None:
        return {}
    attrs = next(iter(active.values())).attrs
    return measure_differences(
        orders,
        items,
        list(active),
        pd.Timestamp(attrs["observation_end"]),
        time_zone=orders.attrs.get("time_zone", "UTC"),
        business_hours=business_hours(orders),
        recorded=frozenset(attrs["recorded"]),
        reference=None if reference is None else StoreReference.from_frame(reference),
        random_state=random_state,
    )


def differences_check(key: dg.AssetKey, differences: Differences) -> dg.AssetCheckResult:
    """Warn where less than half of the axis's tested features tell customers apart."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=CHECK,
        passed=not differences.is_chance,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Customers differ more than orders dealt anew would make them in at least {REAL_SHARE:.0%} of "
        "the features.",
        metadata=facts(
            status=differences.status,
            reason=differences.reason,
            real_features_share=differences.real_share,
            customers_compared=differences.n_customers,
            figures=_table(differences),
        ),
    )


def differences_facts(differences: Differences) -> dict[str, Any]:
    """Return the verdict and its figures for the model's metadata."""
    return {"status": differences.status, "reason": differences.reason, "real_differences": _table(differences)}


def _table(differences: Differences) -> pd.DataFrame:
    figures = differences.figures
    verdict = figures["is_real"].map({True: "real", False: "chance"}).where(figures["is_tested"], "cannot be tested")
    return pd.DataFrame(
        {
            "feature": figures["feature"],
            "verdict": verdict,
            "variance ratio": figures["variance_ratio"],
            "z": figures["variance_z"],
            "reliability": figures["reliability"],
            "by chance": figures["reliability_by_chance"],
            "z of reliability": figures["reliability_z"],
            "customers": figures["n_customers"],
        }
    )
