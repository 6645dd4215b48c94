"""Killed before effects that a seed chooses, acts leave a whole state; ``benchmarks/faults.py`` tries all of them."""

import importlib.util
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from quimbi_assets.resources.postgres.tables.personal import IMPERSONAL, PLACES
from quimbi_assets_tests.faulty import GROUPS, NOT_LOOKED_AT

pytestmark = pytest.mark.xdist_group("faults")
PATH = Path(__file__).parents[1] / "benchmarks" / "faults.py"
N_TRIALS, N_EFFECTS = 2, 11


@pytest.fixture(scope="module")
def faults():
    spec = importlib.util.spec_from_file_location("faults", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["faults"] = module
    spec.loader.exec_module(module)
    return module


def test_killed_anywhere_acts_leave_a_whole_state_and_are_done_by_doing_them_again(tmp_path):
    seed = str(secrets.randbelow(10_000))
    options = ["--work", str(tmp_path), "--some", str(N_TRIALS), "--seed", seed]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"PYTHONPATH": str(PATH.parents[1]), "QUIMBI_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-W", "ignore", str(PATH), *options]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=600)
    shown = f"seed {seed}\n{done.stdout}{done.stderr[-2000:]}"
    print(shown)  # noqa: T201
    assert done.returncode == 0, shown
    assert done.stdout.count(" exit -9 ") >= N_EFFECTS, shown
    assert done.stdout.count(" whole, and again\n") == N_TRIALS, shown


def test_every_table_is_looked_at_or_it_is_said_why_not():
    looked_at = {table for tables in GROUPS.values() for table in tables}
    assert looked_at.isdisjoint(NOT_LOOKED_AT)
    assert looked_at | {*NOT_LOOKED_AT} == {*IMPERSONAL, *(place.table for place in PLACES)}


def test_effects_are_those_that_a_fault_makes_a_difference_before(faults):
    effects = [("Dagster", "a"), ("Dagster", "b"), ("file", "write x"), ("file", "move x"), ("MLflow", "create_run")]
    able = {fault: faults.numbers(effects, fault, 1, 0) for fault in faults.FAULTS}
    assert able == {"SIGKILL": [2, 3, 4, 5], "connections cut": [2, 4, 5], "disk full": [3], "MLflow gone": [5]}
    assert faults.numbers(effects, "SIGKILL", 2, 3) == [3, 5]
