"""The tables and pictures of a store, opened by the programs that others use."""

import json

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import uproot
import zarr

from etchscope.files.tables import write_table
from etchscope.foil import Foil
from etchscope.foil.pits import COLUMNS
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.simulation import Population, SimulatedScan
from etchscope.store import Store, TilePictures


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A store with one searched tile; the run's table as this program reads it."""
    store = Store.create(tmp_path_factory.mktemp("readers") / "store")
    foil = SimulatedScan(seed=4, columns=1, rows=1, population=Population.of(40, 2))
    names = tuple(f"step {c.step}" for c in foil.scan.channels)
    store.scans.add(
        foil.scan, Foil(name=foil.scan.foil), lambda n: TilePictures(foil.read_tile(n), names)
    )
    run = find(
        store, foil.scan.name, executor="inline", settings=FindSettings(finder="classical")
    ).run
    pits = store.runs.pits(run)
    assert len(pits) > 20
    return store, foil, run, pits


def test_a_run_is_a_table_of_pandas_and_duckdb(searched):
    store, _, run, pits = searched
    path = store.path / "runs" / run / "pits.parquet"
    there = pd.read_parquet(path)
    np.testing.assert_array_equal(there["x_px"].to_numpy(float), pits["x_px"].to_numpy(float))
    rows = duckdb.sql(f"SELECT count(*), max(radius_px) FROM '{path}'").fetchall()
    assert rows == [(len(pits), pits["radius_px"].max())]
    about = json.loads(pq.read_schema(path).metadata[b"etchscope"])
    assert about["columns"]["radius_px"]["unit"] == "px"
    assert set(there.columns) >= {c.name for c in COLUMNS}


def test_an_exported_table_is_a_tree_of_uproot(searched, tmp_path):
    _, _, _, pits = searched
    write_table(tmp_path / "pits.root", pits)
    with uproot.open(tmp_path / "pits.root") as file:
        (tree,) = (file[k] for k in file.keys(cycle=False))
        np.testing.assert_array_equal(
            tree["x_px"].array(library="np"), pits["x_px"].to_numpy(float)
        )


def test_pictures_are_an_array_of_zarr(searched):
    store, foil, _, _ = searched
    group = zarr.open_group(store.path / "images" / f"{foil.scan.name}.zarr", mode="r")
    (multiscale,) = group.attrs["ome"]["multiscales"]
    (tile,) = foil.scan.tiles
    np.testing.assert_array_equal(
        group[multiscale["datasets"][0]["path"]][0], foil.read_tile(tile.number)
    )
    (scale,) = multiscale["datasets"][0]["coordinateTransformations"]
    assert scale["scale"][-2:] == [foil.scan.pixel_size_um] * 2
