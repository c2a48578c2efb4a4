"""`meltemi daemon`."""

import asyncio
import gc
import logging
import signal
from pathlib import Path
from typing import Any, Final

import click

from meltemi.cli import options as opt
from meltemi.cli.options import Parsed, option
from meltemi.model.listening import ListeningAddress, parse_listening
from meltemi.supervision import tell_ready

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


@click.command("daemon")
@opt.file_argument
@option(
    "--listen",
    type=Parsed("host:port", parse_listening),
    help="Where to answer, in place of daemon.listen.",
)
@option("-d", "--debug", is_flag=True, help="Log everything, and show tracebacks.")
def command(file: Path, *, listen: ListeningAddress | None, debug: bool) -> int:
    """Keep the routes of FILE (meltemi.yaml) true until it is stopped.

    Routes are looked at by their schedules, and all of them every so often. The file is read again
    when it changes, or at SIGHUP; one that is wrong is refused, and the one before stays in force.
    """
    from meltemi.daemon.service import Service  # noqa: PLC0415 - slow to import

    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)

    def ready(told: str) -> None:
        click.echo(f"meltemi: at work; {told}", err=True)
        tell_ready()

    # Listings are many objects that live for long: to look for cycles among them so often would
    # take a seventh of the time of a look at everything.
    gc.set_threshold(50_000, 20, 20)
    service = Service(file, ready, listen)
    asyncio.run(_until_stopped(service))
    return 0


async def _until_stopped(service: Any) -> None:
    loop, work = asyncio.get_running_loop(), asyncio.create_task(service.run())
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.create_task(service.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in _STOPPING:
        loop.add_signal_handler(number, work.cancel)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        await work
    except asyncio.CancelledError:
        click.echo("meltemi: stopped; what was under way goes on at the next start", err=True)
