import numpy as np
import pytest

from etchscope.foil import Channel, Foil, Scan, Tile
from etchscope.preselect import FindSettings
from etchscope.run import find
from etchscope.store import Store, TilePictures

PLACES = np.array([[60, 50], [200, 120], [120, 190], [260, 200]])


def lit(role, tile):
    rng = np.random.default_rng([tile, role == "halo"])
    y, x = np.mgrid[:240, :320]
    light = 140 + rng.normal(0, 2, (240, 320))
    for px, py in PLACES:
        pit = 60 / (1 + np.exp(np.clip(np.hypot(x - px, y - py) - 7, -50, 50)))
        light += pit if role == "halo" else -pit
    return np.clip(light, 0, 255).astype(np.uint8)


def made(folder, channels, pictures):
    store = Store.create(folder)
    scan = Scan(
        name="s",
        foil="f",
        layout="pictures",
        image_size=(240, 320),
        dtype="uint8",
        channels=channels,
        tiles=tuple(Tile(number=n) for n in (1, 2)),
    )
    names = tuple(f"{k}.png" for k in range(len(channels)))
    read = {n: TilePictures(np.stack([p(n) for p in pictures]), names) for n in (1, 2)}
    store.scans.add(scan, Foil(name="f"), read.__getitem__)
    return store


@pytest.mark.parametrize(
    ("finder", "good", "bad"),
    [
        ("classical", "backlit", "halo"),
        ("classical", "halo", "backlit"),
        ("learned", "backlit", "halo"),
    ],
)
def test_a_constant_light_is_left_out_with_a_word_by_both_finders(tmp_path, finder, good, bad):
    channels = tuple(Channel(step=k, role=r) for k, r in enumerate(("backlit", "halo"), 1))
    dead = np.full((240, 320), 90, np.uint8)
    pictures = [lambda n, r=c.role: lit(r, n) if r == good else dead for c in channels]
    settings = FindSettings(finder=finder)
    store = made(tmp_path / "two", channels, pictures)
    report = find(store, "s", settings=settings, workers=1)
    (words,) = store.runs.record(report.run).light_faults
    assert f"({bad}) is constant at 90" in words
    assert "left out of the search" in words
    alone = (Channel(step=1, role=good),)
    one = find(made(tmp_path / "one", alone, [lambda n: lit(good, n)]), "s", settings=settings)
    assert report.pits == one.pits >= 6
