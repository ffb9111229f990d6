"""The command line: one list of commands, one place where an error becomes an exit status.

Only what a command needs is imported, so that help and completion are there at once.
"""

import errno
import re
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["app", "main"]

_INTERRUPTED = 130
_LONGEST = 700  # characters of a message with its hints
_LONGEST_USAGE = 400  # characters of what is wrong with the usage, which follows the usage itself
_LONGEST_WORD = 200
_UsageError: Any = typer.BadParameter.__base__
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

_COMMANDS = {
    "demo": (
        "demo",
        "Draw a foil with known signal, scan it, rank its candidates and report how well it went.",
    ),
    "init": ("init", "Make an empty store."),
    "add": ("add", "Add scans to a store, each of them whole or not at all."),
    "ls": ("ls", "List the scans of a store, or their tiles."),
    "rm": ("rm", "Remove tiles, or whole scans, with all runs and fits that came from them."),
    "exclude": ("exclude", "Exclude tiles from all later steps; nothing is copied or deleted."),
    "include": ("include", "Include tiles that were excluded."),
    "check": (
        "check",
        "Read all of a store and list what is damaged or left over; exit status 2 if damaged.",
    ),
    "compress": (
        "compress",
        "Replace ground far from all found pits by its background; adding the scan again restores "
        "it.",
    ),
    "migrate": (
        "migrate",
        "Bring a store of an earlier version up to date; its old catalogue is kept.",
    ),
    "simulate": (
        "simulate",
        "Draw foils with known pits and photograph them as the microscope would.",
    ),
    "find": (
        "find",
        "Find the pits of a store's scans, or directly of a scan directory or of pictures.",
    ),
    "export": ("export", "Write the pit table of a store's latest runs to a file."),
    "train": ("train", "Train a model on the store's labels and keep it in the store."),
    "run": ("run", "Find the pits, score them with a model, and select candidates."),
    "candidates": (
        "candidates",
        "List the candidates of scored runs, sorted by score, with pictures on request.",
    ),
    "inject": (
        "inject",
        "Put signal into copies of a scan's tiles, and measure what the search finds of it.",
    ),
    "align": ("align", "Bring sides and foils of a stack into one frame, from their pits alone."),
    "evaluate": (
        "evaluate",
        "Compare found pits with true ones: efficiency and purity, beside their chance level.",
    ),
    "limit": (
        "limit",
        "Set limits on the number, the fluence and the flux of particles, by three methods.",
    ),
    "map": (
        "map",
        "Map the density of pits over a scan, with its interval and where it is not known.",
    ),
    "stars": ("stars", "Find stars among found pits: several tracks from one vertex."),
    "show": (
        "show",
        "Show a place: raw and cleaned pictures, and animations over lamps and maps.",
    ),
    "anomalies": (
        "anomalies",
        "List and map the places that neither the background nor a found pit explains.",
    ),
    "report": ("report", "Write figures and one HTML page of a run."),
    "label": (
        "label",
        "Labels: import, export, count, compare (see `etchscope label import --help`).",
    ),
    "model": (
        "model",
        "Models: list, show, hand on, calibrate, distil, choose a working point.",
    ),
    "runs": ("runs", "Runs: list what was searched and scored, remove what is no longer needed."),
}
"""Name on the command line → module of ``etchscope.cli``, and the line in the list of commands."""


class _Commands(MutableMapping[str, Any]):
    """The commands, each imported when it is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            module = import_module(f"etchscope.cli.{_COMMANDS[name][0]}")
            one = getattr(module, "app", None) or _app_of(name, module.command)
            self._loaded[name] = typer.main.get_command(one)
            self._loaded[name].name = name
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


def _app_of(name: str, command: Callable[..., None]) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(name=name)(command)
    return app


@contextmanager
def _shorten_usage_errors() -> Iterator[None]:
    """Shorten what an error of wrong usage repeats of the arguments."""
    from etchscope.foil.errors import shorten

    try:
        yield
    except _UsageError as error:
        if error.ctx is None or error.message != error.ctx.get_help():  # no error but the help
            words = re.sub(r"\S+", lambda word: shorten(word[0], _LONGEST_WORD), error.message)
            error.message = shorten(words, _LONGEST_USAGE)
        raise


class _Group(TyperGroup):
    """The program: a group whose list of commands imports none of them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()

    def make_context(self, *given: Any, **named: Any) -> Any:
        with _shorten_usage_errors():
            return super().make_context(*given, **named)

    def invoke(self, ctx: Any) -> Any:
        with _shorten_usage_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = formatter.width - 6 - max(map(len, _COMMANDS))
        rows = [
            (name, TyperCommand(name, help=text).get_short_help_str(width))
            for name, (_, text) in _COMMANDS.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


app = typer.Typer(
    cls=_Group,
    name="etchscope",
    help="From microscope scans of etched plastic track detectors to a table of pits.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    """Take the options of the whole program, which act by their callbacks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; errors go to stderr, one line each.

    0: done. 2: wrong usage or bad input. 1: the machine failed, or an error that nobody foresaw,
    whose details are in a log. 130: interrupted.

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
    except MemoryError:
        return _failed("the machine has not enough memory", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        is_input = isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError)
        status = 2 if is_input or isinstance(error, IsADirectoryError | FileExistsError) else 1
        hint = "; free some space and repeat" if error.errno in _FULL else ""
        return _failed(f"{where}{error.strerror or error}{hint}", status)
    except Exception as error:
        from etchscope.cli.hints import hint_of
        from etchscope.cli.unforeseen import describe_unforeseen
        from etchscope.foil import EtchscopeError, name_extra
        from etchscope.foil.debugging import is_debugging

        if isinstance(error, ModuleNotFoundError):
            error = name_extra(error)
        if not isinstance(error, EtchscopeError):
            if is_debugging():
                raise
            return _failed(describe_unforeseen(error), 1)
        hint = hint_of(error)
        return _failed(f"{error}. {hint}" if hint else str(error), error.exit_status)
    return 0


def _failed(text: str, status: int) -> int:
    from etchscope.foil.errors import shorten

    line = shorten(" ".join(text.split()), _LONGEST)
    typer.echo(f"Error: {line}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
