"""The `meltemi` command."""

import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, Final

import click

from meltemi import __version__
from meltemi.cli.lazy import LazyGroup
from meltemi.cli.streams import guarded
from meltemi.cli.working import INTERRUPTED
from meltemi.errors import ClosedOutputError, MeltemiError, OutputError, printable

_COMMANDS: Final = {
    "livecopy": "Make images of one library appear in others.",
    "compare": "Show what separates a library from another.",
    "dump": "Write images into an archive.",
    "load": "Bring an archive's images into a library.",
    "bundle": "Carry an archive to another in files.",
    "size": "Sum what the images of a library take.",
    "plan": "Show what `sync` would do, or save it for `apply`.",
    "sync": "Carry out the routes of meltemi.yaml.",
    "apply": "Carry out a saved plan.",
    "image": "Push files to a library as images, and pull them back.",
    "store": "Keep the data of images, every distinct piece once.",
    "daemon": "Keep the routes of meltemi.yaml true, continuously.",
    "status": "Show which images are where, as the daemon sees it.",
    "history": "Show how that came about.",
    "runs": "Show the daemon's runs.",
    "usage": "Show what projects moved and stored, day by day.",
    "wait": "Wait until an image is in other libraries.",
    "retry": "Have the daemon try again what failed.",
    "pause": "Have the daemon leave a route or a library alone.",
    "resume": "Have the daemon go on with what was paused.",
    "credential": "Let the daemon use your account in a region.",
    "serve": "Serve images as a region's own Image service.",
    "db": "Prepare the database of a region.",
    "key": "Make keys with which regions sign.",
    "adopt": "Let a region take over from a Glance, step by step.",
    "completion": "Print the completion script of a shell.",
}
DEFECT: Final = 70


@click.command(
    cls=LazyGroup,
    lines={name: (f"meltemi.cli.{name}", line) for name, line in _COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 in sync, 1 differences, 2 usage, 3 some images failed, 4 stale plan, "
    "5 authentication, 6 unreachable, 7 guard stopped, 8 archive damaged, 9 store or database, "
    "74 no output.",
)
@click.version_option(__version__, prog_name="meltemi")
def meltemi() -> None:
    """Keep the same VM images in every region of an OpenStack cloud.

    A library is a clouds.yaml entry (mycloud, mycloud:RegionTwo), the URL or host:port of an
    Image service without authentication, the path of an archive, or s3://bucket/prefix.
    """


def main(args: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    with guarded():
        code = _run(sys.argv[1:] if args is None else args)
    sys.exit(code)


def _run(args: list[str]) -> int:
    try:
        try:
            return _call(args)
        finally:
            sys.stdout.flush()
    except ClosedOutputError as error:
        return error.exit_code
    except OutputError as error:
        return _complain(str(error), error.exit_code)


def _call(args: list[str]) -> int:
    try:
        result = _main(args)
    except OutputError:
        raise
    except MeltemiError as error:
        logging.getLogger("meltemi").debug("the whole story", exc_info=error)
        return _complain(str(error), error.exit_code)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _refuse(error)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted", INTERRUPTED)
    except Exception as error:
        if {"-d", "--debug"} & {*args} or os.environ.get("MELTEMI_DEBUG", "0") not in ("", "0"):
            raise
        return _complain(
            f"a defect in Meltemi: {type(error).__name__}: {error}; --debug shows more", DEFECT
        )
    return result if isinstance(result, int) else 0


def _main(args: list[str]) -> Any:
    try:
        return meltemi.main(args, prog_name="meltemi", standalone_mode=False)
    except ExceptionGroup as group:
        errors = list(_single(group))
        known = (error for error in errors if isinstance(error, MeltemiError))
        raise next(known, errors[0]) from group


def _single(error: Exception) -> Iterator[Exception]:
    """Take errors out of the groups that tasks running at once make of them."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _single(inner)
    else:
        yield error


def _refuse(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    message = printable(" ".join(error.format_message().split()))
    if isinstance(error, click.UsageError) and error.ctx:
        message = f"{message.rstrip('.')}; see {error.ctx.command_path} --help"
    return _complain(message, error.exit_code)


def _complain(message: str, code: int) -> int:
    click.echo(f"meltemi: {message}", err=True)
    return code
