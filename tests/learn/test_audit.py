import numpy as np
import pytest

from etchscope.foil import BadInput
from etchscope.learn import audit_labels

CLASSES = ["hip", "top", "bottom"]


def _planted(n=300, wrong=12, seed=0):
    """Labels of which some are wrong, and what good experts say of the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    p = rng.dirichlet([1, 1, 1], n) * 0.2
    p[np.arange(n), truth] += 0.8
    said = truth.copy()
    rows = rng.choice(n, wrong, replace=False)
    said[rows] = (truth[rows] + 1) % 3
    return np.array(CLASSES)[said], p, np.array(CLASSES)[truth], set(rows.tolist())


def test_planted_wrong_labels_are_found_and_what_they_should_be():
    said, p, truth, wrong = _planted()
    found = audit_labels(said, p, CLASSES)
    assert set(found["row"]) <= wrong
    assert len(found) >= 11  # of 12; how many there are is estimated
    assert found["said"].tolist() == said[found["row"]].tolist()
    assert found["likelier"].tolist() == truth[found["row"]].tolist()
    rows = found["row"].to_numpy()
    place = [CLASSES.index(c) for c in found["said"]]
    np.testing.assert_allclose(found["p_said"], p[rows, place])
    np.testing.assert_allclose(found["p_likelier"], p[rows].max(1))
    assert (found["quality"] < 0.5).all()
    assert found["p_said"].is_monotonic_increasing  # the worst first


def test_right_labels_are_left_alone():
    said, p, _, _ = _planted(wrong=0)
    assert len(audit_labels(said, p, CLASSES)) == 0


def test_the_order_of_classes_and_the_scale_of_probabilities_do_not_matter():
    said, p, _, _ = _planted()
    here = audit_labels(said, p, CLASSES)
    there = audit_labels(said, 3 * p[:, [2, 0, 1]], ["bottom", "hip", "top"])
    assert there[["row", "said", "likelier"]].equals(here[["row", "said", "likelier"]])
    np.testing.assert_allclose(there["p_said"], here["p_said"])


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (["hip", "top"], "exactly hip, top, found labels of another class bottom"),
        ([*CLASSES, "misc"], "exactly hip, top, bottom, misc, found no label of class misc"),
    ],
)
def test_labels_of_other_classes_than_the_experts_are_refused(classes, told):
    said, p, _, _ = _planted()
    p = np.ones((len(p), len(classes)))
    with pytest.raises(BadInput, match=f"audit: expected labels of {told}"):
        audit_labels(said, p, classes)
