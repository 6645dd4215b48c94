import numpy as np
import pytest

from quimbi_assets.clustering.scaling import TRANSFORMS, apply_transforms

DOMAIN = {
    "identity": np.linspace(-50, 50, 101),
    "log1p": np.linspace(0, 1e6, 101),
    "signed_log1p": np.linspace(-1e6, 1e6, 101),
    "logit_shrunk": np.linspace(0, 1, 101),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_inverse_undoes_forward_and_order_is_kept(name):
    values = DOMAIN[name][:, None]
    forward = apply_transforms(values, [name])
    assert (np.diff(forward[:, 0]) > 0).all()
    np.testing.assert_allclose(apply_transforms(forward, [name], inverse=True), values, atol=1e-9)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_extremes_stay_finite_and_null_stays_null(name):
    values = np.array([[1e100], [-1e100], [0.0], [np.nan]])
    forward = apply_transforms(values, [name])
    assert np.isfinite(forward[:3]).all()
    assert np.isnan(forward[3, 0])
    back = apply_transforms(np.array([[1e4], [-1e4]]), [name], inverse=True)
    assert np.isfinite(back).all()


def test_known_values():
    values = np.array([[0.0, -np.e + 1, 0.5, 7.0]])
    names = ["log1p", "signed_log1p", "logit_shrunk", "identity"]
    np.testing.assert_allclose(apply_transforms(values, names), [[0.0, -1.0, 0.0, 7.0]])


def test_input_is_not_modified_and_unknown_names_are_refused():
    values = np.array([[3.0]])
    apply_transforms(values, ["log1p"])
    assert values[0, 0] == 3.0
    with pytest.raises(ValueError, match="unknown transform 'sqrt'"):
        apply_transforms(values, ["sqrt"])
