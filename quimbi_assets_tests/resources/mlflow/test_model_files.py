"""Model files are read by one thread at a time: numpy's parser of their headers fails where two meet (Python 3.11)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import skops.io
from sklearn.preprocessing import StandardScaler

from quimbi_assets.churn.model import ChurnModel
from quimbi_assets.errors import BadInputError
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
        return ChurnModel.__new__(ChurnModel)

    monkeypatch.setattr(skops.io, "load", load)
    places = [str(tmp_path / str(i)) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(lambda place: model_files.read(place, ""), places))
    assert [type(model) for model in models] == [ChurnModel] * 8
    assert most == [1] * 8


@pytest.mark.parametrize("other", [StandardScaler(), [1, 2]])
def test_what_is_no_model_of_ours_is_refused(tmp_path, other):
    skops.io.dump(other, tmp_path / model_files.FILE)
    with pytest.raises(BadInputError, match="no model of ours"):
        model_files.read(str(tmp_path), "")
