"""What a domain of planes is, from finds on foils of several kinds."""

import numpy as np
import pytest

from etchscope.ensemble.domain import Domain
from etchscope.ensemble.gaussians import Gaussians
from etchscope.ensemble.train import _limits
from etchscope.imaging import Lighting
from etchscope.learn import Lights, Patches, feature_names

PLANES = Lights.of_planes()
NONE = np.empty(0, int)
EIGHT = Lighting(np.arange(8), 45.0 * np.arange(8), 1, np.array([8]), np.array([9]))
DARK = Lighting(NONE, np.empty(0), 1, np.array([0]), NONE)


def test_the_lights_of_a_scan_choose_the_limits():
    limits = {"11111": (1.0, 2.0), "11100": (1.5, 2.5)}
    domain = Domain("planes-1", None, 50.0, 1.0, 2.0, (0.5, 5.0), limits)
    assert (domain.under(EIGHT).usual, domain.under(EIGHT).limit) == (1.0, 2.0)
    assert domain.under(EIGHT).holds(np.array([1.9, 2.1]), np.array([9.0, 9.0])).tolist() == [
        True,
        False,
    ]
    untaught = domain.under(DARK)
    assert not untaught.holds(np.zeros(3), np.zeros(3)).any()
    assert untaught.is_foreign(np.zeros(20))
    assert domain.knows_scale(None)
    assert domain.knows_scale(123.0)
    plain = Domain("recipe", (6.0, 7.0), 50.0, 1.0, 2.0)
    assert plain.under(DARK) is plain
    assert not plain.knows_scale(123.0)


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_a_foil_like_those_that_were_taught_is_not_foreign(spread):
    """Foils differ by their own factor of contrast: 1 % of such are foreign, whatever that is."""
    rng = np.random.default_rng(0)
    foils, each = 60, 30

    def seen():
        factor = np.exp(rng.normal(0, spread, (foils, 1, 1, 1, 1)))
        pixels = rng.normal(0, 1, (foils, each, 13, 8, 8)) * factor
        pixels[:, :, 8:] = 1
        region = np.repeat(np.arange(foils), each)
        flat = pixels.reshape(-1, 13, 8, 8).astype(np.float32)
        return Patches(flat, PLANES, region, np.arange(len(flat)))

    features = len(feature_names(PLANES))
    known = Gaussians(
        np.zeros(features), np.ones(features), np.zeros((1, features)), np.eye(features)[None]
    )
    usual, limit = _limits(known, seen())
    assert limit >= usual
    domain = Domain("planes-1", None, None, usual, limit, (0.5, 5.0), {"11111": (usual, limit)})
    from etchscope.learn import measure_features

    others = seen()
    distance = known.nearest(measure_features(others))
    foreign = [domain.is_foreign(distance[others.region == r]) for r in range(foils)]
    assert np.mean(foreign) < 0.1
