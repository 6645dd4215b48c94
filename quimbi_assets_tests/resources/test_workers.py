"""Workers: processes for large stores, the same results as threads, a clear error where one is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.clustering.axis_fit import AxisFit, FitOptions, fit_axis_model
from quimbi_assets.resources import workers as module
from quimbi_assets.resources.workers import WORTH_PROCESSES, WorkersKilledError, warm_up, workers

pytestmark = pytest.mark.xdist_group("workers")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 2)


def test_small_stores_get_threads_and_large_ones_processes():
    with workers(WORTH_PROCESSES - 1) as pool:
        assert isinstance(pool, ThreadPoolExecutor)
    warm_up(WORTH_PROCESSES)
    with workers(WORTH_PROCESSES) as pool:
        assert isinstance(pool, ProcessPoolExecutor)
        assert pool.submit(os.getpid).result() != os.getpid()


def test_a_single_core_has_no_use_for_processes(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 1)
    with workers(10**6) as pool:
        assert isinstance(pool, ThreadPoolExecutor)


def test_a_fit_does_not_depend_on_who_does_it():
    options = FitOptions(min_k=2, max_k=4, max_sample=1000, random_state=0, promote=False)
    rng = np.random.default_rng(0)
    level = rng.choice([0.0, 3.0], size=(400, 1))
    names = [feature.name for feature in AXES["purchase_value"].clustering_features]
    frame = pd.DataFrame(np.exp(level + rng.normal(0, 0.5, (400, len(names)))), columns=names)
    frame = frame.set_axis([f"c{i}" for i in range(400)]).assign(n_orders=5)
    found = []
    for size in (1, WORTH_PROCESSES):
        with workers(size) as pool:
            found.append(pool.submit(fit_axis_model, "purchase_value", options, frame, None, 0).result())
    by_thread, by_process = found
    assert isinstance(by_thread, AxisFit)
    np.testing.assert_array_equal(by_thread.model.cluster_centers_, by_process.model.cluster_centers_)
    assert by_thread.model.segment_ids_ == by_process.model.segment_ids_
    assert set(by_process.pictures) == {"silhouette_by_k.png", "centres.png"}
    assert by_process.decision.promoted


def fail_with_much_to_do(begun):
    with workers(1) as pool:
        for i in range(50):
            pool.submit(lambda i=i: (begun.append(i), threading.Event().wait(0.02)))
        raise ValueError("enough")


def test_a_failure_drops_what_is_not_begun():
    begun = []
    with pytest.raises(ValueError, match="enough"):
        fail_with_much_to_do(begun)
    assert len(begun) < 50


def kill_one():
    """Kill the process that works; nothing is asked of the pool after that, which Python 3.11 may leave unanswered."""
    with workers(WORTH_PROCESSES) as pool:
        pool.submit(signal.raise_signal, signal.SIGKILL).result()


def test_a_killed_process_is_told_with_what_to_do():
    with pytest.raises(WorkersKilledError, match="out of memory"):
        kill_one()


def test_the_keyboard_interrupts_only_who_waits():
    with workers(WORTH_PROCESSES) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


ASLEEP = """
import os, time
from quimbi_assets.resources import workers as module
module.cores = lambda: 2
if __name__ == "__main__":
    with module.workers(module.WORTH_PROCESSES) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def test_processes_end_with_a_run_that_is_killed(tmp_path):
    script = tmp_path / "asleep.py"
    script.write_text(ASLEEP)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as waiting:
        worker = int(waiting.stdout.readline())
        os.kill(worker, 0)
        waiting.kill()
    until = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
