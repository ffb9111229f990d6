from dataclasses import replace

import numpy as np
import optuna
import pytest

from etchscope.foil import BadInput
from etchscope.learn import Lights, Patches, Training, cross_validate, search_training

QUICK = Training(network="plain", width=0.5, depth=2, epochs=2, batch=16, rate=1e-2, restarts=0)


def test_the_best_of_all_that_were_tried_comes_back(make_planted):
    patches, is_top = make_planted(48)
    ticks, verbosity = [], optuna.logging.get_verbosity()
    best, table = search_training(
        patches, is_top, QUICK, trials=4, count=2, seed=1, progress=ticks.append
    )
    assert (sum(ticks), len(table)) == (4, 4)
    assert table["balanced_accuracy"].is_monotonic_decreasing
    names = ["network", "lights", "loss", "optimiser", "rate", "depth", "width"]
    assert list(table.columns) == ["balanced_accuracy", *names]
    assert table.loc[0, names].tolist() == [getattr(best, n) for n in names]
    # What is not tried stays, and the training that was given is one of them.
    assert replace(best, **{n: getattr(QUICK, n) for n in names}) == QUICK
    given = table[table["rate"] == QUICK.rate]
    assert given[names].to_numpy().tolist() == [[getattr(QUICK, n) for n in names]]
    done = cross_validate(patches, is_top, QUICK, count=2, seeds=(1,))
    assert given["balanced_accuracy"].tolist() == done.balanced_accuracy.tolist()
    assert optuna.logging.get_verbosity() == verbosity


def test_a_training_outside_of_what_is_usually_tried_is_still_the_first(make_planted):
    patches, is_top = make_planted(48)
    own = replace(QUICK, network="each-lamp", lights="one", rate=1e-4, width=0.3, epochs=1)
    best, table = search_training(patches, is_top, own, trials=1, count=2)
    assert best == own
    assert table["network"].tolist() == ["each-lamp"]


def test_networks_that_the_patches_do_not_allow_are_passed_over():
    """No lamp, so no azimuth network; an odd size, so no equivariant one; small, so not deep."""
    rng = np.random.default_rng(0)
    target = np.arange(40) % 2 == 0
    pixels = rng.normal(0, 0.3, (40, 1, 9, 9)) - target[:, None, None, None]
    patches = Patches(
        pixels.astype(np.float32), Lights((), ("backlit",)), np.arange(40) // 2 % 6, np.arange(40)
    )
    best, table = search_training(patches, target, replace(QUICK, epochs=1), trials=8, count=2)
    assert len(table) == 8
    left = table["balanced_accuracy"].isna()
    allowed = (table["network"] == "plain") & (table["lights"] == "all") & (table["depth"] < 4)
    assert (left == ~allowed).all()
    assert left.any()
    assert best.network == "plain"


def test_what_cannot_be_tried_is_refused(make_planted):
    patches, is_top = make_planted(48)
    with pytest.raises(BadInput, match="trials: expected 1 or more, found 0"):
        search_training(patches, is_top, QUICK, trials=0)
    one = replace(patches, region=np.zeros(48, int))
    with pytest.raises(BadInput, match="folds: expected 3 regions or more, found 1"):
        search_training(one, is_top, QUICK, trials=2)
    with pytest.raises(BadInput, match=r"network: expected depth 2 to 4, width 0.1 to 10, found 9"):
        search_training(patches, is_top, replace(QUICK, depth=9), trials=2, count=2)
