"""A place of a tile for people: each light raw and cleaned, and maps of what is behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etchscope.foil import BadInput, Channel, Scan
from etchscope.foil.types import FloatImage, FloatStack, RawStack
from etchscope.imaging import (
    Lighting,
    Normalisation,
    divergence,
    normalised_harmonics,
)
from etchscope.imaging.cleaned import Cleaned

__all__ = ["Cut", "PlaceView", "cut_around", "main_channel", "map_divergence", "view_place"]

_LEAST_PX = 16


@dataclass(frozen=True)
class Cut:
    """A part of a tile: its first column and row, its width and height, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Return the part of a picture, (…, y, x)."""
        return picture[..., self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True)
class PlaceView:
    """A place of a tile.

    Attributes
    ----------
    scan, run, tile : names of scan and run, and number of the tile.
    x_px, y_px, cut : the place, and the part of the tile that is shown.
    channels : of the pictures, in their order.
    raw : (channel, y, x) contrasts as they were taken, of the bulk; nothing is taken out.
    cleaned : (channel, y, x) contrasts without background, fixed pattern, scratches and blur.
    maps : name → (y, x) divergence, cleaned, residual, anomaly, as far as they are known.
    pits : pit table of the tile.
    pixel_size_um : None for an unknown scale.
    noise_gain : greatest factor by which deconvolution multiplied the noise.
    not_shown : what is not shown → why.
    """

    scan: str
    run: str
    tile: int
    x_px: float
    y_px: float
    cut: Cut
    channels: tuple[Channel, ...]
    raw: FloatStack
    cleaned: FloatStack
    maps: Mapping[str, FloatImage]
    pits: pd.DataFrame
    pixel_size_um: float | None
    noise_gain: float
    not_shown: Mapping[str, str]

    @property
    def lamps(self) -> list[int]:
        """Indices of the channels with a lamp, in the order of their azimuths."""
        with_lamp = [k for k, c in enumerate(self.channels) if c.azimuth_deg is not None]
        return sorted(with_lamp, key=lambda k: float(self.channels[k].azimuth_deg or 0) % 360)

    @property
    def main(self) -> int:
        """Index of the channel that stands for all: the backlit one, or the first."""
        return main_channel(self.channels)


def main_channel(channels: Sequence[Channel]) -> int:
    """Return the index of the channel that stands for all: the backlit one, or the first."""
    backlit = (k for k, channel in enumerate(channels) if channel.role == "backlit")
    return next(backlit, 0)


def cut_around(x_px: float, y_px: float, size_px: int, image_size: tuple[int, int]) -> Cut:
    """Return a square part of a tile around a place, moved to lie inside the picture.

    Parameters
    ----------
    x_px, y_px : the place.
    size_px : side of the square; it is cut if the picture is smaller.
    image_size : (height, width) of the tile.

    Raises
    ------
    BadInput : the place lies outside the tile, or the part is smaller than 16 px.

    Examples
    --------
    >>> cut_around(5, 100, 64, (480, 640))
    Cut(x=0, y=68, width=64, height=64)
    """
    height, width = image_size
    if not (-0.5 <= x_px <= width - 0.5 and -0.5 <= y_px <= height - 0.5):
        expected = f"a place in the tile: x from 0 to {width - 1}, y from 0 to {height - 1}"
        raise BadInput("at", expected, f"{x_px:g},{y_px:g}")
    if size_px < _LEAST_PX:
        raise BadInput("size", f"at least {_LEAST_PX} px", f"{size_px}")
    wide, high = min(size_px, width), min(size_px, height)
    x0 = int(np.clip(round(x_px) - wide // 2, 0, width - wide))
    y0 = int(np.clip(round(y_px) - high // 2, 0, height - high))
    return Cut(x0, y0, wide, high)


def map_divergence(raw: RawStack, normalisation: Normalisation, scan: Scan) -> FloatImage | None:
    """Return the divergence of a tile, (y, x), or None where its lamps do not suffice.

    Parameters
    ----------
    raw : (channel, y, x) grey levels.
    normalisation, scan : of the tile.
    """
    lighting = Lighting.of_scan(scan)
    if not len(lighting.directional):
        return None
    harmonics = normalised_harmonics(
        raw, normalisation, lighting.directional, lighting.azimuths_deg
    )
    return np.asarray(divergence(harmonics[1], harmonics[2]) * lighting.gradient_sign, np.float32)


def view_place(
    raw: RawStack,
    cleaned: Cleaned,
    residual: FloatStack | None,
    score: FloatImage | None,
    normalisation: Normalisation,
    scan: Scan,
    pits: pd.DataFrame,
    *,
    run: str,
    tile: int,
    at: tuple[float, float],
    size_px: int,
    not_shown: Mapping[str, str],
) -> PlaceView:
    """Return the view of a place.

    Parameters
    ----------
    raw : (channel, y, x) grey levels of the tile.
    cleaned : of the tile.
    residual : (channel, y, x) of the tile, or None.
    score : (y, x) anomaly score of the tile, or None.
    normalisation, scan : of the tile.
    pits : pit table of the tile.
    run, tile : name of the run and number of the tile.
    at, size_px : see ``cut_around``.
    not_shown : what is not shown → why; the divergence is added.

    Raises
    ------
    BadInput : see ``cut_around``.
    """
    cut = cut_around(*at, size_px, scan.image_size)
    main, missing = main_channel(scan.channels), dict(not_shown)
    maps: dict[str, FloatImage] = {}
    slopes = map_divergence(raw, normalisation, scan)
    if slopes is None:
        missing["divergence"] = "it needs three lamps from different sides, and the scan has none"
    else:
        maps["divergence"] = cut.of(slopes)
    maps["cleaned"] = cut.of(cleaned.pictures[main])
    if residual is not None:
        maps["residual"] = cut.of(residual[main])
    if score is not None:
        maps["anomaly"] = cut.of(score)
    if sum(c.role == "directional" for c in scan.channels) < 2:
        missing["lamps"] = "there are not two lamps or more to go over"
    return PlaceView(
        scan=scan.name,
        run=run,
        tile=tile,
        x_px=at[0],
        y_px=at[1],
        cut=cut,
        channels=scan.channels,
        raw=cut.of(normalisation.apply(raw)),
        cleaned=cut.of(cleaned.pictures),
        maps=maps,
        pits=pits,
        pixel_size_um=scan.pixel_size_um,
        noise_gain=float(cleaned.noise_gain.max()),
        not_shown=missing,
    )
