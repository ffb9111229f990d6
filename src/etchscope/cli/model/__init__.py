"""Commands `model …`."""

import typer

from etchscope.cli.model import calibrate, distil, export, import_model, ls, rm, show, working_point

__all__ = ["app"]

app = typer.Typer(
    name="model",
    help="Models: list, show, hand on, calibrate, distil, choose a working point.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command("ls")(ls.command)
app.command("show")(show.command)
app.command("export")(export.command)
app.command("import")(import_model.command)
app.command("rm")(rm.command)
app.command("calibrate")(calibrate.command)
app.command("distil")(distil.command)
app.command("working-point")(working_point.command)
