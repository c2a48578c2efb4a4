"""`meltemi size FROM`."""

from datetime import UTC, datetime
from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.cli.selection import selection_from
from meltemi.cli.work import Connections, connections_from, run
from meltemi.model.route import Route
from meltemi.model.units import format_size
from meltemi.replication.run import opened
from meltemi.replication.selection import Selector

_COLUMNS = ("Library", "Images", "Bytes", "Size")


@click.command("size")
@click.argument("source", metavar="FROM")
@opt.selection_options
@opt.index_option
@opt.connection_options
@opt.source_token_options
@opt.legacy_options("metaonly", "dontreplicate", "targettoken", "chunksize")
@output_options
def command(source: str, **options: Any) -> int:
    """Sum the images in FROM that have data, and their bytes."""
    check_columns(_COLUMNS, options)
    selector = Selector(selection_from(options), now=datetime.now(UTC))
    connections = connections_from(Route("size", source, ()), options, writing=False)
    return run(_size(source, selector, connections, options), options)


async def _size(
    source: str, selector: Selector, connections: Connections, options: dict[str, Any]
) -> int:
    count = total = 0
    async with opened([source], connections.open) as libraries:
        async for page in libraries.require(source).list_images():
            for image in page:
                if image.has_data and selector.rejects(image) is None:
                    count += 1
                    total += image.size or 0
    row = {"Library": source, "Images": count, "Bytes": total, "Size": format_size(total)}
    print_rows([row], _COLUMNS, options)
    return 0
