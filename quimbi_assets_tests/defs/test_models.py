"""Which features may be fitted together."""

import pytest
from upath import UPath

from quimbi_assets.axis_table import AxisTable, TableFacts, write_table
from quimbi_assets.defs.models import measured_together
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import Instant

JANUARY, MARCH = Instant("2025-01-01"), Instant("2025-03-01")
COLUMNS = frozenset({"orders.total_price"})


@pytest.fixture
def table(tmp_path):
    def write(name, at, recorded=COLUMNS, run_id="first"):
        place = UPath(tmp_path) / f"{name}.parquet"
        write_table(place, [], TableFacts(at=at, recorded=recorded, run_id=run_id))
        return AxisTable(place)

    return write


def test_features_of_one_instant_are_fitted_as_of_it_whichever_run_measured_them(table):
    tables = {"value": table("value", MARCH), "cadence": table("cadence", MARCH, run_id="second")}
    assert measured_together("s", tables) == (MARCH, COLUMNS)


@pytest.mark.parametrize(("at", "recorded"), [(JANUARY, COLUMNS), (MARCH, COLUMNS | {"items.category"})])
def test_features_measured_apart_are_refused_in_one_line(table, at, recorded):
    tables = {"value": table("value", MARCH), "cadence": table("cadence", at, recorded)}
    with pytest.raises(BadInputError, match=r"value as of 2025-03-01.*; cadence as of .*quimbi run --store-id s"):
        measured_together("s", tables)
