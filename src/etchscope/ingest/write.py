"""Write a scan directory as the microscope does: layout ``smartscope`` with its ``scan.json``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from etchscope.foil import (
    BadInput,
    Foil,
    Scan,
    Tile,
    count_usable_cores,
)
from etchscope.foil.machine import make_thread_pool
from etchscope.foil.types import RawStack

__all__ = ["tile_folder", "write_description", "write_smartscope", "write_tile"]

_OF_FOIL = {"material", "thickness_um", "etch"}


def write_smartscope(
    directory: Path,
    scan: Scan,
    read_tile: Callable[[int], RawStack],
    *,
    foil: Foil | None = None,
    progress: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> None:
    """Write a scan directory: one folder per tile with ``Step_{step}_1.tga``, and ``scan.json``.

    Pictures of more than 8 bits are written as ``.png``, since TGA cannot hold them. ``scan.json``
    is written last.

    Parameters
    ----------
    directory : is made if it is absent; must be empty.
    scan : the record; read back it is the same but for its name, layout and excluded tiles.
    read_tile : tile number → (channel, y, x) uint8 or uint16; called from several threads.
    foil : record of the foil; its material, thickness and etching are written too.
    progress : called with the number of tiles just written, from any thread.
    workers : number of threads; by default that of the cores.

    Raises
    ------
    BadInput : the directory holds files already.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise BadInput(directory, "an empty folder", "files in it", hint="Choose another folder.")

    def write(tile: Tile) -> None:
        folder = directory / tile_folder(scan, tile.number)
        folder.mkdir()
        write_tile(folder, scan, read_tile(tile.number))
        if progress is not None:
            progress(1)

    with make_thread_pool(workers or count_usable_cores()) as pool:
        try:
            for done in [pool.submit(write, tile) for tile in scan.tiles]:
                done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    write_description(directory, scan, foil)


def tile_folder(scan: Scan, number: int) -> str:
    """Return the name of the folder of a tile in a scan directory."""
    run = scan.foil.replace("_", "-")  # readers take the first underscore as the end of the run
    return f"{run}_{number:04d}_{scan.side}"


def write_tile(folder: Path, scan: Scan, pictures: RawStack) -> None:
    """Write the pictures of one tile into its folder, which must be there.

    Parameters
    ----------
    pictures : (channel, y, x) uint8 or uint16, in the order of the scan's channels.
    """
    suffix = "tga" if scan.dtype == "uint8" else "png"
    for channel, picture in zip(scan.channels, pictures, strict=True):
        Image.fromarray(picture).save(folder / f"Step_{channel.step}_1.{suffix}")


def write_description(directory: Path, scan: Scan, foil: Foil | None) -> None:
    """Write ``scan.json`` of a scan directory, and ``positions.json`` before it."""
    positions = {
        str(t.number): [t.stage_x_mm, t.stage_y_mm] for t in scan.tiles if t.stage_x_mm is not None
    }
    if positions:
        (directory / "positions.json").write_text(json.dumps(positions, indent=1))
    description = _describe(scan, foil, has_positions=bool(positions))
    (directory / "scan.json").write_text(json.dumps(description, indent=1))


def _describe(scan: Scan, foil: Foil | None, *, has_positions: bool) -> dict[str, Any]:
    """Return the contents of ``scan.json``."""
    return {
        **scan.metadata,
        **({} if foil is None else foil.model_dump(include=_OF_FOIL, exclude_none=True)),
        "foil": scan.foil,
        "side": scan.side,
        "layout": "smartscope",
        "pixel_size_um": scan.pixel_size_um,
        "image_size": list(scan.image_size),
        **({"position_unit": "mm", "positions": "positions.json"} if has_positions else {}),
        "channels": [c.model_dump(exclude_none=True) for c in scan.channels],
        "datum": [list(hole) for hole in scan.datum],
        "azimuth_sense": scan.azimuth_sense,
        "gradient_sign": scan.gradient_sign,
        "tiles": {str(t.number): t.metadata for t in scan.tiles if t.metadata},
    }
