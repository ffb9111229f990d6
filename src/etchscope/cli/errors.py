"""Errors of the Python API in the words of the command line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from etchscope.foil import BadInput

__all__ = ["name_options"]


@contextmanager
def name_options(options: Mapping[str, str]) -> Iterator[None]:
    """Name the option in an error that names a parameter of the Python API.

    Parameters
    ----------
    options : what the error names → the option that sets it.

    Raises
    ------
    BadInput : the error that was raised inside, of the same class, under the option's name.

    Examples
    --------
    >>> with name_options({"name of a model": "--name"}):
    ...     raise BadInput("name of a model", "letters or digits", "'a b'")
    Traceback (most recent call last):
    ...
    etchscope.foil.errors.BadInput: --name: expected letters or digits, found 'a b'
    """
    try:
        yield
    except BadInput as error:
        if error.where not in options:
            raise
        where = options[error.where]
        raise type(error)(where, error.expected, error.found, error.hint) from error
