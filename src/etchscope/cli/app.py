"""The command line: one list of commands, one place where an error becomes an exit status."""

import errno
import logging
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from etchscope.cli import align, analyse, data, demo, judge, label, learn, model, runs, simulate
from etchscope.cli.hints import hint_of
from etchscope.foil import EtchscopeError

__all__ = ["app", "main"]

_INTERRUPTED = 130
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

app = typer.Typer(
    name="etchscope",
    help="From microscope scans of etched plastic track detectors to a table of pits.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_GROUPS = (
    demo.COMMANDS,
    data.COMMANDS,
    simulate.COMMANDS,
    analyse.COMMANDS,
    learn.COMMANDS,
    align.COMMANDS,
    judge.COMMANDS,
)
_COMMANDS: dict[str, Callable[..., None]] = {}
for _group in _GROUPS:
    _COMMANDS |= _group
for _name, _command in _COMMANDS.items():
    app.command(name=_name)(_command)
app.add_typer(label.app)
app.add_typer(model.app)
app.add_typer(runs.app)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"etchscope {version('etchscope')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    # tifffile logs what it then raises; without a handler Python prints that to stderr.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; errors go to stderr, one line each.

    0: done. 2: wrong usage or bad input. 1: the machine failed. 130: interrupted.

    Parameters
    ----------
    arguments : the words after the program's name; those of the process unless given.
    """
    try:
        app(args=None if arguments is None else list(arguments), prog_name="etchscope")
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # Typer turns Ctrl-C into it, and says nothing
            return _failed("interrupted; the same command again goes on or starts anew", end.code)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except EtchscopeError as error:
        hint = hint_of(error)
        return _failed(f"{error}. {hint}" if hint else str(error), error.exit_status)
    except MemoryError:
        return _failed("the machine has not enough memory", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        is_input = isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError)
        status = 2 if is_input or isinstance(error, IsADirectoryError | FileExistsError) else 1
        hint = "; free some space and repeat" if error.errno in _FULL else ""
        return _failed(f"{where}{error.strerror or error}{hint}", status)
    return 0


def _failed(text: str, status: int) -> int:
    typer.echo(f"Error: {' '.join(text.split())}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
