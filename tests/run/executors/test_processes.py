import os
import signal

import pytest
from dask.multiprocessing import remote_exception

from etchscope.foil import BadInput, MachineFailed
from etchscope.run.executors import processes
from etchscope.run.executors.processes import run_in_processes


def test_every_task_is_done_once_elsewhere(require_all_done):
    require_all_done(run_in_processes)
    pids: list[int] = []
    run_in_processes([os.getpid] * 3, workers=1, done=pids.append)
    assert os.getpid() not in pids
    assert len(pids) == 3


def test_a_task_s_own_error_comes_through_as_it_is(require_own_error):
    require_own_error(run_in_processes)


def test_dask_s_wrapping_of_a_worker_s_error_is_taken_off(monkeypatch):
    def fail(*_):
        raise remote_exception(BadInput("tile 3", "an intact picture", "damage"), "Traceback")

    monkeypatch.setattr(processes, "schedule", fail)
    with pytest.raises(BadInput, match=r"found damage$") as caught:
        run_in_processes([os.getpid], workers=1, done=lambda _: None)
    assert type(caught.value) is BadInput


def test_a_lost_worker_is_the_machine_s_fault():
    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    with pytest.raises(MachineFailed, match=r"a worker process was lost.*repeat"):
        run_in_processes([die], workers=1, done=lambda _: None)
