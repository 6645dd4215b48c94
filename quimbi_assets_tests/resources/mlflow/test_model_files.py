"""Model files are read by one thread at a time: numpy's parser of their headers fails where two meet (Python 3.11)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import skops.io

from quimbi_assets.resources.mlflow import model_files


def test_threads_take_turns_at_reading(monkeypatch, tmp_path):
    inside, most = [], []
    guard = threading.Lock()

    def load(path, trusted):
        with guard:
            inside.append(path)
            most.append(len(inside))
        time.sleep(0.01)
        with guard:
            inside.remove(path)
        return path

    monkeypatch.setattr(skops.io, "load", load)
    places = [str(tmp_path / str(i)) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: model_files.read(place, ""), places))
    assert [path.parent.name for path in found] == [str(i) for i in range(8)]
    assert most == [1] * 8
