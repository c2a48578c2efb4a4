"""How commands log, and how those that no event loop runs are interrupted."""

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import click

INTERRUPTED: Final = 130


def log_from(level: int) -> None:
    """Log to stderr what is of a level, or graver."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Of each attempt it says that there is another one, and in this form neither where nor why.
    logging.getLogger("stamina").setLevel(logging.ERROR)


def log_as(options: Mapping[str, Any]) -> None:
    """Log what --verbose or --debug asks for, else errors alone."""
    level = logging.DEBUG if options["debug"] else logging.INFO
    log_from(level if options["debug"] or options["verbose"] else logging.ERROR)


@contextmanager
def interruptible(options: Mapping[str, Any], leaves: str) -> Iterator[None]:
    """Log as the options say; Ctrl-C and SIGTERM end the work, and `leaves` says what is left."""
    log_as(options)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"meltemi: interrupted: {leaves}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)
