"""What labels teach the finder: their places and regions, and nothing about other ground."""

import json

import numpy as np
import pandas as pd
import pytest

from etchscope.foil import (
    Channel,
    Foil,
    Scan,
    Taxonomy,
    Tile,
    as_pits,
)
from etchscope.geometry import tile_to_foil
from etchscope.learn.finder_samples import LightDraw
from etchscope.learn.finder_train import _example
from etchscope.run.labelled_ground import labelled_samples
from etchscope.run.school import Mixed
from etchscope.store import FindRecord, Store, TilePictures

SIZE = (300, 400)
# pit, x, y, surface, partner, radius
FINDS = [
    (0, 50.0, 60.0, "top", 1, 7.0),
    (1, 55.0, 62.0, "bottom", 0, 6.0),
    (2, 120.0, 60.0, "bottom", None, 5.0),
    (3, 200.0, 100.0, "top", None, 5.0),
    (4, 330.0, 250.0, "top", None, 6.0),
]


@pytest.fixture
def store(tmp_path):
    lamps = [Channel(step=k + 1, role="directional", azimuth_deg=22.5 + 90 * k) for k in range(4)]
    scan = Scan(
        name="F1-front",
        foil="F1",
        layout="pictures",
        pixel_size_um=10.0,
        image_size=SIZE,
        channels=(*lamps, Channel(step=5, role="backlit")),
        tiles=(Tile(number=1, stage_x_mm=0.0, stage_y_mm=0.0),),
    )
    made = Store.create(tmp_path / "store")
    pixels = np.random.default_rng(0).integers(90, 110, (5, *SIZE)).astype(np.uint8)
    made.scans.add(scan, Foil(name="F1"), lambda n: TilePictures(pixels, ("p.png",) * 5))
    pit, x, y, surface, partner, radius = (list(v) for v in zip(*FINDS, strict=True))
    x_mm, y_mm = tile_to_foil(np.ones(5, int), np.array(x), np.array(y), scan)
    pits = as_pits(
        {
            "foil": ["F1"] * 5,
            "side": ["front"] * 5,
            "scan": [scan.name] * 5,
            "tile": [1] * 5,
            "pit": pit,
            "partner": pd.array(partner, dtype="Int64"),
            "x_px": x,
            "y_px": y,
            "x_mm": x_mm,
            "y_mm": y_mm,
            "surface": surface,
            "radius_px": radius,
            "ellipticity": [0.1] * 5,
            "angle_deg": [20.0] * 5,
            "depth_um": [30.0] * 5,
            "run": ["find-1"] * 5,
        }
    )
    record = FindRecord(stage="find", version="0.1.0", scan=scan.name, tiles=(1,))
    made.runs.commit("find-1", pits, record)
    corners = [[180, 80], [220, 80], [220, 120], [180, 120]]
    labels = pd.DataFrame(
        {
            "scan": "F1-front",
            "tile": 1,
            "x_px": [51.0, 121.0, 300.0, np.nan],
            "y_px": [60.0, 60.0, 40.0, np.nan],
            "class": ["hip", "bottom", "misc", "top"],
            "region_px": [None, None, None, json.dumps(corners)],
        }
    )
    labels.loc[3, ["x_px", "y_px"]] = [200.0, 100.0]
    made.labels.add(labels.assign(who="anna", source="person", when="2026-05-01"))
    return made


def covering(samples, x, y):
    """Return the first window that has a known place at (x, y) of the tile, and its corner."""
    for k, sample in enumerate(samples):
        left, top = (0, 144)[k % 2], (0, 44)[k // 2]
        if 0 <= x - left < 256 and 0 <= y - top < 256:
            return sample, x - left, y - top
    raise AssertionError


def test_labels_become_openings_and_known_ground(store):
    (samples,) = labelled_samples(store)
    assert {s.raw.shape for s in samples} == {(5, 256, 256)}
    first, _, _ = covering(samples, 50, 60)
    o = first.openings
    inside = (o.x_px > 0) & (o.x_px < 150)
    assert sorted(zip(o.x_px[inside].round(), o.surface[inside], strict=True)) == [
        (50.0, 0),
        (55.0, 1),
        (120.0, 1),
    ]
    assert o.depth_px[inside].tolist() == [3.0] * 3
    assert first.known[60, 50]
    assert not first.known[150, 100]  # nobody said what is there
    assert first.known[85, 185]  # inside the region everything is said
    assert first.known[100, 200]


def test_what_is_said_to_be_no_pit_teaches_that_none_is_there(store):
    sample, x, y = covering(labelled_samples(store)[0], 300, 40)
    assert sample.known[y, x]
    assert not sample.unmarked[y, x]
    assert not (np.hypot(sample.openings.x_px - x, sample.openings.y_px - y) < 5).any()


def test_classes_of_a_users_own_are_pits_unless_said_otherwise(store):
    classes = dict.fromkeys(("hip", "top", "bottom", "misc", "maybe", "track", "ground"), "")
    store.labels.set_taxonomy(Taxonomy(classes=classes, no_pit=("misc", "ground")))
    at = {"scan": "F1-front", "tile": 1, "who": "anna", "source": "person", "when": "2026-05-02"}
    told = {"x_px": [330.0, 250.0], "y_px": [250.0, 250.0], "class": ["track", "ground"]}
    store.labels.add(pd.DataFrame(told).assign(**at))
    (samples,) = labelled_samples(store)
    sample, x, y = covering(samples, 330, 250)
    o = sample.openings
    (which,) = np.flatnonzero(np.hypot(o.x_px - x, o.y_px - y) < 5)
    assert o.surface[which] == 2
    assert sample.unmarked[y, x]
    sample, x, y = covering(samples, 250, 250)
    assert sample.known[y, x]
    assert not sample.unmarked[y, x]
    assert not (np.hypot(sample.openings.x_px - x, sample.openings.y_px - y) < 5).any()


def test_unknown_ground_counts_for_nothing(store):
    sample = labelled_samples(store)[0][0]
    drawn = LightDraw(sample.lighting, False, 1.0, 0.0)
    planes, told = _example(sample, drawn, 0)
    assert planes.shape == (13, 256, 256)
    assert told.counts[:, 75, 50].tolist() == [0, 0, 0]
    assert told.counts[0, 30, 25] == 1
    assert told.heat[0].max() == 1
    place, shape = np.split(vars(told)["values"], [2], axis=1)
    assert np.isfinite(place[:, :, told.near.any(0)]).all()
    assert np.isnan(shape).all()  # a finder's own measures are no truth
    assert told.mark_counts[75, 50] == 0


def test_a_mixture_repeats_the_labelled_pictures(store):
    (samples,) = labelled_samples(store)
    mixed = Mixed(samples, [samples[0]] * 5)
    assert len(mixed) == 10
    assert all(mixed[k].raw.shape == (5, 256, 256) for k in range(10))
    assert {id(mixed[5 + k]) for k in range(5)} <= {id(s) for s in samples}
