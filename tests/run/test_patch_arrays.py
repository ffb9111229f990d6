from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from etchscope.files.patches import PATCH_ARRAYS, read_patches, write_patches
from etchscope.foil import BadInput, OtherNormalisation, UnknownScan
from etchscope.learn import Training
from etchscope.run.patch_arrays import arrays_to_gathered, gathered_to_arrays
from etchscope.run.stages.training import audited, gather, train
from etchscope.store import Store

FEW = ["hip", "bottom"]


@pytest.fixture(scope="module")
def arrays(learnt):
    return gathered_to_arrays(learnt.store, learnt.gathered)


def test_all_that_is_known_of_a_patch_is_an_array(learnt, arrays):
    assert list(arrays) == [array.name for array in PATCH_ARRAYS]
    source = learnt.gathered.labelled.source
    assert len(arrays["patches"]) == len(source) == len(learnt.store.labels.table())
    for name in ("scan", "tile", "x_px", "y_px", "id"):
        assert arrays[name].tolist() == source[name].tolist()
    lamps = [f"lamp {a:g}°" for a in learnt.gathered.labelled.patches.lights.azimuths_deg]
    assert arrays["channels"].tolist() == [*lamps, "backlit", "halo"]
    assert arrays["channels"].shape == arrays["patches"].shape[1:2]
    assert arrays["scans"].tolist() == [learnt.scan]
    assert [len(digest) for digest in arrays["normalisation_sha256"]] == [64]
    assert int(arrays["size"]) == 20


@pytest.mark.parametrize("lights", ["all", "any"])
def test_training_on_exported_patches_gives_the_model_of_the_store(own, lights, tmp_path):
    plan = Training(network="plain", epochs=1, batch=16, restarts=0, lights=lights)
    whole = gather(own, size=12, classes=FEW, planes=lights == "any")
    write_patches(tmp_path / "patches.npz", gathered_to_arrays(own, whole))
    arrays = read_patches(tmp_path / "patches.npz")
    assert set(arrays["label"]) == set(FEW)
    back = arrays_to_gathered(own, arrays, where="patches.npz")
    first, second = (train(some, plan, folds=2) for some in (whole, back))
    own.models.save("of-store", *first.model.to_record())
    own.models.save("of-file", *second.model.to_record())
    for file in ("card.json", "weights.safetensors"):
        paths = [own.path / "models" / name / file for name in ("of-store", "of-file")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    pd.testing.assert_frame_equal(audited(first), audited(second), check_dtype=False)


def test_what_was_asked_for_and_left_out_comes_back(own, learnt):
    own.scans.exclude("tile = 1", "a fibre")
    whole = gather(own, size=8, who=["anna"], sources=["person"])
    back = arrays_to_gathered(own, gathered_to_arrays(own, whole), where="patches.npz")
    assert back.left_out == whole.left_out
    assert back.left_out.outside > 0
    assert back.chosen == whole.chosen == {"who": ["anna"], "source": ["person"]}
    assert back.classes == whole.classes
    fewer = arrays_to_gathered(
        own, gathered_to_arrays(own, whole), where="patches.npz", classes=FEW
    )
    assert fewer.classes == tuple(FEW)


def test_patches_of_another_normalisation_are_refused(learnt, arrays):
    other = arrays | {"normalisation_sha256": np.array(["ab" * 32])}
    own = arrays["normalisation_sha256"][0][:12]
    text = (
        rf"p\.npz: scan {learnt.scan}: expected pictures with the normalisation of the store "
        rf"\({own}\), found abababababab$"
    )
    with pytest.raises(OtherNormalisation, match=text):
        arrays_to_gathered(learnt.store, other, where="p.npz")


def test_planes_are_normalised_otherwise_than_lights(own, arrays):
    planes = gathered_to_arrays(own, gather(own, size=12, planes=True))
    assert planes["normalisation_sha256"] != arrays["normalisation_sha256"]


def test_patches_of_a_scan_that_the_store_does_not_have_are_refused(arrays, tmp_path):
    store = Store.create(tmp_path / "store")
    with pytest.raises(UnknownScan, match=r"p\.npz: scans: expected scans of the store \(none yet"):
        arrays_to_gathered(store, arrays, where="p.npz")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("label", "odd", r"p\.npz: label: expected a class of the taxonomy .*, found 'odd'"),
        ("label", "maybe", r"p\.npz: label: expected a decidable class: .*, found 'maybe'"),
        ("weight", 0.0, r"p\.npz: weight: expected above 0, found 0"),
        ("scan", "elsewhere", r"p\.npz: scan: expected one of scans \(.*\), found 'elsewhere'"),
    ],
)
def test_values_that_cannot_be_are_refused(learnt, arrays, name, value, text):
    values = arrays[name].astype("U20") if arrays[name].dtype.kind == "U" else arrays[name].copy()
    values[3] = value
    with pytest.raises(BadInput, match=text):
        arrays_to_gathered(learnt.store, arrays | {name: values}, where="p.npz")


def test_more_lamps_than_channels_are_refused(learnt, arrays):
    many = arrays | {"azimuths_deg": np.arange(30.0)}
    with pytest.raises(BadInput, match=r"p\.npz: azimuths_deg: expected \d+ at most, found 30"):
        arrays_to_gathered(learnt.store, many, where="p.npz")


def test_labels_of_one_class_are_not_enough(learnt):
    of_one = replace(learnt.gathered, classes=("hip",))
    arrays = gathered_to_arrays(learnt.store, of_one)
    with pytest.raises(BadInput, match="labels of two classes or more, found only of hip"):
        arrays_to_gathered(learnt.store, arrays, where="p.npz")
