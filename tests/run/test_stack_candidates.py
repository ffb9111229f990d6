"""A tiny stack of drawn foils: searched, aligned, and ranked as one list of particles."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from etchscope.api import Store as Notebook
from etchscope.cli.app import main
from etchscope.files.tables import read_columns
from etchscope.foil import BadInput, Foil, NotSearched, UnknownAlignment
from etchscope.geometry import Similarity, foil_frame
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.run.stack_candidates import search_alignment
from etchscope.simulation import Fragments, Hips, Optics, Population, Sheet, SimulatedScan
from etchscope.store import Store, TilePictures
from etchscope.store.alignments import AlignedScan, KeptAlignment

SIDES = ("front", "back")


def draw_foils():
    population = Population(Hips(per_tile=50, spread_deg=3.0), Fragments(per_tile=60))
    optics = Optics(image_size=(240, 320))
    first = SimulatedScan(5, 1, 1, population, optics=optics, foil="F1", stack="S")
    second = replace(first, foil="F2", exposure=1, sheet=Sheet(depth_mm=0.5))
    return [replace(foil, side=side) for foil in (first, second) for side in SIDES]


def keep_frames(store, name, scans):
    """Keep an alignment of scans whose foil frames are that of the sheet."""
    members = tuple(
        AlignedScan(scan=one, frame=foil_frame(store.scans.get(one)), transform=Similarity())
        for one in scans
    )
    store.alignments.keep(KeptAlignment(name=name, when=datetime.now(UTC), members=members))


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A store with both sides of two searched foils, an alignment of them, and the truth."""
    store = Store.create(tmp_path_factory.mktemp("stack") / "store")
    foils = draw_foils()
    for foil in foils:
        pictures = TilePictures(foil.read_tile(1), ("a",) * 10)
        store.scans.add(foil.scan, foil.foil_record, lambda n, p=pictures: p)
        find(store, foil.scan.name, settings=FindSettings(finder="classical"), executor="inline")
    keep_frames(store, "aligned", [foil.scan.name for foil in foils])
    truth = foils[0].truth()
    at = truth[(truth["class"] == "hip") & (truth["surface"] == "top")]
    return store, at[["x_mm", "y_mm"]].to_numpy()


def test_a_stack_gives_one_list_of_particles(stack, tmp_path):
    store, truth = stack
    found = search_alignment(store, "aligned", shifts=3)
    table = found.table
    best = table[table["selected"].to_numpy(bool)]
    assert len(best) >= 0.6 * len(truth) > 5
    apart = np.hypot(*(best[["x_mm", "y_mm"]].to_numpy()[:, None] - truth).transpose(2, 0, 1))
    assert (apart.min(1) < 0.04).mean() > 0.9
    assert (table["openings"] <= table["surfaces"]).all()
    assert table["accidental"].is_monotonic_increasing
    pits = {scan: store.runs.pits(run).set_index("pit") for scan, run in found.runs.items()}
    for row in best.itertuples():
        for foil in ("F1", "F2"):
            scan, pit = row[table.columns.get_loc(f"scan.{foil}-front") + 1 :][:2]
            if isinstance(scan, str):
                one = pits[scan].loc[pit]
                assert one["surface"] == ("top" if scan.endswith("front") else "bottom")
                assert np.hypot(one["x_mm"] - row.x_mm, one["y_mm"] - row.y_mm) < 0.2
    notebook = Notebook.open(store.path)
    notebook.export_stack(tmp_path / "particles.csv", found, count=3)
    assert len(read_columns(tmp_path / "particles.csv")) == 3
    assert notebook.aligned_scans("aligned") == list(found.runs)


def test_run_writes_the_list_of_an_alignment(stack, tmp_path, capsys):
    store, _ = stack
    keep_frames(store, "fronts", ["F1-front", "F2-front"])
    path = tmp_path / "particles.csv"
    words = ["run", str(store.path), "--alignment", "fronts", "--candidates", str(path)]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    table = read_columns(path)
    chosen = int(table["selected"].sum())
    assert f"fronts: {len(table)} particles, {chosen} selected" in lines
    assert {"scan.F1-front", "pit.F2-back", "accidental"} < set(table)


def test_bad_input_is_one_line(stack, capsys):
    store, _ = stack
    with pytest.raises(UnknownAlignment, match=r"expected one of the store's .* found 'other'"):
        search_alignment(store, "other")
    keep_frames(store, "one", ["F1-front", "F1-back"])
    with pytest.raises(BadInput, match="alignment one: expected two or more foils, found F1"):
        search_alignment(store, "one")
    with pytest.raises(BadInput, match=r"gap_um: expected a number from 0 to 1e6, found -1"):
        search_alignment(store, "aligned", gap_um=-1)
    words = ["run", str(store.path), "--alignment", "aligned", "--scan", "F1-front"]
    assert main(words) == 2
    assert "--scan: expected none beside --alignment" in capsys.readouterr().err
    assert main(["run", str(store.path), "--alignment", "other"]) == 2
    assert "expected one of the store's" in capsys.readouterr().err


def test_what_a_foil_lacks_is_named(tmp_path):
    store = Store.create(tmp_path / "store")
    foils = draw_foils()[::2]
    for foil in foils:
        record = foil.foil_record if foil.foil == "F1" else Foil(name="F2", stack="S")
        pictures = TilePictures(np.zeros((10, 240, 320), np.uint8), ("a",) * 10)
        store.scans.add(foil.scan, record, lambda n, p=pictures: p)
    keep_frames(store, "thin", [foil.scan.name for foil in foils])
    with pytest.raises(BadInput, match="foil F2: expected its thickness, found none"):
        search_alignment(store, "thin")
    third = replace(foils[1], foil="F3")
    store.scans.add(third.scan, third.foil_record, lambda n: pictures)
    keep_frames(store, "bare", ["F1-front", "F3-front"])
    with pytest.raises(NotSearched, match="scan F1-front: expected a finished run, found none"):
        search_alignment(store, "bare")
