"""How commands log, and how they end where they are interrupted."""

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import click

INTERRUPTED: Final = 130
GOES_ON: Final = "what is complete stays, the next run does the rest"


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
        raise interrupted(leaves) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupted(leaves: str = "") -> click.exceptions.Exit:
    """Say that a command was interrupted, and what that leaves; give the end that it comes to."""
    click.echo(f"meltemi: interrupted{f': {leaves}' if leaves else ''}", err=True)
    return click.exceptions.Exit(INTERRUPTED)
