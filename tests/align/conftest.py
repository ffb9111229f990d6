from pathlib import Path

import numpy as np
import pytest

from etchscope.foil import PitList
from etchscope.ingest import read_pit_list

PB = Path(__file__).parents[3] / "shared" / "data" / "moedal_pb"


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def scattered(rng):
    """400 places on 40 × 30 mm."""
    return rng.uniform(0, [40, 30], (400, 2))


def describe(folder: Path, scan: str, **change) -> Path:
    """Write the description of a real list."""
    import json

    told = {
        "foil": "clean-2" if scan == "c2" else "clean-1",
        "side": "back" if scan == "cr" else "front",
        "pits": str(PB / "pits_tile_xy.json"),
        "positions": str(PB / "stage_positions_inch.json"),
        "key": scan,
        "pixel_size_um": 6.4516,
        "image_size": [480, 640],
        "position_unit": "inch",
        "mirrored_pixels": scan == "cr",
    }
    path = folder / f"{scan}.json"
    path.write_text(json.dumps(told | change))
    return path


@pytest.fixture(scope="session")
def real_lists(tmp_path_factory) -> dict[str, PitList]:
    if not PB.is_dir():
        pytest.skip(f"{PB} is absent")
    folder = tmp_path_factory.mktemp("lists")
    return {scan: read_pit_list(describe(folder, scan)) for scan in ("c1", "cr", "c2")}
