"""Plastics, the restricted energy loss of a particle in them, and the etch ratio that follows."""

import re
from dataclasses import dataclass

import numpy as np

from etchscope.foil import BadInput
from etchscope.foil.bounds import require_bounds, require_within
from etchscope.foil.types import Floats

__all__ = [
    "MATERIALS",
    "Material",
    "charge_over_beta",
    "energy_loss_from_ratio",
    "etch_ratio",
    "get_material",
    "recognise_material",
    "restricted_energy_loss",
]

_K = 0.307075  # MeV cm2 / mol, 4π N_A r_e² m_e c² (PDG)
_ELECTRON_EV = 510998.95
_FAST = 0.9999
"""Velocity over that of light for which Z/β is stated: calibrations use relativistic ions."""


@dataclass(frozen=True)
class Material:
    """A plastic: the constants of Bethe's formula, the response curve and the refractive index.

    The response is V = 1 + ``gain`` · x ** ``power`` with x = REL / ``threshold`` − 1, and V = 1
    below the threshold (the form of Somogyi et al., Nucl. Instrum. Meth. 134, 1976, 129, beginning
    at the threshold). ``threshold`` is in MeV cm²/g; ``cut_ev`` is the energy above which a
    knocked-on electron takes its energy away from the track; ``excitation_ev`` is Bethe's I.

    Raises
    ------
    BadInput : a constant outside its allowed range.
    """

    name: str
    z_over_a: float
    density_g_cm3: float
    excitation_ev: float
    cut_ev: float
    threshold: float
    gain: float
    power: float
    refractive_index: float

    def __post_init__(self) -> None:
        require_bounds(
            self,
            {
                "z_over_a": (0.3, 1),
                "density_g_cm3": (0.1, 5),
                "excitation_ev": (10, 1000),
                "cut_ev": (50, 1e6),
                "threshold": (0.1, 1e6),
                "gain": (1e-6, 1e3),
                "power": (0.1, 5),
                "refractive_index": (1.2, 2),
            },
        )


# Thresholds: S. Balestra et al., Nucl. Instrum. Meth. B 254 (2007) 254: REL ≈ 2700 MeV cm²/g
# (Z/β ≈ 50) for Makrofol and ≈ 50 (Z/β ≈ 7) for CR-39. Composition and I of polycarbonate: NIST;
# of CR-39 (C12H18O7): Bragg's rule. Gain and power are chosen so that a relativistic lead ion has
# V ≈ 4 in Makrofol, a pit of 14 px in the reference scan, and an indium ion V ≈ 4.5 in CR-39. They
# depend on the etchant; a calibration with known ions replaces them.
MATERIALS: dict[str, Material] = {
    "makrofol": Material(
        name="makrofol",
        z_over_a=0.52697,
        density_g_cm3=1.20,
        excitation_ev=73.1,
        cut_ev=350,
        threshold=2700,
        gain=1.35,
        power=1.5,
        refractive_index=1.585,
    ),
    "cr39": Material(
        name="cr39",
        z_over_a=0.5323,
        density_g_cm3=1.31,
        excitation_ev=70.2,
        cut_ev=200,
        threshold=50,
        gain=0.048,
        power=1.1,
        refractive_index=1.50,
    ),
}


def get_material(name: str | Material) -> Material:
    """Return the material of that name in ``MATERIALS``; a material itself is returned as it is.

    Raises
    ------
    BadInput : there is no material of that name.
    """
    if isinstance(name, Material):
        return name
    if name not in MATERIALS:
        raise BadInput("simulation: material", " or ".join(MATERIALS), repr(name))
    return MATERIALS[name]


def recognise_material(name: str | None) -> Material | None:
    """Return the material that a laboratory's own name means, None where it is not recognised.

    >>> recognise_material("CR-39").name, recognise_material("Makrofol DE 1-1").name
    ('cr39', 'makrofol')
    >>> recognise_material("glass") is None
    True
    """
    letters = re.sub("[^a-z0-9]", "", (name or "").lower())
    return next((m for key, m in MATERIALS.items() if letters.startswith(key)), None)


