import torch

from etchscope.learn.threads import set_threads, use_one_torch_thread


def test_the_number_of_threads_is_set_and_the_one_before_told():
    before = set_threads(3)
    try:
        assert torch.get_num_threads() == 3
        assert set_threads(1) == 3
        assert torch.get_num_threads() == 1
    finally:
        set_threads(before)
    assert torch.get_num_threads() == before


def test_one_thread_for_a_while():
    before = set_threads(3)
    try:
        with use_one_torch_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        set_threads(before)
