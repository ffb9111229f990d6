"""The catalogue alone at the size of the experiment: seconds and memory of what is done with it.

    python benchmarks/catalogue.py --scans 80 --tiles 50000
    python benchmarks/catalogue.py --scans 1 --tiles 1000000

The script makes a catalogue of scans of many tiles with ten pictures each. The rows of the first
and of the last scan are added as `add` adds them, but without pixels; those between are copies of
the first, which SQLite makes. One scan is only added. The script then does what users and workers
do, each in a process of its own, and prints seconds of processor time and the peak of the memory of
that process, of which about 300 MB are the imports.
"""

import argparse
import hashlib
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

import etchscope as es
from etchscope.foil import Channel, Foil, Scan, Tile
from etchscope.run.stage import Piece, tile_pieces
from etchscope.store import Store
from etchscope.store.catalogue import CATALOGUE_FILE, Catalogue
from etchscope.store.foil_rows import put_foil
from etchscope.store.rows import Picture, put_scan
from etchscope.store.shards import SHARD_TILES, shard_tiles
from etchscope.store.sqlite import SqliteFile

LIGHTS = (*(Channel(step=k, role="directional", azimuth_deg=45.0 * k) for k in range(8)),)
LIGHTS += (Channel(step=8, role="backlit"), Channel(step=9, role="halo"))
COLUMNS = 250
RUN = "find-0123456789abcdef"