def _density_effect(beta_gamma: Floats, material: Material) -> Floats:
    """Return δ/2 (Sternheimer & Peierls, Phys. Rev. B 3 (1971) 3681, solids with I < 100 eV)."""
    plasma_ev = 28.816 * np.sqrt(material.density_g_cm3 * material.z_over_a)
    c = 2 * np.log(material.excitation_ev / plasma_ev) + 1
    x1 = 2.0
    x0 = 0.2 if c < 3.681 else 0.326 * c - 1.0
    a = (c - 2 * np.log(10) * x0) / (x1 - x0) ** 3
    x = np.log10(beta_gamma)
    delta = 2 * np.log(10) * x - c + a * np.clip(x1 - x, 0, None) ** 3
    return np.asarray(np.where(x < x0, 0.0, np.clip(delta, 0, None) / 2))


def restricted_energy_loss(
    charge: float | Floats, beta: float | Floats, material: Material
) -> Floats:
    """Return the restricted energy loss of ions, float64 MeV cm²/g.

    Bethe's formula with the energy transfer limited to ``material.cut_ev`` (PDG, Passage of
    particles through matter, eq. 34.12) and Barkas' effective charge. A monopole of n Dirac
    charges loses as an ion of charge 68.5·n·β.

    Parameters
    ----------
    charge : charge numbers, 1 to 1000.
    beta : velocities over that of light, from 0.05 to below 1; charge and beta are broadcast.

    Raises
    ------
    BadInput : a charge or a velocity outside these limits.
    """
    z, b = np.broadcast_arrays(np.asarray(charge, float), np.asarray(beta, float))
    for value in np.unique(z)[[0, -1]] if z.size else ():
        require_within("charge", float(value), 1, 1000)
    for value in np.unique(b)[[0, -1]] if b.size else ():
        if not 0.05 <= value < 1:
            raise BadInput("simulation: beta", "0.05 to below 1", repr(float(value)))
    gamma2 = 1 / (1 - b**2)
    effective = z * (1 - np.exp(-130 * b / z ** (2 / 3)))
    greatest_ev = 2 * _ELECTRON_EV * b**2 * gamma2
    cut_ev = np.minimum(material.cut_ev, greatest_ev)
    logarithm = np.log(greatest_ev * cut_ev / material.excitation_ev**2) / 2
    bracket = logarithm - b**2 / 2 * (1 + cut_ev / greatest_ev)
    bracket = bracket - _density_effect(b * np.sqrt(gamma2), material)
    return np.asarray(
        _K * effective**2 * material.z_over_a / b**2 * np.clip(bracket, 0, None), np.float64
    )


def etch_ratio(rel_mev_cm2_g: float | Floats, material: Material) -> Floats:
    """Return V = V_T / V_B, float64, for restricted energy losses in MeV cm²/g.

    V is 1 below the material's threshold.

    >>> bool(etch_ratio(2000, MATERIALS["makrofol"]) == 1)
    True
    """
    over = np.asarray(rel_mev_cm2_g, float) / material.threshold - 1
    return np.asarray(1 + material.gain * np.clip(over, 0, None) ** material.power)


def energy_loss_from_ratio(v: float | Floats, material: Material) -> Floats:
    """Return the restricted energy loss, float64 MeV cm²/g, that has the etch ratio V.

    This is the inverse of ``etch_ratio``. Where V is 1 the loss is the threshold or less; the
    threshold is returned.

    >>> makrofol = MATERIALS["makrofol"]
    >>> round(float(energy_loss_from_ratio(etch_ratio(9000.0, makrofol), makrofol)))
    9000
    """
    over = np.clip(np.asarray(v, float) - 1, 0, None) / material.gain
    return np.asarray(material.threshold * (1 + over ** (1 / material.power)))


def charge_over_beta(rel_mev_cm2_g: float | Floats, material: Material) -> Floats:
    """Return Z/β, (n,) float64, of relativistic ions with restricted energy losses in MeV cm²/g.

    This is the inverse of ``restricted_energy_loss`` at β = ``_FAST``; a slower ion of the same
    Z/β loses some per cent less. Losses below that of Z = 1 or above that of Z = 300 give the Z/β
    of these.
    """
    charge = np.geomspace(1, 300, 400)
    loss = restricted_energy_loss(charge, _FAST, material)
    z = np.exp(np.interp(np.log(rel_mev_cm2_g), np.log(loss), np.log(charge)))
    return np.asarray(z / _FAST)
