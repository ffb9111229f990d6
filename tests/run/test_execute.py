import os
import signal
import threading
import time

import cv2
import pytest
from dask.multiprocessing import remote_exception

from etchscope.foil import BadInput, MachineFailed
from etchscope.run.execute import execute


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
def test_every_piece_is_done_and_told_once(tmp_path, executor):
    pieces = [
        lambda i=i: (tmp_path / str(i)).write_text(str(cv2_threads())) and i for i in range(7)
    ]

    def cv2_threads():
        return cv2.getNumThreads()

    told: list[int] = []
    execute(pieces, executor=executor, workers=2, progress=told.append)
    assert sorted(told) == list(range(7))
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {str(i): "1" for i in range(7)}


def test_nothing_to_do_is_fine():
    execute([], executor="threads", workers=2, progress=lambda _: pytest.fail("told"))


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
def test_a_piece_s_own_error_comes_through_as_it_is(executor):
    def fail() -> int:
        raise BadInput("tile 3", "an intact picture", "damage", hint="Look.")

    with pytest.raises(BadInput, match=r"^tile 3: expected an intact picture") as caught:
        execute([fail], executor=executor, workers=1, progress=lambda _: None)
    assert type(caught.value) is BadInput
    assert str(caught.value) == "tile 3: expected an intact picture, found damage. Look."
    assert (caught.value.where, caught.value.exit_status) == ("tile 3", 2)


def test_dask_s_wrapping_of_a_worker_s_error_is_taken_off():
    def fail() -> int:
        raise remote_exception(BadInput("tile 3", "an intact picture", "damage"), "Traceback")

    with pytest.raises(BadInput, match=r"found damage$") as caught:
        execute([fail], executor="inline", workers=1, progress=lambda _: None)
    assert type(caught.value) is BadInput


def test_after_an_error_no_piece_is_at_work():
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

    pieces = [*(lambda i=i: slow(i) for i in range(20)), fail]
    before = threading.active_count()
    with pytest.raises(ValueError, match="stop"):
        execute(pieces, executor="threads", workers=2, progress=lambda _: None)
    assert has_started.is_set()
    assert at_work == set()
    assert threading.active_count() == before


def test_a_lost_worker_is_the_machine_s_fault():
    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    with pytest.raises(MachineFailed, match=r"a worker process was lost.*repeat"):
        execute([die], executor="processes", workers=1, progress=lambda _: None)
