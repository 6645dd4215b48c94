"""The small store of regular, slow and gone customers that churn is tested on."""

from quimbi_assets_tests.churn.conftest import end, orders

__all__ = ["end", "orders"]
