"""Descriptions of segments written by hand."""

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.naming.brief import AxisBrief
from quimbi_assets.naming.rule_names import name_segments


def describe_by_hand(centres, counts, sd=None, axis_name="rhythm"):
    """Write a description: means and medians are the centres, the population is their weighted mean."""
    share = np.array(counts) / sum(counts)
    k = len(counts)
    data: dict[str, object] = {
        "segment_id": [f"{axis_name}_{i + 1}" for i in range(k)],
        "structural": pd.Series([None] * k, dtype=object),
        "customer_count": counts,
        "population_percentage": 100 * share,
    }
    for name, values in centres.items():
        centre = np.array(values, dtype=float)
        population = float(share @ centre)
        scale = (sd or {}).get(name, 1.0)
        data |= {
            f"centre:{name}": centre,
            f"q10:{name}": centre - 0.1 * scale,
            f"q25:{name}": centre - 0.05 * scale,
            f"q50:{name}": centre,
            f"q75:{name}": centre + 0.05 * scale,
            f"q90:{name}": centre + 0.1 * scale,
            f"population:{name}": [population] * k,
            f"population_q50:{name}": [population] * k,
            f"z:{name}": (centre - population) / scale,
            f"rank:{name}": pd.Series(centre).rank(ascending=False, method="min"),
        }
    return pd.DataFrame(data)


def brief_by_hand(fixed=None, structural=None, currency="USD"):
    """Three segments of buyers: frequent and recent, rare and lapsed, and in between."""
    description = describe_by_hand(
        {
            "orders_per_month": [4.0, 0.5, 1.5],
            "days_since_last_order": [8.0, 300.0, 60.0],
            "purchase_consistency": [0.8, 0.4, 0.6],
        },
        [200, 300, 500],
        {"days_since_last_order": 100, "purchase_consistency": 0.2},
        axis_name="purchase_frequency",
    )
    if structural:
        description["structural"] = pd.Series(structural, dtype=object)
    axis = AXES["purchase_frequency"]
    return AxisBrief(axis, description, name_segments(axis, description, currency), currency, fixed or {})
