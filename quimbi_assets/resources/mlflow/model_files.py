"""Models as files: MLflow's layout, written with skops, read without running any code of the file's.

Belongs here: saving and reading one model. Does not: which model, and where (``registry``).

A pickle can run anything while it loads. skops holds data, and a file that names any type but numbers, text, lists,
arrays and the models of this package is refused, whatever its own list of trusted types says.
"""

import tempfile
import warnings
from functools import cache
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit

import pandas as pd

from quimbi_assets.churn.model import ChurnModel
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.errors import BadInputError
from quimbi_assets.value.model import ValueModel

AnyModel = AxisModel | ChurnModel | ValueModel
TRUSTED = [
    "quimbi_assets.clustering.model.AxisModel",
    "quimbi_assets.churn.model.ChurnModel",
    "quimbi_assets.churn.additive.AdditiveLogistic",
    "quimbi_assets.value.model.ValueModel",
]
FILE = "model.skops"
ONE_AT_A_TIME = Lock()
"""Held while skops writes (it reads back) or reads: numpy parses an array's header with ``ast``, and on Python 3.11 two
threads that do so at once can fail with "AST constructor recursion depth mismatch" (CPython issue 106905)."""


def save(model: AnyModel, path: Path, example: pd.DataFrame) -> None:
    """Save a fitted model into a new directory, as an MLflow model with signature and an input example of no customer.

    Requirements are given: inferring them takes MLflow seconds. As an MLflow ``pyfunc`` the model answers with
    memberships, with the probabilities of coming and of staying away, or with orders and spend to come.
    """
    from mlflow import sklearn as flavour
    from mlflow.models import infer_signature

    answer = "predict" if isinstance(model, ValueModel) else "predict_proba"
    with ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flavour.save_model(
            model,
            path,
            signature=infer_signature(example, getattr(model, answer)(example)),
            input_example=example,
            pip_requirements=requirements(),
            serialization_format="skops",
            skops_trusted_types=TRUSTED,
            pyfunc_predict_fn=answer,
        )


def read(place: str, tracking_uri: str) -> AnyModel:
    """Read a saved model from the URI of its directory; the backend is asked for artifacts that it serves.

    BadInputError if it is another estimator, such as one that somebody registered by hand. skops raises
    ``UntrustedTypesFoundException`` if the file holds anything but one of these, of plain data.
    """
    if urlsplit(place).scheme in ("", "file"):
        return _load(Path(unquote(urlsplit(place).path)) / FILE)
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory() as folder:
        path = download_artifacts(f"{place}/{FILE}", dst_path=folder, tracking_uri=tracking_uri)
        return _load(Path(path))


def _load(path: Path) -> AnyModel:
    with ONE_AT_A_TIME:
        model = _skops().load(path, trusted=TRUSTED)
    if not isinstance(model, AnyModel):
        raise BadInputError(f"{path} holds a {type(model).__name__}, which is no model of ours; choose another version")
    return model


@cache
def _skops() -> Any:
    """Return ``skops.io`` without its list of scikit-learn's estimators, none of which is in a file of ours.

    To make that list it imports all of scikit-learn: half of what loading a store's models takes.
    """
    import sklearn.utils

    every = sklearn.utils.all_estimators
    sklearn.utils.all_estimators = lambda *_: []
    try:
        import skops.io
    finally:
        sklearn.utils.all_estimators = every
    return skops.io


@cache
def requirements() -> list[str]:
    """Distributions that loading a model needs, at the versions it was made with."""
    names = ("quimbi_assets", "scikit-learn", "skops", "numpy", "pandas")
    return [f"{name}=={metadata.version(name)}" for name in names]
