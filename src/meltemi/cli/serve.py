"""`meltemi serve`."""

import logging
from pathlib import Path
from typing import Any

import click

from meltemi.cli.options import FilePath, option, whole


@click.command("serve")
@option("--config", type=FilePath(), help="A meltemi-region.yaml; without it, defaults.")
@option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@option("--port", type=whole(0, 65535), help="The port; 0 for any.  [default: 9292]")
@option("--data", type=FilePath(), help="The folder for everything.  [default: ./meltemi-region]")
@option("--workers", type=whole(1, 256), help="Processes that answer.  [default: 1]")
@option("-d", "--debug", is_flag=True, help="Log everything, and show tracebacks.")
@option("-v", "--verbose", is_flag=True, help="Log every request on a terminal, too.")
def command(config: Path | None, **options: Any) -> int:
    """Serve images as a region's own Image service (Image API v2).

    Without any configuration it listens on loopback, lets everybody do everything, and keeps all in
    one folder. Keystone, PostgreSQL, object stores and TLS are set in the file.
    """
    from meltemi.listening import listen  # noqa: PLC0415 - beside the others
    from meltemi.region.logs import log_to_stderr  # noqa: PLC0415 - the same
    from meltemi.region.server import serve  # noqa: PLC0415 - slow to import
    from meltemi.region.settings import load_settings  # noqa: PLC0415 - the same
    from meltemi.region.wiring import prepare  # noqa: PLC0415 - the same

    plain = log_to_stderr(verbose=options["verbose"], debug=options["debug"])
    names = ("host", "port", "data", "workers")
    settings = load_settings(config, {name: options[name] for name in names})
    prepare(settings)
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    scheme = "https" if settings.tls else "http"

    def ready() -> None:
        line = f"serving images at {scheme}://{settings.host}:{port}"
        if plain:
            click.echo(f"meltemi: {line}", err=True)
        else:
            logging.getLogger("meltemi").info(line)

    serve(settings, listener, ready)
    return 0
