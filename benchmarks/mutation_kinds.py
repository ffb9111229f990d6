"""What is mutated, with the commands that read it, and the small store and files to begin with."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import chdir, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from pyarrow import ArrowException

import etchscope
from etchscope.cli.app import main as etchscope_main
from mutators import (
    HOSTILE,
    mutate_bytes,
    mutate_csv,
    mutate_json,
    mutate_parquet,
    mutate_words,
)

__all__ = ["KINDS", "QUICK", "Kind", "make_base", "prepare"]

_SIDE = 64
_PIXEL_UM = 6.4516


@dataclass(frozen=True)
class Kind:
    """A file that is mutated, and the commands of which one then reads it.

    ``file`` and the files of the commands are relative to the folder of work. ``share`` is the
    number of inputs against those of a kind of share 1.
    """

    file: str
    mutate: Callable[[bytes, np.random.Generator], bytes]
    commands: tuple[str, ...]
    share: float = 1.0


_ADD = ("add store scan --workers 1", "add store scan --workers 1 --skip-bad")
_EVALUATE = (
    "evaluate --truth {} --found good.csv --tolerance-mm 0.1",
    "evaluate --truth good.csv --found {} --tolerance-px 3 --merge-px 1 --by class",
)
_READ_STORE = (
    "ls store",
    "ls store --tiles",
    "check store",
    "export store -o out/p.csv",
    "label ls store",
    "runs ls store",
    "label export store -o out/l.csv",
    "exclude store --tile 1 --why x",
    "model ls store",
    "rm store --scan A-front --yes",
)
_OPTIONS = (
    "ls store --where tile>0",
    "export store --scan A-front -o out/p.csv",
    "evaluate --truth good.csv --found good.csv --tolerance-mm 0.1",
    "exclude store --where tile=1 --why x",
    "label import store labels.csv --who a --when 2026-05-01",
)


def _import(file: str, more: str = "") -> tuple[str, ...]:
    return (f"label import store {file} --who a{more}",)


def _evaluate(file: str) -> tuple[str, ...]:
    return tuple(command.format(file) for command in _EVALUATE)


_FROM_COINCIDENCE = ("label from-coincidence store --alignment aligned --for c",)
_TRAIN = ("train store --name m --patches patches.npz --epochs 1 --folds 2",)
KINDS: dict[str, Kind] = {
    "scan.json": Kind("scan/scan.json", mutate_json, _ADD, 2),
    "positions": Kind("scan/positions.json", mutate_json, _ADD),
    "picture TIFF": Kind("scan/B_0001_x/Step_1_1.tif", mutate_bytes, _ADD),
    "picture PNG": Kind("scan/B_0002_x/Step_2_1.png", mutate_bytes, _ADD),
    "mask": Kind("mask.json", mutate_json, (f"{_ADD[0]} --mask mask.json",)),
    "labels CSV": Kind("labels.csv", mutate_csv, _import("labels.csv"), 2),
    "labels Parquet": Kind("labels.parquet", mutate_parquet, _import("labels.parquet"), 2),
    "labels JSON": Kind("labels.json", mutate_json, _import("labels.json")),
    "taxonomy": Kind(
        "taxonomy.json", mutate_json, _import("labels.csv", " --taxonomy taxonomy.json")
    ),
    "boxes": Kind("plain.txt", mutate_bytes, _import("plain.txt", " --class-map map.json")),
    "class map": Kind("map.json", mutate_json, _import("plain.txt", " --class-map map.json")),
    "pits CSV": Kind("pits.csv", mutate_csv, _evaluate("pits.csv"), 2),
    "pits Parquet": Kind("pits.parquet", mutate_parquet, _evaluate("pits.parquet"), 2),
    "pits JSON": Kind("pits.json", mutate_json, _evaluate("pits.json")),
    "pits ROOT": Kind("pits.root", mutate_bytes, _evaluate("pits.root")),
    "list CSV": Kind("list.csv", mutate_csv, ("align list.csv other.csv -o out/al",), 0.1),
    "list description": Kind(
        "described.json", mutate_json, ("align described.json other.csv -o out/al",), 0.3
    ),
    "alignment": Kind("aligned/alignment.json", mutate_json, _FROM_COINCIDENCE),
    "alignment table": Kind("aligned/a.parquet", mutate_parquet, _FROM_COINCIDENCE),
    "model card": Kind("model/card.json", mutate_json, ("model import store model",), 0.5),
    "model weights": Kind(
        "model/weights.safetensors", mutate_bytes, ("model import store model",), 0.3
    ),
    "patches": Kind("patches.npz", mutate_bytes, _TRAIN, 0.3),
    "polygon": Kind(
        "region.json",
        mutate_json,
        ("find store --scan A-front --finder classical --region region.json",),
        0.3,
    ),
    "options": Kind("", mutate_bytes, _OPTIONS),
    "store: JSON": Kind("store/*.json", mutate_json, _READ_STORE, 2),
    "store: tables": Kind("store/*.parquet", mutate_parquet, _READ_STORE),
    "store: catalogue bytes": Kind("store/catalogue.sqlite", mutate_bytes, _READ_STORE, 0.5),
    "store: catalogue cells": Kind("store/catalogue.sqlite", mutate_bytes, _READ_STORE, 2),
}
QUICK = [
    "scan.json", "positions", "mask", "labels CSV", "labels Parquet", "labels JSON", "boxes",
    "class map", "taxonomy", "pits CSV", "pits Parquet", "pits JSON", "options", "store: JSON",
    "store: catalogue bytes", "store: catalogue cells",
]  # fmt: skip
"""The kinds that need no run, alignment or model to begin with."""


def _write_scan(root: Path, foil: str, shift_mm: float) -> None:
    """Write a scan of two tiles of 64 × 64 pixels and three lights."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:_SIDE, :_SIDE]
    for tile in (1, 2):
        folder = root / f"{foil}_{tile:04d}_x"
        folder.mkdir(parents=True)
        for step, suffix in ((1, "tif"), (2, "png"), (3, "bmp")):
            page = rng.normal(180, 4, (_SIDE, _SIDE))
            for cx, cy in ((20, 20), (44, 30), (30, 50)):
                page -= 90 * (np.hypot(x - cx, y - cy) < 6)
            picture = Image.fromarray(page.clip(0, 255).astype(np.uint8))
            picture.save(folder / f"Step_{step}_1.{suffix}")
    azimuths = ((1, 0), (2, 120), (3, 240))
    says = {
        "foil": foil,
        "side": "front",
        "layout": "smartscope",
        "pixel_size_um": _PIXEL_UM,
        "image_size": [_SIDE, _SIDE],
        "position_unit": "mm",
        "positions": "positions.json",
        "channels": [{"step": s, "role": "directional", "azimuth_deg": a} for s, a in azimuths],
        "datum": [[1, 3, 4.5], [1, 9, 4], [2, 3, 9]],
        "thickness_um": 100.0,
        "etch": {"removed_um": 10},
        "tiles": {"1": {"exposure": 3}},
    }
    places = {str(tile): [shift_mm + 0.35 * tile, 0.0] for tile in (1, 2)}
    (root / "scan.json").write_text(json.dumps(says))
    (root / "positions.json").write_text(json.dumps(places))


