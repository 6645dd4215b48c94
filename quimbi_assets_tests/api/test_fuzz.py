"""Every route asked at random, by its document and against it (``benchmarks/fuzz.py`` asks 10,000 times)."""

import importlib.util
from pathlib import Path

import pytest

from quimbi_assets_tests.administrator import administer

pytestmark = [pytest.mark.xdist_group("graph"), pytest.mark.filterwarnings("ignore")]


def test_no_answer_that_the_document_does_not_have(app, token, database):
    path = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"
    spec = importlib.util.spec_from_file_location("fuzz", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sql = "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = 'north' ORDER BY 1 LIMIT 5"
    known = {"customer_id": [customer for (customer,) in administer(database, sql)], "audience": ["cooling"]}
    statuses, wrong = module.fuzz(app, token, "north", known, 300)
    assert wrong == []
    assert statuses.total() > 250
    answered = {(method, path) for method, path, status in statuses if status == 200}
    assert len(answered) > 12
