"""Commands `label …`."""

import typer

from etchscope.cli.label import conflicts, export, from_coincidence, import_labels, ls

__all__ = ["app"]

app = typer.Typer(
    name="label",
    help="Labels: import, export, count, compare (see `etchscope label import --help`).",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command("import")(import_labels.command)
app.command("export")(export.command)
app.command("ls")(ls.command)
app.command("conflicts")(conflicts.command)
app.command("from-coincidence")(from_coincidence.command)
