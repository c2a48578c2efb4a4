"""The settings of a region: meltemi-region.yaml, and what holds without it."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from meltemi.documents.fields import Duration, Entry, File, Listed, Size, Text, Texts, checked_by
from meltemi.documents.reading import read_entry
from meltemi.keys import parse_public
from meltemi.model.address import parse_url
from meltemi.region.identity.nobody import RULES
from meltemi.region.identity.plugins import load_plugin

VERSION: Final = 1

E = TypeVar("E", bound=Entry)

_Port = Annotated[int, Field(ge=1, le=65535)]
_Ports = Annotated[tuple[_Port, ...], Listed]
_AnyTexts = Annotated[tuple[Text, ...], Listed]
_PublicKeys = Annotated[tuple[Annotated[Text, checked_by(parse_public)], ...], Listed]
ImportMethod = Literal["glance-direct", "web-download", "copy-image", "glance-download"]


def _check_algorithm(name: str) -> str:
    known = sorted(one for one in hashlib.algorithms_guaranteed if not one.startswith("shake_"))
    if name not in known:
        raise ValueError(f"has to be one of {', '.join(known)}")
    return name


class TlsSettings(Entry):
    """The certificate, with those that signed it, and its key; both in PEM."""

    certificate: File
    key: File


class MetricsSettings(Entry):
    """Where Prometheus reads what is counted: whoever reaches it may."""

    host: Text = "127.0.0.1"
    port: _Port


class NotificationSettings(Entry):
    """The message bus that is told what happens to images, as oslo.messaging writes it."""

    transport_url: Annotated[Text, Field(repr=False)]


class KeystoneAccount(Entry):
    """A service's own account at Keystone, by which it judges tokens.

    `auth_type` and `auth` are what keystoneauth calls a plugin and its options.
    """

    auth_type: Text = "password"
    auth: Annotated[dict[Text, Text], Field(repr=False)]
    cacert: File | None = None
    insecure: bool = False
    www_authenticate_uri: Annotated[str, checked_by(parse_url)] | None = None
    token_cache_time: Duration = timedelta(minutes=5)

    @field_validator("auth")
    @classmethod
    def _makes_a_plugin(cls, auth: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if "auth_type" in info.data:
            load_plugin(info.data["auth_type"], auth)
        return auth


class KeystoneSettings(KeystoneAccount):
    """A region's; with a `limits_region`, Keystone's unified limits for that region hold."""

    limits_region: Text | None = None


class AdoptSettings(Entry):
    """The Glance that the region stands in front of, of the same Keystone or, as it, of none."""

    endpoint: Annotated[str, checked_by(parse_url)]


class PeerSettings(Entry):
    """Another region of the same Keystone or, as this one, of none; images may borrow from it."""

    name: Text
    endpoint: Annotated[str, checked_by(parse_url)]


class Limits(Entry):
    """How much of something one image may have; negative numbers are no limits."""

    image_property_quota: int = 128
    image_tag_quota: int = 128
    image_member_quota: int = 128
    image_size_cap: Annotated[Size, Field(ge=1)] = 2**40


class WebDownload(Entry):
    """From where users may have images fetched; where something is allowed, all else is not."""

    allowed_schemes: _AnyTexts = ("http", "https")
    disallowed_schemes: _AnyTexts = ()
    allowed_hosts: _AnyTexts = ()
    disallowed_hosts: _AnyTexts = ()
    allowed_ports: _Ports = (80, 443)
    disallowed_ports: _Ports = ()


class Settings(Entry):
    """Everything that can be set; without a file, it listens on loopback and knows nobody."""

    version: int = VERSION
    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9292
    public_endpoint: Annotated[str, checked_by(parse_url)] | None = None
    tls: TlsSettings | None = None
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    graceful: Duration = timedelta(minutes=1)
    data: File = Path("meltemi-region")
    database: Text | None = None
    store: Text | None = None
    index: Text | None = None
    dedup_scope: Literal["region", "project"] = "region"
    hot_images: Annotated[Size, Field(ge=0)] = 10 * 2**30
    signing_key: File | None = None
    trusted_regions: dict[Text, _PublicKeys] = Field(default_factory=dict)
    keystone: KeystoneSettings | None = None
    adopt: AdoptSettings | None = None
    peers: Annotated[tuple[PeerSettings, ...], Listed] = ()
    metrics: MetricsSettings | None = None
    notifications: NotificationSettings | None = None
    policy_file: File | None = None
    property_protection_file: File | None = None
    property_protection_rule_format: Literal["roles", "policies"] = "roles"
    limits: Limits = Limits()
    longest_page: Annotated[int, Field(ge=1)] = 1000
    page: Annotated[int, Field(ge=1)] = 25
    hashing_algorithm: Annotated[Text, AfterValidator(_check_algorithm)] = "sha512"
    container_formats: Texts = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
    disk_formats: Texts = (
        *("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"),
    )
    import_methods: Annotated[tuple[ImportMethod, ...], Listed] = (
        *("glance-direct", "web-download", "copy-image"),
    )
    web_download: WebDownload = WebDownload()
    show_image_direct_url: bool = False
    show_multiple_locations: bool = False
    http_store: bool = False

    @field_validator("page")
    @classmethod
    def _is_within_the_longest(cls, page: int, info: ValidationInfo) -> int:
        if page > info.data.get("longest_page", page):
            raise ValueError("is above longest_page")
        return page

    @field_validator("peers")
    @classmethod
    def _have_names_of_their_own(cls, peers: tuple[PeerSettings, ...]) -> tuple[PeerSettings, ...]:
        if len({peer.name for peer in peers}) < len(peers):
            raise ValueError("has two of one name")
        return peers

    @property
    def graceful_seconds(self) -> float:
        """How long requests that are being answered may take when the service stops."""
        return self.graceful.total_seconds()

    @property
    def database_url(self) -> str:
        """The catalogue's database."""
        return self.database or f"sqlite:///{self.data / 'catalogue.sqlite'}"

    @property
    def store_address(self) -> str:
        """The chunk store's folder or bucket."""
        return self.store or str(self.data / "store")

    @property
    def trusted_keys(self) -> Mapping[str, str]:
        """The regions that are trusted, by their keys."""
        return {key: name for name, keys in self.trusted_regions.items() for key in keys}

    @property
    def hot_folder(self) -> Path:
        """Where copies of hot images are kept."""
        return self.data / "hot"

    @property
    def rules(self) -> Mapping[str, str]:
        """The policies that hold in place of Glance's, unless the policy file says otherwise."""
        return {} if self.keystone else RULES


def load_settings(file: Path | None, given: Mapping[str, Any]) -> Settings:
    """Read a meltemi-region.yaml, or take the defaults where there is none.

    What was `given` on the command line, and is not None, takes the place of what the file says.
    Relative paths in the file are taken from its folder.

    Raise ConfigurationError for the first thing wrong in it: the file, the line, the key, what is
    wrong with it, and how many more problems there are.
    """
    settings = _read(file) if file else Settings()
    return settings.model_copy(update={key: one for key, one in given.items() if one is not None})


def _read(file: Path) -> Settings:
    settings, _ = read_entry(file, VERSION, Settings)
    folder = file.absolute().parent
    if settings.store and "://" not in settings.store:
        settings = settings.model_copy(update={"store": str(folder / settings.store)})
    return within(folder, settings)


def within(folder: Path, entry: E) -> E:
    """Take relative paths from a folder."""
    paths = {name: folder / value for name, value in entry if isinstance(value, Path)}
    inner = {name: within(folder, value) for name, value in entry if isinstance(value, Entry)}
    return entry.model_copy(update={**paths, **inner})
