"""``scan.json`` and its file of positions as typed, checked records."""

import logging
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etchscope.files.strict_json import read_json
from etchscope.foil import (
    BadInput,
    Channel,
    Foil,
    Role,
    Side,
)
from etchscope.foil.records import Finite, Name, Positive
from etchscope.geometry import LengthUnit, mm_per

__all__ = ["ScanJson", "as_bad_input", "read_key", "read_positions", "read_scan_json"]

log = logging.getLogger(__name__)

_MOST_DIGITS = 18  # of a tile number, so that it has 64 bits
_ALIKE = 0.82
"""Least likeness, from 0 to 1, of an unknown key and the known one that may be meant."""
_Pixels = Annotated[int, Field(gt=0)]
_TileNumber = Annotated[int, Field(ge=0, strict=True)]
_Pixel = Annotated[float, Field(allow_inf_nan=False, strict=True)]
# JSON has no tuples, so a list may become one; its members stay strict.
_Datum = Annotated[tuple[_TileNumber, _Pixel, _Pixel], Field(strict=False)]


class _ChannelJson(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    step: Annotated[int, Field(ge=0)]
    role: Role
    azimuth_deg: Finite | None = None
    focus_um: Finite | None = None

    def record(self) -> Channel:
        known = {"step", "role", "azimuth_deg", "focus_um"}
        return Channel.model_validate(self.model_dump(include=known))


class ScanJson(BaseModel):
    """The contents of a ``scan.json``; keys that the format does not know are kept."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    foil: Name
    side: Side
    layout: Name
    channels: Annotated[list[_ChannelJson], Field(min_length=1)]
    pixel_size_um: Positive | None = None
    image_size: Annotated[list[_Pixels], Field(min_length=2, max_length=2)] | None = None
    position_unit: LengthUnit | None = None
    positions: str | None = None
    datum: list[_Datum] = []
    stack: Name | None = None
    material: str | None = None
    thickness_um: Positive | None = None
    etch: dict[str, Any] | str | None = None
    azimuth_sense: Literal["ccw", "cw"] = "ccw"
    gradient_sign: Literal[-1, 1] = 1
    tiles: dict[Annotated[str, Field(pattern=r"^[0-9]{1,18}$")], dict[str, Any]] = {}
    picture: str | None = None
    rows: _Pixels | None = None
    columns: _Pixels | None = None

    def foil_record(self) -> Foil:
        """Return the record of the foil that the file describes."""
        return Foil(
            name=self.foil,
            stack=self.stack,
            material=self.material,
            thickness_um=self.thickness_um,
            etch=self.etch,
        )

    def metadata(self) -> dict[str, Any]:
        """Return the keys of the scan and of its channels that the format does not know."""
        unknown = dict(self.model_extra or {})
        channels = {str(c.step): dict(c.model_extra or {}) for c in self.channels}
        if any(channels.values()):
            unknown["channels"] = {step: keys for step, keys in channels.items() if keys}
        return unknown


def read_key(path: Path, key: str) -> Any:
    """Return the value of a key of the JSON object in a file.

    Raises
    ------
    BadInput : the file has no such key; or see ``read_json``.
    """
    value = read_json(path)
    if not isinstance(value, dict) or key not in value:
        found = ", ".join(list(value)[:10]) if isinstance(value, dict) else type(value).__name__
        raise BadInput(path, f"a key {key!r}", found)
    return value[key]


def as_bad_input(where: Path | str, error: ValidationError) -> BadInput:
    """Return the first error of pydantic with file, key, what was expected and what was found."""
    first = error.errors()[0]
    key = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]
    ).lstrip(".")
    if first["type"] == "missing":
        return BadInput(f"{where}: {key}", "this key", "none")
    found = repr(first["input"])
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return BadInput(
        f"{where}: {key}" if key else where,
        expected,
        found if len(found) <= 80 else found[:77] + "…",
    )


def read_scan_json(path: Path) -> ScanJson:
    """Return the contents of a ``scan.json``.

    Raises
    ------
    BadInput : the file is absent or damaged, or a key is absent, unknown or has a wrong value.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise BadInput(path, "a JSON object", type(value).__name__)
    try:
        scan = ScanJson.model_validate(value)
    except ValidationError as error:
        raise as_bad_input(path, error) from error
    for channel in scan.channels:
        if channel.role == "directional" and channel.azimuth_deg is None:
            expected = f"azimuth_deg for the directional channel of step {channel.step}"
            raise BadInput(f"{path}: channels", expected, "none")
    steps = [c.step for c in scan.channels]
    if len(set(steps)) < len(steps):
        double = next(s for s in steps if steps.count(s) > 1)
        raise BadInput(f"{path}: channels", "every step once", f"step {double} twice")
    if scan.positions is not None and scan.position_unit is None:
        raise BadInput(f"{path}: position_unit", "inch, mm or um", "none")
    for record in (scan, *scan.channels):
        _warn_of_near_misses(path, record)
    return scan


def _warn_of_near_misses(path: Path, record: BaseModel) -> None:
    """Name each unknown key that is nearly a known one which the file does not give."""
    absent = set(type(record).model_fields) - record.model_fields_set
    for key in record.model_extra or {}:
        for meant in get_close_matches(key.lower(), sorted(absent), n=1, cutoff=_ALIKE):
            log.warning(
                "%s: the key %s is unknown and has no effect; is %s meant?", path, key, meant
            )


def read_positions(
    path: Path, unit: LengthUnit, key: str | None = None
) -> dict[int, tuple[float, float]]:
    """Return tile number → stage (x, y) in mm.

    Parameters
    ----------
    unit : of the positions in the file.
    key : of the positions of the scan, if the file holds those of several scans.

    Raises
    ------
    BadInput : the file is absent or damaged, or a tile or its position is wrong.
    """
    value = read_json(path) if key is None else read_key(path, key)
    if not isinstance(value, dict):
        raise BadInput(path, "an object: tile number → [x, y]", type(value).__name__)
    out: dict[int, tuple[float, float]] = {}
    for key, place in value.items():
        if not (key.isascii() and key.isdigit() and len(key) <= _MOST_DIGITS):
            raise BadInput(path, "tile numbers as keys", repr(key))
        if int(key) in out:
            raise BadInput(path, "every tile once", f"tile {int(key)} twice")
        if not (isinstance(place, list) and len(place) == 2 and all(map(_is_number, place))):
            raise BadInput(f"{path}: tile {key}", "[x, y], two finite numbers", repr(place)[:80])
        out[int(key)] = (place[0] * mm_per(unit), place[1] * mm_per(unit))
    return out


def _is_number(value: object) -> bool:
    # 1e999 is read as infinity.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
