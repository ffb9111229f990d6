import threading
import time
from functools import partial

import pytest

from etchscope.run.executors.threads import run_in_threads


def test_every_task_is_done_once(require_all_done):
    require_all_done(run_in_threads)


def test_results_are_handed_on_in_the_caller_s_thread():
    threads = set()
    tasks = [threading.get_ident for _ in range(5)]
    at_work: set[int] = set()

    def done(ident: int) -> None:
        threads.add(threading.get_ident())
        at_work.add(ident)

    run_in_threads(tasks, workers=2, done=done)
    assert threads == {threading.get_ident()}
    assert threading.get_ident() not in at_work


def test_a_task_s_own_error_comes_through_as_it_is(require_own_error):
    require_own_error(run_in_threads)


def test_after_an_error_no_task_is_at_work():
    at_work: set[int] = set()
    has_started = threading.Event()

    def slow(i: int) -> int:
        at_work.add(i)
        has_started.set()
        time.sleep(0.2)
        at_work.discard(i)
        return 0

    def fail() -> int:
        has_started.wait()
        raise ValueError("stop")

    tasks = [*(lambda i=i: slow(i) for i in range(20)), fail]
    before = threading.active_count()
    with pytest.raises(ValueError, match="stop"):
        run_in_threads(tasks, workers=2, done=lambda _: None)
    assert has_started.is_set()
    assert at_work == set()
    assert threading.active_count() == before


def test_tasks_are_made_when_their_turn_comes():
    made: list[int] = []
    got: list[int] = []

    class Tasks(list):
        def __iter__(self):
            for number in range(100):
                made.append(number)
                yield partial(int, number)

    def done(number: int) -> None:
        got.append(number)
        assert len(made) <= len(got) + 4

    run_in_threads(Tasks(), workers=2, done=done)
    assert sorted(got) == list(range(100))
