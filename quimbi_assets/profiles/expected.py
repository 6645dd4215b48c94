"""What a customer is expected to order and spend, as profiles carry it; or why nothing is foretold.

Belongs here: the columns ``predicted_...``, ``expected_next_order_at`` and ``prediction_reason``. Does not: the model
(``value``), the line that people read (``rendering``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from quimbi_assets.churn.model import Risk
from quimbi_assets.history import History
from quimbi_assets.value.model import ValueModel
from quimbi_assets.value.windows import USUAL_DAYS, YEAR_DAYS

ORDER_DECIMALS, MONEY_DECIMALS = 4, 2
DAYS = (USUAL_DAYS, YEAR_DAYS)
NUMBERS = tuple(
    f"predicted_{what}_{days}d{limit}"
    for days in DAYS
    for what in ("orders", "value")
    for limit in ("", "_low", "_high")
)
"""Orders, and spend net of refunds, of the next days: expected on average, and within the limits of the middle 80 %."""
NOTHING = "Nothing is foretold, because {why}."
PARTS = {
    "orders": ("predicted_orders_", "expected_next_order_at"),
    "a year": ("predicted_orders_365d", "predicted_value_365d"),
    "orders of a year": ("predicted_orders_365d",),
}
"""What a model may not foretell although it does foretell spend, and how the columns begin that are null then."""
COLUMNS = pa.schema(
    [
        *((name, pa.float64()) for name in NUMBERS),
        ("expected_next_order_at", pa.timestamp("us", "UTC")),
        ("prediction_reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Predictions:
    """Columns of :data:`COLUMNS`, of n customers, and the version of the registered model.

    Null where it is not foretold, and ``prediction_reason`` says why; that is null where all is.
    """

    columns: pa.Table
    version: str | None = None

    def part(self, rows: slice) -> "Predictions":
        """Return those of some of the customers."""
        return Predictions(self.columns.slice(rows.start, rows.stop - rows.start), self.version)


def nothing_foretold(n: int, reason: str | None = None, version: str | None = None) -> Predictions:
    """Return columns without any number, for n customers, and the reason in a sentence."""
    reasons = pa.repeat(pa.scalar(reason, pa.string()), n)
    columns = [reasons if field.name == "prediction_reason" else pa.nulls(n, field.type) for field in COLUMNS]
    return Predictions(pa.table(columns, schema=COLUMNS), version)


def predictions(
    model: ValueModel | str, history: History, customers: pd.Index, *, version: str | None, risk: Risk | None = None
) -> Predictions:
    """Foretell with a fitted model of that version, or say why nothing is (``model``: the reason).

    The history is of these customers and maybe others; nothing is foretold of customers without orders by its end. What
    is foretold agrees with the churn risk that stands beside it, if any does.
    """
    n = len(customers)
    if isinstance(model, str):
        return nothing_foretold(n, NOTHING.format(why=model))
    if model.weak_reason_ is not None:
        return nothing_foretold(n, NOTHING.format(why=model.weak_reason_), version)
    features = history.spending(model.horizon_days).reindex(customers.astype("str"))
    arrays: dict[str, pa.Array] = {
        name: pa.array(values, pa.float64(), from_pandas=True)
        for name, values in _numbers(model, features, risk).items()
    }
    days = model.days_until_order(features, risk)
    known = np.isfinite(days)
    seconds = np.rint(np.where(known, days, 0.0) * 86_400).astype("timedelta64[s]")
    at = history.end.to_datetime64().astype("datetime64[us]") + seconds
    arrays["expected_next_order_at"] = pa.array(at, pa.timestamp("us", "UTC"), mask=~known)
    without = tuple(start for part in model.weak_parts_ for start in PARTS[part])
    arrays |= {name: pa.nulls(n, COLUMNS.field(name).type) for name in arrays if name.startswith(without)}
    arrays["prediction_reason"] = pa.repeat(pa.scalar(model.partly_weak_reason, pa.string()), n)
    return Predictions(pa.table([arrays[name] for name in COLUMNS.names], schema=COLUMNS), version)


def _numbers(model: ValueModel, features: pd.DataFrame, risk: Risk | None) -> Mapping[str, NDArray[np.float64]]:
    numbers: dict[str, NDArray[np.float64]] = {}
    for days in DAYS:
        forecasts = model.foretell(features, days, risk)
        sums = zip(("orders", "value"), forecasts, (ORDER_DECIMALS, MONEY_DECIMALS), strict=True)
        for what, forecast, decimals in sums:
            for limit, values in zip(("", "_low", "_high"), vars(forecast).values(), strict=True):
                numbers[f"predicted_{what}_{days}d{limit}"] = np.round(values, decimals)
    shorter, longer = DAYS
    for name in [name for name in numbers if f"_{longer}d" in name]:  # its limits are learnt on fewer customers
        numbers[name] = np.maximum(numbers[name], numbers[name.replace(f"_{longer}d", f"_{shorter}d")])
    return numbers
