"""What every file of Meltemi's may hold: texts, lists, sizes, spans of time."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from meltemi.errors import UsageError
from meltemi.model.address import parse_path
from meltemi.model.units import parse_duration, parse_size


def read_with(parse: Callable[[str | int], object]) -> BeforeValidator:
    """Have a value made by a function of text or a whole number, which may raise ValueError."""

    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError("has to be text or a whole number")  # noqa: TRY004 - as pydantic wants
        return parse(value)

    return BeforeValidator(read)


def checked_by(parse: Callable[[str], object]) -> BeforeValidator:
    """Have a text read by a function of Meltemi's, which raises UsageError where it is wrong."""

    def check(value: object) -> object:
        try:
            return parse(value) if isinstance(value, str) else value
        except UsageError as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(check)


def _as_tuple(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


Text = Annotated[str, StringConstraints(min_length=1)]
Listed = BeforeValidator(_as_tuple)
Texts = Annotated[tuple[Text, ...], Listed, Field(min_length=1)]
Size = Annotated[int, read_with(parse_size)]
Duration = Annotated[timedelta, read_with(parse_duration)]
File = Annotated[Path, checked_by(parse_path)]


class Entry(BaseModel):
    """The base of all: immutable, without conversions, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
