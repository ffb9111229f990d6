"""Commands `runs …`."""

import typer

from etchscope.cli.runs import ls, rm

__all__ = ["app"]

app = typer.Typer(
    name="runs",
    help="Runs: list what was searched and scored, remove what is no longer needed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command("ls")(ls.command)
app.command("rm")(rm.command)
