import math

import pytest
import torch

from etchscope.learn import LOSSES
from etchscope.learn.losses import PARTIAL_RATE, compute_loss

EQUAL = torch.ones(4)


def _logits(*values):
    return torch.tensor(values)[:, None].requires_grad_()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_less_for_the_better_answer_and_pulls_the_right_way(name):
    wanted = torch.tensor([1, 1, 0, 0])
    good, bad = _logits(2.0, 1.0, -1.0, -2.0), _logits(-2.0, 1.0, -1.0, 2.0)
    loss = compute_loss(name, bad, wanted, EQUAL)
    assert compute_loss(name, good, wanted, EQUAL) < 0.5 * loss
    (gradient,) = torch.autograd.grad(loss, bad)
    assert gradient[0] < 0 < gradient[3]


def test_the_balanced_loss_by_hand():
    wanted, weights = torch.tensor([1, 0]), torch.tensor([3.0, 1.0])
    loss = compute_loss("balanced", _logits(0.0, math.log(3)), wanted, weights)
    # −log 1/2, thrice as heavy, and −log 1/4.
    assert float(loss.detach()) == pytest.approx((3 * math.log(2) + math.log(4)) / 2)


def test_the_focal_loss_forgives_what_is_nearly_right():
    wanted = torch.tensor([1])
    for logit in (-3.0, 0.0, 4.0):
        p = 1 / (1 + math.exp(-logit))
        loss = float(compute_loss("focal", _logits(logit), wanted, torch.ones(1)).detach())
        assert loss == pytest.approx(-math.log(p) * (1 - p) ** 2, rel=1e-4)


def test_the_partial_loss_looks_at_the_hardest_tenth_of_the_background():
    background = torch.linspace(-4, 0, 20)
    wanted = torch.cat([torch.ones(1), torch.zeros(20)]).long()
    logits = torch.cat([torch.tensor([1.0]), background])[:, None].requires_grad_()
    weights = torch.ones(21)
    usual = compute_loss("balanced", logits, wanted, weights)
    own = compute_loss("partial-auc", logits, wanted, weights) - 0.1 * usual
    (gradient,) = torch.autograd.grad(own, logits)
    assert PARTIAL_RATE == 0.1
    assert (gradient[-2:] > 0).all()
    assert gradient[1:-2].abs().max() < 1e-7
    expected = sum(math.log1p(math.exp(float(b) - 1)) for b in background[-2:]) / 2
    assert float(own.detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", [0, 1])
def test_a_batch_of_one_class_has_the_balanced_loss(kind):
    logits, wanted = _logits(0.5, -1.0, 2.0, 0.0), torch.full((4,), kind)
    partial, usual = (compute_loss(n, logits, wanted, EQUAL) for n in ("partial-auc", "balanced"))
    assert float(partial.detach()) == float(usual.detach())


def test_weights_make_a_rare_class_count_as_much():
    wanted = torch.tensor([1, 0, 0, 0])
    weights = torch.tensor([2.0, 2 / 3, 2 / 3, 2 / 3])
    for name in ("balanced", "focal"):
        logits = _logits(0.0, 0.0, 0.0, 0.0)
        (gradient,) = torch.autograd.grad(compute_loss(name, logits, wanted, weights), logits)
        assert float(gradient[0]) == pytest.approx(-float(gradient[1:].sum()))


def test_every_lamp_s_answer_is_an_example_of_its_patch():
    """Lamp by lamp, as ``EachLampNetwork`` gives them."""
    wanted, weights = torch.tensor([1, 0]), torch.tensor([1.5, 0.5])
    first, second = torch.tensor([[1.0], [-2.0]]), torch.tensor([[0.5], [3.0]])
    apart = [compute_loss("balanced", lamp, wanted, weights) for lamp in (first, second)]
    together = compute_loss("balanced", torch.cat([first, second]), wanted, weights)
    assert float(together) == pytest.approx(float(sum(apart)) / 2)


def test_more_than_two_classes_have_the_weighted_cross_entropy():
    logits = torch.tensor([[0.0, 0.0, 0.0], [math.log(2), 0.0, 0.0]])
    loss = compute_loss("focal", logits, torch.tensor([2, 0]), torch.tensor([2.0, 1.0]))
    assert float(loss) == pytest.approx((2 * math.log(3) + math.log(2)) / 2)


@pytest.mark.parametrize("name", LOSSES)
def test_two_copies_of_half_the_weight_count_as_one(name):
    logits, wanted = torch.tensor([2.0, -1.0, 0.3, -2.0, 1.2]), torch.tensor([1, 1, 0, 0, 0])
    once = compute_loss(name, logits[:, None], wanted, torch.ones(5))
    which = torch.tensor([0, 1, 1, 2, 3, 4])
    halves = torch.tensor([1.0, 0.5, 0.5, 1.0, 1.0, 1.0])
    twice = compute_loss(name, logits[which][:, None], wanted[which], halves * 6 / 5)
    assert float(twice) == pytest.approx(float(once))
    alike = compute_loss(name, logits[which][:, None], wanted[which], torch.ones(6))
    assert abs(float(alike - once)) > 0.05
