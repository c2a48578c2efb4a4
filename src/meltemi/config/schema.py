"""What each key of meltemi.yaml may hold; what it means is told in docs/configuration.md."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from meltemi.documents.fields import (
    Duration,
    Entry,
    File,
    Listed,
    Size,
    Text,
    Texts,
    checked_by,
    read_with,
)
from meltemi.errors import UsageError
from meltemi.model.address import LibraryAddress, parse_url
from meltemi.model.listening import ListeningAddress, parse_listening
from meltemi.model.role import Role
from meltemi.model.route import OnConflict, OnSourceDeletion, Rules
from meltemi.model.schedule import Schedule, parse_schedule
from meltemi.model.units import parse_bandwidth
from meltemi.region.settings import (
    KeystoneAccount,
    MetricsSettings,
    NotificationSettings,
    TlsSettings,
)
from meltemi.replication.where import Where

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{64}")


def _check_where(text: str) -> str:
    try:
        Where(text, datetime.now(UTC))
    except UsageError as error:
        raise UsageError(str(error).removeprefix("where: ")) from None
    return text


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name is of letters, digits, dots, dashes and underscores")
    return name


def _check_digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise ValueError("has to be 64 hexadecimal digits, as sha256sum writes them")
    return text.lower()


Name = Annotated[str, AfterValidator(_check_name)]
Listening = Annotated[ListeningAddress, read_with(lambda text: parse_listening(str(text)))]
Times = Annotated[Schedule, read_with(parse_schedule)]
Bandwidth = Annotated[tuple[tuple[int, int | None], ...], read_with(parse_bandwidth)]
Transfers = Annotated[int, Field(ge=1, le=256)]
Condition = Annotated[str, checked_by(_check_where)]
Visibility = Literal["private", "shared", "community", "public"]
Status = Literal[
    "queued", "saving", "uploading", "importing", "active", "deactivated", "killed", "deleted",
    "pending_delete",
]  # fmt: skip


class LibraryEntry(Entry):
    """One of `libraries`."""

    cloud: Text | None = None
    region: Text | None = None
    url: Annotated[str, checked_by(parse_url)] | None = None
    path: File | None = None
    cacert: File | None = None
    insecure: bool = False
    zone: Text | None = None
    account: Literal["owner"] | None = None
    notifications: NotificationSettings | None = None
    transfers: Transfers | None = None

    @model_validator(mode="after")
    def _is_an_address(self) -> Self:
        if [self.cloud, self.url, self.path].count(None) != 2:  # noqa: PLR2004 - of three
            raise ValueError("give exactly one of cloud, url and path")
        if self.path is not None and self.path.parts[:1] == ("s3:",):
            raise ValueError(
                "an archive in a bucket is for `meltemi dump --dedup` and `meltemi load` alone; "
                "name a folder"
            )
        self.address(Path())
        if self.account is not None and self.cloud is None:
            raise ValueError("account goes with a cloud only")
        return self

    @model_validator(mode="after")
    def _tells_over_rabbitmq(self) -> Self:
        told = self.notifications
        if told is not None and not told.transport_url.startswith("rabbit://"):
            raise ValueError("notifications: transport_url has to begin with rabbit://")
        return self

    def address(self, folder: Path) -> LibraryAddress:
        """Give the address, relative paths taken from a folder."""
        return LibraryAddress(
            cloud=self.cloud,
            region=self.region,
            url=self.url,
            path=self.path and folder / self.path,
            cacert=self.cacert and folder / self.cacert,
            insecure=self.insecure,
        )


class RuleEntry(Entry):
    """One of a route's `match` or `exclude`."""

    name: Texts = ()
    id: Texts = ()
    visibility: Annotated[tuple[Visibility, ...], Listed, Field(min_length=1)] = ()
    owner: Texts = ()
    tag: Texts = ()
    property: Annotated[dict[Text, Texts], Field(min_length=1)] = Field(default_factory=dict)
    disk_format: Texts = ()
    container_format: Texts = ()
    status: Annotated[tuple[Status, ...], Listed, Field(min_length=1)] = ()
    min_size: Size | None = None
    max_size: Size | None = None
    min_age: Duration | None = None
    max_age: Duration | None = None

    @model_validator(mode="after")
    def _can_pass(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("a rule needs at least one test")
        if (
            self.min_size is not None
            and self.max_size is not None
            and self.min_size > self.max_size
        ):
            raise ValueError("min_size is above max_size")
        if self.min_age is not None and self.max_age is not None and self.min_age > self.max_age:
            raise ValueError("min_age is above max_age")
        return self

    def rules(self) -> Rules:
        """Give the rules that a selection is made of."""
        return Rules(
            names=self.name,
            ids=self.id,
            visibilities=self.visibility,
            owners=self.owner,
            tags=self.tag,
            properties=self.property,
            disk_formats=self.disk_format,
            container_formats=self.container_format,
            statuses=self.status,
            min_size=self.min_size,
            max_size=self.max_size,
            min_age=self.min_age,
            max_age=self.max_age,
        )


RuleList = Annotated[tuple[RuleEntry, ...], Listed]


class RouteSettings(Entry):
    """What `defaults` and every route may hold; only keys that were set count."""

    match: RuleList = ()
    exclude: RuleList = ()
    where: Condition | None = None
    owners: dict[Text, Text] = Field(default_factory=dict)
    values: dict[Text, dict[Text, Text]] = Field(default_factory=dict)
    drop: Annotated[frozenset[Text], Listed, Field(strict=False)] = frozenset()
    visibility: Visibility | None = None
    members: bool = False
    metadata_only: bool = False
    replicas: bool = False
    pull: bool = False
    on_conflict: Annotated[OnConflict, Field(strict=False)] = OnConflict.SKIP
    on_source_deletion: Annotated[OnSourceDeletion, Field(strict=False)] = OnSourceDeletion.KEEP
    grace: Duration = timedelta(0)
    max_delete: Annotated[int, Field(ge=0)] = 0
    transfers: Transfers = 1
    bwlimit: Bandwidth = ()
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    schedule: Times | None = None
    within: Duration | None = None


class AllowanceEntry(Entry):
    """One of a route's `choose.projects`: without `regions`, every target."""

    regions: Texts | None = None
    quotas: dict[Text, Size] = Field(default_factory=dict)


class ResidencyEntry(Entry):
    """One of a route's `choose.residency`."""

    zones: Texts
    match: RuleList = ()


class ChooseEntry(Entry):
    """What `choose` of a route holds."""

    projects: Annotated[dict[Text, AllowanceEntry], Field(min_length=1)]
    names: dict[Name, Text] = Field(default_factory=dict)
    residency: Annotated[tuple[ResidencyEntry, ...], Listed] = ()


class RouteEntry(RouteSettings):
    """One of `routes`."""

    source: Text = Field(alias="from")
    to: Texts
    relay: Text | None = None
    choose: ChooseEntry | None = None


class TokenEntry(Entry):
    """One of `tokens`: what whoever holds it may do, and its SHA-256."""

    role: Annotated[Role, Field(strict=False)]
    sha256: Annotated[str, AfterValidator(_check_digest), Field(repr=False)]


class WebhookEntry(Entry):
    """What `webhook` holds: where the secret is by which its senders sign."""

    secret_file: File | None = None
    secret_env: Text | None = None

    @model_validator(mode="after")
    def _names_one_secret(self) -> Self:
        if (self.secret_file is None) is (self.secret_env is None):
            raise ValueError("give secret_file or secret_env")
        return self


class LinkEntry(Entry):
    """One of `links`."""

    libraries: Texts
    bwlimit: Bandwidth


class DaemonEntry(Entry):
    """What `daemon` holds: how `meltemi daemon` works, and who may speak to it."""

    database: Text | None = None
    reconcile: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=1)
    history: Duration = timedelta(days=90)
    keys: File | None = None
    listen: Listening = ListeningAddress("127.0.0.1", 9393)
    tls: TlsSettings | None = None
    metrics: MetricsSettings | None = None
    tokens: dict[Name, TokenEntry] = Field(default_factory=dict)
    keystone: KeystoneAccount | None = None
    webhook: WebhookEntry | None = None

    @model_validator(mode="after")
    def _knows_who_comes_from_afar(self) -> Self:
        if not (self.listen.is_loopback or self.tokens or self.keystone):
            raise ValueError("to listen beyond loopback takes tokens, or keystone")
        return self


class DaemonAlone(Entry):
    """What the file says of the daemon; nothing else is looked at."""

    model_config = ConfigDict(extra="ignore")

    daemon: DaemonEntry = DaemonEntry()


class FileEntry(Entry):
    """The whole file."""

    version: int
    daemon: DaemonEntry = DaemonEntry()
    libraries: dict[Name, LibraryEntry]
    links: dict[Name, LinkEntry] = Field(default_factory=dict)
    defaults: RouteSettings = RouteSettings()
    routes: dict[Name, RouteEntry] = Field(default_factory=dict)