def _write_tables(work: Path) -> None:
    xy = np.random.default_rng(2).uniform(0, 3, (40, 2))
    pits = pd.DataFrame(
        {
            "foil": "A",
            "side": "front",
            "tile": 1,
            "x_px": xy[:, 0] * 20,
            "y_px": xy[:, 1] * 20,
            "x_mm": xy[:, 0],
            "y_mm": xy[:, 1],
            "class": ["hip", "top"] * 20,
            "flags": 0,
        }
    )
    labels = pits.loc[:7, ["tile", "x_px", "y_px", "class"]]
    labels = labels.assign(scan="A-front", note="é", when="2026-05-01")
    for name, table in (("good", pits), ("pits", pits), ("labels", labels)):
        table.to_csv(work / f"{name}.csv", index=False)
        table.to_parquet(work / f"{name}.parquet")
        table.to_json(work / f"{name}.json", orient="records")
    for name, shift in (("a", 0.0), ("list", 0.0), ("other", 0.003), ("c", 0.001)):
        moved = pits.assign(foil="A" if name == "c" else name, x_mm=pits["x_mm"] + shift)
        moved[["foil", "side", "x_mm", "y_mm"]].to_csv(work / f"{name}.csv", index=False)
    described = {
        "foil": "D",
        "side": "front",
        "pits": [[1 + (i > 20), *place] for i, place in enumerate((xy * 20).tolist())],
        "pixel_size_um": _PIXEL_UM,
        "image_size": [_SIDE, _SIDE],
        "position_unit": "mm",
        "positions": "scan/positions.json",
    }
    classes = {"hip": "signal", "top": "", "top.x": "a track"}
    for name, value in (
        ("described", described),
        ("map", {"0": "hip", "3": "top"}),
        ("mask", [[[-50, -50], [50, -50], [50, 50], [-50, 50]]]),
        ("region", [[-1, -1], [1, -1], [1, 1], [-1, 1]]),
        ("taxonomy", {"classes": classes, "undecidable": [], "no_pit": []}),
    ):
        (work / f"{name}.json").write_text(json.dumps(value))
    (work / "plain.txt").write_text("0 0.5 0.5 0.1 0.1\n3 0.2 0.2 0.1 0.1 0.9\n")


