import errno
import logging
import os
import re
import signal
import socket
import threading
import time

import pytest

from etchscope.files import locks
from etchscope.files.locks import hold_lock, is_held, lock_folder
from etchscope.foil import BadInput, Busy

WHAT = "run find-1 of scan F1"
WHO = (
    rf"process {os.getpid()} on {re.escape(socket.gethostname())}, "
    r"at it since \d{4}-\d\d-\d\d \d\d:\d\d[+-]\d\d:\d\d"
)


def wait_for(is_true, what):
    for _ in range(1000):
        if is_true():
            return
        time.sleep(0.005)
    pytest.fail(f"never: {what}")


class Waiting(threading.Thread):
    """Somebody who takes a lock, and holds it until ``leave`` is set."""

    def __init__(self, path, **how):
        super().__init__(daemon=True)
        self.path, self.how, self.lock, self.leave = path, how, None, threading.Event()

    def run(self):
        with hold_lock(self.path, WHAT, **self.how) as self.lock:
            assert self.leave.wait(10)


def test_the_second_waits_says_for_whom_and_knows_it(tmp_path, caplog):
    path = tmp_path / ".a.lock"
    second = Waiting(path)
    with caplog.at_level(logging.WARNING), hold_lock(path, WHAT) as lock:
        assert (lock.is_held, lock.has_waited, is_held(path)) == (True, False, True)
        second.start()
        wait_for(lambda: caplog.messages, "a line that says who is at it")
        assert second.lock is None
    wait_for(lambda: second.lock, "the lock of the second")
    assert (second.lock.is_held, second.lock.has_waited, is_held(path)) == (True, True, True)
    second.leave.set()
    second.join()
    (line,) = caplog.messages
    assert re.fullmatch(f"{WHAT}: waiting for {WHO}", line)
    assert list(tmp_path.iterdir()) == []


def test_many_hold_it_one_after_the_other(tmp_path):
    inside, most = [0], [0]

    def enter():
        for _ in range(20):
            with hold_lock(tmp_path / ".a.lock", WHAT):
                inside[0] += 1
                most.append(inside[0])
                time.sleep(0.0005)
                inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (max(most), len(most)) == (1, 121)
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_wait_is_told_at_once(tmp_path):
    with hold_lock(tmp_path / "l", WHAT), pytest.raises(Busy) as refused:
        hold_lock(tmp_path / "l", WHAT, wait=False).__enter__()
    assert re.fullmatch(rf"{WHAT} is taken by {WHO}; repeat later\.", str(refused.value))
    assert refused.value.exit_status == 1
    with hold_lock(tmp_path / "l", WHAT, wait=False) as lock:
        assert lock.is_held


def test_other_work_under_the_same_lock_is_named(tmp_path):
    with hold_lock(tmp_path / "l", "adding scan F1"), pytest.raises(Busy) as refused:
        hold_lock(tmp_path / "l", "removing", wait=False).__enter__()
    assert re.search(r"removing is taken by process .* at adding scan F1 since", str(refused.value))


def test_a_killed_holder_lets_go_and_is_not_believed(tmp_path, caplog):
    path = tmp_path / "l"
    child = os.fork()
    if not child:
        with hold_lock(path, WHAT):
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert path.exists()
    assert not is_held(path)
    with hold_lock(path, WHAT) as lock:
        assert (lock.is_held, lock.has_waited) == (True, False)
    assert caplog.messages == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_the_waiting(tmp_path):
    path = tmp_path / "l"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # dask_jobqueue has its own
    try:
        with hold_lock(path, WHAT):
            main = threading.main_thread().ident
            threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
            with pytest.raises(KeyboardInterrupt):
                hold_lock(path, WHAT).__enter__()
            assert path.exists()
    finally:
        signal.signal(signal.SIGINT, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_used_without(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with hold_lock(tmp_path / "l", WHAT) as one, hold_lock(tmp_path / "l", WHAT) as two:
        assert [(lock.is_held, lock.has_waited) for lock in (one, two)] == [(False, False)] * 2
        assert list(tmp_path.iterdir()) == []
    with lock_folder(tmp_path) as is_locked:
        assert not is_locked


def test_a_failing_disk_is_no_missing_lock(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(locks.fcntl, "flock", fail)
    with pytest.raises(OSError, match="Input/output"):
        hold_lock(tmp_path / "l", WHAT).__enter__()


def test_a_kept_file_is_as_it_was(tmp_path):
    path = tmp_path / ".lock"
    path.touch()
    with hold_lock(path, WHAT, keep=True):
        assert b"process" in path.read_bytes()
    assert path.read_bytes() == b""


def test_a_link_to_another_file_is_refused_and_that_file_stays(tmp_path):
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "l").symlink_to(tmp_path / "thesis")
    with pytest.raises(BadInput, match="the file of a lock, found a link"):
        hold_lock(tmp_path / "l", WHAT).__enter__()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BadInput, match="no regular file"):
        hold_lock(tmp_path / "fifo", WHAT).__enter__()
    assert not is_held(tmp_path / "l")
    assert (tmp_path / "thesis").read_text() == "years of work"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[1]", b'{"process": 1}', b"[" * 900, b'{"process":{"a":1}}']
)
def test_words_that_are_none_are_another_process(tmp_path, content):
    with hold_lock(tmp_path / "l", WHAT):
        (tmp_path / "l").write_bytes(content)
        with pytest.raises(Busy, match=rf"{WHAT} is taken by another process;"):
            hold_lock(tmp_path / "l", WHAT, wait=False).__enter__()
