import os
import signal

import pytest

from etchscope.foil import MachineFailed
from etchscope.run.executors.processes import run_in_processes


def test_every_task_is_done_once_elsewhere(require_all_done):
    require_all_done(run_in_processes)
    pids: list[int] = []
    run_in_processes([os.getpid] * 3, workers=1, done=pids.append)
    assert os.getpid() not in pids
    assert len(pids) == 3


def test_a_task_s_own_error_comes_through_as_it_is(require_own_error):
    require_own_error(run_in_processes)


def die() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_a_lost_worker_is_the_machine_s_fault():
    with pytest.raises(MachineFailed, match=r"a worker process was lost.*repeat"):
        run_in_processes([die], workers=1, done=lambda _: None)
