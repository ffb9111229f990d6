import numpy as np
import pandas as pd
import pytest

import etchscope as es
from etchscope.api import photograph, write_figures, write_lists
from etchscope.files.tables import read_table
from etchscope.foil import BadInput

TRUTH = pd.DataFrame({"tile": 1, "x_px": [10.0, 60, 110], "y_px": [20.0, 70, 20]})
FOUND = pd.DataFrame({"tile": 1, "x_px": [11.0, 60, 30], "y_px": [20.0, 71, 60]})
SIZE = (96, 128)


@pytest.fixture(scope="module")
def foil():
    small = {"optics.image_size": SIZE, "stage.overlap_px": (0, 0)}
    (foil,) = es.simulate(columns=2, rows=1, background=150, signal=40, seed=4, parameters=small)
    return foil


def test_a_foil_is_drawn_with_its_truth(foil):
    assert foil.read_tile(1).shape == (10, *SIZE)
    assert set(foil.truth()["class"]) >= {"hip"}
    sides = es.simulate(columns=1, rows=1, sides=("front", "back"), foils=2, foil="F")
    assert [one.scan.name for one in sides] == [
        f"F-{n}-{side}" for n in ("001", "002") for side in ("front", "back")
    ]
    with pytest.raises(BadInput, match="simulation"):
        es.simulate(parameters={"optics.nonsense": 1})


def test_an_array_is_searched(foil):
    pits = es.find_pits(foil.read_tile(1), azimuths_deg=foil.scan.azimuths_deg)
    assert set(pits["surface"]) == {"top", "bottom"}
    assert pits["x_px"].between(-0.5, SIZE[1] - 0.5).all()


PLACES = [(50, 50, 0), (130, 60, 40), (220, 50, 90), (60, 150, 20), (150, 150, 75), (220, 160, 130)]
"""x and y in px, and the direction of the long axis in degrees."""


@pytest.mark.parametrize(
    ("ground", "pit", "ratio"), [(150, 60, 3), (40, 160, 1), (2, 122, 1), (40, 160, 2)]
)
def test_inclined_pits_and_bright_pits_in_dark_field_are_one_row_each(ground, pit, ratio):
    y, x = np.mgrid[:200, :280].astype(float)
    picture = ground + np.random.default_rng(3).normal(0, 2, x.shape)
    for u, v, angle_deg in PLACES:
        turn = np.exp(-1j * np.radians(angle_deg)) * ((x - u) + 1j * (y - v))
        apart = np.hypot(turn.real / ratio**0.5, turn.imag * ratio**0.5)
        picture += (pit - ground) / (1 + np.exp(np.clip((apart - 7) / 1.2, -50, 50)))
    pits = es.find_pits(np.clip(picture.round(), 0, 255).astype(np.uint8))
    found, true = pits[["x_px", "y_px"]].to_numpy(), np.array(PLACES)[:, :2]
    apart = np.hypot(*(found[:, None] - true).T)
    assert len(pits) == len(PLACES)
    assert apart.min(axis=1).max() < 2


def test_foils_are_photographed_into_a_folder_or_a_store(foil, tmp_path):
    calls = []
    (done,) = photograph([foil], tmp_path / "twin", progress=lambda *call: calls.append(call))
    assert done.pictures == tmp_path / "twin" / foil.scan.name
    assert (done.pictures / "scan.json").is_file()
    assert done.look.read_bytes().startswith(b"\x89PNG")
    assert set(read_table(done.truth)["tile"]) == {1, 2}
    assert calls[-1] == ("Photographing simulated foils", calls[-1][1], 2)
    store = es.open(tmp_path / "store", create=True)
    (again,) = photograph([foil], tmp_path / "other", store=store)
    assert again.pictures is None
    assert store.scans()["scan"].tolist() == [foil.scan.name]


def test_a_simulation_that_stops_at_its_picture_is_completed_by_the_next(
    foil, tmp_path, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("etchscope.pages.writing.write_picture", stop)
        with pytest.raises(KeyboardInterrupt):
            photograph([foil], tmp_path)
    (done,) = photograph([foil], tmp_path)
    assert done.look.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(BadInput, match="nothing of that name yet"):
        photograph([foil], tmp_path)


def test_found_pits_are_compared_with_true_ones(tmp_path):
    result = es.evaluate(FOUND, TRUTH, tolerance_px=6, image_size=SIZE)
    figures = result.figures.set_index("figure")
    assert figures.loc["efficiency", ["counted", "of"]].tolist() == [2, 3]
    assert figures.loc["purity", ["counted", "of"]].tolist() == [2, 3]
    assert (figures["low"] < figures["value"]).all()
    assert (figures["value"] < figures["high"]).all()
    shown = result._repr_html_()
    assert "one-to-one, closer than 6 px; intervals at 95 %" in shown
    assert "0.6667" in shown
    FOUND.to_csv(tmp_path / "found.csv", index=False)
    same = es.evaluate(tmp_path / "found.csv", TRUTH, tolerance_px=6, image_size=SIZE)
    assert same.figures.equals(result.figures)


def test_a_comparison_is_written(tmp_path):
    result = es.evaluate(FOUND, TRUTH, tolerance_px=6, tolerances=[2, 6], image_size=SIZE)
    write_lists(result, tmp_path / "lists")
    assert (tmp_path / "lists" / "false_negatives.csv").is_file()
    files = write_figures(result, tmp_path / "figures")
    assert [file.name for file in files] == ["map.png", "curve.png"]


def test_one_tolerance_is_needed():
    with pytest.raises(BadInput, match="tolerance: expected either tolerance_px or tolerance_mm"):
        es.evaluate(FOUND, TRUTH)
