import errno
import re
import subprocess
import sys

import pytest
import typer.main

from etchscope.cli import app as app_module
from etchscope.cli import entry
from etchscope.cli.app import main
from etchscope.foil import MachineFailed
from etchscope.store import Store


def test_help_lists_every_command_and_each_has_an_example(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    for name in app_module._COMMANDS:
        assert f"\n  {name} " in listed
    for name in set(app_module._COMMANDS) - {"label", "model", "runs"}:
        assert main([name, "--help"]) == 0
        assert f"Example: etchscope {name} " in capsys.readouterr().out


def test_the_list_of_commands_says_what_each_says_itself():
    for name, (_, text) in app_module._COMMANDS.items():
        help_text = typer.main.get_command(app_module.app).commands[name].help
        assert text == " ".join(help_text.split("\n\n")[0].split())


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_what_lists_commands_imports_none_of_them(word):
    code = (
        "import sys; from etchscope.cli.app import main; status = main([sys.argv[1]]); "
        "heavy = {'numpy', 'pandas', 'torch', 'scipy', 'sqlalchemy'} & set(sys.modules); "
        "sys.exit(status or ', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("etchscope 0.")


@pytest.mark.parametrize(
    "words", [["nonsense"], ["add"], ["init", "--odd"], ["add", "s", "p", "--rows", "0"]]
)
def test_wrong_usage_is_status_2_on_stderr(words, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rm", "store", "a" * 5000], "Got unexpected extra argument"),
        (["init", "store", *["word"] * 2000], "Got unexpected extra argument"),
        (["rm", "store", "a\n" * 2500], "Got unexpected extra argument"),
        (["a" * 5000], "No such command"),
        (["--" + "a" * 5000], "No such option"),
        (["ls", "--" + "a" * 5000], "No such option"),
        (["label", "a" * 5000], "No such command"),
        (["label", "export", "store", "file", "b" * 5000], "Got unexpected extra argument"),
    ],
)
def test_wrong_usage_repeats_little_of_a_long_argument(words, says, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert says in err
    assert len(err) < 800
    assert err.count("\n") <= 4
    assert not re.search(r"(.)\1{200}", err)


def test_a_group_without_a_command_shows_its_whole_help(capsys):
    main(["label"])
    out, err = capsys.readouterr()
    assert "import" in out + err
    assert "…" not in out + err


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (MachineFailed("adding: full"), 1, "Error: adding: full\n"),
        (OSError(errno.ENOSPC, "No space left", "/s"), 1, "Error: /s: No space left; free some"),
        (OSError(errno.EDQUOT, "Quota exceeded", "/s"), 1, "Error: /s: Quota exceeded; free some"),
        (OSError(errno.ECONNRESET, "Reset"), 1, "Error: Reset\n"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/s"),
            2,
            "Error: /s: Permission denied",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file", "/s"), 2, "Error: /s: No such file"),
        (MemoryError(), 1, "Error: the machine has not enough memory\n"),
        (
            KeyboardInterrupt(),
            130,
            "Error: interrupted; the same command again goes on or starts anew\n",
        ),
    ],
)
def test_expected_errors_are_one_line_and_a_status(monkeypatch, capsys, error, status, text):
    def fail(*_: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr("etchscope.store.Store.create", fail)
    assert main(["init", "x"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(text)
    assert err.count("\n") <= 1


def fail(*_: object, **_named: object) -> None:
    raise ZeroDivisionError("a bug\nof two lines")


def test_an_unforeseen_error_is_one_line_and_its_traceback_is_in_a_log(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr("etchscope.store.Store.create", fail)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert [main(["init", "x"]), main(["init", "y"])] == [1, 1]
    log = tmp_path / "state" / "etchscope" / "errors.log"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert f"Error: unforeseen ZeroDivisionError: a bug; the details are in {log}" in lines[0]
    assert log.read_text().count("Traceback (most recent call last)") == 2
    assert "of two lines" in log.read_text()


def test_an_unforeseen_error_without_a_place_for_a_log_is_still_one_line(
    monkeypatch, capsys, tmp_path
):
    (tmp_path / "file").touch()
    monkeypatch.setattr("etchscope.store.Store.create", fail)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file"))
    for name in ("XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "file"))
    assert main(["init", "x"]) == 1
    assert "no log could be written" in capsys.readouterr().err


def test_debugging_shows_the_traceback(monkeypatch):
    monkeypatch.setattr("etchscope.store.Store.create", fail)
    monkeypatch.setenv("ETCHSCOPE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["init", "x"])


def test_the_process_ends_with_the_status(tmp_path):
    words = [sys.executable, "-m", app_module.__name__, "ls", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {tmp_path}: expected a store")


def test_windows_is_refused_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    assert entry.main() == 1
    assert capsys.readouterr().err == "Error: Etchscope needs Linux or macOS; on Windows use WSL\n"


UNLISTED = {"torch", "matplotlib", "dask", "numba", "cv2", "rich", "scipy", "zarr"}
LIGHT = {"numpy", "pandas", "scipy", "sqlalchemy", "torch", "matplotlib", "rich"}


@pytest.mark.parametrize(
    ("lines", "unused"),
    [
        (
            [[name, "--help"] for name in [*app_module._COMMANDS, "model working-point"]],
            LIGHT,
        ),
        ([[name, "STORE"] for name in ("ls", "runs ls", "model ls", "label ls")], UNLISTED),
    ],
    ids=["help", "lists"],
)
def test_help_and_lists_load_no_heavy_package(lines, unused, tmp_path):
    Store.create(tmp_path / "store")
    words = [
        [*name.split(), last.replace("STORE", str(tmp_path / "store"))] for name, last in lines
    ]
    # One process for all: what none of them has loaded at the end, none has loaded at all.
    code = (
        f"import sys; from etchscope.cli.app import main\nfor words in {words!r}:\n"
        f"    status = main(words); heavy = {unused!r} & set(sys.modules)\n"
        "    if status or heavy: sys.exit(f'{words}: status {status}, {heavy}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
