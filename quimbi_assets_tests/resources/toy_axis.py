"""A made-up axis to log and register: 600 customers, two features."""

import numpy as np
import pandas as pd

from quimbi_assets.clustering.axis_fit import AxisFit
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.promotion import Decision

AS_OF = "2010-06-01 00:00:00"


def toy_features(seed=0):
    rng = np.random.default_rng(seed)
    n_orders = rng.geometric(0.5, 600)
    gap = np.where(n_orders > 1, rng.lognormal(3, 1, 600), np.nan)
    columns = {"value": rng.lognormal(3, 1, 600) * n_orders + 1234.5, "gap": gap, "n_orders": n_orders}
    return pd.DataFrame(columns, index=pd.Index([f"secret_{i}" for i in range(600)], name="customer_id"))


def toy_model(axis, features, **options):
    transforms = {"value": "log1p", "gap": "log1p"}
    return AxisModel(axis, transforms, structural=(("n_orders", 1, "bought_once"),), min_orders=2, **options).fit(
        features
    )


def toy_fit(model, decision=None, pictures=None):
    return AxisFit(model, decision or Decision(True, "first fit"), pictures or {"dot.png": b""})
