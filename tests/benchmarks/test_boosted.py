from dataclasses import replace

import numpy as np
import pytest
from tests.learn.conftest import planted

from boosted import cross_validate_boosted
from etchscope.foil import BadInput


def test_boosted_trees_distinguish_top_from_bottom_on_regions_they_had_not_seen():
    patches, is_top = planted(160)
    done = cross_validate_boosted(patches, is_top, count=2, seeds=(0, 1))
    assert done.scores.shape == (2, 160)
    assert np.isfinite(done.scores).all()
    assert (done.balanced_accuracy > 0.95).all()
    assert done.trainings[["seed", "fold"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert (done.trainings.groupby("seed")["patches"].sum() == 160).all()
    again = cross_validate_boosted(patches, is_top, count=2, seeds=(1,))
    np.testing.assert_array_equal(again.scores[0], done.scores[1])


def test_labels_without_meaning_teach_trees_nothing():
    patches, is_top = planted(120)
    shuffled = np.random.default_rng(0).permutation(is_top)
    done = cross_validate_boosted(patches, shuffled, count=2)
    assert 0.3 < done.balanced_accuracy[0] < 0.7


def test_trees_on_too_few_regions_are_refused():
    patches, is_top = planted()
    one = replace(patches, region=np.zeros(80, int))
    with pytest.raises(BadInput, match="folds: expected 2 regions or more, found 1"):
        cross_validate_boosted(one, is_top, count=2)
