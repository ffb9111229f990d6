import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

STEPS = (1, 2, 9)


def scan_json(**change: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "foil": "F1",
        "side": "front",
        "layout": "smartscope",
        "pixel_size_um": 6.4516,
        "image_size": [12, 16],
        "position_unit": "inch",
        "positions": "positions.json",
        "channels": [
            {"step": 1, "role": "directional", "azimuth_deg": 67.5},
            {"step": 2, "role": "directional", "azimuth_deg": 112.5, "focus_um": 3},
            {"step": 9, "role": "backlit"},
        ],
        "datum": [[1, 3, 4.5], [2, 5, 1], [3, 6, 2]],
    }
    value |= change
    return {k: v for k, v in value.items() if v is not None}


def pixels_of(tile: int, step: int, dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng([tile, step])
    return rng.integers(0, np.iinfo(dtype).max, (12, 16), dtype=dtype, endpoint=True)


def write_tga(path: Path, pixels: np.ndarray, **options: Any) -> None:
    Image.fromarray(pixels).save(path, "TGA", **options)


@pytest.fixture
def write_scan(tmp_path: Path) -> Callable[..., Path]:
    """Write a scan directory of some tiles and return it."""

    def write(tiles: int = 4, name: str = "scan", dtype: str = "uint8", **change: Any) -> Path:
        root = tmp_path / name
        root.mkdir()
        value = scan_json(**change)
        (root / "scan.json").write_text(json.dumps(value))
        places = {str(i): [0.16 * i, -0.1] for i in range(1, tiles + 1)}
        (root / "positions.json").write_text(json.dumps(places))
        for tile in range(1, tiles + 1):
            pages = [pixels_of(tile, step, dtype) for step in STEPS]
            if value["layout"] == "smartscope":
                folder = root / f"R1_{tile:04d}_x"
                folder.mkdir()
                for step, page in zip(STEPS, pages, strict=True):
                    write_tga(folder / f"Step_{step}_1.tga", page)
            elif value["layout"] == "pictures" and name.endswith("tif"):
                tifffile.imwrite(root / f"{tile}.tif", np.stack(pages), photometric="minisblack")
            else:
                for step, page in zip(STEPS, pages, strict=True):
                    Image.fromarray(page).save(root / f"{tile:03d}_{step}.png")
        return root

    return write


@pytest.fixture
def described() -> Callable[..., dict[str, Any]]:
    """Return the contents of a scan.json, some keys changed, None leaving a key out."""
    return scan_json


@pytest.fixture
def pixels() -> Callable[..., np.ndarray]:
    return pixels_of
