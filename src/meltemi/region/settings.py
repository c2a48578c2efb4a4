"""Interim."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
import yaml


@dataclass(frozen=True)
class Limits:
    image_property_quota: int = 128
    image_tag_quota: int = 128
    image_member_quota: int = 128
    image_size_cap: int = 2**40


@dataclass(frozen=True)
class Settings:
    host: str = "127.0.0.1"
    port: int = 9292
    data: Path = Path("meltemi-region")
    workers: int = 1
    tls: Any = None
    graceful_seconds: float = 60
    policy_file: Path | None = None
    public_endpoint: str | None = None
    page: int = 25
    longest_page: int = 1000
    limits: Limits = field(default_factory=Limits)
    import_methods: tuple[str, ...] = ()
    hashing_algorithm: str = "sha512"
    store: str | None = None
    index: str | None = None
    disk_formats: tuple[str, ...] = (
        "ami",
        "ari",
        "aki",
        "vhd",
        "vhdx",
        "vmdk",
        "raw",
        "qcow2",
        "vdi",
        "iso",
        "ploop",
    )
    container_formats: tuple[str, ...] = (
        "ami",
        "ari",
        "aki",
        "bare",
        "ovf",
        "ova",
        "docker",
        "compressed",
    )

    @property
    def database(self) -> str:
        return f"sqlite:///{self.data.absolute()}/catalogue.sqlite"

    @property
    def store_address(self) -> str:
        return self.store or str(self.data / "store")

    @property
    def rules(self):
        return {"context_is_admin": "@"}


def load_settings(path, given):
    chosen = yaml.safe_load(path.read_text()) if path else {}
    chosen.pop("version", None)
    chosen |= {k: v for k, v in given.items() if v is not None}
    if "data" in chosen:
        chosen["data"] = Path(chosen["data"])
    return Settings(**chosen)
