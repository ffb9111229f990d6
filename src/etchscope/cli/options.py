"""Options that several commands have, and options that are made from settings."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import typer

from etchscope.foil import BadInput

__all__ = [
    "DeviceName",
    "ExecutorName",
    "Json",
    "LayoutName",
    "MaskFile",
    "MontageColumns",
    "MontageRows",
    "NoMask",
    "OfFoil",
    "OfScan",
    "OfTile",
    "OptionalStore",
    "PixelSize",
    "Region",
    "StorePath",
    "Where",
    "make_settings",
    "settings_options",
]

_Settings = TypeVar("_Settings")


def _locate(text: str) -> Path:
    if not text.startswith("postgres"):
        return Path(text)
    from etchscope.api.addresses import locate_store  # slow, and not needed for a folder

    return locate_store(text)


StorePath = Annotated[
    Path,
    typer.Argument(
        metavar="STORE",
        help="The store's folder, or postgresql:// and the address of its catalogue.",
        parser=_locate,
    ),
]


OptionalStore = Annotated[
    Path | None,
    typer.Argument(
        metavar="STORE",
        help="A store whose selected candidates are counted; none if they are stated.",
        parser=_locate,
    ),
]


Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]


LayoutName = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="NAME",
        help="How the pictures lie in their files: smartscope, pictures, montage, plain, or the "
        "name of a plugin.",
    ),
]

MontageRows = Annotated[int | None, typer.Option(min=1, help="Number of rows of a montage.")]
MontageColumns = Annotated[int | None, typer.Option(min=1, help="Number of columns of a montage.")]
PixelSize = Annotated[float | None, typer.Option(help="Size of a pixel in micrometres.")]


DeviceName = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(
        "--device",
        help="Where networks compute: cpu, cuda (a GPU), or auto (a GPU only to train a finder, "
        "where there is one).",
    ),
]


ExecutorName = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What does the work in parallel: threads, processes, inline (one after the other), or "
        "that of an installed package.",
    ),
]
Where = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="SQL condition on the columns of `ls --tiles`."),
]


OfFoil = Annotated[str | None, typer.Option("--foil", help="Only tiles of this foil.")]


OfScan = Annotated[str | None, typer.Option("--scan", help="Only tiles of this scan.")]


OfTile = Annotated[int | None, typer.Option("--tile", help="Only tiles of this number.")]


Region = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="JSON polygon [[x, y], …] in foil mm: use only what lies inside."
    ),
]


MaskFile = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="FILE",
        help="Area to search: JSON polygons, in foil mm or, without a scale, in px; or a picture "
        "that is white where to search. It is kept with the scan.",
    ),
]


NoMask = Annotated[
    bool, typer.Option("--no-mask", help="Remove the scan's mask and search the whole scan.")
]


def settings_options(parameter: str, settings: type) -> Callable[[Callable[..., None]], Any]:
    """Return a decorator that puts one option per setting in the place of a command's parameter.

    A setting is an option if it has a description: ``Field(description=…)`` of a pydantic model,
    ``field(metadata={"description": …})`` of a dataclass. The description and the default are the
    help of the option. ``parameter`` receives a mapping of the settings that were given, by name.

    Parameters
    ----------
    parameter : name of the command's parameter.
    settings : a pydantic model or a dataclass.
    """
    options = _options_of(settings)

    def decorated(command: Callable[..., None]) -> Any:
        signature = inspect.signature(command)
        place = list(signature.parameters).index(parameter)
        shown = [p for name, p in signature.parameters.items() if name != parameter]
        shown[place:place] = options

        def with_options(**given: Any) -> None:
            values = {o.name: given.pop(o.name) for o in options}
            chosen = {name: value for name, value in values.items() if value is not None}
            command(**given, **{parameter: chosen})

        with_options.__doc__ = command.__doc__
        with_options.__name__ = command.__name__
        with_options.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
        with_options.__annotations__ = {p.name: p.annotation for p in shown}
        return with_options

    return decorated


def _options_of(settings: type) -> list[inspect.Parameter]:
    """Return the options of a class of settings, in the order of its fields."""
    out = []
    for name, kind, default, description in _described(settings):
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        text = f"{description.removesuffix('.')} [{shown}]."
        annotation = Annotated[kind | None, typer.Option(help=text)]  # type: ignore[valid-type]
        out.append(
            inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation
            )
        )
    return out


def _described(settings: type) -> list[tuple[str, Any, Any, str]]:
    """Return name, type, default and description of the settings that have a description."""
    if is_dataclass(settings):
        hints = get_type_hints(settings)
        return [
            (f.name, hints[f.name], f.default, f.metadata["description"])
            for f in fields(settings)
            if f.default is not MISSING and "description" in f.metadata
        ]
    return [
        (name, field.annotation, field.default, field.description)
        for name, field in settings.model_fields.items()  # type: ignore[attr-defined]
        if field.description is not None
    ]


def make_settings(settings: type[_Settings], values: Mapping[str, Any]) -> _Settings:
    """Return validated settings, a pydantic model's.

    Raises
    ------
    BadInput : a value out of range; the error names its option.
    """
    from pydantic import ValidationError

    try:
        return settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        # An error of several options at once has no place, but begins with the name of one.
        name = str(first["loc"][0]) if first["loc"] else expected.split()[0]
        expected = expected.replace(f"{name} must ", "it to ")
        fields_of = settings.model_fields  # type: ignore[attr-defined]
        default = f"its default, {fields_of[name].default!r}"
        found = repr(values[name]) if name in values else default
        raise BadInput("--" + name.replace("_", "-"), expected, found) from error