def make_scan(number: int, tiles: int) -> Scan:
    """Return one side of a foil: tiles in rows, with a position and one value of their own."""
    places = (
        Tile(
            number=n,
            stage_x_mm=0.35 * (n % COLUMNS),
            stage_y_mm=-0.26 * (n // COLUMNS),
            metadata={"exposure_ms": 2.0 + n % 7},
        )
        for n in range(tiles)
    )
    return Scan(
        name=scan_name(number),
        foil=f"F{number // 2:03d}",
        side="back" if number % 2 else "front",
        layout="smartscope",
        pixel_size_um=0.55,
        image_size=(480, 640),
        channels=LIGHTS,
        tiles=tuple(places),
    )


def scan_name(number: int) -> str:
    return f"F{number // 2:03d}-{'back' if number % 2 else 'front'}"


def add(root: Path, number: int, tiles: int) -> None:
    """Add the rows of one scan in one transaction, as `add` does."""
    scan = make_scan(number, tiles)
    pictures = [
        Picture(
            tile.number,
            channel.step,
            hashlib.sha256(f"{number} {tile.number} {channel.step}".encode()).hexdigest(),
            f"img_{tile.number:06d}_{channel.step}.png",
        )
        for tile in scan.tiles
        for channel in scan.channels
    ]
    with Catalogue(SqliteFile(root / CATALOGUE_FILE)).writing() as session:
        put_foil(session, Foil(name=scan.foil))
        put_scan(
            session,
            scan,
            places={n: n for n in range(tiles)},
            pictures=pictures,
            left_out=(),
            array_sha256="0" * 64,
        )


def copy_scans(root: Path, scans: int) -> None:
    """Copy the rows of scan 0 to the scans before the last one."""
    with closing(sqlite3.connect(root / CATALOGUE_FILE)) as connection:
        for number in range(1, scans - 1):
            new = make_scan(number, 1)
            with connection:
                if new.side == "front":
                    copy_rows(connection, "foil", {"name": new.foil})
                own = {"name": new.name, "foil": new.foil, "side": new.side}
                copy_rows(connection, "scan", own)
                for table in ("channel", "tile", "picture"):
                    copy_rows(connection, table, {"scan": new.name})


def copy_rows(connection: sqlite3.Connection, table: str, own: dict[str, str]) -> None:
    """Copy the rows of scan 0 or its foil, with values of their own in some columns."""
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    first = make_scan(0, 1)
    key = "scan" if "scan" in own else "name"
    value = first.foil if table == "foil" else first.name
    chosen = ", ".join(f":{name}" if name in own else name for name in names)
    connection.execute(
        f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE {key} = :of", own | {"of": value}
    )


def list_scans(root: Path) -> None:
    es.open(root).scans()


def list_tiles(root: Path, scan: str) -> None:
    es.open(root).tiles(scan=scan)


def exclude(root: Path, where: str | None = None, scan: str | None = None) -> None:
    es.open(root).exclude(where, scan=scan, why="a test")


def plan_removal(root: Path) -> None:
    es.open(root).dependants(scan=scan_name(0))


def pieces_of(tiles: int) -> Sequence[Piece]:
    """Return the pieces of a search: of a scan with large shards, a shard each."""
    held = shard_tiles(tiles, 10 * 480 * 640)
    if held == SHARD_TILES:
        return tile_pieces(range(tiles))
    return tile_pieces(range(tiles), np.arange(tiles) // held)


def write_parts(root: Path, tiles: int) -> None:
    """Write all parts of a run but the last."""
    runs = Store.open(root).runs
    empty = pd.DataFrame({"tile": pd.Series(dtype="int64")})
    for piece in list(pieces_of(tiles))[:-1]:
        record = {"scan": scan_name(0), "tiles": list(piece.covers)}
        runs.write_part(RUN, piece.index, empty, record)


def resume(root: Path, tiles: int) -> None:
    """Find what is still to be done of a scan, as a repeated search does."""
    store = Store.open(root)
    scan = store.scans.get(scan_name(0))
    parts = store.runs.parts(RUN)
    pieces = pieces_of(len(scan.tiles))
    (missing,) = (p for p in pieces if p.index not in parts)
    if missing.index != len(pieces) - 1 or len(scan.tiles) != tiles:
        raise ValueError(f"piece {missing.index} is missing")


def steps(scans: int, tiles: int) -> dict[str, Callable[[Path], None]]:
    """Return what is measured, in order."""
    one = f"scan = '{scan_name(0)}' and tile < 100"
    others = {
        "copy the rows of the others": partial(copy_scans, scans=scans),
        "add the rows of the last scan": partial(add, number=scans - 1, tiles=tiles),
    }
    return {
        "add the rows of the first scan": partial(add, number=0, tiles=tiles),
        **(others if scans > 1 else {}),
        "ls": list_scans,
        "ls --tiles --scan": partial(list_tiles, scan=scan_name(0)),
        "exclude one scan": partial(exclude, scan=scan_name(0)),
        "exclude 100 tiles of one scan": partial(exclude, where=one),
        "exclude a seventh of all tiles": partial(exclude, where="exposure_ms > 7"),
        "say what rm of one scan removes": plan_removal,
        "write the parts of one scan": partial(write_parts, tiles=tiles),
        "find what is left of one scan": partial(resume, tiles=tiles),
    }


def measure(step: str, root: Path, scans: int, tiles: int) -> tuple[float, float]:
    """Return seconds and peak memory in MB of a step in a process of its own."""
    command = [sys.executable, __file__, "--scans", str(scans), "--tiles", str(tiles)]
    done = subprocess.run(
        [*command, "--step", step, "--root", root], check=True, capture_output=True, text=True
    )
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=80)
    parser.add_argument("--tiles", type=int, default=50_000, help="of each scan")
    parser.add_argument("--folder", type=Path, help="where the catalogue is made")
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    of = steps(options.scans, options.tiles)
    if options.step:
        begin = time.process_time()
        of[options.step](options.root)
        seconds = time.process_time() - begin
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000]))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Store.create(Path(folder) / "store").path
        for step in of:
            seconds, peak = measure(step, root, options.scans, options.tiles)
            print(f"{step:35s} {seconds:9.2f} s {peak:8.0f} MB", flush=True)
        size = (root / CATALOGUE_FILE).stat().st_size
        print(
            f"catalogue {size / 1e9:.3f} GB, {size / options.scans / options.tiles:.0f} B per tile"
        )


if __name__ == "__main__":
    main()
