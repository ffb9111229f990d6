"""Types of columns that hold the same values, in the same order, in every database."""

from typing import Any

from sqlalchemy import BigInteger, Dialect, Double, Integer, String
from sqlalchemy.types import TypeDecorator

from etchscope.foil import BadInput

__all__ = ["AlteredCell", "Real", "Text", "Whole"]


class AlteredCell(ValueError):
    """A cell holds a value of another type than its column, which SQLite allows."""

    def __init__(self, expected: str, found: object) -> None:
        super().__init__(f"{found!r:.100} where {expected} should be")


class Whole(TypeDecorator[int]):
    """Whole numbers of 64 bits; SQLite numbers rows by itself only where the type is INTEGER."""

    impl = BigInteger().with_variant(Integer, "sqlite")
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Return the number.

        Raises
        ------
        AlteredCell : it is none.
        """
        if value is None or isinstance(value, int):
            return value
        raise AlteredCell("a whole number", value)


class Text(TypeDecorator[str]):
    """Text in the order of its code points, as SQLite has it; PostgreSQL has that of a language."""

    impl = String().with_variant(String(collation="C"), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return the text.

        Raises
        ------
        BadInput : it has a NUL, which PostgreSQL cannot hold, or is no Unicode.
        """
        if isinstance(value, str):
            is_unicode = value.encode("utf-8", "replace").decode() == value
            if "\x00" in value or not is_unicode:
                raise BadInput("a text for the catalogue", "Unicode without NUL", repr(value[:100]))
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Return the text.

        Raises
        ------
        AlteredCell : it is none.
        """
        if value is None or isinstance(value, str):
            return value
        raise AlteredCell("a text", value)


class Real(TypeDecorator[float]):
    """Floating-point numbers; zero has no sign, as in SQLite."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return the number, zero without its sign."""
        return 0.0 if value == 0 else value

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:
        """Return the number.

        Raises
        ------
        AlteredCell : it is none.
        """
        if value is None or isinstance(value, float):
            return value
        if isinstance(value, int):
            return float(value)
        raise AlteredCell("a number", value)
