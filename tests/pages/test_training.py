import re
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from etchscope.evaluation import proportion
from etchscope.foil import BadInput, Taxonomy
from etchscope.pages.training import write_training
from etchscope.run.stages.training import gather, train

NAMES = ["confusion", "ensemble_roc", "learning", "reliability", "roc", "ternary"]


@pytest.fixture(scope="module")
def written(learnt, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "training"
    page = write_training(learnt.done, folder)
    assert page == folder / "index.html"
    return folder


def text_of(folder):
    return (folder / "index.html").read_text(encoding="utf-8")


def test_all_figures_are_written_and_listed(written):
    assert sorted(p.name for p in written.iterdir()) == [
        *(f"{name}.png" for name in NAMES[:2]),
        "index.html",
        *(f"{name}.png" for name in NAMES[2:]),
    ]
    for name in NAMES:
        picture = cv2.imread(str(written / f"{name}.png"))
        assert min(picture.shape[:2]) > 400
        assert 10 < picture.std() < 120
    text = text_of(written)
    for heading in (
        *("Figures of the experts", "Ternary plot", "Experts", "Ensemble"),
        *("Learning curves", "Calibration", "Confusion matrix"),
    ):
        assert f">{heading}<" in text
    assert text.count("<img") == len(NAMES)
    assert "<script" not in text
    assert not re.search(r'(src|href)="http', text)


def test_the_page_names_the_expert_of_which_attempts_failed(learnt, tmp_path):
    one = learnt.done.validation["pit-misc"]
    poor = replace(one, trainings=one.trainings.assign(failed=4))
    done = replace(learnt.done, validation={**learnt.done.validation, "pit-misc": poor})
    write_training(done, tmp_path / "training")
    text = text_of(tmp_path / "training")
    assert ">8</" in text
    assert "in training 4 experts on 2 folds each: 8 of pit-misc<" in text
    assert "8 of 8" not in text


def test_the_page_says_the_figures_of_the_card(written, learnt):
    text, information = text_of(written), learnt.done.model.information
    n = len(learnt.done.labelled.label)
    assert f"{n} labels on 8 tiles, each held out once" in text
    right = information["decided_right"]
    assert f"{100 * right['value']:.1f} %" in text
    assert ">0</" in text
    assert "attempts failed" in text
    assert "in training 4 experts on 2 folds each<" in text
    for name, v in learnt.done.validation.items():
        row = next(s for s in text.split("<tr>") if f">{name}<" in s)
        assert f">{len(v.target)}<" in row
        assert f">{100 * v.balanced_accuracy.mean():.2f} %<" in row
        of_folds = 100 * v.trainings["balanced_accuracy"]
        assert f">{of_folds.min():.1f} – {of_folds.max():.1f} %<" in row
        assert "too few labels" in row  # a hundredth of less than a hundred


def test_efficiency_at_one_percent_where_there_are_enough_labels(learnt, tmp_path):
    done = learnt.done
    v = done.validation["hip-bottom"]
    twice = replace(v, scores=np.repeat(v.scores, 3, axis=1), target=np.repeat(v.target, 3))
    write_training(replace(done, validation={"hip-bottom": twice}), tmp_path / "report")
    background = np.sort(twice.scores[0][~twice.target])[::-1]
    threshold = background[int(0.01 * len(background))]
    passed = int((twice.scores[0][twice.target] > threshold).sum())
    expected = str(proportion(passed, int(twice.target.sum())))
    assert f">{expected}<" in text_of(tmp_path / "report")


def test_the_same_training_gives_the_same_bytes(written, learnt, tmp_path):
    write_training(learnt.done, tmp_path)
    for path in written.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_one_network_for_all_has_no_curves_of_experts(learnt, tmp_path):
    training = replace(learnt.training, epochs=1)
    done = train(learnt.gathered, training, method="multiclass", folds=2)
    write_training(done, tmp_path)
    assert sorted(p.stem for p in tmp_path.glob("*.png")) == [n for n in NAMES if n != "roc"]
    row = next(s for s in text_of(tmp_path).split("<tr>") if ">all<" in s)
    assert ">–<" in row


def test_classes_that_are_no_corners_have_no_ternary_plot(own, learnt, tmp_path):
    own.labels.set_taxonomy(Taxonomy(classes={**own.labels.taxonomy().classes, "odd": ""}))
    labels = own.labels.table()
    misc = labels[labels["class"] == "misc.scratch"].iloc[::2]  # on all tiles
    again = misc.assign(**{"class": "odd"}, when=pd.Timestamp("2026-06-01", tz="UTC"), id=None)
    own.labels.add(again)
    training = replace(learnt.training, epochs=1)
    for classes in (None, ["hip", "bottom"]):
        folder = tmp_path / str(classes)
        done = train(gather(own, size=16, classes=classes), training, folds=2)
        write_training(done, folder)
        assert sorted(p.stem for p in folder.glob("*.png")) == [n for n in NAMES if n != "ternary"]


def test_a_file_where_the_folder_should_be(learnt, tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="expected a folder for the report, found a file"):
            write_training(learnt.done, path)
    assert (tmp_path / "file").read_text() == "mine"
