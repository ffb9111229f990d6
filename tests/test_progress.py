import sys

import pytest

from etchscope.progress import ProgressBars, progress_bar, watch, watch_steps


class Terminal:
    """A stderr that claims to be a terminal, and remembers."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


class Clock:
    """A clock that stands still unless it is moved on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_short_work_writes_nothing_in_a_log(capsys):
    with progress_bar("Adding x", total=3) as bar:
        bar.advance()
        bar.advance(2)
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_a_line_every_tenth_with_rate_and_remaining_time(capsys):
    clock = Clock()
    with progress_bar("Adding x", clock=clock) as bar:
        bar.total(2000)
        for _ in range(2000):
            clock.seconds += 0.05
            bar.advance()
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 10
    assert lines[0] == "Adding x: 200 of 2,000, 20 per second, 1 min 30 s left"
    assert lines[-1] == "Adding x: 2,000 of 2,000, 20 per second"
    assert err.isprintable() is False
    assert all(line.isprintable() for line in lines)


def test_a_log_of_slow_work_gets_a_line_every_half_minute(capsys):
    clock = Clock()
    with progress_bar("Training", total=1000, clock=clock) as bar:
        for _ in range(20):
            clock.seconds += 10
            bar.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[0] == "Training: 3 of 1,000, 0.1 per second, 2 h 46 min left"


@pytest.mark.parametrize("total", [None, 5])
def test_a_log_of_fast_work_gets_a_line_a_second_at_most(capsys, total):
    clock = Clock()
    with progress_bar("Adding x", total=total, clock=clock) as bar:
        for _ in range(5):
            clock.seconds += 0.9
            bar.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (0 if total is None else 3)


def test_a_terminal_sees_how_far_it_is(monkeypatch):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("Adding x") as bar:
        bar.total(3)
        bar.advance(2)
    assert "Adding x" in terminal.text
    assert "2/3" in terminal.text


def test_bars_follow_each_other(monkeypatch):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBars() as progress:
        progress("Drawing", 1, 4)
        progress("Drawing", 2, 4)
        progress("Training", 5, 9)
    assert terminal.text.index("3/4") < terminal.text.index("5/9")


def test_work_is_silent_unless_it_is_watched(capsys):
    with watch(False, "Searching", 2) as bar:
        bar.advance(2)
    with watch_steps(False) as step:
        step("Searching", 2, 2)
    assert capsys.readouterr() == ("", "")


def test_a_function_may_watch():
    calls = []
    with watch(lambda *call: calls.append(call), "Searching") as bar:
        bar.advance()
        bar.total(3)
        bar.advance(2)
    with watch_steps(lambda *call: calls.append(call)) as step:
        step("Scoring", 1, 3)
    assert calls == [("Searching", 1, 0), ("Searching", 2, 3), ("Scoring", 1, 3)]


def test_bars_may_watch(monkeypatch):
    shown = []
    monkeypatch.setattr("etchscope.progress._LogBar.advance", lambda bar, n: shown.append(n))
    with watch(True, "Searching", 2) as bar:
        bar.advance(2)
    with watch_steps(True) as step:
        step("Searching", 3, 3)
    assert shown == [2, 3]
