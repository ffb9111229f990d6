import os
import subprocess
import sys

from etchscope.foil import count_usable_cores


def test_the_cores_that_the_process_may_use_count():
    assert count_usable_cores() >= 1
    if hasattr(os, "sched_getaffinity"):
        assert count_usable_cores() == len(os.sched_getaffinity(0))


def test_where_the_system_does_not_say_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert count_usable_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert count_usable_cores() == 1


def test_threads_find_the_table_of_types_of_numba_complete():
    script = (
        "import numba\n"
        "from numba.core.typing.typeof import typeof_impl\n"
        "from etchscope.foil.machine import make_thread_pool\n"
        "with make_thread_pool(2) as pool:\n"
        "    before = set(typeof_impl.registry)\n"
        "    pool.submit(numba.njit(lambda x: x + 1), 1).result()\n"
        "assert set(typeof_impl.registry) == before\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
