import builtins
import subprocess
import sys

import pytest

from etchscope.cli import entry


def test_ctrl_c_while_loading_is_one_line(monkeypatch, capsys):
    real = builtins.__import__

    def interrupted(name, *rest):
        if name == "etchscope.cli.app":
            raise KeyboardInterrupt
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", interrupted)
    assert entry.main() == 130
    assert capsys.readouterr().err == "Error: interrupted\n"


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_the_entry_runs_the_command_line(monkeypatch, capsys, word):
    monkeypatch.setattr("sys.argv", ["etchscope", word])
    assert entry.main() == 0
    assert "etchscope" in capsys.readouterr().out.lower()


def test_python_m_runs_the_command_line():
    words = [sys.executable, "-m", "etchscope", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("etchscope ")
