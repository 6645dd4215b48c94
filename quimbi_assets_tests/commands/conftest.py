import pandas as pd
import pytest

from quimbi_assets.cli import _code


@pytest.fixture
def quimbi(database, capsys):
    """Runs the command line in this process; gives exit code, stdout and stderr."""

    def run(*arguments):
        code = _code([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def files(tmp_path):
    """Writes a tiny store, with changes, and returns the paths of orders and items."""

    def write(orders=None, items=None, **changes):
        n = 30
        frame = pd.DataFrame(
            {
                "order_id": [str(i) for i in range(n)],
                "customer_id": [f"c{i % 7}" for i in range(n)],
                "order_date": [f"2025-{1 + i % 9:02d}-10T10:00:00+00:00" for i in range(n)],
                "total_price": [10.0 + i for i in range(n)],
                "discount_amount": [0.0] * n,
            }
        )
        lines = pd.DataFrame(
            {
                "order_id": frame["order_id"],
                "product_id": [f"p{i % 5}" for i in range(n)],
                "quantity": 1,
                "price": frame["total_price"],
            }
        ).astype(object)
        frame = frame.astype(object)
        frame = orders(frame) if orders else frame
        lines = items(lines) if items else lines
        frame.to_csv(tmp_path / "orders.csv", index=False)
        lines.to_csv(tmp_path / "items.csv", index=False)
        return tmp_path / "orders.csv", tmp_path / "items.csv"

    return write
