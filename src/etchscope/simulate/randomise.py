"""Domain randomisation: foil, optics and populations from wide ranges, a new draw each foil.

What is trained on many draws cannot learn one renderer.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from etchscope.simulate.materials import MATERIALS
from etchscope.simulate.parameters import with_parameters
from etchscope.simulate.populations import HotSpot
from etchscope.simulate.scan import SimulatedScan

__all__ = ["RANGES", "Range", "draw_parameters", "randomised"]


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``, uniform, or uniform in the logarithm."""

    low: float
    high: float
    is_log: bool = False

    def draw(self, rng: np.random.Generator) -> float:
        """Return one value."""
        if self.is_log:
            return float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))
        return float(rng.uniform(self.low, self.high))


RANGES: dict[str, Range] = {
    "fragments.per_tile": Range(10, 1500, is_log=True),
    "fragments.top_fraction": Range(0.3, 0.7),
    "fragments.v": Range(1.4, 2.8, is_log=True),
    "fragments.rel_sigma": Range(0.3, 0.6),
    "fragments.range_um": Range(60, 400, is_log=True),
    "fragments.max_zenith_deg": Range(30, 60),
    "hips.per_tile": Range(2, 20, is_log=True),
    "hips.v": Range(1.8, 6),
    "hips.v_spread": Range(0.02, 0.2),
    "hips.zenith_deg": Range(0, 10),
    "hips.azimuth_deg": Range(0, 360),
    "hips.spread_deg": Range(0.3, 8),
    "stars.per_tile": Range(0, 10),
    "stars.v": Range(1.5, 3),
    "marks.dust_per_tile": Range(0, 3),
    "marks.scratches_per_tile": Range(0, 1.5),
    "marks.fibres_per_tile": Range(0, 1),
    "marks.bubbles_per_tile": Range(0, 2),
    "density.gradient_per_mm": Range(-0.08, 0.08),
    "density.gradient_deg": Range(0, 360),
    "sheet.thickness_um": Range(250, 1000, is_log=True),
    "sheet.removed_um": Range(35, 70),
    "sheet.removed_spread": Range(0.01, 0.08),
    "optics.pixel_size_um": Range(5.6, 7.4),
    "optics.focus_um": Range(-120, 60),
    "optics.blur_um": Range(3, 9),
    "optics.aperture": Range(0.02, 0.05),
    "optics.elevation_deg": Range(25, 65),
    "optics.ambient": Range(0.05, 0.4),
    "optics.gloss": Range(0, 0.35),
    "optics.gloss_width": Range(0.2, 0.6),
    "optics.shadow": Range(0, 0.9),
    "optics.far_weight": Range(0.4, 1),
    "optics.hiding": Range(0, 0.8),
    "optics.pupil": Range(0.08, 0.3),
    "optics.stray": Range(0.02, 0.15),
    "optics.halo_sine": Range(0.2, 0.5),
    "optics.halo_width": Range(0.1, 0.3),
    "optics.level": Range(0.3, 0.6),
    "optics.backlit_level": Range(0.5, 1.05),
    "optics.halo_level": Range(0.06, 0.25),
    "optics.halo_gain": Range(1.5, 6),
    "optics.vignetting": Range(0, 0.3),
    "optics.unevenness": Range(0, 0.35),
    "optics.read_noise": Range(0.7, 5),
    "optics.shot_noise": Range(0.003, 0.03),
    "optics.texture": Range(0.02, 0.1),
    "optics.texture_um": Range(6, 25),
    "stage.rotation_deg": Range(-2, 2),
    "stage.jitter_um": Range(0, 6),
}
"""Parameter → its range. Besides these, the material (Makrofol or CR-39), the signal's direction
(beam or isotropic up to 35°), up to two hot spots of 2 to 10 times the density, each channel's gain
(rms 10 %) and each lamp's azimuth error (rms 3°) are drawn.
"""


def draw_parameters(rng: np.random.Generator, scan: SimulatedScan) -> dict[str, Any]:
    """Return parameters for ``with_parameters``, drawn from ``RANGES``.

    Parameters
    ----------
    scan : gives the channels, and the area in which hot spots lie.
    """
    drawn: dict[str, Any] = {name: a_range.draw(rng) for name, a_range in RANGES.items()}
    drawn["sheet.material"] = str(rng.choice(sorted(MATERIALS)))
    drawn["hips.direction"] = "isotropic" if rng.random() < 0.5 else "beam"
    drawn["hips.max_zenith_deg"] = 35.0
    width, height = scan.columns * 4.0, scan.rows * 3.0
    drawn["density.hot"] = tuple(
        HotSpot(
            x_mm=float(rng.uniform(0, width)),
            y_mm=-float(rng.uniform(0, height)),
            radius_mm=float(rng.uniform(0.5, 3)),
            factor=float(rng.uniform(2, 10)),
        )
        for _ in range(rng.integers(0, 3))
    )
    drawn["optics.gains"] = tuple(np.exp(rng.normal(0, 0.1, len(scan.optics.channels))).tolist())
    lamps = len(scan.optics.azimuths_rad)
    drawn["optics.azimuth_errors_deg"] = tuple(rng.normal(0, 3, lamps).tolist())
    return drawn


def randomised(scan: SimulatedScan) -> SimulatedScan:
    """Return a scan with foil, optics and populations drawn anew; its seed decides the draw.

    Both sides of a foil get the same draw. What ``RANGES`` does not list stays as it is.
    """
    return with_parameters(scan, draw_parameters(np.random.default_rng([scan.seed, 4]), scan))
