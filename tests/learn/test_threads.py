import torch

from etchscope.learn import set_threads


def test_the_number_of_threads_is_set_and_the_one_before_told():
    before = set_threads(3)
    try:
        assert torch.get_num_threads() == 3
        assert set_threads(1) == 3
        assert torch.get_num_threads() == 1
    finally:
        set_threads(before)
    assert torch.get_num_threads() == before
