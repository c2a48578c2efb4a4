"""Certificates for services on loopback, and a front that ends TLS for them."""

import sys
from dataclasses import dataclass
from pathlib import Path

import trustme

from lab.process import Server, listening


@dataclass(frozen=True)
class Certificate:
    """One certificate with its key, in a file, and the bundle that vouches for it."""

    pem: Path
    bundle: Path


class Authority:
    """A certificate authority of the lab's own."""

    def __init__(self, folder: Path) -> None:
        """Make the authority and write the bundle that a client should trust."""
        folder.mkdir(parents=True, exist_ok=True)
        self._ca = trustme.CA()
        self._folder = folder
        self.bundle = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.bundle)

    def certificate(self, *names: str) -> Certificate:
        """Issue a certificate for these names, by default those of loopback."""
        names = names or ("127.0.0.1", "localhost")
        pem = self._folder / f"{names[0]}.pem"
        self._ca.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(pem)
        return Certificate(pem, self.bundle)

    def wrong_host(self) -> Certificate:
        """Issue a certificate for another host: trusted, and yet to be refused."""
        return self.certificate("elsewhere.example")


class TlsFront(Server):
    """A proxy that speaks TLS with clients and plain TCP with a server behind it."""

    def __init__(self, folder: Path, name: str, target: int, certificate: Certificate) -> None:
        """Choose the port; nothing runs yet."""
        super().__init__(name, folder)
        self.url = f"https://127.0.0.1:{self.port}"
        self._target = target
        self._certificate = certificate

    def command(self) -> list[str]:
        """Return the command line of the proxy."""
        script = Path(__file__).with_name("tls_proxy.py")
        ports = [str(self.port), str(self._target)]
        return [sys.executable, "-I", str(script), *ports, str(self._certificate.pem)]

    def ready(self) -> bool:
        """Tell whether the proxy accepts connections."""
        return listening(self.port)
