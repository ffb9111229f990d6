import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from etchscope.foil import BadInput
from etchscope.learn import Lights, cut_patches
from etchscope.run import normalisation_of, recipe_of
from etchscope.run.labelled import labelled_pits
from etchscope.run.patches import context_patches, cut_scan, labelled_patches


def test_patches_are_the_normalised_pictures_around_the_labels(learnt):
    pits, _ = labelled_pits(learnt.store)
    ticks = []
    labelled = labelled_patches(learnt.store, pits, size=20, progress=ticks.append)
    scan, table = pits[0].scan, pits[0].table
    assert len(labelled.patches) == len(table) == len(learnt.store.labels.table())
    assert sum(ticks) == table["tile"].nunique() == 8
    assert labelled.recipe == recipe_of(scan).digest
    # Tile by tile, but each with its own label.
    source = labelled.source.reset_index(drop=True)
    by_id = table.set_index("id").loc[source["id"]]
    assert labelled.label.tolist() == by_id["said"].tolist()
    assert source["x_px"].tolist() == by_id["x_px"].tolist()
    assert len(np.unique(labelled.patches.region)) >= 8  # cells as large as a tile
    assert (labelled.weight == 1).all()
    assert set(labelled.pixel_size_um) == {scan.pixel_size_um}
    normalised = normalisation_of(learnt.store, scan)
    lights, order = Lights.of_scan(scan)
    assert labelled.patches.lights == lights
    for n in (0, 57, len(source) - 1):
        row = source.iloc[n]
        stack = normalised.apply(learnt.store.scans.read_tile(scan.name, int(row["tile"])))[order]
        expected = cut_patches(stack, [row["x_px"]], [row["y_px"]], 20)[0]
        np.testing.assert_array_equal(labelled.patches.pixels[n], expected)


def test_a_centre_beyond_the_edge(learnt):
    scan = learnt.store.scans.get(learnt.scan)
    normalised = normalisation_of(learnt.store, scan)
    _, order = Lights.of_scan(scan)
    stack = normalised.apply(learnt.store.scans.read_tile(scan.name, 3))[order]

    def cut(*places):
        table = pd.DataFrame(places, columns=["x_px", "y_px"]).assign(tile=3)
        ((rows, patches),) = cut_scan(learnt.store, scan, normalised, table, size=20)
        assert rows.tolist() == list(range(len(places)))
        return patches.pixels

    # As the fit of an opening that the edge cuts may give it.
    expected = cut_patches(stack, [-3.0, 80], [50, 145.5], 20)
    np.testing.assert_array_equal(cut((-3.0, 50), (80, 145.5)), expected)
    # So far out nothing is known of it: its patch is the mirrored edge, and no error.
    far, edge = cut((-40.0, 50), (80, 190)), cut((-9.5, 50), (80, 152.5))
    np.testing.assert_array_equal(far, edge)


def test_another_picture_of_a_label_is_in_its_region(learnt):
    (one,), _ = labelled_pits(learnt.store)
    twice = labelled_patches(learnt.store, [one, one], size=8)
    n = len(one.table)
    assert len(twice.patches) == 2 * n
    np.testing.assert_array_equal(twice.patches.region[:n], twice.patches.region[n:])
    np.testing.assert_array_equal(twice.patches.pixels[:n], twice.patches.pixels[n:])


def test_scans_normalised_otherwise_are_refused(learnt):
    (one,), _ = labelled_pits(learnt.store)
    montage = replace(one, scan=one.scan.model_copy(update={"layout": "montage"}))
    text = "scans to train on: expected normalised by one recipe, found 2 recipes"
    with pytest.raises(BadInput, match=text):
        labelled_patches(learnt.store, [one, montage], size=8)


def test_context_is_all_finds_on_the_tiles_of_labels(learnt):
    (one,), _ = labelled_pits(learnt.store)
    some = replace(one, table=one.table[one.table["tile"].isin([2, 5])])
    context = context_patches(learnt.store, [some], size=8)
    found = learnt.store.runs.pits(learnt.search)["tile"]
    counts = pd.Series(context.region).value_counts().to_dict()
    assert counts == {n: int((found == n).sum()) for n in (2, 5)}


def test_context_is_some_of_many_finds(learnt, monkeypatch):
    module = sys.modules[context_patches.__module__]
    monkeypatch.setattr(module, "_CONTEXT", 30)
    (one,), _ = labelled_pits(learnt.store)
    context = context_patches(learnt.store, [one], size=8)
    assert len(context) == 30
    assert len(np.unique(context.region)) > 4


def test_the_inputs_stay_as_they_are(learnt):
    (one,), _ = labelled_pits(learnt.store)
    before = one.table.copy()
    labelled_patches(learnt.store, [one], size=8)
    pd.testing.assert_frame_equal(one.table, before)
