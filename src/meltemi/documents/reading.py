"""Read a file of settings as what it has to be."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from meltemi.documents.document import Document, fail, read_versioned
from meltemi.documents.fields import Entry
from meltemi.documents.problems import explain

E = TypeVar("E", bound=Entry)


def read_entry(file: Path, version: int, kind: type[E]) -> tuple[E, Document]:
    """Give what a file of this version says, and the document, which knows the lines of its keys.

    Raise ConfigurationError for the first thing wrong in it: the file, the line, the key, what is
    wrong with it, and how many more problems there are.
    """
    document = read_versioned(file, version)
    try:
        return kind.model_validate(document.data), document
    except ValidationError as error:
        raise fail(file, explain(error, document, kind)) from None
