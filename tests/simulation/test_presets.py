import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.geometry import foil_frame
from etchscope.simulation import PRESETS, preset


def test_every_preset_is_a_foil_with_truth():
    for name in PRESETS:
        for scan in preset(name, columns=2, rows=1):
            assert len(scan.truth([1])) > 0
            assert scan.read_tile(1).shape == (len(scan.optics.channels), *scan.optics.image_size)


def test_label_mix_is_the_experiment_s():
    (scan,) = preset("label-mix", seed=2, columns=6, rows=6)
    truth = scan.truth().drop_duplicates("pit")
    counts = truth["class"].value_counts()
    marks = scan.marks().drop_duplicates("pit")
    pairs = counts["hip"] / 2
    got = np.array([pairs, counts["top"], counts["bottom"], len(marks), counts["maybe"] / 2])
    want = np.array([259, 199, 811, 80, 44])
    share, expected = got / got.sum(), want / want.sum()
    error = np.sqrt(expected * (1 - expected) / got.sum())
    assert got.sum() > 4000
    assert (np.abs(share - expected) < 5 * error).all(), share


def test_lead_stack_shares_its_ions_5_px_apart_and_one_foil_is_dirty():
    stack = preset("pb-stack", seed=3, columns=3, rows=2, sides=("front", "back"))
    assert [(s.foil, s.side) for s in stack] == [
        (f, side) for f in ("c1", "c2", "d") for side in ("front", "back")
    ]
    assert {s.stack for s in stack} == {"pb-stack"}
    tables = {(s.foil, s.side): s.truth().drop_duplicates(["particle", "surface"]) for s in stack}
    ions = {
        key: t[(t["class"] == "hip") & (t["surface"] == ("top" if key[1] == "front" else "bottom"))]
        for key, t in tables.items()
    }
    c1, c2 = ions["c1", "front"], ions["c2", "front"]
    both = c1.merge(c2, on="particle", suffixes=("", "_next"))
    assert len(both) > 0.9 * len(c1) > 20
    # All frames are the holes' own, but for the stage's jitter.
    apart = np.hypot(both["x_mm_next"] - both["x_mm"], both["y_mm_next"] - both["y_mm"])
    assert np.median(apart) / 0.0064516 == pytest.approx(4.9, abs=1.0)
    turned = c1.merge(ions["c1", "back"], on="particle", suffixes=("", "_back"))
    assert len(turned) > 20
    off = np.hypot(turned["x_mm_back"] - turned["x_mm"], turned["y_mm_back"] - turned["y_mm"])
    assert np.median(off) < 0.02
    others = {key: (t["class"] != "hip").sum() for key, t in tables.items()}
    assert others["d", "front"] > 50 * max(others["c1", "front"], 1)
    angles = [foil_frame(s.scan).angle_rad for s in stack]
    assert len({round(a, 4) for a in angles}) > 3
    assert all(len(s.scan.datum) == 3 for s in stack)


def test_an_unknown_preset_is_refused():
    with pytest.raises(
        BadInput, match="preset: expected reference or label-mix or pb-stack or experiment or tasl"
    ):
        preset("nonsense")
