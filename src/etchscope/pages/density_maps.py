"""Write density maps into a folder: as OME-Zarr, tables, figures and a summary."""

import json
import re
from pathlib import Path
from typing import Any

from etchscope.background.comparison import Comparison
from etchscope.background.density_maps import DensityMap, integrate
from etchscope.background.map_tables import comparison_table, density_table, summarise_map
from etchscope.draw.density_maps import draw_comparison, draw_density_map
from etchscope.draw.png import encode_figure
from etchscope.files.ome_zarr import write_ome_zarr
from etchscope.files.tables import write_rows
from etchscope.pages.writing import make_page_folder, write_page, write_picture
from etchscope.run.density_maps import DensityMaps

__all__ = ["summarise_maps", "write_density_maps"]


def summarise_maps(done: DensityMaps) -> dict[str, Any]:
    """Return what the maps say, for JSON: sources, units, and the figures of each map."""
    out: dict[str, Any] = {"scan": done.scan, "run": done.run, "frame": done.frame}
    out["maps"] = {name: summarise_map(one, done.units) for name, one in done.maps.items()}
    if done.other is not None:
        out["other"] = {"scan": done.other[0], "run": done.other[1]}
        out["comparisons"] = {n: _summarise(b, done) for n, b in done.comparisons.items()}
    return out


def _summarise(both: Comparison, done: DensityMaps) -> dict[str, Any]:
    valid = both.valid
    numbers = [integrate(one, valid) for one in (both.one, both.other)]
    beyond = abs(both.significance[valid]) > 3
    return {
        "bandwidth": both.one.bandwidth,
        f"seen_{done.units.area}": numbers[0].seen * done.units.per_grid,
        "found": [n.found for n in numbers],
        "pits": [[n.value, n.low, n.high] for n in numbers],
        "share_beyond_3_sigma": float(beyond.mean()) if len(beyond) else None,
    }


def write_density_maps(done: DensityMaps, directory: Path) -> list[Path]:
    """Write all maps into a folder, and return the figures.

    Each map gives ``density-{name}.csv``, ``.zarr`` and ``.png``, each comparison the same with
    ``comparison-``; ``summary.json`` has the figures of all.

    Raises
    ------
    BadInput : the folder is a file.
    MachineFailed : the disk is full.
    """
    folder = make_page_folder(directory, what="density maps")
    figures = []
    for name, one in done.maps.items():
        stem = f"density-{_plain(name)}"
        write_rows(folder, {stem: density_table(one, done.units)})
        _write_zarr(folder / f"{stem}.zarr", _channels(one, done), one, done)
        png = encode_figure(draw_density_map(one, done.units, _title(name, one, done)))
        figures.append(write_picture(png, folder / f"{stem}.png"))
    for name, both in done.comparisons.items():
        stem = f"comparison-{_plain(name)}"
        write_rows(folder, {stem: comparison_table(both, done.units)})
        channels: dict[str, Any] = {"ratio": both.ratio, "low": both.low, "high": both.high}
        channels |= {"significance": both.significance, "valid": both.valid}
        _write_zarr(folder / f"{stem}.zarr", channels, both.one, done)
        names = (done.scan, "" if done.other is None else done.other[0])
        title = f"Density of {_of(name)}: {names[0]} against {names[1]}"
        png = encode_figure(draw_comparison(both, done.units, names, title))
        figures.append(write_picture(png, folder / f"{stem}.png"))
    text = json.dumps(summarise_maps(done), ensure_ascii=False, indent=1, allow_nan=False)
    write_page(text + "\n", folder / "summary.json")
    return figures


def _plain(name: str) -> str:
    """Return a name for files, of letters, digits, dots and dashes."""
    return re.sub(r"[^\w.]+", "-", name.replace("µ", "u"))


def _of(name: str) -> str:
    return "all pits" if name == "all" else f"pits: {name}"


def _rounded(value: float) -> str:
    """Return a number with three digits, and no exponent where it is large."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _title(name: str, one: DensityMap, done: DensityMaps) -> str:
    said = summarise_map(one, done.units)
    low, high = said["valid"]["lowest"], said["valid"]["highest"]
    span = (
        "nothing is known"
        if low is None
        else f"{_rounded(low)}–{_rounded(high)} {done.units.density}"
    )
    width = ""
    if one.bandwidth:
        value, unit = (
            (1000 * one.bandwidth, "µm") if one.grid.unit == "mm" else (one.bandwidth, "px")
        )
        width = f", kernel of {float(f'{value:.3g}'):,g} {unit}" + (
            " that varies" if one.is_adaptive else ""
        )
    return f"{done.scan}, {_of(name)}: {span}, {said['found']:,} found{width}"


def _channels(one: DensityMap, done: DensityMaps) -> dict[str, Any]:
    per = 1 / done.units.per_grid
    pits = one.all_pits
    return {
        "density": pits.value * per,
        "low": pits.low * per,
        "high": pits.high * per,
        "kernel": one.kernel * per,
        "seen": one.seen * done.units.per_grid,
        "valid": one.valid,
    }


def _write_zarr(path: Path, channels: dict[str, Any], one: DensityMap, done: DensityMaps) -> None:
    about = {
        "scan": done.scan,
        "run": done.run,
        "frame": done.frame,
        "y": "up" if one.grid.unit == "mm" else "down",
        "density_unit": done.units.density,
        "seen_unit": done.units.area,
        "bandwidth": one.bandwidth,
    }
    write_ome_zarr(
        path,
        channels,
        origin=(one.grid.x0, one.grid.y0),
        step=one.grid.step,
        unit=one.grid.unit,
        attributes=about,
    )
