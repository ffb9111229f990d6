import os

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
