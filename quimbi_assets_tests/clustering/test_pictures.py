import numpy as np
import pandas as pd
import pytest

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.pictures import centre_heat_map, silhouette_by_k


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    n_orders = rng.geometric(0.5, 800)
    gap = np.where(n_orders > 1, rng.lognormal(3, 1, 800), np.nan)
    return pd.DataFrame({"value": rng.lognormal(3, 1.5, 800), "gap": gap, "n_orders": n_orders})


@pytest.fixture(scope="module")
def model(frame):
    transforms = {"value": "log1p", "gap": "log1p"}
    return AxisModel("toy_axis", transforms, structural=(("n_orders", 1, "bought_once"),), min_orders=2).fit(frame)


def size(png):
    assert png.startswith(b"\x89PNG")
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_every_picture_is_a_png_of_its_size(frame, model):
    assert size(silhouette_by_k(model)) == (880, 500)
    width, height = size(centre_heat_map(model))
    assert width > height > 100


def test_drawing_leaves_no_global_state(model):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    silhouette_by_k(model)
    assert dict(mpl.rcParams) == before
