import numpy as np
import pytest
import torch

from etchscope.foil import BadInput, NoGpu
from etchscope.learn import FinderNetwork, FinderTraining, choose_device
from etchscope.learn.finder_train import train_finder


@pytest.fixture
def has_gpu(monkeypatch):
    def set_to(value):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: value)

    return set_to


@pytest.mark.parametrize(
    ("device", "prefers_gpu", "is_there", "found"),
    [
        ("auto", False, True, "cpu"),
        ("auto", True, True, "cuda"),
        ("auto", True, False, "cpu"),
        ("cpu", True, True, "cpu"),
        ("cuda", False, True, "cuda"),
    ],
)
def test_a_gpu_is_taken_where_it_is_asked_for_or_trains_a_finder(
    has_gpu, device, prefers_gpu, is_there, found
):
    has_gpu(is_there)
    assert choose_device(device, prefers_gpu=prefers_gpu) == found


def test_a_gpu_that_is_not_there_is_refused(has_gpu):
    has_gpu(False)
    text = "device: expected a GPU that PyTorch can compute on, found none"
    with pytest.raises(NoGpu, match=text):
        choose_device("cuda")
    network = FinderNetwork((2, 2, 2, 2, 2))
    with pytest.raises(BadInput, match=text):
        network.plain(device="cuda")
    with pytest.raises(BadInput, match=text):
        train_finder(network, [], FinderTraining(), device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_finder_says_on_a_gpu_what_it_says_on_the_processor():
    network = FinderNetwork.seeded((4, 4, 4, 4, 4), 1)
    planes = np.random.default_rng(0).normal(0, 0.1, (13, 64, 96)).astype(np.float32)
    single = network.plain(torch.float32)(planes)
    on_gpu = network.plain(torch.float32, device="cuda")(planes)
    np.testing.assert_allclose(on_gpu, single, atol=0.01)
