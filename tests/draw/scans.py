"""Small scans with pits, made without a simulation."""

import numpy as np

from etchscope.foil import (
    Channel,
    Scan,
    Tile,
    as_pits,
)
from etchscope.geometry import tile_to_foil

SIZE = (48, 64)


def make_scan(columns=3, rows=2, **changes):
    """A grid of tiles that overlap by 4 px, column by column, each from the top."""
    step_mm = ((SIZE[1] - 4) * 0.01, (SIZE[0] - 4) * 0.01)
    tiles = tuple(
        Tile(number=1 + c * rows + r, stage_x_mm=c * step_mm[0], stage_y_mm=-r * step_mm[1])
        for c in range(columns)
        for r in range(rows)
    )
    given = {
        "name": "F1-front",
        "foil": "F1",
        "layout": "smartscope",
        "pixel_size_um": 10.0,
        "image_size": SIZE,
        "channels": (Channel(step=9, role="backlit"),),
        "tiles": tiles,
    }
    return Scan(**(given | changes))


def unplaced(scan):
    """The scan without positions and scale."""
    tiles = tuple(t.model_copy(update={"stage_x_mm": None, "stage_y_mm": None}) for t in scan.tiles)
    return scan.model_copy(update={"tiles": tiles, "pixel_size_um": None, "layout": "plain"})


def make_pits(scan, per_tile=10, seed=0):
    """Pairs of a top and a bottom pit, displaced by (3, −2) px."""
    rng = np.random.default_rng(seed)
    tile = np.repeat([t.number for t in scan.included], per_tile).astype(np.int64)
    n = len(tile)
    x, y = rng.uniform(6, SIZE[1] - 12, n), rng.uniform(6, SIZE[0] - 12, n)
    both = {
        "tile": np.concatenate([tile, tile]),
        "pit": np.arange(2 * n),
        "partner": np.concatenate([np.arange(n, 2 * n), np.arange(n)]),
        "surface": ["top"] * n + ["bottom"] * n,
        "x_px": np.concatenate([x, x + 3]),
        "y_px": np.concatenate([y, y - 2]),
        "pair_dx_px": np.full(2 * n, 3.0),
        "pair_dy_px": np.full(2 * n, -2.0),
        "pair_p": np.tile(rng.uniform(0, 0.02, n), 2),
        "radius_px": rng.uniform(3, 5, 2 * n),
        "ellipticity": rng.uniform(0, 0.4, 2 * n),
        "angle_deg": rng.uniform(0, 180, 2 * n),
        "contrast": rng.uniform(0.5, 1, 2 * n),
        "entry": np.concatenate([rng.uniform(5, 20, n), rng.uniform(0, 4, n)]),
        "exit": np.concatenate([rng.uniform(0, 4, n), rng.uniform(5, 20, n)]),
        "hip": rng.uniform(0, 20, 2 * n),
    }
    both["x_mm"], both["y_mm"] = tile_to_foil(both["tile"], both["x_px"], both["y_px"], scan)
    return as_pits(both)


def picture_of(number):
    return np.random.default_rng(number).integers(90, 160, SIZE).astype(np.uint8)
