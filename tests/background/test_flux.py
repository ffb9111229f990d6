import math

import pytest

from etchscope.background.flux import YEAR_S, Exposure, acceptance_sr
from etchscope.foil import BadInput


def test_the_acceptance_of_a_flat_foil_is_the_integral_of_the_cosine():
    steps = 20_000
    zenith = [(k + 0.5) * math.radians(40) / steps for k in range(steps)]
    summed = sum(2 * math.pi * math.sin(t) * math.cos(t) for t in zenith) * math.radians(40) / steps
    assert acceptance_sr(40) == pytest.approx(summed, rel=1e-6)
    assert acceptance_sr(sides=2) == pytest.approx(2 * math.pi)


def test_an_exposure_states_its_aperture():
    slim = Exposure(427, math.pi, 4.22)
    assert slim.aperture == pytest.approx(427e4 * math.pi)
    assert slim.seconds == pytest.approx(4.22 * YEAR_S)
    assert Exposure(2).aperture == 2e4
    assert Exposure(years=1).aperture is None
    assert Exposure(2).seconds is None


@pytest.mark.parametrize("name", ["area_m2", "solid_angle_sr", "years"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_numbers_that_are_not_above_0_are_refused(name, value):
    with pytest.raises(BadInput, match=f"{name}: expected a number above 0"):
        Exposure(**{name: value})


def test_other_bad_numbers_are_refused():
    assert Exposure(1, 6.2832).solid_angle_sr == 6.2832  # 2π, rounded up
    with pytest.raises(BadInput, match=r"at most 2π, found 12\.566\. State the integral of cos θ"):
        Exposure(1, 12.566)
    with pytest.raises(BadInput, match="largest zenith angle"):
        acceptance_sr(91)
    with pytest.raises(BadInput, match="sides: expected 1 or 2, found 3"):
        acceptance_sr(sides=3)
