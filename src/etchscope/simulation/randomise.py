"""Domain randomisation: foil, optics and populations are drawn from wide ranges for each foil.

A network that is trained on many draws cannot learn the properties of one renderer. Reality shall
lie inside the ranges. Each nuisance is absent from many draws, so that clean foils stay frequent.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from etchscope.physics.materials import MATERIALS
from etchscope.simulation.parameters import with_parameters
from etchscope.simulation.populations import REFERENCE_TILE_MM2, HotSpot
from etchscope.simulation.scan import SimulatedScan

__all__ = ["RANGES", "Range", "draw_parameters", "randomise_scan"]


@dataclass(frozen=True)
class Range:
    """A range from ``low`` to ``high``, uniform in the value or, if ``is_log``, in its logarithm.

    With probability ``off`` the nuisance is absent, and the value is ``rest``. Values are rounded
    if ``is_whole``.
    """

    low: float
    high: float
    is_log: bool = False
    off: float = 0.0
    rest: float = 0.0
    is_whole: bool = False

    def draw(self, rng: np.random.Generator) -> float:
        """Return one value."""
        # There are always two draws, so that another range does not change the other values.
        chance, where = rng.random(2)
        if chance < self.off:
            return self.rest
        if self.is_log:
            value = float(np.exp(np.log(self.low) + where * np.log(self.high / self.low)))
        else:
            value = float(self.low + where * (self.high - self.low))
        return float(round(value)) if self.is_whole else value


_NOMINAL_UM = 6.4516

RANGES: dict[str, Range] = {
    "fragments.per_tile": Range(1, 5000, is_log=True),
    "fragments.top_fraction": Range(0.2, 0.8),
    "fragments.v": Range(1.25, 4, is_log=True),
    "fragments.rel_sigma": Range(0.2, 0.8),
    "fragments.range_um": Range(30, 600, is_log=True),
    "fragments.max_zenith_deg": Range(20, 60),
    "fragments.doubtful_per_tile": Range(0.5, 20, is_log=True, off=0.5),
    "hips.per_tile": Range(1, 20, is_log=True),
    "hips.v": Range(1.6, 8, is_log=True),
    "hips.v_spread": Range(0.02, 0.3, is_log=True),
    "hips.zenith_deg": Range(0, 35, off=0.3),
    "hips.azimuth_deg": Range(0, 360),
    "hips.spread_deg": Range(0.3, 8, is_log=True),
    "stars.per_tile": Range(0.5, 20, is_log=True, off=0.4),
    "stars.v": Range(1.5, 3.5),
    "marks.dust_per_tile": Range(0.2, 12, is_log=True, off=0.4),
    "marks.scratches_per_tile": Range(0.2, 10, is_log=True, off=0.5),
    "marks.fibres_per_tile": Range(0.2, 4, is_log=True, off=0.6),
    "marks.bubbles_per_tile": Range(0.2, 8, is_log=True, off=0.6),
    "marks.drops_per_tile": Range(0.2, 8, is_log=True, off=0.6),
    "marks.variety": Range(0.2, 1.5, off=0.3),
    "density.gradient_per_mm": Range(-0.08, 0.08),
    "density.gradient_deg": Range(0, 360),
    "sheet.thickness_um": Range(200, 1200, is_log=True),
    "sheet.removed_um": Range(28, 80),
    "sheet.removed_spread": Range(0.01, 0.1),
    "optics.pixel_size_um": Range(3.2, 13, is_log=True),
    "optics.focus_um": Range(-120, 60),
    "optics.blur_um": Range(2, 9),
    "optics.aperture": Range(0.01, 0.06, is_log=True),
    "optics.flare": Range(0.02, 0.35, off=0.5),
    "optics.flare_um": Range(15, 150, is_log=True),
    "optics.elevation_deg": Range(22, 70),
    "optics.ambient": Range(0.02, 0.5),
    "optics.gloss": Range(0.02, 0.5, off=0.6),
    "optics.gloss_width": Range(0.2, 0.7),
    "optics.shadow": Range(0.1, 1, off=0.2),
    "optics.far_weight": Range(0.1, 1),
    "optics.hiding": Range(0, 1),
    "optics.mirror": Range(0.1, 4, is_log=True, off=0.45),
    "optics.mirror_width": Range(0.05, 0.4, is_log=True),
    "optics.dark_near_deg": Range(20, 75, off=0.4, rest=90),
    "optics.dark_far_deg": Range(20, 75, off=0.5, rest=90),
    "optics.pupil": Range(0.06, 0.35, is_log=True),
    "optics.stray": Range(0.01, 0.25, is_log=True),
    "optics.glint": Range(0.1, 0.8, off=0.5),
    "optics.glint_um": Range(4, 25, is_log=True),
    "optics.centre_share": Range(0.1, 1, off=0.35),
    "optics.centre": Range(0.1, 1.4),
    "optics.centre_um": Range(4, 14, is_log=True),
    "optics.centre_lamps": Range(0.1, 1.4, off=0.4),
    "optics.halo_sine": Range(0.15, 0.6),
    "optics.halo_width": Range(0.08, 0.35),
    "optics.level": Range(0.15, 0.7),
    "optics.backlit_level": Range(0.3, 1.2),
    "optics.halo_level": Range(0.03, 0.3, is_log=True),
    "optics.halo_gain": Range(1, 8, is_log=True),
    "optics.vignetting": Range(0, 0.45, off=0.2),
    "optics.unevenness": Range(0, 0.5, off=0.2),
    "optics.read_noise": Range(0.4, 9, is_log=True),
    "optics.shot_noise": Range(0.001, 0.08, is_log=True),
    "optics.texture": Range(0.01, 0.15, is_log=True, off=0.25),
    "optics.texture_um": Range(5, 30, is_log=True),
    "surface.roughness": Range(0.02, 0.35, is_log=True, off=0.25),
    "surface.roughness_exponent": Range(2.5, 5.5),
    "surface.roughness_um": Range(60, 400, is_log=True),
    "surface.peel": Range(-0.2, 0.2, off=0.6),
    "surface.peel_um": Range(25, 250, is_log=True),
    "surface.micropits_per_mm2": Range(50, 6000, is_log=True, off=0.35),
    "surface.micropit_um": Range(2.5, 7, is_log=True),
    "surface.micropit_depth": Range(0.03, 0.25, is_log=True),
    "surface.far_relief": Range(0.3, 1.5),
    "surface.haze": Range(0.02, 0.3, is_log=True, off=0.2),
    "surface.albedo": Range(0.01, 0.15, is_log=True, off=0.2),
    "surface.haze_um": Range(5, 20, is_log=True),
    "surface.grain": Range(0.01, 0.08, is_log=True, off=0.35),
    "surface.patchiness": Range(0.1, 0.5, off=0.4),
    "surface.patch_um": Range(100, 600, is_log=True),
    "camera.gamma": Range(0.5, 2, is_log=True, off=0.4, rest=1),
    "camera.pixel_gain": Range(0.005, 0.04, off=0.5),
    "camera.column_pattern": Range(0.3, 4, is_log=True, off=0.6),
    "camera.hot_per_mpx": Range(5, 400, is_log=True, off=0.6),
    "camera.background": Range(0.02, 0.15, off=0.4),
    "camera.background_px": Range(60, 300, is_log=True),
    "camera.grey_step": Range(2, 8, off=0.7, rest=1, is_whole=True),
    "camera.jpeg_quality": Range(60, 95, off=0.6, is_whole=True),
    "stage.rotation_deg": Range(-2, 2),
    "stage.jitter_um": Range(0, 6),
    "stage.tilt_x_um_per_mm": Range(-40, 40, off=0.5),
    "stage.tilt_y_um_per_mm": Range(-40, 40, off=0.5),
    "stage.bend_um_per_mm2": Range(-1, 1, off=0.5),
}
"""Parameter → its range.

