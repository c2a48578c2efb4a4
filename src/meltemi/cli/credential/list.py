"""`meltemi credential list`."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import click

from meltemi.cli.asking import asking, daemon_options
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.daemon.client import Client

_COLUMNS: Final = ("Library", "Project", "Since", "By")


@click.command("list")
@output_options
@daemon_options
def command(**options: Any) -> int:
    """Show for which libraries the daemon has credentials: your project's, or all.

    Nothing of the credentials themselves is shown.
    """
    check_columns(_COLUMNS, options)
    return asking(partial(_list, options=options), options)


async def _list(client: Client, *, options: Mapping[str, Any]) -> int:
    rows = [
        {"Library": one["library"], "Project": one["project"], "Since": one["at"], "By": one["by"]}
        for one in (await client.get("/v1/credentials"))["credentials"]
    ]
    print_rows(rows, _COLUMNS, options)
    return 0
