"""Stores to measure: a tiny one to build by hand, a simulated one, and the plain implementation to compare with."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES, Features, StoreReference, extract_features, fit_reference
from quimbi_assets.history import History
from quimbi_assets.simulation import simulate_store
from quimbi_assets.store import Store

START = pd.Timestamp("2025-01-01")  # day 0 of a tiny store: a Wednesday, midnight
TIME_ZONE = "America/New_York"


def _instant(when: float | str | None) -> pd.Timestamp:
    if when is None:
        return pd.NaT
    return pd.Timestamp(when) if isinstance(when, str) else START + pd.Timedelta(days=when)


@dataclass
class TinyStore:
    """Orders and tickets written by hand; days count from 2025-01-01 00:00 UTC, or are given as text."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    tickets: list[dict[str, Any]] = field(default_factory=list)

    def order(
        self, day: float | str, total: float = 10.0, *lines: dict[str, Any], customer: str = "ann", **columns: Any
    ) -> "TinyStore":
        """Add an order with its lines; ``columns`` are further columns of the order."""
        order_id = f"o{len(self.orders):03d}"
        self.orders.append(
            {"order_id": order_id, "customer_id": customer, "order_date": _instant(day), "total_price": total}
            | {"discount_amount": None, "refund_amount": None, "source": None}
            | columns
        )
        self.items.extend({"order_id": order_id, **line} for line in lines)
        return self

    @staticmethod
    def line(
        product: str | None = "a",
        price: float = 10.0,
        quantity: float = 1,
        refunded: float | str | None = None,
        **columns: Any,
    ) -> dict[str, Any]:
        """Return an order line; ``refunded`` is the day, ``columns`` are ``category`` and ``refund_amount``."""
        known = {"category": None, "refund_amount": None, **columns}
        return {"product_id": product, "price": price, "quantity": quantity, **known, "refunded_at": _instant(refunded)}

    def ticket(
        self,
        day: float | str,
        answered: float | str | None = None,
        resolved: float | str | None = None,
        *,
        customer: str = "ann",
        **columns: Any,
    ) -> "TinyStore":
        """Add a support ticket; ``columns`` are ``channel``, ``subject``, ``tags`` and the other ones."""
        known = dict.fromkeys(("channel", "subject", "tags", "satisfaction_score", "reopen_count"))
        self.tickets.append(
            {"ticket_id": f"t{len(self.tickets):03d}", "customer_id": customer, "created_at": _instant(day)}
            | {"first_response_at": _instant(answered), "resolved_at": _instant(resolved)}
            | known
            | columns
        )
        return self

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return orders and lines as ``extract_features`` takes them."""
        return pd.DataFrame(self.orders), pd.DataFrame(self.items) if self.items else None

    def features(self, end: float | str, **options: Any) -> Features:
        """Measure as of day ``end``."""
        tickets = pd.DataFrame(self.tickets) if self.tickets else None
        return extract_features(*self.frames(), tickets=tickets, observation_end=_instant(end), **options)

    def measure(self, axis: str, end: float | str, customer: str = "ann", **options: Any) -> dict[str, Any]:
        """Return one customer's values on one axis as of day ``end``; None where NULL."""
        row = self.features(end, axes=[axis], **options)[axis].loc[customer]
        return {name: None if pd.isna(value) else value for name, value in row.items()}


@dataclass(frozen=True)
class CanonicalStore:
    """A store in canonical form, what was fitted on it, and its features."""

    orders: pd.DataFrame
    items: pd.DataFrame
    tickets: pd.DataFrame
    end: pd.Timestamp
    reference: StoreReference
    features: Features

    def again(self, orders: pd.DataFrame | None = None, items: pd.DataFrame | None = None, **options: Any) -> Features:
        """Measure a variation of the store, with what was fitted on the store itself."""
        given = {"observation_end": self.end, "reference": self.reference, "recorded": self.features.recorded}
        given |= {"tickets": self.tickets}
        return extract_features(
            self.orders if orders is None else orders, self.items if items is None else items, **(given | options)
        )


@pytest.fixture
def store() -> TinyStore:
    return TinyStore()


@pytest.fixture(scope="session")
def yardstick() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "pandas_yardstick.py"
    spec = importlib.util.spec_from_file_location("pandas_yardstick", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def simulated(yardstick: ModuleType) -> CanonicalStore:
    """About 120 customers with every column, seen 100 days before their last order, so that much lies ahead."""
    drawn = simulate_store(120, seed=5, time_zone=TIME_ZONE)
    known = drawn.orders[drawn.orders["customer_id"].notna()]
    orders, items = yardstick.canonical(known, drawn.order_items, TIME_ZONE)
    tickets = yardstick.canonical_tickets(drawn.support_tickets, TIME_ZONE)
    history = History.from_frames(orders, items, store=Store(time_zone=TIME_ZONE))
    end = history.end - pd.Timedelta(days=100)
    reference = fit_reference(history.until(end))
    features = extract_features(orders, items, tickets=tickets, observation_end=end, reference=reference)
    return CanonicalStore(orders, items, tickets, end, reference, features)


def _agrees(found: Features, expected: Mapping[str, pd.DataFrame], tolerance: float = 1e-9) -> None:
    for axis, table in found.items():
        wanted = expected[axis].reindex(table.index)
        for feature in AXES[axis].features:
            got = table[feature.name]
            if not set(feature.needs) <= found.recorded:
                assert got.isna().all(), f"{axis}.{feature.name} is not recorded"
                continue
            want = wanted[feature.name]
            if feature.kind == "number":
                same = np.isclose(got, want.astype(float), rtol=tolerance, atol=tolerance, equal_nan=True)
            else:
                same = np.array([g == w or (pd.isna(g) and pd.isna(w)) for g, w in zip(got, want, strict=True)])
            wrong = pd.DataFrame({"found": got, "expected": want})[~same]
            assert wrong.empty, f"{axis}.{feature.name}\n{wrong}"


@pytest.fixture(scope="session")
def assert_agrees() -> Callable[..., None]:
    """Compare features with tables of another origin: every recorded value of every customer of an active axis."""
    return _agrees