Besides these, ``draw_parameters`` draws the material (Makrofol or CR-39), the direction of the
signal (beam, or isotropic up to 35°), up to two hot spots of 2 to 10 times the density, the gain of
each channel (rms 10 %; in three of ten foils a quarter of the lamps have 20 to 60 %) and the
azimuth error of each lamp (rms 3°). Lengths of ``SCALED`` and numbers of ``COUNTED`` are given for
pixels of 6.4516 µm and are scaled to the pixel. Background pits cover a picture one and a half
times at most.
"""

SCALED = frozenset(
    f"{name}_um"
    for name in (
        "optics.blur",
        "optics.flare",
        "optics.glint",
        "optics.centre",
        "optics.texture",
        "surface.roughness",
        "surface.peel",
        "surface.micropit",
        "surface.haze",
        "surface.patch",
    )
)
"""Lengths that scale with the pixel: a larger magnification also shows finer structure."""


COUNTED = frozenset(
    {
        "fragments.per_tile",
        "fragments.doubtful_per_tile",
        "hips.per_tile",
        "stars.per_tile",
        "surface.micropits_per_mm2",
    }
)
"""Numbers that are drawn per picture and then scaled to the area of the pixel."""

_OVERLAP = 1.5


def _crowd(drawn: dict[str, Any]) -> float:
    """Return the number of pits per tile that cover its area one and a half times."""
    radius_um = 0.5 * drawn["sheet.removed_um"]
    return float(_OVERLAP * REFERENCE_TILE_MM2 * 1e6 / (np.pi * radius_um**2))


def draw_parameters(rng: np.random.Generator, scan: SimulatedScan) -> dict[str, Any]:
    """Return parameters for ``with_parameters``, drawn from ``RANGES``.

    Parameters
    ----------
    scan : states the channels, and the area in which hot spots lie.
    """
    drawn: dict[str, Any] = {name: a_range.draw(rng) for name, a_range in RANGES.items()}
    scale = drawn["optics.pixel_size_um"] / _NOMINAL_UM
    for name in SCALED:
        drawn[name] *= scale
    for name in COUNTED:
        drawn[name] /= scale**2
    drawn["fragments.per_tile"] = min(drawn["fragments.per_tile"], _crowd(drawn))
    drawn["sheet.removed_um"] = min(drawn["sheet.removed_um"], 0.35 * drawn["sheet.thickness_um"])
    if scan.optics.bit_depth > 8:
        drawn["camera.jpeg_quality"] = 0
    drawn["sheet.material"] = str(rng.choice(sorted(MATERIALS)))
    drawn["hips.direction"] = "isotropic" if rng.random() < 0.5 else "beam"
    drawn["hips.max_zenith_deg"] = 35.0
    most = max(_crowd(drawn) / drawn["fragments.per_tile"], 1.0)
    width, height = scan.columns * 4.0, scan.rows * 3.0
    drawn["density.hot"] = tuple(
        HotSpot(
            x_mm=float(rng.uniform(0, width)),
            y_mm=-float(rng.uniform(0, height)),
            radius_mm=float(rng.uniform(0.5, 3)),
            factor=min(float(rng.uniform(2, 10)), most),
        )
        for _ in range(rng.integers(0, 3))
    )
    drawn["optics.gains"] = _gains(rng, scan)
    lamps = len(scan.optics.azimuths_rad)
    drawn["optics.azimuth_errors_deg"] = tuple(rng.normal(0, 3, lamps).tolist())
    return drawn


def _gains(rng: np.random.Generator, scan: SimulatedScan) -> tuple[float, ...]:
    """Return the gain of each channel; in three of ten foils some lamps are weak."""
    gains = np.exp(rng.normal(0, 0.1, len(scan.optics.channels)))
    if rng.random() < 0.3:
        lamp = np.array([c.role == "directional" for c in scan.optics.channels])
        weak = lamp & (rng.random(len(gains)) < 0.25)
        gains[weak] *= rng.uniform(0.2, 0.6, int(weak.sum()))
    return tuple(gains.tolist())


def randomise_scan(scan: SimulatedScan) -> SimulatedScan:
    """Return a scan with foil, optics and populations drawn anew; its seed determines the draw.

    Both sides of a foil get the same draw. Parameters that ``RANGES`` does not list stay.
    """
    return with_parameters(scan, draw_parameters(np.random.default_rng([scan.seed, 4]), scan))
