"""What the commands of an adoption do alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from meltemi.catalogue.adopting_base import Ledger
from meltemi.catalogue.sql import open_catalogue
from meltemi.cli.options import FilePath, option
from meltemi.errors import printable
from meltemi.model.adoption import Missing
from meltemi.region.adoption.origin import Origin
from meltemi.region.settings import Settings, load_settings
from meltemi.region.wiring import open_origin

config_option = option(
    "--config", type=FilePath(), required=True, help="The region's meltemi-region.yaml."
)


@asynccontextmanager
async def opened(config: Path) -> AsyncIterator[tuple[Settings, Ledger]]:
    """Open the adoption of a region."""
    settings = load_settings(config, {})
    settings.data.mkdir(parents=True, exist_ok=True)
    catalogue = await open_catalogue(settings.database_url)
    try:
        yield settings, catalogue.ledger
    finally:
        await catalogue.close()


@asynccontextmanager
async def reached(settings: Settings) -> AsyncIterator[Origin]:
    """Open the Glance, and see that all of it is to be seen."""
    origin = open_origin(settings)
    try:
        await origin.check()
        yield origin
    finally:
        await origin.close()


def tell(image: Missing) -> None:
    """Say of an image why it is not here."""
    label = printable(f"{image.name} ({image.id})" if image.name else image.id)
    why = image.problem or (
        "its data is not here yet" if image.status in ("active", "deactivated") else image.status
    )
    click.echo(f"image {label}: {printable(why)}", err=True)
