import numpy as np
import pytest

from etchscope.ensemble import fit_gaussians

CLASSES = ["a", "b"]


def _seen(n=4000, seed=0, shift=4.0):
    """Two classes of three features, correlated, on scales far apart."""
    rng = np.random.default_rng(seed)
    said = rng.choice(CLASSES, n)
    x = rng.normal(0, 1, (n, 3))
    x[:, 1] += 0.9 * x[:, 0]
    x[:, 0] += shift * (said == "b")
    return x * [1, 1000, 1e-3] + [5, 0, -1], said


def test_a_distance_is_in_standard_deviations_of_its_own_class():
    x, said = _seen()
    told = fit_gaussians(x, said, CLASSES).distances(x)
    own = told[np.arange(len(x)), (said == "b").astype(int)]
    assert (own**2).mean() == pytest.approx(1, abs=0.05)
    assert (told.argmin(1) == (said == "b")).mean() > 0.97
    assert told.shape == (4000, 2)


def test_the_nearest_class_counts_and_the_unusual_is_far():
    x, said = _seen()
    known = fit_gaussians(x, said, CLASSES)
    np.testing.assert_array_equal(known.nearest(x), known.distances(x).min(1))
    usual = np.percentile(known.nearest(x), 99)
    others, _ = _seen(seed=1)
    assert (known.nearest(others) > usual).mean() == pytest.approx(0.01, abs=0.006)
    strange = others.copy()
    strange[:, 1] *= -1  # against the correlation, each feature by itself as usual
    assert (known.nearest(strange) > usual).mean() > 0.1
    assert (known.nearest(np.add(others, [0, 0, 0.05])) > usual).all()


def test_a_signal_is_far_from_background_alone():
    x, said = _seen(shift=12)
    background = fit_gaussians(x, said, ["a"])
    far = background.nearest(x)
    assert background.means.shape == (1, 3)
    assert far[said == "b"].min() > far[said == "a"].max()


def test_units_do_not_matter():
    x, said = _seen(500)
    there = x * [100, 1e-3, 7] + [3, 4, 5]
    here = fit_gaussians(x, said, CLASSES).nearest(x)
    np.testing.assert_allclose(fit_gaussians(there, said, CLASSES).nearest(there), here, rtol=1e-6)


def test_a_feature_that_never_varies_does_no_harm_until_it_does():
    x, said = _seen(500)
    x[:, 2] = 7
    known = fit_gaussians(x, said, CLASSES)
    assert np.isfinite(known.nearest(x)).all()
    assert known.nearest(x).max() < 5
    assert (known.nearest(np.add(x, [0, 0, 1])) > 100).all()


def test_labels_of_other_classes_are_left_out():
    x, said = _seen(600)
    extra, others = np.full((50, 3), 1e6), np.full(50, "c")
    here = fit_gaussians(x, said, CLASSES)
    there = fit_gaussians(np.concatenate([x, extra]), np.concatenate([said, others]), CLASSES)
    for name in ("middle", "scale", "means", "whitening"):
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))


def test_fewer_labels_than_features_still_give_a_distance():
    rng = np.random.default_rng(0)
    x, said = rng.normal(0, 1, (8, 30)), np.array(["a", "b"] * 4)
    known = fit_gaussians(x, said, CLASSES)
    assert np.isfinite(known.nearest(rng.normal(0, 1, (20, 30)))).all()
    assert known.nearest(np.empty((0, 30))).shape == (0,)


def test_a_feature_that_a_row_lacks_is_left_out_of_its_distance():
    """As the Gaussian of the others alone would have it."""
    x, said = _seen()
    less = x.copy()
    less[::2, 1] = np.nan
    known = fit_gaussians(x, said, CLASSES)
    told = known.distances(less)
    alone = fit_gaussians(x[:, [0, 2]], said, CLASSES).distances(x[:, [0, 2]])
    np.testing.assert_array_equal(told[1::2], known.distances(x[1::2]))
    np.testing.assert_allclose(told[::2], alone[::2], rtol=1e-2)


def test_rows_that_lack_nothing_are_enough():
    x, said = _seen()
    less = x.copy()
    less[:2000, 2] = np.nan
    here, there = (fit_gaussians(v, s, CLASSES) for v, s in ((less, said), (x[2000:], said[2000:])))
    np.testing.assert_array_equal(here.whitening, there.whitening)


def test_rows_that_all_lack_something_still_give_a_distance():
    x, said = _seen(300)
    x[:150, 1], x[150:, 0] = np.nan, np.nan
    known = fit_gaussians(x, said, CLASSES)
    assert np.isfinite(known.nearest(x)).all()
    assert np.median(known.nearest(x)) < 2


def test_a_feature_that_no_row_had_is_far_where_it_appears():
    x, said = _seen(500)
    none = x.copy()
    none[:, 2] = np.nan
    known = fit_gaussians(none, said, CLASSES)
    assert known.nearest(none).max() < 5
    assert (known.nearest(x) > 10).mean() > 0.99
