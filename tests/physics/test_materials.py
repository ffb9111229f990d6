import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.physics.materials import Material
from etchscope.simulation import MATERIALS, etch_ratio, get_material, restricted_energy_loss

RELATIVISTIC = 0.99998  # the calibration beams of 158 GeV a nucleon


@pytest.mark.parametrize(("name", "charge"), [("makrofol", 50), ("cr39", 7)])
def test_the_published_thresholds_belong_to_the_published_charges(name, charge):
    """Balestra et al. 2007: REL ≈ 2700 at Z/β ≈ 50, and ≈ 50 at Z/β ≈ 7."""
    material = get_material(name)
    rel = restricted_energy_loss(charge, RELATIVISTIC, material)
    assert rel == pytest.approx(material.threshold, rel=0.03)


def test_energy_loss_goes_with_the_charge_squared_and_falls_with_velocity():
    makrofol = get_material("makrofol")
    fast = restricted_energy_loss(np.array([20.0, 40.0]), RELATIVISTIC, makrofol)
    assert fast[1] / fast[0] == pytest.approx(4, rel=1e-3)
    slow = restricted_energy_loss(30, np.array([0.3, 0.5, 0.9]), makrofol)
    assert (np.diff(slow) < 0).all()
    # Two thirds of the effective charge are left of a slow lead ion.
    bare, dressed = (restricted_energy_loss(82, b, makrofol) for b in (0.999, 0.06))
    assert dressed * 0.06**2 < 0.5 * bare * 0.999**2


def test_the_density_effect_ends_the_relativistic_rise():
    makrofol = get_material("makrofol")
    low, high, higher = (
        float(restricted_energy_loss(1, np.sqrt(1 - 1 / g**2), makrofol)) for g in (5, 500, 5000)
    )
    assert low < high
    assert higher == pytest.approx(high, rel=0.005)


@pytest.mark.parametrize("material", MATERIALS.values(), ids=lambda m: m.name)
def test_nothing_is_etched_below_the_threshold_and_more_above(material):
    rel = material.threshold * np.array([0.1, 0.99, 1.0, 1.5, 3.0, 10.0])
    v = etch_ratio(rel, material)
    assert (v[:3] == 1).all()
    assert (np.diff(v[2:]) > 0).all()


def test_a_lead_ion_etches_four_times_as_fast_as_the_bulk():
    makrofol = get_material("makrofol")
    v = etch_ratio(restricted_energy_loss(82, RELATIVISTIC, makrofol), makrofol)
    assert v == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize(
    ("charge", "beta", "told"),
    [
        (0, 0.9, "charge: expected 1 to 1000, found 0"),
        (82, 0.01, "beta: expected 0.05 to below 1, found 0.01"),
        (82, 1.0, "beta: expected 0.05 to below 1, found 1"),
        (82, float("nan"), "beta: expected 0.05 to below 1, found nan"),
    ],
)
def test_bad_particles_are_refused(charge, beta, told):
    with pytest.raises(BadInput, match=told):
        restricted_energy_loss(charge, beta, get_material("cr39"))


def test_bad_materials_are_refused():
    with pytest.raises(BadInput, match="material: expected makrofol or cr39, found 'glass'"):
        get_material("glass")
    values = {**vars(get_material("cr39")), "threshold": -1.0}
    with pytest.raises(BadInput, match=r"material\.threshold: expected 0\.1 to 1e\+06, found -1"):
        Material(**values)
