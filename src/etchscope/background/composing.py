"""Put pits into a picture: the light that they change, times the light that was there.

Near and far surface multiply, and on one surface the deeper wall remains, as in the renderer. So
the pits that were found there before are drawn too, as cones: the picture is multiplied by the
light with the new pits over the light without. The tile keeps its own noise; where it becomes
darker the noise of the camera, which does not shrink with the light, is added again.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from etchscope.foil import Scan
from etchscope.foil.types import Floats, FloatStack
from etchscope.simulation import Optics, Sheet, relative_light
from etchscope.simulation.scene import draw_scene

__all__ = ["Window", "as_cones", "compose", "light_ratio", "optics_of_window"]

_MARGIN_PX = 12
"""Margin of a window around its pits, over whose outer half the change of light fades to none."""
_DARKEST = 0.05
"""Light, the bulk at 1, below which that of the old pits is not divided by."""
_BRIGHTEST = 5.0
"""Greatest ratio of light."""


@dataclass(frozen=True)
class Window:
    """A part of a picture: its first column and row, its width and height, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def around(cls, x_px: Floats, y_px: Floats, radius_px: Floats) -> "Window":
        """Return the window around some openings, which may reach beyond the picture."""
        x0, y0 = (int(np.floor((a - radius_px).min())) - _MARGIN_PX for a in (x_px, y_px))
        x1, y1 = (int(np.ceil((a + radius_px).max())) + _MARGIN_PX for a in (x_px, y_px))
        return cls(x0, y0, max(x1 - x0 + 1, 16), max(y1 - y0 + 1, 16))


def optics_of_window(optics: Optics, scan: Scan, height: int, width: int) -> Optics:
    """Return optics for a part of a scan's picture, with its lights and an even field.

    Parameters
    ----------
    optics : all but size, lights and field.
    scan : states channels, pixel size and signs.
    """
    azimuths, k, channels = scan.azimuths_deg, 0, []
    turned = 0.0 if scan.gradient_sign > 0 else 180.0
    for channel in scan.channels:
        if channel.role == "directional":
            channel = channel.model_copy(update={"azimuth_deg": float(azimuths[k]) + turned})
            k += 1
        channels.append(channel.model_copy(update={"focus_um": None}))
    return replace(
        optics,
        pixel_size_um=float(scan.pixel_size_um or np.nan),
        image_size=(height, width),
        channels=tuple(channels),
        gains=(),
        azimuth_errors_deg=(),
        vignetting=0.0,
        unevenness=0.0,
        texture=0.0,
    )


def as_cones(pits: pd.DataFrame, removed_um: float, pixel_size_um: float) -> pd.DataFrame:
    """Return found openings as cones along the normal, in the columns of ``draw_scene``.

    Parameters
    ----------
    pits : pit table; openings of unknown surface count as top.
    removed_um : bulk removed on each side.
    """
    share = np.clip(pits["radius_px"].to_numpy(np.float64) * pixel_size_um / removed_um, 0.05, 0.93)
    v = (1 + share**2) / (1 - share**2)
    surface = pits["surface"].astype(object).to_numpy()
    return pd.DataFrame(
        {
            "surface": np.where(surface == "bottom", "bottom", "top"),
            "x_px": pits["x_px"].to_numpy(np.float64),
            "y_px": pits["y_px"].to_numpy(np.float64),
            "v": v,
            "dip_rad": np.pi / 2,
            "azimuth_rad": 0.0,
            "removed_um": removed_um,
            "length_um": v * removed_um,
        }
    )


def light_ratio(
    new: pd.DataFrame, old: pd.DataFrame, window: Window, optics: Optics, sheet: Sheet, index: float
) -> FloatStack:
    """Return the light with new pits over the light without, (channel, y, x) float32, of a window.

    Parameters
    ----------
    new, old : pits for ``draw_scene``, in pixels of the tile.
    optics : of the window, see ``optics_of_window``.
    sheet : the foil before etching.
    index : its refractive index.
    """
    moved = [p.assign(x_px=p["x_px"] - window.x, y_px=p["y_px"] - window.y) for p in (old, new)]
    reach = 40.0
    near = moved[0]
    near = near[
        near["x_px"].between(-reach, window.width + reach)
        & near["y_px"].between(-reach, window.height + reach)
    ]
    none = pd.DataFrame()
    how = {"thickness_um": sheet.thickness_um - 2 * sheet.removed_um, "refractive_index": index}
    columns = ["surface", "x_px", "y_px", "v", "dip_rad", "azimuth_rad", "removed_um", "length_um"]
    both = pd.concat([near[columns], moved[1][columns]], ignore_index=True)
    before = relative_light(draw_scene(near[columns], none, optics, **how), optics)
    after = relative_light(draw_scene(both, none, optics, **how), optics)
    ratio = np.clip(after, 0, None) / np.maximum(before, _DARKEST)
    fade = np.minimum(_fade(window.height)[:, None], _fade(window.width)[None])
    return np.asarray(1 + fade * (np.clip(ratio, 0, _BRIGHTEST) - 1), np.float32)


def _fade(size: int) -> Floats:
    """Return weights along one side of a window: 0 at its ends, 1 inside its margin's half."""
    from_end = np.minimum(np.arange(size), np.arange(size)[::-1])
    return np.clip(from_end / (_MARGIN_PX / 2), 0, 1)


def compose(
    tile: FloatStack, window: Window, ratio: FloatStack, noise: Floats, rng: np.random.Generator
) -> None:
    """Multiply a part of a tile by a ratio of light, in place.

    Parameters
    ----------
    tile : (channel, y, x) float32 grey levels, not rounded.
    ratio : (channel, height, width) of the window; what lies beyond the picture is left out.
    noise : (channel,) of the camera, see ``imaging.noise``.
    """
    rows, columns = tile.shape[1:]
    y0, y1 = max(window.y, 0), min(window.y + window.height, rows)
    x0, x1 = max(window.x, 0), min(window.x + window.width, columns)
    if y0 >= y1 or x0 >= x1:
        return
    own = ratio[:, y0 - window.y : y1 - window.y, x0 - window.x : x1 - window.x]
    lost = np.sqrt(np.clip(1 - own**2, 0, None)) * noise[:, None, None].astype(np.float32)
    part = tile[:, y0:y1, x0:x1]
    part *= own
    part += lost * rng.standard_normal(own.shape, np.float32)
