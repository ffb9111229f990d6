import gc
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import cv2
import pytest
from distributed import Client

from etchscope.foil import BadInput, MachineFailed
from etchscope.run import find, stage
from etchscope.run.executors import choose_executor, cluster
from etchscope.run.executors.cluster import connected, run_on_cluster
from etchscope.store import Store


def test_every_task_is_done_once(client, require_all_done):
    before = cv2.getNumThreads()
    require_all_done(choose_executor(client))
    assert cv2.getNumThreads() == before


def test_a_task_s_own_error_comes_through_as_it_is(client, require_own_error):
    require_own_error(choose_executor(client))


def test_after_an_error_nothing_is_handed_out(client):
    made = []

    class Tasks(list):
        def __iter__(self):
            for number in range(1000):
                made.append(number)
                yield partial(divmod, number, number)  # that of 0 fails

    with pytest.raises(ZeroDivisionError):
        run_on_cluster(client, Tasks(), workers=1, done=lambda _: None)
    assert len(made) <= 2 * 16


def test_the_scheduler_holds_few_tasks_at_once(client, monkeypatch):
    monkeypatch.setattr(cluster, "_LEAST", 6)
    monkeypatch.setattr(cluster, "_AHEAD", 1)
    made, got = [], []

    class Tasks(list):
        def __iter__(self):
            for number in range(100):
                made.append(number)
                yield partial(int, number)

    def done(number):
        got.append(number)
        assert len(made) <= len(got) + 6

    run_on_cluster(client, Tasks(), workers=1, done=done)
    assert sorted(got) == list(range(100))


def test_a_worker_with_other_versions_is_refused(client, monkeypatch):
    here = cluster._versions()
    versions = iter([{**here, "numpy": "9.9"}])
    monkeypatch.setattr(cluster, "_versions", lambda: next(versions, here))
    text = rf"^worker inproc://\S+: expected numpy 9.9, as where .*, found {here['numpy']}$"
    with pytest.raises(BadInput, match=text):
        run_on_cluster(client, [partial(int, 1)], workers=1, done=lambda _: None)


def test_a_worker_that_does_not_find_the_store_says_so(client, tmp_path):
    text = (
        rf"^worker \S+: expected the store {tmp_path}, found none there\. The store must be on a "
        "file system that all machines of the cluster share"
    )
    with pytest.raises(BadInput, match=text):
        run_on_cluster(client, [partial(Store.open, tmp_path)], workers=1, done=lambda _: None)


def test_what_is_no_client_is_refused():
    with pytest.raises(BadInput, match=r"^executor: expected a name, or .*, found .* type int$"):
        choose_executor(3)


def test_no_address_and_no_scheduler_are_one_line(monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.3)
    with (
        pytest.raises(BadInput, match=r"^scheduler: expected an address .*, found 'somewhere'$"),
        connected("somewhere"),
    ):
        pytest.fail("connected")
    with (
        pytest.raises(MachineFailed, match=r"^tcp://127\.0\.0\.1:9: no Dask scheduler answers"),
        connected("127.0.0.1:9"),
    ):
        pytest.fail("connected")
    assert logging.getLogger("distributed").level != logging.CRITICAL


def test_a_client_that_could_not_connect_is_gone_at_once(monkeypatch):
    # Collected while another client starts, it would wait forever for that one's lock.
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.3)
    errors = []
    gc.disable()
    try:
        for address in ("somewhere", "127.0.0.1:9"):
            try:
                with connected(address):
                    pytest.fail("connected")
            except (BadInput, MachineFailed) as error:
                errors.append(error)
        left = [one for one in gc.get_objects() if type(one) is Client and one.status != "running"]
    finally:
        gc.enable()
    assert len(errors) == 2
    assert not left


def test_errors_of_the_work_are_not_those_of_the_connection(client):
    with pytest.raises(OSError, match="mine"), connected(client.scheduler.address):
        raise OSError("mine")
    with pytest.raises(ValueError, match="mine"), connected(client.scheduler.address):
        raise ValueError("mine")


# Machines that are lost ---------------------------------------------------------------------


def begin(*words):
    """Start a program of Dask."""
    return subprocess.Popen(
        [sys.executable, "-m", *words, "--no-dashboard"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler with two workers, as processes: its address, and all of them."""
    file = tmp_path / "scheduler.json"
    words = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
    all_ = [begin("distributed.cli.dask_scheduler", *words)]
    worker = ["distributed.cli.dask_worker", "--scheduler-file", str(file), "--no-nanny"]
    all_ += [begin(*worker, "--nthreads", "1", "--name", str(i)) for i in range(2)]
    try:
        with Client(scheduler_file=str(file), timeout=30, set_as_default=False) as waiting:
            waiting.wait_for_workers(2, timeout=60)
            address = waiting.scheduler.address
        yield address, all_
    finally:
        for process in all_:
            process.kill()
            process.wait()


def end_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _allow_no_failure(dask_scheduler) -> None:
    dask_scheduler.allowed_failures = 0


@pytest.mark.slow
def test_lost_machines(scheduler, small, small_foil, take_snapshot, tmp_path, monkeypatch):
    """First a worker in the middle of a search, then one at its own task, then the scheduler."""
    address, processes = scheduler
    monkeypatch.setattr(stage, "_BATCH", 1)
    calm = Store.open(shutil.copytree(small.path, tmp_path / "calm"))
    expected = find(calm, small_foil.scan.name, executor="inline")
    done = []

    def lose_worker(units):
        done.append(units)
        if len(done) == 3:
            processes[1].kill()

    with connected(address) as client:
        report = find(small, small_foil.scan.name, executor=client, progress=lose_worker)
        assert (report, len(done)) == (expected, 10)
        assert take_snapshot(small.path) == take_snapshot(calm.path)

        client.run_on_scheduler(_allow_no_failure)
        text = r"^every worker that began one piece was lost \(1 of them\), .* the work goes on\.$"
        with pytest.raises(MachineFailed, match=text):
            run_on_cluster(client, [end_worker], workers=1, done=done.append)

        threading.Timer(0.5, processes[0].kill).start()
        begun = time.monotonic()
        text = r"^the Dask scheduler was lost, .*repeat, and the work goes on\.$"
        with pytest.raises(MachineFailed, match=text):
            run_on_cluster(client, [partial(int, 0)], workers=1, done=done.append)
        assert time.monotonic() - begun < 10


@pytest.mark.slow
def test_a_search_whose_workers_and_scheduler_are_killed_gives_the_same_bytes():
    script = Path(__file__).parents[3] / "benchmarks" / "chaos.py"
    words = ["--columns", "3", "--rows", "2", "--workers", "2", "--every", "3", "--size", "0"]
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^6 pieces .*, the scheduler once, .* 1 repetitions", done.stdout, re.M)
    assert done.stdout.endswith("the same bytes as without\n")
