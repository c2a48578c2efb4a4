"""From settings to a service: what each part of it is made of."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from uuid import uuid4

from meltemi.catalogue.adopting_base import Ledger
from meltemi.catalogue.base import Catalogue
from meltemi.catalogue.sql import open_catalogue
from meltemi.chunks.opening import open_store
from meltemi.chunks.store import Store
from meltemi.errors import ConfigurationError, UsageError
from meltemi.keys import SigningKey
from meltemi.model.adoption import Adoption, Stage
from meltemi.region.adoption.fetching import Fetches
from meltemi.region.adoption.filling import Filler
from meltemi.region.adoption.following import Follower
from meltemi.region.adoption.front import Front
from meltemi.region.adoption.origin import Origin
from meltemi.region.api.schemas import Checker, image_schema
from meltemi.region.background import Background
from meltemi.region.bindings import Bindings
from meltemi.region.borrowing.borrower import Borrower
from meltemi.region.borrowing.peer import Peer
from meltemi.region.data.contents import Contents
from meltemi.region.data.hot import HotImages
from meltemi.region.data.hot_files import HotFiles
from meltemi.region.data.janitor import Janitor
from meltemi.region.data.pieces import Pieces
from meltemi.region.identity.base import Identity
from meltemi.region.identity.limits import UnifiedLimits
from meltemi.region.identity.opening import open_account, open_identity, open_limits, tls_of
from meltemi.region.imports.elsewhere import Elsewhere
from meltemi.region.imports.web import Web
from meltemi.region.metering import Meter
from meltemi.region.notifying import Silence, check_bus, open_notifier
from meltemi.region.policy import Policy
from meltemi.region.protections import Protections, load_protections
from meltemi.region.quotas import KeystoneQuotas, NoQuotas
from meltemi.region.readiness import Check, Readiness
from meltemi.region.service import Service
from meltemi.region.settings import Settings


async def open_service(settings: Settings) -> Service:
    """Open everything that answering takes."""
    policy = Policy(settings.policy_file, settings.rules)
    catalogue = await open_catalogue(settings.database_url)
    _must_adopt_it(settings, await catalogue.ledger.state())
    store = await asyncio.to_thread(_open_store, settings)
    holder = uuid4().hex
    copies = HotFiles(settings.hot_folder, settings.hot_images)
    by_project = settings.dedup_scope == "project"
    peers = open_peers(settings)
    contents = Contents(
        store, settings.hashing_algorithm, holder, copies, peers, by_project=by_project
    )
    pieces = Pieces(store, contents, settings.data)
    borrower = Borrower(
        *(catalogue, catalogue.loans, policy),
        contents=contents,
        pieces=pieces,
        peers=peers,
        holder=holder,
    )
    meter = Meter()
    told = settings.notifications
    janitor = Janitor(catalogue, catalogue.tasks, contents, holder, meter)
    await janitor.work()
    identity = open_identity(settings, policy)
    tls = tls_of(settings.keystone) if settings.keystone else True
    limits = open_limits(settings)
    quotas = KeystoneQuotas(limits, catalogue) if limits else NoQuotas()
    return Service(
        settings,
        catalogue,
        contents,
        pieces,
        open_bindings(settings),
        HotImages(copies, contents),
        janitor,
        identity,
        policy,
        _protections(settings, policy),
        Checker(image_schema(settings.disk_formats, settings.container_formats)),
        catalogue.definitions,
        catalogue.tasks,
        Web(settings.web_download),
        Elsewhere(identity, settings.hashing_algorithm, tls),
        quotas,
        _front(settings, catalogue.ledger, contents, holder),
        borrower,
        Background(),
        Readiness(_parts(settings, catalogue, contents, identity, limits)),
        meter,
        open_notifier(told.transport_url) if told else Silence(),
        holder,
    )


async def close_service(service: Service) -> None:
    """Let go of everything; what is not finished is given back."""
    await service.background.close()
    await asyncio.to_thread(service.notifier.close)
    await service.readiness.close()
    if service.front is not None:
        await service.front.close()
    await service.borrower.close()
    await service.catalogue.bury(service.holder)
    await service.quotas.close()
    await service.identity.close()
    await service.hot.close()
    await service.contents.close()
    await service.catalogue.close()


def open_bindings(settings: Settings) -> Bindings:
    """Open what vouches for data; raise ConfigurationError where its key cannot be used."""
    key = None
    if settings.signing_key is not None:
        try:
            key = SigningKey.read(settings.signing_key)
        except UsageError as error:
            raise ConfigurationError(f"signing_key: {error}") from error
    return Bindings(key, settings.trusted_keys, settings.hashing_algorithm)


def open_origin(settings: Settings) -> Origin:
    """Open the Glance that is adopted; ConfigurationError where there is none."""
    if settings.adopt is None:
        raise ConfigurationError("adopt.endpoint is not set: there is no Glance to adopt")
    tls = tls_of(settings.keystone) if settings.keystone else True
    return Origin(settings.adopt.endpoint, open_account(settings), tls)


def open_peers(settings: Settings) -> Mapping[str, Peer]:
    """Make what asks the regions that images may borrow from; nothing is asked yet."""
    tls = tls_of(settings.keystone) if settings.keystone else True
    return {
        peer.name: Peer(peer.name, peer.endpoint, open_account(settings), tls)
        for peer in settings.peers
    }


def _front(settings: Settings, ledger: Ledger, contents: Contents, holder: str) -> Front | None:
    if settings.adopt is None:
        return None
    origin = open_origin(settings)
    fetches = Fetches(origin, ledger, contents, holder, settings.data / "adopting")
    follower = Follower(origin, ledger, holder)
    filler = Filler(ledger, fetches, follower, holder)
    return Front(origin, ledger, holder, fetches=fetches, follower=follower, filler=filler)


def _must_adopt_it(settings: Settings, state: Adoption | None) -> None:
    """Refuse to serve beside an adoption: what is changed there would be lost."""
    endpoint = settings.adopt.endpoint if settings.adopt else None
    if state is None and endpoint is not None:
        raise ConfigurationError(
            f"adopt.endpoint: the adoption of {endpoint} is not begun: run meltemi adopt start"
        )
    if state is None or state.stage is Stage.FINISHED or state.endpoint == endpoint:
        return
    raise ConfigurationError(
        f"adopt.endpoint: it has to be {state.endpoint}, which this region adopts, until meltemi "
        "adopt finish or meltemi adopt rollback"
    )


def _parts(
    settings: Settings,
    catalogue: Catalogue,
    contents: Contents,
    identity: Identity,
    limits: UnifiedLimits | None,
) -> Mapping[str, Check]:
    async def database() -> None:
        await catalogue.known(["-"])  # whatever it says: it has to be asked

    async def keystone() -> None:
        await identity.check()
        if limits:
            await limits.check()

    parts: dict[str, Check] = {"database": database, "store": contents.check}
    if settings.keystone:
        parts["keystone"] = keystone
    return parts


def _protections(settings: Settings, policy: Policy) -> Protections | None:
    if settings.property_protection_file is None:
        return None
    by_policies = settings.property_protection_rule_format == "policies"
    return load_protections(
        settings.property_protection_file, policy=policy if by_policies else None
    )


def prepare(settings: Settings) -> None:
    """Check what could not work, and make what is not there yet: folders, the store, tables.

    Workers that found it out would be started again and again.
    """
    if settings.notifications:
        check_bus(settings.notifications.transport_url)
    if "://" in settings.store_address and settings.index is None:
        raise ConfigurationError("store: one in a bucket needs an index: the URL of a database")
    _protections(settings, Policy(settings.policy_file, settings.rules))
    if settings.keystone:
        tls_of(settings.keystone)
    open_bindings(settings)
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
        raise UsageError(f"{settings.data}: cannot be made, or is no folder: {reason}") from error
    # In a process of its own: no worker may be forked from one that has spoken with an object
    # store, whose client keeps threads, and dies without them.
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as apart:
        apart.submit(_find_store, settings).result()
        apart.submit(_find_catalogue, settings).result()


def _find_store(settings: Settings) -> None:
    """Make the store where there is none; not where images have their data in one that is gone."""
    try:
        _open_store(settings).close()
    except UsageError as error:
        if asyncio.run(_has_data(settings.database_url)):
            raise UsageError(
                f"{error}; the catalogue has images, whose data is in a store: is its disk mounted?"
            ) from error
        _open_store(settings, create=True).close()


def _find_catalogue(settings: Settings) -> None:
    """See that it can be opened, and whether it is that of an adoption."""

    async def look() -> None:
        catalogue = await open_catalogue(settings.database_url)
        try:
            _must_adopt_it(settings, await catalogue.ledger.state())
        finally:
            await catalogue.close()

    asyncio.run(look())


async def _has_data(url: str) -> bool:
    catalogue = await open_catalogue(url)
    try:
        return await catalogue.has_data()
    finally:
        await catalogue.close()


def _open_store(settings: Settings, *, create: bool = False) -> Store:
    return open_store(settings.store_address, settings.index, create=create)
