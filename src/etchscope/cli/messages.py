"""What several commands print."""

import json
from typing import Any

import typer

__all__ = ["echo_json"]


def echo_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))
