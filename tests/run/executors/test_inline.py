import os
import threading

import pytest

from etchscope.foil.debugging import DEBUG
from etchscope.run.executors.inline import run_inline


def test_every_task_is_done_in_order_in_this_thread(require_all_done):
    require_all_done(run_inline)
    order, threads = [], set()

    def task(i):
        order.append(i)
        threads.add(threading.get_ident())
        return i

    run_inline([lambda i=i: task(i) for i in range(5)], done=order.append)
    assert order == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert threads == {threading.get_ident()}


def test_a_task_s_own_error_comes_through_as_it_is(require_own_error):
    require_own_error(run_inline)


def test_after_an_error_nothing_is_begun():
    with pytest.raises(ZeroDivisionError, match="division"):
        run_inline([lambda: 1 // 0, lambda: pytest.fail("begun")], done=lambda _: None)


class _Unlike:
    """Comes out of pickle as another than it went in."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def __call__(self) -> object:
        return self

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return _Unlike, ()


def test_in_debug_tasks_and_results_go_through_pickle(monkeypatch):
    task = _Unlike()
    got: list[object] = []
    run_inline([task], done=got.append)
    assert got == [task]
    monkeypatch.setenv(DEBUG, "1")
    run_inline([task], done=got.append)
    assert type(got[1]) is _Unlike
    assert got[1] is not task


@pytest.mark.parametrize("task", [lambda: 1, os.getpid])
def test_in_debug_what_does_not_pickle_fails(monkeypatch, task):
    run_inline([task], done=lambda _: None)
    monkeypatch.setenv(DEBUG, "1")
    if task is os.getpid:
        run_inline([task], done=lambda _: None)
        return
    with pytest.raises(Exception, match="pickle"):
        run_inline([task], done=lambda _: None)


def test_in_debug_a_result_that_does_not_pickle_fails(monkeypatch):
    monkeypatch.setenv(DEBUG, "1")
    with pytest.raises(TypeError, match="pickle"):
        run_inline([threading.Lock], done=lambda _: None)
