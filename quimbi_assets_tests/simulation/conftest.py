import pytest

from quimbi_assets.simulation import simulate_store


@pytest.fixture(scope="package")
def store():
    return simulate_store(4_000, seed=0)
