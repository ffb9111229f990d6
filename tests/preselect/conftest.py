from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from etchscope.foil import Channel, Scan, Tile

SIZE = (300, 400)
"""Height and width of a tile; 10 µm pixels."""


@pytest.fixture
def make_scan() -> Callable[..., Scan]:
    """2 × 2 tiles of 4.0 mm × 3.0 mm that overlap by 20 px; 1, 2 left, 1, 3 above."""

    def make(**change: Any) -> Scan:
        tiles = tuple(
            Tile(number=1 + 2 * c + r, stage_x_mm=50 + 3.8 * c, stage_y_mm=20 - 2.8 * r)
            for c in range(2)
            for r in range(2)
        )
        values: dict[str, Any] = {
            "name": "s",
            "foil": "f",
            "layout": "smartscope",
            "pixel_size_um": 10.0,
            "image_size": SIZE,
            "channels": (Channel(step=9, role="backlit"),),
            "tiles": tiles,
        }
        return Scan(**(values | change))

    return make


@pytest.fixture
def make_found() -> Callable[..., pd.DataFrame]:
    """What the detection gives, from rows (tile, surface, x_px, y_px) and further columns."""

    def make(*rows: tuple[int, str, float, float], **columns: Any) -> pd.DataFrame:
        found = pd.DataFrame(list(rows), columns=["tile", "surface", "x_px", "y_px"])
        found = found.astype({"tile": "int64", "surface": "str", "x_px": float, "y_px": float})
        n = len(found)
        values: dict[str, Any] = {
            "radius_px": np.full(n, 7.0),
            "ellipticity": np.zeros(n),
            "angle_deg": np.zeros(n),
            "contrast": np.full(n, 0.3),
            "entry": np.where(found["surface"] == "top", 20.0, 1.0),
            "exit": np.where(found["surface"] == "bottom", 15.0, 2.0),
            "hip": np.zeros(n),
            "flags": np.zeros(n, np.int64),
            "mate": np.full(n, -1),
        }
        return found.assign(**(values | columns))

    return make
