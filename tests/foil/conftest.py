from collections.abc import Callable
from typing import Any

import pytest

from etchscope.foil import Channel, Scan, Tile

PIXEL_MM = 0.01


@pytest.fixture
def make_scan() -> Callable[..., Scan]:
    """A 2 × 2 grid of 40 × 60 px tiles, 0.5 mm and 0.3 mm apart, of 10 µm pixels."""

    def make(**change: Any) -> Scan:
        tiles = [
            Tile(number=n, stage_x_mm=7 + 0.5 * (n // 2), stage_y_mm=3 - 0.3 * (n % 2))
            for n in range(4)
        ]
        values: dict[str, Any] = {
            "name": "s",
            "foil": "f",
            "layout": "smartscope",
            "pixel_size_um": 1000 * PIXEL_MM,
            "image_size": (40, 60),
            "channels": (Channel(step=9, role="backlit"),),
            "tiles": tuple(tiles),
        }
        return Scan(**(values | change))

    return make
