import sys

from etchscope.cli.progress import progress_bar


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


def test_silent_where_stderr_is_no_terminal(capsys):
    with progress_bar("Adding x", total=3) as bar:
        bar.advance()
        bar.advance(2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_how_far_it_is(monkeypatch):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("Adding x") as bar:
        bar.total(3)
        bar.advance(2)
    assert "Adding x" in terminal.text
    assert "2/3" in terminal.text
