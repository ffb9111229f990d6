from pathlib import Path

import numpy as np
import pytest

from etchscope.foil import Taxonomy
from etchscope.ingest import LabelDefaults, Overrides, add_scan, import_labels
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.run.labelled import labelled_pits
from etchscope.run.patches import labelled_patches
from etchscope.store import Store

APATITE = Path(__file__).parents[3] / "shared/data/apatite"


def in_boxes(table, boxes):
    """Whether points of the pictures lie in boxes, read from the text itself."""
    xy, tile = table[["x_px", "y_px"]].to_numpy(), table["tile"].to_numpy()
    out = np.zeros(len(table), bool)
    for number, path in enumerate(boxes, 1):
        lines = np.loadtxt(path, ndmin=2)
        centre, half = lines[:, None, 1:3] * 804 - 0.5, lines[:, None, 3:] * 402
        out |= (tile == number) & (np.abs(xy - centre) <= half).all(2).any(0)
    return out


@pytest.mark.skipif(not APATITE.is_dir(), reason=f"no {APATITE}")
def test_boxes_of_fission_tracks_become_patches(tmp_path):
    pictures = sorted(APATITE.glob("DUR-G2*.jpg"))[:3]
    boxes = [p.with_suffix(".txt") for p in pictures]
    store = Store.create(tmp_path / "store")
    add_scan(store, pictures, overrides=Overrides(scan="own", foil="own"))
    # all that may be a track, as labels of one ask for
    many = FindSettings(least_probability=0.1)
    report = find(store, "own", settings=many, executor="inline")
    taxonomy = Taxonomy(classes={"track": "signal", "ground": ""})
    given = LabelDefaults("nachtergaele", class_map={15: "track"})
    import_labels(store, boxes, given, taxonomy=taxonomy)

    # a find in no box is ground; a point says so beside the boxes
    pits = store.runs.pits(report.run)
    ground = pits[~in_boxes(pits, boxes)].groupby("tile").head(40)[["scan", "tile", "x_px", "y_px"]]
    who = {"class": "ground", "who": "search", "source": "model", "when": "2026-01-01"}
    store.labels.add(ground.assign(**who))

    pits, left_out = labelled_pits(store)
    labelled = labelled_patches(store, pits, size=48)
    assert left_out.outside == 0
    assert labelled.patches.pixels.shape[1:] == (1, 48, 48)
    assert len(set(labelled.patches.region)) == 3
    is_track = labelled.label == "track"
    np.testing.assert_array_equal(is_track, in_boxes(labelled.source, boxes))
    assert (~is_track).sum() == len(ground) > 0
    # nearly every box has a find, and there it is dark
    said = store.labels.table(classes=["track"])
    lines = sum(len(p.read_text().splitlines()) for p in boxes)
    assert len(said) == lines
    assert said["id"].isin(labelled.source["id"]).mean() > 0.9
    assert is_track.sum() > 0.9 * lines  # no longer chains of finds on a track, but one at least
    patches = labelled.patches.pixels[is_track, 0]
    assert (patches[:, 21:27, 21:27].mean((1, 2)) < np.median(patches, (1, 2)) - 0.1).mean() > 0.8
