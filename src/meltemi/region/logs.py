"""Log lines of a region: JSON for programs, plain text on a terminal."""

import json
import logging
import sys
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from meltemi.errors import printable


@dataclass(slots=True)
class About:
    """The request in the midst of which a line is written, as far as it is known by then.

    `path` is as it was sent, without the query.
    """

    method: str
    path: str
    request_id: str | None = None
    user: str | None = None
    project: str | None = None


REQUEST: Final[ContextVar[About | None]] = ContextVar("request", default=None)


class JsonLines(logging.Formatter):
    """Writes a line as one JSON object, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the object: when, how grave, where, what, and in which request.

        The attribute `facts` of a record is a mapping of what else there is to say.
        """
        about = REQUEST.get()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **(asdict(about) if about else {}),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PlainLines(logging.Formatter):
    """Writes a line for people; nothing in it can command their terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Give the line without a traceback."""
        return printable(super().formatMessage(record))


def log_to_stderr(*, verbose: bool, debug: bool) -> bool:
    """Begin to log; say whether that is plain text.

    On a terminal that is what went wrong, and with `verbose` every request; to anything else,
    every request is logged. With `debug` libraries say what they do, too.
    """
    plain = sys.stderr.isatty()
    handler = logging.StreamHandler()
    handler.setFormatter(PlainLines() if plain else JsonLines())
    quiet = plain and not verbose
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
    if not debug:
        logging.getLogger("meltemi").setLevel(logging.WARNING if quiet else logging.INFO)
    return plain
