"""From settings to a service: what each part of it is made of."""

import asyncio

from meltemi.catalogue.opening import open_catalogue
from meltemi.chunks.opening import open_store
from meltemi.region.api.schemas import Checker, image_schema
from meltemi.region.data.contents import Contents
from meltemi.region.identity.opening import open_identity
from meltemi.region.policy import Policy
from meltemi.region.service import Service
from meltemi.region.settings import Settings


def prepare(settings: Settings) -> None:
    """Make what is not there yet: the store, and tables in SQLite."""