def make_base(work: Path, *, is_quick: bool) -> None:
    """Write the files that are mutated, and the store that they are read into.

    Parameters
    ----------
    work : a new folder.
    is_quick : leave out what only the kinds beyond ``QUICK`` need.
    """
    work.mkdir()
    (work / "out").mkdir()
    _write_scan(work / "first", "A", 0.0)
    _write_scan(work / "scan", "B", 10.0)
    _write_tables(work)
    shutil.copy(work / "first/A_0001_x/Step_2_1.png", work / "plain.png")
    commands = [
        "init store",
        "add store first --workers 1",
        "add store plain.png --foil P --workers 1",
        "label import store labels.csv --who a",
    ]
    if not is_quick:
        shutil.copytree(Path(etchscope.__file__).parent / "weights/experts", work / "model")
        commands += [
            "find store --scan A-front --finder classical --workers 1 -o pits.root",
            "align a.csv other.csv c.csv -o aligned",
            "label export store --patches patches.npz",
        ]
    with chdir(work):
        for command in commands:
            if etchscope_main(command.split()) != 0:
                raise RuntimeError(command)


def _mutate_cell(catalogue: Path, rng: np.random.Generator) -> None:
    """Give one cell of the last row of a table a hostile value."""
    with closing(sqlite3.connect(catalogue)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = [row[0] for row in found.fetchall()]
        has_rows = 'SELECT EXISTS (SELECT 1 FROM "{}")'
        filled = [t for t in tables if connection.execute(has_rows.format(t)).fetchone()[0]]
        table = filled[int(rng.integers(len(filled)))]
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        column = columns[int(rng.integers(len(columns)))]
        value = HOSTILE[int(rng.integers(len(HOSTILE)))]
        value = json.dumps(value) if isinstance(value, list | dict) else value
        if isinstance(value, str):
            raw = value.encode("utf-8", "surrogatepass")
            value = raw if rng.random() < 0.1 else raw.decode("utf-8", "replace")
        if isinstance(value, int) and abs(value) >= 2**63:
            value = float(value)
        last = f'WHERE rowid = (SELECT max(rowid) FROM "{table}")'
        with suppress(sqlite3.Error):
            connection.execute(f'UPDATE "{table}" SET "{column}" = ? {last}', (value,))
            connection.commit()


def prepare(work: Path, kind: str, rng: np.random.Generator) -> list[str]:
    """Mutate one input in a folder of work, and return the words of the command that reads it."""
    of = KINDS[kind]
    words = of.commands[int(rng.integers(len(of.commands)))].split()
    if kind == "options":
        return [*words[:2], *mutate_words(words[2:], rng)]
    if kind == "store: catalogue cells":
        _mutate_cell(work / of.file, rng)
        return words
    parent, _, name = of.file.partition("/")
    paths = sorted((work / parent).rglob(name)) if "*" in name else [work / of.file]
    path = paths[int(rng.integers(len(paths)))]
    data = path.read_bytes()
    try:
        mutated = of.mutate(data, rng)
    except (ValueError, TypeError, LookupError, ArithmeticError, ArrowException):
        mutated = mutate_bytes(data, rng)  # what cannot be written is not read either
    path.write_bytes(mutated)
    return words
