import signal
from dataclasses import replace

import numpy as np
import pytest
from tests.processes import run_code

from etchscope.foil import BadInput
from etchscope.foil.debugging import DEBUG
from etchscope.learn import set_threads
from etchscope.run.stages import experts
from etchscope.run.stages.training import gather, train
from etchscope.store.array_parts import read_part_records, write_array_part


@pytest.fixture(autouse=True)
def _one_thread():
    """As the training that is compared with was done."""
    before = set_threads(1)
    yield
    set_threads(before)


@pytest.fixture
def trained(monkeypatch):
    """The experts that are trained from now on, (kind, fold)."""
    real, seen = experts.train_member, []

    def train_member(plan, kind, fold):
        seen.append((kind.name, fold))
        return real(plan, kind, fold)

    monkeypatch.setattr(experts, "train_member", train_member)
    return seen


def _stop_after(count):
    ticks = []

    def progress(_):
        ticks.append(1)
        if len(ticks) == count:
            raise InterruptedError("stopped")

    return progress


def _same(first, second):
    np.testing.assert_array_equal(first.score, second.score)
    arrays, card = first.model.to_record()
    others, other_card = second.model.to_record()
    assert card == other_card
    assert set(arrays) == set(others)
    for name, array in arrays.items():
        assert array.tobytes() == others[name].tobytes()
    for name, validation in first.validation.items():
        for key, history in validation.histories.items():
            np.testing.assert_array_equal(history, second.validation[name].histories[key])


def test_a_training_goes_on_with_the_experts_that_are_not_there(own, learnt, trained):
    folder = own.models.training_folder("second")
    given = {"folds": 2, "kept_in": folder}
    with pytest.raises(InterruptedError, match="stopped"):
        train(learnt.gathered, learnt.training, **given, progress=_stop_after(3))
    assert set(read_part_records(folder)) == {0, 1, 2}
    before, ticks = list(trained), []
    trained.clear()
    done = train(learnt.gathered, learnt.training, **given, progress=ticks.append)
    names = [(name, fold) for name in learnt.done.model.experts for fold in (0, 1)]
    assert before + trained == names
    assert sum(ticks) == len(names)
    _same(done, learnt.done)


def test_kept_experts_are_leftover_until_the_model_is_registered(own, learnt, take_snapshot):
    assert own.check() == []
    calm = take_snapshot(own.path)
    train(learnt.gathered, learnt.training, folds=2, kept_in=own.models.training_folder("second"))
    assert own.models.names() == ["first"]
    assert [(f.severity, f.what) for f in own.check()] == [("leftover", "models/.training")]
    own.models.save("third", *learnt.done.model.to_record())  # another model drops none of them
    assert own.models.training_folder("second").is_dir()
    own.models.save("second", *learnt.done.model.to_record())
    assert own.check() == []
    for name in ("second", "third"):
        own.models.remove(name)
    assert take_snapshot(own.path) == calm


@pytest.mark.parametrize(
    "change",
    [
        lambda g, t: (g, replace(t, rate=t.rate / 2)),
        lambda g, t: (replace(g, classes=g.classes[::-1]), t),
        lambda g, t: (_one_more_pixel(g), t),
    ],
)
def test_experts_of_another_training_are_made_anew(own, learnt, trained, change):
    given = {"folds": 2, "kept_in": own.models.training_folder("second")}
    quick = replace(learnt.training, epochs=1)
    train(learnt.gathered, quick, **given)
    all_of_them = list(trained)
    trained.clear()
    changed, training = change(learnt.gathered, quick)
    done = train(changed, training, **given)
    assert len(trained) == len(all_of_them)
    _same(done, train(changed, training, folds=2))


def _one_more_pixel(gathered):
    patches = gathered.labelled.patches
    pixels = patches.pixels.copy()
    pixels[0, 0, 0, 0] += 1
    labelled = replace(gathered.labelled, patches=replace(patches, pixels=pixels))
    return replace(gathered, labelled=labelled)


def test_an_expert_that_another_training_wrote_in_between_is_refused(own, learnt):
    folder = own.models.training_folder("second")
    ticks = []

    def progress(_):
        ticks.append(1)
        if len(ticks) == 8:  # the last
            write_array_part(folder, 0, {}, {"covers": "another"})

    quick = replace(learnt.training, epochs=1)
    with pytest.raises(BadInput, match="the experts of one training, found those of another"):
        train(learnt.gathered, quick, folds=2, kept_in=folder, progress=progress)


def test_in_debug_the_same_model_comes_out(learnt, monkeypatch):
    monkeypatch.setenv(DEBUG, "1")
    _same(train(learnt.gathered, learnt.training, folds=2), learnt.done)


_KILLED = """
import os, signal
from pathlib import Path
from etchscope.learn import Training, set_threads
from etchscope.run.stages.training import gather, train
from etchscope.store import Store
set_threads(1)
store = Store.open(Path({path!r}))
ticks = []
def progress(_):
    ticks.append(1)
    if len(ticks) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
training = Training(network="plain", epochs=6, rate=8e-3, batch=16, restarts=0)
folder = store.models.training_folder("second")
train(gather(store, size=20), training, folds=2, kept_in=folder, progress=progress)
"""


@pytest.mark.slow
def test_kill_and_repeat_gives_the_same_bytes(own, learnt, trained):
    assert run_code(_KILLED.format(path=str(own.path))) == -signal.SIGKILL
    folder = own.models.training_folder("second")
    assert len(read_part_records(folder)) == 5
    done = train(gather(own, size=20), learnt.training, folds=2, kept_in=folder)
    assert len(trained) == 2 * len(learnt.done.model.experts) - 5
    own.models.save("second", *done.model.to_record())
    for name in ("card.json", "weights.safetensors"):
        first, second = (own.path / "models" / m / name for m in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert not folder.exists()
