"""Foils without pictures, as lists of pits: CSV, JSON, Parquet or ROOT.

A list has its places in millimetres, micrometres or inches, or in pixels of tiles. For pixels a
description states where the tiles lie:

    {"foil": "F1", "side": "front", "pits": "pits.csv", "pixel_size_um": 6.4516,
     "image_size": [480, 640], "position_unit": "inch", "positions": "positions.json"}
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etchscope.files import read_columns
from etchscope.files.strict_json import read_json
from etchscope.foil import (
    COLUMNS,
    BadInput,
    Channel,
    NoPositions,
    PitList,
    Scan,
    Side,
    Tile,
)
from etchscope.foil.records import Finite, Name, Positive
from etchscope.geometry import (
    LengthUnit,
    datum_holes_mm,
    mm_per,
    tile_to_foil,
)
from etchscope.geometry.stage_places import require_fitting_places
from etchscope.ingest.scan_json import as_bad_input, read_key, read_positions

__all__ = ["OfSurface", "read_pit_list"]

OfSurface = Literal["top", "bottom", "any"]
_UNITS: tuple[LengthUnit, ...] = ("mm", "um", "inch")
_TEXT = tuple(c.name for c in COLUMNS if c.dtype == "str")
_BEYOND_PX = 1.0  # a centre may lie this far outside its tile, since half of its opening shows


class _Description(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    foil: Name
    side: Side = "front"
    pits: str | list[Annotated[list[float], Field(min_length=3, max_length=3)]]
    pixel_size_um: Positive
    image_size: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=2, max_length=2)]
    position_unit: LengthUnit
    positions: str
    key: str | None = None
    mirrored_pixels: bool = False
    datum: list[Annotated[list[Finite], Field(min_length=3, max_length=3)]] = []


def read_pit_list(
    path: Path,
    *,
    foil: str | None = None,
    side: Side | None = None,
    surface: OfSurface = "top",
) -> PitList:
    """Return the list of pits in a file; its name is that of the file.

    A table needs columns x_mm, y_mm (or x_um, x_inch), in a frame seen from the front with y up. A
    JSON file with a key ``positions`` is a description (see above), whose ``pits`` are the name of
    a table or rows [tile, x_px, y_px]. ``key`` names the list in files that hold several,
    ``mirrored_pixels`` states that the pixels are those of pictures mirrored left–right, and
    ``datum`` gives three holes as in ``scan.json``.

    Parameters
    ----------
    foil, side : of a table that does not state them; by default the name of the file, and front.
    surface : which openings of a pit table are taken; by default those that face the camera.
        Openings of unknown surface are always taken.

    Raises
    ------
    BadInput : the file is absent or damaged, has no places or several foils or sides, or has a pit
        outside its tile or in a tile without a position.
    """
    if path.suffix.lower() == ".json":
        value = read_json(path)
        if isinstance(value, dict) and isinstance(value.get("positions"), str):
            return _described(path, value, surface)
    table = _of_surface(read_columns(path, _TEXT), surface)
    table = _millimetres(path, table)
    known = _only(path, table, "foil", foil, path.stem)
    of_side = _only(path, table, "side", side, "front")
    if of_side not in ("front", "back"):
        raise BadInput(f"{path}: column side", "front or back", repr(of_side))
    return PitList(path.stem, known, "back" if of_side == "back" else "front", table)


def _of_surface(table: pd.DataFrame, surface: OfSurface) -> pd.DataFrame:
    if surface == "any" or "surface" not in table.columns:
        return table
    other = "bottom" if surface == "top" else "top"
    return table[table["surface"] != other].reset_index(drop=True)


def _millimetres(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    units = [u for u in _UNITS if {f"x_{u}", f"y_{u}"} <= set(table.columns)]
    if not units:
        found = ", ".join(map(str, table.columns)) or "none"
        raise NoPositions(path, "columns x_mm, y_mm, or x_um, or x_inch", found)
    xy = {}
    for axis in "xy":
        name = f"{axis}_{units[0]}"
        try:
            xy[f"{axis}_mm"] = table[name].astype("float64") * mm_per(units[0])
        except (TypeError, ValueError) as error:
            raise BadInput(f"{path}: column {name}", "numbers", str(error)) from error
    return table.assign(**xy)


def _only(path: Path, table: pd.DataFrame, column: str, given: str | None, default: str) -> str:
    """Return the one value of a column, or else the given value or the default."""
    values = [] if column not in table.columns else table[column].dropna().unique().tolist()
    if len(values) > 1:
        listed = ", ".join(map(str, values[:5]))
        raise BadInput(f"{path}: column {column}", "one value in a list", listed)
    if values and given is not None and values[0] != given:
        raise BadInput(f"{path}: column {column}", given, str(values[0]))
    return str(values[0]) if values else given or default


def _described(path: Path, value: dict[str, Any], surface: OfSurface) -> PitList:
    try:
        description = _Description.model_validate(value)
    except ValidationError as error:
        raise as_bad_input(path, error) from error
    height, width = description.image_size
    table = _of_surface(_described_pits(path, description), surface)
    scan = _scan(path, description)
    numbers = table["tile"].to_numpy(np.int64)
    x_px, y_px = table["x_px"].to_numpy(float), table["y_px"].to_numpy(float)
    if description.mirrored_pixels:
        x_px = width - x_px
    outside = (x_px < -_BEYOND_PX) | (x_px > width + _BEYOND_PX)
    outside |= (y_px < -_BEYOND_PX) | (y_px > height + _BEYOND_PX)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        found = f"x_px {x_px[row]:g}, y_px {y_px[row]:g}"
        raise BadInput(f"{path}: pit {row + 1}", f"a place in {width} × {height} px", found)
    x_mm, y_mm = tile_to_foil(numbers, x_px, y_px, scan)
    pits = table.assign(x_px=x_px, y_px=y_px, x_mm=x_mm, y_mm=y_mm)
    return PitList(
        path.stem, description.foil, description.side, pits, (height, width), datum_holes_mm(scan)
    )


def _described_pits(path: Path, description: _Description) -> pd.DataFrame:
    if isinstance(description.pits, str):
        file = path.parent / description.pits
        rows = read_key(file, description.key) if description.key is not None else None
        table = read_columns(file, _TEXT) if rows is None else None
    else:
        file, rows, table = path, description.pits, None
    if table is None:
        try:
            table = pd.DataFrame(np.array(rows, float).reshape(-1, 3))
        except (TypeError, ValueError) as error:
            raise BadInput(file, "rows [tile, x_px, y_px]", str(error)) from error
        table.columns = pd.Index(["tile", "x_px", "y_px"])
    if not {"tile", "x_px", "y_px"} <= set(table.columns):
        raise BadInput(file, "columns tile, x_px, y_px", ", ".join(map(str, table.columns)))
    places = table[["tile", "x_px", "y_px"]].to_numpy(float, na_value=np.nan)
    if not np.isfinite(places).all() or (places[:, 0] % 1).any():
        raise BadInput(file, "whole tile numbers and finite x_px, y_px", "others")
    return table.assign(tile=places[:, 0].astype(np.int64))


def _scan(path: Path, description: _Description) -> Scan:
    key = description.key
    places = read_positions(path.parent / description.positions, description.position_unit, key)
    try:
        scan = Scan(
            name=path.stem,
            foil=description.foil,
            side=description.side,
            layout="plain",
            pixel_size_um=description.pixel_size_um,
            image_size=(description.image_size[0], description.image_size[1]),
            channels=(Channel(step=0, role="backlit"),),
            datum=tuple((int(t), x, y) for t, x, y in description.datum),
            tiles=tuple(Tile(number=n, stage_x_mm=x, stage_y_mm=y) for n, (x, y) in places.items()),
        )
    except ValidationError as error:
        raise as_bad_input(path, error) from error
    require_fitting_places(str(path), scan)
    return scan
