"""Packages that only extras of the installation bring, such as ``etchscope[learn]``."""

from importlib.util import find_spec

from etchscope.foil.errors import MissingExtra

__all__ = ["EXTRAS", "name_extra", "require_package"]

EXTRAS = {
    "torch": "learn",
    "sklearn": "learn",
    "cleanlab": "learn",
    "uproot": "root",
    "onnx": "onnx",
    "optuna": "tune",
    "dask": "cluster",
    "distributed": "cluster",
    "psycopg": "postgresql",
    "obstore": "cloud",
}
"""Name of a package, as it is imported → the extra that brings it, see ``pyproject.toml``."""


def require_package(package: str) -> None:
    """Return if an optional package is installed; it is not imported.

    Parameters
    ----------
    package : one of ``EXTRAS``.

    Raises
    ------
    MissingExtra : the package is not installed.
    """
    if find_spec(package) is None:
        raise MissingExtra(package, EXTRAS[package])


def name_extra(error: ModuleNotFoundError) -> ModuleNotFoundError | MissingExtra:
    """Return the error that names the extra to install, or the given one for other packages.

    Parameters
    ----------
    error : what an import raised.
    """
    if error.name is None:
        return error
    package = error.name.partition(".")[0]
    return MissingExtra(package, EXTRAS[package]) if package in EXTRAS else error
